// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckKey(t *testing.T) {
	for name, tt := range map[string]struct {
		key  string
		want error
	}{
		"a plain key":                      {"checkpoint", nil},
		"a tile":                           {"tile/0/x001/234.p/5", nil},
		"a name of Kubernetes":             {"cases/soc/6f1c7a5e-0000-4000-8000-000000000001/head.json", nil},
		"the empty key":                    {"", ErrKey},
		"a key that is too long":           {strings.Repeat("a/", 600) + "a", ErrKey},
		"a part that is too long":          {strings.Repeat("a", 241), ErrKey},
		"a way out":                        {"../etc/passwd", ErrKey},
		"a way out in the middle":          {"a/../../b", ErrKey},
		"a dot":                            {"a/./b", ErrKey},
		"a hidden file":                    {".lock", ErrKey},
		"an absolute path":                 {"/etc/passwd", ErrKey},
		"a folder":                         {"a/", ErrKey},
		"an empty part":                    {"a//b", ErrKey},
		"a backslash":                      {`a\..\b`, ErrKey},
		"a drive":                          {"c:a", ErrKey},
		"a zero byte":                      {"a\x00b", ErrKey},
		"a letter that is not ASCII":       {"ä", ErrKey},
		"a percent sign that may be a dot": {"%2e%2e/a", ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			if got := CheckKey(tt.key); !errors.Is(got, tt.want) {
				t.Errorf("CheckKey(%q) = %v, want %v", tt.key, got, tt.want)
			}
		})
	}
}
