// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

var suspend = connector.Operation{
	Name: "suspendUser", Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent, Rollback: "restoreUser", TargetType: "User",
	Inputs: []connector.Input{
		{Name: "user", Type: connector.StringInput, Required: true, Pattern: regexp.MustCompile("[a-z]+"), MaxLength: 8, Want: "a login, for example ana"},
		{Name: "hours", Type: connector.IntegerInput},
		{Name: "force", Type: connector.BooleanInput},
		{Name: "groups", Type: connector.ListInput},
		{Name: "extra", Type: connector.ObjectInput},
	},
}

func TestCheckInput(t *testing.T) {
	tests := map[string]struct {
		input map[string]any
		want  string // part of the message; empty: no error
	}{
		"all of it": {input: map[string]any{
			"user": "ana", "hours": int64(4), "force": true, "groups": []any{"a"}, "extra": map[string]any{"a": nil},
		}},
		"the least":                        {input: map[string]any{"user": "ana"}},
		"an integer as JSON decodes it":    {input: map[string]any{"user": "ana", "hours": 4.0}},
		"null for what may be left out":    {input: map[string]any{"user": "ana", "hours": nil}},
		"an empty string for what may not": {map[string]any{"user": ""}, `field "user" is missing: want a login, for example ana`},
		"null for what may not":            {map[string]any{"user": nil}, `field "user" is missing`},
		"nothing at all":                   {nil, `field "user" is missing`},
		"another type":                     {map[string]any{"user": 7}, `field "user" is of type integer, not string`},
		"a fraction":                       {map[string]any{"user": "ana", "hours": 4.5}, `field "hours" is of type number, not integer`},
		"a string for a boolean":           {map[string]any{"user": "ana", "force": "yes"}, `field "force" is of type string, not boolean: want a value of type boolean`},
		"what the pattern matches in part": {map[string]any{"user": "ana/../x"}, `field "user" is "ana/../x": want a login`},
		"a line more than the pattern":     {map[string]any{"user": "ana\n"}, `field "user" is "ana\n"`},
		"too long":                         {map[string]any{"user": "abcdefghi"}, `field "user" is 9 bytes long, more than 8`},
		"a field it does not take":         {map[string]any{"user": "ana", "zz": 1, "aa": 1}, `field "aa" is not one of its inputs: it takes user, hours, force, groups, extra`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := suspend.CheckInput(tc.input)
			if tc.want == "" {
				if err != nil {
					t.Errorf("CheckInput = %v", err)
				}
				return
			}
			terminal, ok := errors.AsType[*fault.Terminal](err)
			if !ok || terminal.Reason != connector.InvalidInputReason || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("CheckInput = %v, want a Terminal InvalidInput that says %q", err, tc.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	read := connector.Operation{Name: "findUser", Effect: v1alpha1.EffectRead}
	all := []connector.Operation{read, suspend}
	if got, ok := connector.Find(all, "suspendUser"); !ok || got.Name != "suspendUser" {
		t.Errorf("Find = %v, %t", got, ok)
	}
	if _, ok := connector.Find(all, "SuspendUser"); ok {
		t.Error("Find takes another name")
	}
	if _, err := connector.FindMutation(all, "findUser"); err == nil || !strings.Contains(err.Error(), "use one of suspendUser") {
		t.Errorf("FindMutation of a read = %v, want the mutations there are", err)
	}
	if _, err := connector.FindRead(all, "suspendUser"); err == nil || !strings.Contains(err.Error(), "use one of findUser") {
		t.Errorf("FindRead of a mutation = %v, want the reads there are", err)
	}
	if got := (connector.Operation{}).EffectiveSemantics(); got != v1alpha1.AtMostOnce {
		t.Errorf("semantics of an operation that declares none = %s", got)
	}
}

func TestCheckOperations(t *testing.T) {
	restore := suspend
	restore.Name, restore.Rollback = "restoreUser", "suspendUser"
	if err := connector.CheckOperations([]connector.Operation{suspend, restore}); err != nil {
		t.Fatalf("CheckOperations = %v", err)
	}
	other := suspend
	other.Inputs, other.RollbackTakesOther = nil, true
	if err := connector.CheckOperations([]connector.Operation{other, restore}); err != nil {
		t.Errorf("CheckOperations where the rollback takes another input = %v", err)
	}
	tests := map[string]struct {
		change func(*connector.Operation)
		want   string
	}{
		"no name":                       {func(o *connector.Operation) { o.Name = "" }, "name is empty"},
		"a name twice":                  {func(o *connector.Operation) { o.Name = "restoreUser" }, "declared twice"},
		"no effect":                     {func(o *connector.Operation) { o.Effect = "" }, "effect"},
		"a read with semantics":         {func(o *connector.Operation) { o.Effect = v1alpha1.EffectRead }, "a read declares no"},
		"reversible without a rollback": {func(o *connector.Operation) { o.Rollback = "" }, "declares its rollback"},
		"irreversible with a rollback":  {func(o *connector.Operation) { o.Effect, o.NotPossible = v1alpha1.EffectIrreversible, "gone" }, "no rollback"},
		"irreversible without a reason": {func(o *connector.Operation) { o.Effect, o.Rollback = v1alpha1.EffectIrreversible, "" }, "why it cannot"},
		"no type of target":             {func(o *connector.Operation) { o.TargetType = "" }, "type of its target"},
		"a rollback that is not there":  {func(o *connector.Operation) { o.Rollback = "undo" }, "no such operation"},
		"a rollback of another target":  {func(o *connector.Operation) { o.TargetType = "Group" }, "changes a User, not a Group"},
		"a rollback that needs more":    {func(o *connector.Operation) { o.Inputs = nil }, `needs input "user"`},
		"an input without a type":       {func(o *connector.Operation) { o.Inputs = append(o.Inputs[:1:1], connector.Input{Name: "x"}) }, `input "x"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			changed := suspend
			tc.change(&changed)
			err := connector.CheckOperations([]connector.Operation{changed, restore})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("CheckOperations = %v, want an error that says %q", err, tc.want)
			}
		})
	}
}

func TestClipKeepsWholeCharactersWithinTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 800, 3000).Draw(t, "text")
		got := connector.Clip(text)
		if len(got) > connector.MaxMessage || utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("Clip of %d bytes has %d, valid %t", len(text), len(got), utf8.ValidString(got))
		}
		if len(text) <= connector.MaxMessage && got != text {
			t.Fatalf("Clip changed a text of %d bytes", len(text))
		}
		if head, clipped := strings.CutSuffix(got, "…"); len(text) > connector.MaxMessage && (!clipped || !strings.HasPrefix(text, head)) {
			t.Fatalf("Clip = %q of %q", got, text)
		}
	})
}
