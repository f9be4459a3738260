// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/internal/expr"
)

func TestEvalBoolAnswersUnknownForWhatItDoesNotKnow(t *testing.T) {
	gone := expr.Unavailable{Reason: "lookup vip timed out"}
	guardrail := map[string]any{
		"case":      map[string]any{"severity": 4, "users": []any{map[string]any{"name": "ana"}}},
		"operation": "idp/revokeSessions", "severity": int32(4),
		"lookups": map[string]any{
			"vip": gone, "row": map[string]any{"found": false},
			"deep": map[string]any{"list": []any{map[string]any{"x": gone}, 1}, "same": []any{map[string]any{"x": 1}, 1}},
		},
		"target": map[string]any{"name": "ana"}, "requester": gone,
	}
	tests := map[string]struct {
		source string
		want   expr.Truth
		reason string
	}{
		"a comparison that holds is true":           {source: "severity >= High", want: expr.True},
		"a comparison that does not hold is false":  {source: "case.severity < Medium", want: expr.False},
		"the example of the design is unknown":      {source: "lookups.vip.found && lookups.vip.tier == 'break-glass'", reason: "lookup vip timed out"},
		"a row that was not found is false":         {source: "lookups.row.found && lookups.row.tier == 'x'", want: expr.False},
		"false and unknown is false":                {source: "false && lookups.vip.found", want: expr.False},
		"unknown and false is false":                {source: "lookups.vip.found && severity < Low", want: expr.False},
		"true or unknown is true":                   {source: "true || lookups.vip.found", want: expr.True},
		"unknown or true is true":                   {source: "lookups.vip.found || severity == High", want: expr.True},
		"unknown or false is unknown":               {source: "lookups.vip.found || false", reason: "lookup vip timed out"},
		"not unknown is unknown":                    {source: "!lookups.vip.found", reason: "lookup vip timed out"},
		"has() of a failed lookup is unknown":       {source: "has(lookups.vip)", reason: "lookup vip timed out"},
		"has() below a failed lookup is unknown":    {source: "!has(lookups.vip.found)", reason: "lookup vip timed out"},
		"an optional of a failed lookup is unknown": {source: "lookups.?vip.?found.orValue(false)", reason: "lookup vip timed out"},
		"an index of a failed lookup is unknown":    {source: "lookups['vip'].found", reason: "lookup vip timed out"},
		"a dynamic index is unknown":                {source: "lookups['v' + 'ip'].found", reason: "lookup vip timed out"},
		"a failed lookup is not null":               {source: "lookups.vip == null", reason: "lookup vip timed out"},
		"a failed lookup is not unequal":            {source: "lookups.vip != 'x'", reason: "lookup vip timed out"},
		"a failed variable is unknown":              {source: "requester.name == 'ana'", reason: "lookup vip timed out"},
		"the other branch does not matter":          {source: "severity > Low ? true : lookups.vip.found", want: expr.True},
		"an unknown condition is unknown":           {source: "lookups.vip.found ? true : true", reason: "lookup vip timed out"},
		"a failed value inside equal lists":         {source: "lookups.deep.list == lookups.deep.same", reason: "lookup vip timed out"},
		"a failed value inside unequal lists":       {source: "lookups.deep.list != lookups.deep.same", reason: "lookup vip timed out"},
		"a failed value inside a container":         {source: "lookups.deep.list[0] in lookups.deep.list", reason: "lookup vip timed out"},
		"a failed value in a comprehension":         {source: "lookups.deep.list.exists(l, l.x == 1)", reason: "lookup vip timed out"},
		"an index out of range is unknown":          {source: "case.users[7].name == 'x'", reason: "index out of bounds"},
		"an absent variable is unknown":             {source: "input.user == 'ana'", reason: "no such attribute"},
		"an absent field is unknown":                {source: "target.kind == 'Pod'", reason: "no such key: kind"},
		"an absent field of a case is unknown":      {source: "case.owner == 'x'", reason: "no such key: owner"},
		"has() of an absent field is false":         {source: "has(case.owner)", want: expr.False},
		"a number where a condition belongs":        {source: "target.name", reason: "must be true or false"},
		"ordering text and numbers is unknown":      {source: "target.name >= High", reason: "no such overload"},
	}
	env := expr.MustNew(expr.Guardrail)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			program, err := env.CompileBool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := program.EvalBool(t.Context(), guardrail)
			if got != tc.want {
				t.Errorf("got %v (%v), want %v", got, err, tc.want)
			}
			if (err == nil) != (tc.want != expr.Unknown) {
				t.Fatalf("got %v with error %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("reason %q does not contain %q", err, tc.reason)
			}
			if u, ok := errors.AsType[expr.Unavailable](err); ok != (tc.reason == gone.Reason) {
				t.Errorf("found %v (%v) in %v", u, ok, err)
			}
		})
	}
}

func TestCompileSaysWhereAndWhy(t *testing.T) {
	tests := map[string]struct {
		kind    expr.Kind
		source  string
		column  int
		message string
	}{
		"severity is not text":           {expr.CaseType, "severity >= 'High'", 10, "constants Informational, Low, Medium, High, Critical"},
		"severity does not equal text":   {expr.CaseType, "severity == 'High'", 10, "constants Informational"},
		"nor does a case's":              {expr.Guardrail, "case.severity == 'High'", 15, "constants Informational"},
		"nor a signal's":                 {expr.Source, "signal.severity == 'High'", 17, "constants Informational"},
		"nor is it in a list of text":    {expr.Source, "signal.severity in ['High']", 17, "constants Informational"},
		"an unknown variable":            {expr.Operation, "true && inptu.user == 'x'", 9, "may read input, before, current, after, result, response, key, mark"},
		"a variable of another place":    {expr.Source, "lookups.x", 1, "undeclared reference to 'lookups'"},
		"a function of another place":    {expr.Playbook, "user('x')", 5, "undeclared reference to 'user'"},
		"a syntax error":                 {expr.Source, "signal.a ==", 12, "Syntax error"},
		"nothing":                        {expr.Source, " \n", 1, "empty"},
		"a condition that is a number":   {expr.Source, "1 + 1", 1, "must be true or false, this is int"},
		"a bad pattern":                  {expr.Mapping, "match(item.x, '(')['a'] == 'b'", 1, "missing closing )"},
		"a second line":                  {expr.Source, "true &&\n  nothing", 3, "line 2, column 3"},
		"an expression that is too long": {expr.Source, "true" + strings.Repeat(" || true", 3000), 1, "size"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := expr.MustNew(tc.kind).CompileBool(tc.source)
			got, ok := errors.AsType[*expr.CompileError](err)
			if !ok {
				t.Fatalf("got %v, want a CompileError", err)
			}
			if got.Expression != tc.source || got.Column != tc.column || !strings.Contains(got.Error(), tc.message) {
				t.Errorf("got column %d, %v; want column %d, a message with %q", got.Column, got, tc.column, tc.message)
			}
		})
	}
	if _, err := expr.New("Dashboard"); err == nil {
		t.Error("an unknown kind was built")
	}
}

// TestBombsStop has expressions that would run, or allocate, for very long.
func TestBombsStop(t *testing.T) {
	long := make([]any, 1000)
	for i := range long {
		long[i] = int64(i)
	}
	vars := map[string]any{"payload": map[string]any{"l": long, "s": strings.Repeat("a", 200_000)}}
	var deep any
	for range expr.MaxDepth + 1 {
		deep = []any{deep}
	}
	vars["payload"].(map[string]any)["deep"] = deep
	nested := func(each string, levels int, last string) string {
		out := "[payload.l]"
		for range levels {
			out += ".map(x, " + each + ")"
		}
		return out + last
	}
	tests := map[string]struct{ source, message string }{
		"nested comprehensions":            {"payload.l.all(a, payload.l.all(b, payload.l.all(c, a + b + c >= 0)))", "cost"},
		"text that doubles":                {"[payload.s]" + strings.Repeat(".map(x, x + x)", 40) + ".size() > 0", "cost"},
		"text of unknown type that joins":  {"[payload.s]" + strings.Repeat(".map(x, [x, x].join())", 40) + ".size() > 0", "cost"},
		"text that replaces itself":        {"payload.s.replace('a', payload.s).size() > 0", "larger than"},
		"text between nothing":             {"payload.s.replace('', payload.s).size() > 0", "larger than"},
		"lists that hold each other twice": {nested("[x, x]", 60, ".size() > 0"), "larger than"},
		"lists that grow by themselves":    {nested("x + x", 60, ".size() > 0"), "cost"},
		"bound lists that double":          {"cel.bind(a, [payload.l, payload.l], cel.bind(b, [a, a], cel.bind(c, [b, b], cel.bind(d, [c, c], cel.bind(e, [d, d], cel.bind(f, [e, e], cel.bind(g, [f, f], cel.bind(h, [g, g], cel.bind(i, [h, h], cel.bind(j, [i, i], j == j))))))))))", "cost"},
		"lists compared again and again":   {"payload.l.all(a, payload.l == payload.l)", "cost"},
		"a list searched again and again":  {"payload.l.all(a, 1 in payload.l || true)", "cost"},
		"text searched again and again":    {"payload.l.all(a, payload.s.charAt(1) == 'a')", "cost"},
		"a format of many digits":          {"'%.999999999f'.format([1.0]).size() > 0", "precision"},
		"an expression nested too deep":    {nested("[[[[[[[[[[x]]]]]]]]]]", 20, ".size() > 0"), "too many comprehensions"},
		"data nested too deep":             {"payload.deep == payload.deep", "deep"},
	}
	env := expr.MustNew(expr.Mapping)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			program, err := env.Compile(tc.source)
			if err == nil {
				var truth expr.Truth
				if truth, err = program.EvalBool(t.Context(), vars); truth != expr.Unknown {
					t.Fatalf("it ran to its end: %v", truth)
				}
			}
			if err == nil || !strings.Contains(err.Error(), tc.message) {
				t.Errorf("got %v, want an error with %q", err, tc.message)
			}
		})
	}
}

func TestAResultThatIsTooLargeIsNotWritten(t *testing.T) {
	vars := map[string]any{"payload": strings.Repeat("a", 1<<20)}
	program, err := expr.MustNew(expr.Mapping).Compile("[" + strings.Repeat("payload, ", 15) + "payload]")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := program.Eval(t.Context(), vars); err == nil {
		t.Errorf("got a %T", out)
	}
	template, err := expr.MustNew(expr.Mapping).CompileValue([]any{strings.Repeat("${payload}", 10), strings.Repeat("${payload}", 10)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := template.Render(t.Context(), vars); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

func TestEvalStopsWithItsContext(t *testing.T) {
	program, err := expr.MustNew(expr.Mapping).CompileBool("payload.all(a, payload.all(b, a + b >= 0))")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	list := make([]any, 150)
	for i := range list {
		list[i] = i
	}
	got, err := program.EvalBool(ctx, map[string]any{"payload": list})
	if got != expr.Unknown || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v; want Unknown, canceled", got, err)
	}
}

func TestAJSONNumberKeepsItsDigits(t *testing.T) {
	program, err := expr.MustNew(expr.Mapping).Compile("[string(item.id), item.id == 9007199254740993, item.big, item.f]")
	if err != nil {
		t.Fatal(err)
	}
	item := map[string]any{"id": json.Number("9007199254740993"), "big": json.Number("1e3"), "f": json.Number("0.5")}
	got, err := program.Eval(t.Context(), map[string]any{"item": item})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil || string(text) != `["9007199254740993",true,1000,0.5]` {
		t.Errorf("got %s, %v", text, err)
	}
}

func BenchmarkEvalBool(b *testing.B) {
	vars := map[string]any{
		"case": map[string]any{"severity": 4}, "operation": "idp/revokeSessions", "severity": 4,
		"lookups": map[string]any{"vip": map[string]any{"found": true, "tier": "gold"}},
	}
	for name, source := range map[string]string{
		"severity": "severity >= High",
		"lookup":   "lookups.vip.found && lookups.vip.tier == 'break-glass'",
		"rule":     "operation == 'idp/revokeSessions' && case.severity >= Medium",
	} {
		b.Run(name, func(b *testing.B) {
			program, err := expr.MustNew(expr.Guardrail).CompileBool(source)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if truth, err := program.EvalBool(ctx, vars); truth == expr.Unknown {
					b.Fatal(err)
				}
			}
		})
	}
}
