// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOneLine(t *testing.T) {
	long := strings.Repeat("ä", lineOf)
	for name, tt := range map[string]struct {
		names []string
		want  string
	}{
		"nothing":                           {nil, ""},
		"all":                               {[]string{"findUser", "suspendUser", "restoreUser"}, "findUser, suspendUser, restoreUser"},
		"as many as fit":                    {[]string{"findUser", "suspendUser", "restoreUser", "revokeSessions", "x"}, "findUser, suspendUser, restoreUser, …"},
		"all that just fit":                 {[]string{long[:2*24], long[:2*22]}, long[:2*24] + ", " + long[:2*22]},
		"one more would not":                {[]string{long[:2*24], long[:2*23]}, long[:2*24] + ", …"},
		"the first just fits":               {[]string{long}, long},
		"the first is cut":                  {[]string{long + "ä"}, long[:2*(lineOf-1)] + "…"},
		"the first leaves nothing for more": {[]string{long, "x"}, long[:2*(lineOf-1)] + "…"},
	} {
		got := oneLine(tt.names, strings.Clone)
		if got != tt.want || utf8.RuneCountInString(got) > lineOf {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
