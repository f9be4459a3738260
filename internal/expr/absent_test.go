// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAbsent(t *testing.T) {
	env := MustNew(Mapping)
	item := map[string]any{"text": " a ", "number": json.Number("7"), "nothing": nil, "list": []any{"x"}, "object": map[string]any{"k": "v"}, "no": false}
	for source, want := range map[string]any{
		"textOf(item.?text)":                  "a",
		"textOf(item.?number)":                "7",
		"textOf(item.?no)":                    "false",
		"textOf(item.?nothing)":               "",
		"textOf(item.?absent.?deeper)":        "",
		"textOf(item.?object)":                "",
		"listOf(item.?list)":                  []any{"x"},
		"listOf(item.?nothing)":               []any{},
		"listOf(item.?absent)":                []any{},
		"listOf(item.?text)":                  []any{" a "},
		"listOf(item.?object).map(o, o.k)":    []any{"v"},
		"listOf(item.?absent)[?0].hasValue()": false,
	} {
		t.Run(source, func(t *testing.T) {
			program, err := env.Compile(source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := program.Eval(t.Context(), map[string]any{"item": item})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
