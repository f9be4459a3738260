// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/internal/expr"
)

func TestRender(t *testing.T) {
	vars := map[string]any{
		"inputs": map[string]any{
			"user": map[string]any{"name": "ana", "trips": []any{map[string]any{"id": "T-17"}}},
			"n":    3, "f": 14933.0, "evil": "${inputs.n} {{ .X }} $${ \x00\r\n\u202e",
		},
		"steps": map[string]any{"wasItYou": map[string]any{"answer": "notMe"}, "late": expr.Unavailable{Reason: "late is late"}},
	}
	tests := map[string]struct {
		value any
		want  any
	}{
		"a literal is itself":                       {value: []any{nil, true, 1, 2.5, "x", ""}, want: []any{nil, true, int64(1), 2.5, "x", ""}},
		"one expression keeps its type":             {value: []any{"${inputs.n}", "${inputs.user.trips}", "${true}", "${ null }"}, want: []any{int64(3), []any{map[string]any{"id": "T-17"}}, true, nil}},
		"text around it makes text":                 {value: "Trip ${inputs.user.trips[0].id} covers it.", want: "Trip T-17 covers it."},
		"a space around it makes text":              {value: " ${inputs.n}", want: " 3"},
		"two expressions make text":                 {value: "${inputs.n}${inputs.f}", want: "314933"},
		"a list in text is JSON":                    {value: "see ${inputs.user.trips} & ${{'a': [1, 'x<y']}}", want: `see [{"id":"T-17"}] & {"a":[1,"x<y"]}`},
		"maps recurse and keep their keys":          {value: map[string]any{"a b": map[string]any{"c": "${inputs.n}"}}, want: map[string]any{"a b": map[string]any{"c": int64(3)}}},
		"an escape is literal":                      {value: "pay $${price} or $5", want: "pay ${price} or $5"},
		"an escape before an expression":            {value: "$${a}${inputs.n}", want: "${a}3"},
		"a dollar before an expression":             {value: "${'$'}${inputs.n}", want: "$3"},
		"braces and strings in an expression":       {value: `${ {'a': {"}": '}'}}['a']["}"] + "}\"}" + '''}'}''' }`, want: `}}"}}'}`},
		"a raw string ends at its quote":            {value: `${ r'\' + R"\}" }`, want: `\\}`},
		"a prefix that is part of a word":           {value: `${ [1].map(r, 'a\'}')[0] }`, want: `a'}`},
		"a comment hides a brace":                   {value: "${ inputs.n // } \n }", want: int64(3)},
		"what comes out is not read again":          {value: "a ${inputs.evil}", want: "a ${inputs.n} {{ .X }} $${ \x00\r\n\u202e"},
		"what comes out alone is not read again":    {value: "${inputs.evil}", want: "${inputs.n} {{ .X }} $${ \x00\r\n\u202e"},
		"a quoted value cannot leave its quotes":    {value: "${'userName eq ' + quote('a\" or \"1\" eq \"1<')}", want: `userName eq "a\" or \"1\" eq \"1<"`},
		"an absent optional alone is null":          {value: "${inputs.?nobody}", want: nil},
		"an optional with a default":                {value: "to ${inputs.?nobody.orValue('all')}", want: "to all"},
		"time, duration and address are their text": {value: []any{"${timestamp('2026-11-24T10:00:00.5Z')}", "${duration('90m')}", "${b'hi'}", "${ip('10.0.0.1')}", "${url('https://a.example/x')}"}, want: []any{"2026-11-24T10:00:00.5Z", "1h30m0s", "aGk=", "10.0.0.1", "https://a.example/x"}},
	}
	env := expr.MustNew(expr.Playbook)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			template, err := env.CompileValue(tc.value)
			if err != nil {
				t.Fatal(err)
			}
			got, err := template.Render(t.Context(), vars)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("rendered (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTemplateErrorsNameThePlace(t *testing.T) {
	tests := map[string]struct {
		value         any
		path, message string
		atRender      bool
	}{
		"a missing brace":          {value: map[string]any{"a": []any{"x", "y ${inputs.n"}}, path: "a[1]", message: "column 5: the expression that begins here does not end: the closing }"},
		"a string that never ends": {value: "${'a}", message: "a string in it is not closed"},
		"a comment that never ends": {
			value: "${a // }", message: "a comment runs to the end",
		},
		"an empty expression":   {value: "${ }", message: "empty"},
		"a wrong expression":    {value: map[string]any{"body": map[string]any{"Op s": "${nobody}"}}, path: `body["Op s"]`, message: "undeclared reference"},
		"an expression as key":  {value: map[string]any{"${inputs.n}": 1}, path: `["${inputs.n}"]`, message: "a key is literal"},
		"a value that is none":  {value: []any{struct{}{}}, path: "[0]", message: "not a JSON value"},
		"an absent value":       {value: map[string]any{"path": "/Users/${inputs.id}"}, path: "path", message: "no such key: id", atRender: true},
		"null inside text":      {value: "/Users/${null}", message: "null or absent", atRender: true},
		"an unavailable value":  {value: []any{"${steps.late.answer}"}, path: "[0]", message: "late is late", atRender: true},
		"an unavailable within": {value: []any{"${steps}"}, path: "[0]", message: "late is late", atRender: true},
		"a number JSON has not": {value: "${1.0 / 0.0}", message: "cannot be written in JSON", atRender: true},
	}
	vars := map[string]any{"inputs": map[string]any{}, "steps": map[string]any{"late": expr.Unavailable{Reason: "late is late"}}}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			template, err := expr.MustNew(expr.Playbook).CompileValue(tc.value)
			if tc.atRender {
				if err != nil {
					t.Fatal(err)
				}
				_, err = template.Render(t.Context(), vars)
			}
			got, ok := errors.AsType[*expr.TemplateError](err)
			if !ok {
				t.Fatalf("got %v, want a TemplateError", err)
			}
			if got.Path != tc.path || !strings.Contains(got.Error(), tc.message) {
				t.Errorf("got path %q, %v; want path %q and %q", got.Path, got, tc.path, tc.message)
			}
		})
	}
}

func TestPathsAreWhatIsRead(t *testing.T) {
	tests := map[string]struct {
		kind   expr.Kind
		source string
		want   []string
	}{
		"a selection":            {expr.Mapping, "[user(item.actor.alternateId).named(item.actor.displayName)]", []string{"item.actor.alternateId", "item.actor.displayName"}},
		"optionals in order":     {expr.Mapping, "first(item.?published, payload.?eventTime, item.?a.?b)", []string{"item.published", "payload.eventTime", "item.a.b"}},
		"indexes":                {expr.Mapping, `payload.ids[0].x + payload["a b"] + payload["c"]`, []string{"payload.ids[0].x", `payload["a b"]`, "payload.c"}},
		"a computed index":       {expr.Playbook, "steps[item.name].x", []string{"steps", "item.name"}},
		"has and repetition":     {expr.Mapping, "has(item.a.b) && item.a.b == item.c", []string{"item.a.b", "item.c"}},
		"a comprehension":        {expr.CaseType, "enrichment.person.exists(p, p.privileged && case.x)", []string{"enrichment.person", "enrichment.person[].privileged", "case.x"}},
		"a map's two variables":  {expr.CaseType, "enrichment.person.all(k, v, v.a == k)", []string{"enrichment.person", "enrichment.person[].a"}},
		"a binding":              {expr.Mapping, "cel.bind(a, item.actor, a.name + a.id)", []string{"item.actor", "item.actor.name", "item.actor.id"}},
		"a shadowed variable":    {expr.Mapping, "[1, 2].map(item, item)", nil},
		"a whole variable":       {expr.Mapping, "item == payload", []string{"item", "payload"}},
		"a literal and no more":  {expr.Mapping, "'Identity'", nil},
		"constants are not read": {expr.Mapping, "item.t == 'x' ? High : Low", []string{"item.t"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			program, err := expr.MustNew(tc.kind).Compile(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, program.Paths()); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReferencesOfATemplate(t *testing.T) {
	template, err := expr.MustNew(expr.Playbook).CompileValue(map[string]any{
		"b": "${steps.wasItYou.answer} and ${steps.suspend.message}", "a": []any{"${inputs.user.name}", "$${steps.not}", "${steps['wasItYou']}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"inputs.user.name", "steps.wasItYou", "steps.wasItYou.answer", "steps.suspend.message"}
	if diff := cmp.Diff(want, template.References()); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"wasItYou", "suspend"}, template.Names("steps")); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// hostile draws text that means something to some language of templates.
func hostile() *rapid.Generator[string] {
	piece := rapid.OneOf(rapid.SampledFrom([]string{
		"${", "$${", "}", "{{", "}}", "$", "{", "'", `"`, `\`, "'''", "\r\n", "\x00", "\u202e", "%0d%0a", "..%2f", "inputs.x", "${inputs.x}", "//", "`",
	}), rapid.String())
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), "") })
}

func TestAValueIsOneLeafWhateverItHolds(t *testing.T) {
	env := expr.MustNew(expr.Playbook)
	template, err := env.CompileValue(map[string]any{"whole": "${inputs.x}", "part": []any{"<${inputs.x}>"}})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		x := hostile().Draw(t, "x")
		got, err := template.Render(t.Context(), map[string]any{"inputs": map[string]any{"x": x}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"whole": x, "part": []any{"<" + x + ">"}}, got); diff != "" {
			t.Fatalf("rendered (-want +got):\n%s", diff)
		}
	})
}

func TestAnEscapedLiteralIsItselfWhateverItHolds(t *testing.T) {
	env := expr.MustNew(expr.Playbook)
	rapid.Check(t, func(t *rapid.T) {
		x := hostile().Draw(t, "x")
		if strings.Contains(x, "$${") {
			return // this text cannot be written as a literal, only as ${'$'}$${
		}
		template, err := env.CompileValue(strings.ReplaceAll(x, "${", "$${"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := template.Render(t.Context(), nil); err != nil || got != x {
			t.Fatalf("got %q, %v; want %q", got, err, x)
		}
	})
}

func FuzzCompileValue(f *testing.F) {
	for _, seed := range []string{"", "x", "${inputs.x}", "a ${ {'b': '}'} } $${c}", "${r'\\'}", "${'''}'''}", "${//}\n1}", "${\"\\\"}\"}", "${[1].map(x, x)}", "$$${", "${"} {
		f.Add(seed)
	}
	env := expr.MustNew(expr.Playbook)
	f.Fuzz(func(t *testing.T, source string) {
		template, err := env.CompileValue([]any{source})
		if err != nil {
			if _, ok := errors.AsType[*expr.TemplateError](err); !ok {
				t.Errorf("got %T", err)
			}
			return
		}
		out, err := template.Render(t.Context(), map[string]any{"inputs": map[string]any{"x": "${inputs.x}"}})
		if err != nil {
			return
		}
		if list, ok := out.([]any); !ok || len(list) != 1 {
			t.Errorf("one leaf became %v", out)
		}
		if !strings.Contains(source, "${") && out.([]any)[0] != source {
			t.Errorf("plain text %q became %v", source, out)
		}
	})
}
