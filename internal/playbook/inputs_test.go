// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package playbook

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

func TestInputs(t *testing.T) {
	type inputs = []v1alpha1.PlaybookInput
	user := inputs{{Name: "user", Type: "User"}}
	one := func(inputType string) inputs { return inputs{{Name: "x", Type: inputType}} }
	given := func(value any) map[string]any { return map[string]any{"x": value} }
	ana := map[string]any{"name": "ana", "known": true}
	tests := map[string]struct {
		declared inputs
		given    any
		want     map[string]any
		err      string
	}{
		"a lone item is the one input":          {declared: user, given: map[string]any{"item": map[string]any{"name": "ana"}}, want: map[string]any{"user": ana}},
		"an item under its own name":            {declared: inputs{{Name: "item", Type: "List"}}, given: map[string]any{"item": []any{}}, want: map[string]any{"item": []any{}}},
		"an item among others is too much":      {declared: user, given: map[string]any{"user": "ana", "item": 1.0}, err: "the input item is given, but the playbook does not declare it"},
		"an item for two inputs":                {declared: append(user, one("List")...), given: map[string]any{"item": "ana"}, err: "the input user is missing: give it under playbooks[].inputs of the CaseType, or with the run"},
		"a user by name":                        {declared: user, given: map[string]any{"user": "ana"}, want: map[string]any{"user": ana}},
		"a user as a record":                    {declared: user, given: map[string]any{"user": map[string]any{"name": "ana", "uid": "7"}}, want: map[string]any{"user": ana}},
		"an entity that nothing is known of":    {declared: one("Host"), given: given("h1"), want: given(map[string]any{"name": "h1"})},
		"an indicator by value":                 {declared: one("Indicator"), given: given("192.0.2.1"), want: given(map[string]any{"value": "192.0.2.1"})},
		"an indicator is not named":             {declared: one("Indicator"), given: given(map[string]any{"name": "x"}), err: "the input x must be an Indicator (its value, or a record with a value), and a record was given"},
		"a user without a name":                 {declared: user, given: map[string]any{"user": map[string]any{"uid": "7"}}, err: "the input user must be a User (its name, or a record with a name), and a record was given"},
		"a user of nothing":                     {declared: user, given: map[string]any{"user": nil}, err: "and null was given"},
		"a user with an empty name":             {declared: user, given: map[string]any{"user": ""}, err: "and an empty text was given"},
		"a host that is a list":                 {declared: one("Host"), given: given([]any{"h1"}), err: "the input x must be a Host (its name, or a record with a name), and a list was given"},
		"a text":                                {declared: one("String"), given: given(""), want: given("")},
		"a number is no text":                   {declared: one("String"), given: given(7.0), err: "the input x must be a String, and a number was given"},
		"a whole number":                        {declared: one("Integer"), given: given(7.0), want: given(int64(7))},
		"a whole number that was not read":      {declared: one("Integer"), given: given(json.Number("9007199254740993")), want: given(int64(9007199254740993))},
		"a whole number that was counted":       {declared: one("Integer"), given: given(int64(7)), want: given(int64(7))},
		"half a number":                         {declared: one("Integer"), given: given(7.5), err: "the input x must be an Integer, and a number was given"},
		"a number that is none":                 {declared: one("Integer"), given: given(math.NaN()), err: "must be an Integer"},
		"a number without end":                  {declared: one("Integer"), given: given(math.Inf(1)), err: "must be an Integer"},
		"a number that a float does not hold":   {declared: one("Integer"), given: given(1e300), err: "must be an Integer"},
		"a text is no number":                   {declared: one("Integer"), given: given("7"), err: "and a text was given"},
		"true":                                  {declared: one("Boolean"), given: given(true), want: given(true)},
		"a text is not true":                    {declared: one("Boolean"), given: given("true"), err: "the input x must be a Boolean, and a text was given"},
		"a record":                              {declared: one("Object"), given: given(map[string]any{}), want: given(map[string]any{})},
		"true is no record":                     {declared: one("Object"), given: given(true), err: "the input x must be an Object, and true or false was given"},
		"a record is no list":                   {declared: one("List"), given: given(map[string]any{}), err: "the input x must be a List, and a record was given"},
		"a type of a later version":             {declared: one("Moon"), given: given(1.0), want: given(1.0)},
		"nothing for a playbook without inputs": {given: nil, want: map[string]any{}},
		"what is not declared":                  {given: given(1.0), err: "the input x is given, but the playbook does not declare it under spec.inputs"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := &Compiled{spec: v1alpha1.PlaybookSpec{Inputs: tc.declared}}
			got, err := c.inputs(tc.given, func(inputType string, _ any) map[string]any {
				if inputType == "User" {
					return ana
				}
				return nil
			})
			switch {
			case err == nil && tc.err == "":
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			case err == nil || tc.err == "" || !strings.Contains(err.Error(), tc.err):
				t.Errorf("got %v and error %v, want error %q", got, err, tc.err)
			}
			values, _ := tc.given.(map[string]any)
			if checked := c.CheckInputs(values); (checked == nil) != (tc.err == "") {
				t.Errorf("checked: %v", checked)
			}
		})
	}
}

// What is said to write for an input is a value of its type.
func TestExampleInputs(t *testing.T) {
	var declared []v1alpha1.PlaybookInput
	for inputType, text := range examples {
		declared = append(declared, v1alpha1.PlaybookInput{Name: "x" + strings.ToLower(inputType), Type: inputType})
		var value any
		if json.Unmarshal([]byte(strings.Trim(text, "'")), &value) != nil {
			value = text // as the flag takes it
		}
		c := &Compiled{spec: v1alpha1.PlaybookSpec{Inputs: []v1alpha1.PlaybookInput{{Name: "x", Type: inputType}}}}
		if err := c.CheckInputs(map[string]any{"x": value}); err != nil {
			t.Errorf("%s of %s: %v", text, inputType, err)
		}
	}
	if got := (&Compiled{spec: v1alpha1.PlaybookSpec{Inputs: declared}}).ExampleInputs(); strings.Count(got, " --input x") != 9 || strings.Contains(got, "VALUE") {
		t.Errorf("the example is%s", got)
	}
	c := &Compiled{spec: v1alpha1.PlaybookSpec{Inputs: []v1alpha1.PlaybookInput{{Name: "user", Type: "User"}, {Name: "later", Type: "Moon"}}}}
	if got, want := c.ExampleInputs(), " --input user=ana@example.com --input later=VALUE"; got != want {
		t.Errorf("the example is%s, want%s", got, want)
	}
}

// knownTrip is the first step of the playbook against impossible travel.
func knownTrip() v1alpha1.PlaybookSpec {
	return v1alpha1.PlaybookSpec{
		Inputs: []v1alpha1.PlaybookInput{{Name: "user", Type: "User"}},
		Steps: []v1alpha1.Step{
			{Name: "knownTrip", If: "size(inputs.user.trips) > 0", OrElse: v1alpha1.OrElseSkip, Close: &v1alpha1.CloseStep{
				Classification: "BenignPositive", Note: "Trip ${inputs.user.trips[0].id} covers it.",
			}},
			{Name: "revoke", Action: &v1alpha1.ActionStep{Operation: "idp/revokeSessions"}},
		},
	}
}

func TestAKnownTripClosesTheCase(t *testing.T) {
	for name, tt := range map[string]struct {
		trips any
		state v1alpha1.RunState
		note  string
		step  string
	}{
		"a trip":                     {[]any{map[string]any{"id": "T-17"}}, v1alpha1.RunSucceeded, "Trip T-17 covers it.", ""},
		"a trip with a number":       {[]any{map[string]any{"id": 17.0}}, v1alpha1.RunSucceeded, "Trip 17 covers it.", ""},
		"a trip with a large number": {[]any{map[string]any{"id": 149330000.0}}, v1alpha1.RunSucceeded, "Trip 149330000 covers it.", ""},
		"a trip with a long name":    {[]any{map[string]any{"id": strings.Repeat("x", 5000)}}, v1alpha1.RunSucceeded, "Trip " + strings.Repeat("x", maxNote-6) + "…", ""},
		"no trip":                    {[]any{}, v1alpha1.RunWaiting, "", ""},
		"a travel service down":      {expr.Unavailable{Reason: "lookup trips failed: gone"}, v1alpha1.RunWaiting, "", "lookup trips failed: gone"},
	} {
		t.Run(name, func(t *testing.T) {
			var status v1alpha1.PlaybookRunStatus
			compiled(t, knownTrip()).Next(t.Context(), &status, about(map[string]any{"trips": tt.trips}), now)
			note := ""
			if status.Closure != nil {
				note = status.Closure.Note
			}
			if status.State != tt.state || note != tt.note || !strings.Contains(status.Steps[0].Message, tt.step) {
				t.Errorf("state %s, note %q, step %+v", status.State, note, status.Steps[0])
			}
		})
	}
}
