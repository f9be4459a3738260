// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestRenderTextEscapesValuesAndNothingElse(t *testing.T) {
	env := MustNew(Operation)
	tests := map[string]struct {
		source, want, wrong string
	}{
		"literal text stays":                       {source: "/a b/${input.user}", want: "/a b/x%2F$%7By%7D"},
		"one expression alone":                     {source: "${input.user}", want: "x%2F$%7By%7D"},
		"a value that looks like an expression":    {source: "${'${input.user}'}!", want: "$%7Binput.user%7D!"},
		"an escaped beginning of an expression":    {source: "$${input.user}", want: "${input.user}"},
		"a number":                                 {source: "/${input.n}", want: "/900719925474099312"},
		"no text at all":                           {source: "", want: ""},
		"null":                                     {source: "/${null}", wrong: "it is null or absent"},
		"what is not there":                        {source: "/${input.nobody}", wrong: "no such key: nobody"},
		"what the escape refuses":                  {source: "/${input.bad}", wrong: `could not write "input.bad" into text: not that`},
		"a variable that this place does not have": {source: "/${before.id}", wrong: "before"},
	}
	variables := map[string]any{"input": map[string]any{"user": "x/${y}", "n": int64(900719925474099312), "bad": "bad"}}
	escape := func(s string) (string, error) {
		if s == "bad" {
			return "", errors.New("not that")
		}
		return url.PathEscape(s), nil
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			template, err := env.CompileText(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := template.RenderText(t.Context(), variables, escape)
			if tc.wrong == "" && (err != nil || got != tc.want) || tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)) {
				t.Errorf("RenderText = %q, %v; want %q, error with %q", got, err, tc.want, tc.wrong)
			}
		})
	}
}

func TestOutlineShowsWhatIsWrittenAroundExpressions(t *testing.T) {
	template, err := MustNew(Operation).CompileText("/a/${input.user}/..${mark}/$${x}")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := template.Outline("*"), "/a/*/..*/${x}"; got != want {
		t.Errorf("Outline = %q, want %q", got, want)
	}
}
