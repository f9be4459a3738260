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
	item := map[string]any{"text": " a ", "number": json.Number("7"), "nothing": nil, "list": []any{"x"}, "object": map[string]any{"k": "v"}, "no": false,
		"json": ` {"id": 900719925474099312, "deep": {"a": ["b"]}} `, "two": `{"a": 1} {"a": 2}`, "cut": `{"a": `, "none": "null"}
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
		"mapOf(item.?object).?k":              "v",
		"mapOf(item.?json).?id":               int64(900719925474099312),
		"mapOf(item.?json).?deep.?a":          []any{"b"},
		"mapOf(item.?list).?k.hasValue()":     false,
		"size(mapOf(item.?absent))":           int64(0),
		"size(mapOf(item.?nothing))":          int64(0),
		"size(mapOf(item.?text))":             int64(0),
		"size(mapOf(item.?two))":              int64(0),
		"size(mapOf(item.?cut))":              int64(0),
		"size(mapOf(item.?none))":             int64(0),
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
