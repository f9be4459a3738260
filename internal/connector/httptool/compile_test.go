// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

func TestTheExamplesCompile(t *testing.T) {
	for _, name := range []string{"directory", "idp", "office"} {
		object := load(t, name)
		if err := Check(object); err != nil {
			t.Errorf("Check of %s = %v", name, err)
		}
		opened, err := NewOpener(Dependencies{}).Open(object)
		if err != nil {
			t.Errorf("Open of %s = %v", name, err)
			continue
		}
		if err := connector.CheckOperations(opened.Operations()); err != nil {
			t.Errorf("CheckOperations of %s = %v", name, err)
		}
	}
}

func TestDeclarationsSayWhatTheSpecSays(t *testing.T) {
	type promise struct {
		Effect                           v1alpha1.Effect
		Semantics                        v1alpha1.Semantics
		Rollback, NotPossible, Target    string
		AcknowledgedOnly, TakesOther     bool
		VerifyWithin, KeyRetention       time.Duration
		FirstInput                       string
		FirstInputRequired, SecondNeeded bool
		FirstInputLength                 int
	}
	want := map[string]promise{
		"findUser": {Effect: "Read", FirstInput: "user", FirstInputRequired: true, FirstInputLength: 320},
		"suspendUser": {Effect: "Reversible", Semantics: "Idempotent", Rollback: "restoreUser", Target: "User", TakesOther: true,
			VerifyWithin: 30 * time.Second, FirstInput: "user", FirstInputRequired: true, FirstInputLength: 320},
		"revokeSessions": {Effect: "Irreversible", Semantics: "Idempotent", NotPossible: "the connector declares it irreversible",
			Target: "User", AcknowledgedOnly: true, FirstInput: "user", FirstInputRequired: true, FirstInputLength: 4096},
		"page": {Effect: "Irreversible", Semantics: "Keyed", NotPossible: "Who was woken stays awake.", Target: "User",
			KeyRetention: 24 * time.Hour, FirstInput: "user", FirstInputRequired: true, FirstInputLength: 4096},
		"sendText": {Effect: "Irreversible", Semantics: "AtMostOnce", NotPossible: "the connector declares it irreversible",
			Target: "Phone", AcknowledgedOnly: true, FirstInput: "to", FirstInputRequired: true, SecondNeeded: true, FirstInputLength: 4096},
	}
	got := map[string]promise{}
	for _, file := range []string{"directory", "idp", "office"} {
		c, err := compile(load(t, file).Spec.Operations)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range c.declared {
			if _, asked := want[o.Name]; !asked {
				continue
			}
			p := promise{
				Effect: o.Effect, Semantics: o.EffectiveSemantics(), Rollback: o.Rollback, NotPossible: o.NotPossible, Target: o.TargetType,
				AcknowledgedOnly: o.AcknowledgedOnly, TakesOther: o.RollbackTakesOther, VerifyWithin: o.VerifyWithin, KeyRetention: o.KeyRetention,
				FirstInput: o.Inputs[0].Name, FirstInputRequired: o.Inputs[0].Required, FirstInputLength: o.Inputs[0].MaxLength,
			}
			if o.Effect == v1alpha1.EffectRead {
				p.Semantics = ""
			}
			if len(o.Inputs) > 1 {
				p.SecondNeeded = o.Inputs[1].Required
			}
			got[o.Name] = p
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// find is a read that the wrong operations below may name.
const find = `
- {name: find, effect: Read, input: [{name: user, type: String}], request: {method: GET, path: /find}}
- name: undo
  effect: Irreversible
  input: [{name: user, type: String}]
  target: {type: User, name: "${input.user}"}
  request: {method: POST, path: /undo}
`

func TestCheckNamesTheFieldAndTheCause(t *testing.T) {
	tests := map[string]struct {
		change string // members of an operation that is otherwise right
		want   string
	}{
		"an expression that does not parse":    {`verify: {operation: find, input: {user: x}, expect: "result.a == "}`, `spec.operations[2].verify.expect: could not compile "result.a == ": column 13: Syntax error`},
		"a variable that there is not":         {`succeeded: "status == 200"`, `spec.operations[2].succeeded: could not compile "status == 200": column 1: undeclared reference to 'status'`},
		"a condition that is none":             {`refused: "'yes'"`, "spec.operations[2].refused: could not compile \"'yes'\": column 1: a condition must be true or false, this is string"},
		"a variable of another place":          {`succeeded: "result.a"`, "spec.operations[2].succeeded: result.a is not known here: an expression here may read input, response"},
		"a typing error in an input":           {`refused: "input.usr == response.body"`, `spec.operations[2].refused: act takes no input "usr"`},
		"before in a request without before":   {`request: {method: POST, path: "/${before.id}"}`, "spec.operations[2].request: it reads before, but nothing is read before: declare before"},
		"already without before":               {`already: "input.user == 'x'"`, "spec.operations[2].already: nothing is read before"},
		"a key in what is read":                {`before: {operation: find, input: {user: "${key}"}}`, "spec.operations[2].before.input: key is not known here"},
		"a read that there is not":             {`before: {operation: look}`, `spec.operations[2].before.operation: "look" is not an operation of this connector whose effect is Read`},
		"a mutation where a read belongs":      {`before: {operation: undo, input: {user: x}}`, `spec.operations[2].before.operation: "undo" is not an operation`},
		"an input that the read does not take": {`before: {operation: find, input: {user: x, zone: y}}`, `spec.operations[2].before.input: find takes no input "zone"`},
		"an input that the read needs":         {`before: {operation: find}`, `spec.operations[2].before.input: find needs input "user"`},
		"an input of another type":             {`before: {operation: find, input: {user: 7}}`, `spec.operations[2].before.input: could not use the input of find: field "user" is of type integer, not string`},
		"an input that is no object":           {`before: {operation: find, input: "${input}"}`, "spec.operations[2].before.input: it is not an object: write the inputs of find by name"},
		"an expression deep in a body":         {`request: {method: POST, path: /, body: {a: [{b: "${1 +}"}]}}`, `spec.operations[2].request.body.a[0].b: could not compile "1 +": column 4`},
		"a key of a body with an expression":   {`request: {method: POST, path: /, body: {"${input.user}": 1}}`, "a key is literal and may not hold ${"},
		"an expression that does not end":      {`request: {method: POST, path: "/${input.user"}`, "spec.operations[2].request.path: could not compile"},
		"a path with a query":                  {`request: {method: POST, path: "/a?b=c"}`, "spec.operations[2].request.path: '?' does not stand in a path: write parameters under query"},
		"a path with a space":                  {`request: {method: POST, path: "/a b"}`, "spec.operations[2].request.path: ' ' does not stand in a path"},
		"a path that climbs":                   {`request: {method: POST, path: "/a/../b"}`, `spec.operations[2].request.path: a path holds no ".."`},
		"a path that climbs in disguise":       {`request: {method: POST, path: "/a/%2e%2E/b"}`, `spec.operations[2].request.path: a path holds no ".."`},
		"a path with a lone percent sign":      {`request: {method: POST, path: "/100%"}`, "spec.operations[2].request.path: \"100%\" is no part of a path"},
		"a header that is not its to set":      {`request: {method: POST, path: /, headers: [{name: host, value: x}]}`, "spec.operations[2].request.headers[0].name: Host is not for an operation to set"},
		"a secret in a header":                 {`request: {method: POST, path: /, headers: [{name: authorization, value: "Bearer x"}]}`, "Authorization is not for an operation to set: credentials belong to spec.http.authentication"},
		"a header with a space in its name":    {`request: {method: POST, path: /, headers: [{name: "a b", value: x}]}`, `spec.operations[2].request.headers[0].name: "a b" is no name of a header`},
		"a header in the media type":           {`request: {method: POST, path: /, body: {}, contentType: "a/b\r\nX: y"}`, "spec.operations[2].request.contentType"},
		"a body and a form":                    {`request: {method: POST, path: /, body: {}, form: [{name: a, value: b}]}`, "spec.operations[2].request.form: there is a body already"},
		"a mutation by GET":                    {`request: {method: GET, path: /}`, "spec.operations[2].request.method: GET is not for an operation whose effect is Irreversible: use one of POST"},
		"no target":                            {`target: null`, "spec.operations[2].target: a mutation says what it changes"},
		"a target that reads more than input":  {`target: {type: User, name: "${before.id}"}`, "spec.operations[2].target.name: before.id is not known here"},
		"read back by nothing":                 {`semantics: ReadBack`, "spec.operations[2].verify: ReadBack needs a read that decides what happened"},
		"a key that nothing sends":             {"semantics: Keyed\n  request: {method: POST, path: /, idempotency: {retention: 1h}}", "spec.operations[2].request.idempotency.header: nothing sends the key"},
		"a pattern that is none":               {`input: [{name: user, type: String, pattern: "("}]`, "spec.operations[2].input[0].pattern: \"(\" is no regular expression"},
		"a rollback that reads":                {"effect: Reversible\n  rollback: {operation: find}", `spec.operations[2].rollback.operation: "find" is not an operation of this connector that changes something`},
		"a rollback without an input it needs": {"effect: Reversible\n  rollback: {operation: undo, input: {}}", `spec.operations[2].rollback.input: undo needs input "user"`},
		"a rollback judged by what none reads": {"effect: Reversible\n  rollback: {operation: undo, onlyIf: \"current.active\"}", "spec.operations[2].rollback.onlyIf: it reads current, but nothing is read"},
		"a rollback of another kind of target": {"effect: Reversible\n  rollback: {operation: undo}\n  target: {type: Group, name: x}", "its rollback undo changes a User, not a Group"},
		"a name that is there already":         {`name: find`, `spec.operations[2].name: there are two operations "find"`},
		"no effect":                            {`effect: ""`, `effect "" is not one of Read, Reversible, Irreversible`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := Check(operations(t, find+act(tc.change)))
			terminal, ok := errors.AsType[*fault.Terminal](err)
			if !ok || terminal.Reason != v1alpha1.InvalidExpressionReason || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Check = %v,\nwant a Terminal that says %s", err, tc.want)
			}
			if _, err := NewOpener(Dependencies{}).Open(operations(t, find+act(tc.change))); err == nil {
				t.Error("Open takes it")
			}
		})
	}
	if err := Check(operations(t, find+act(""))); err != nil {
		t.Errorf("Check of what the cases change = %v", err)
	}
}

// act is an operation with its members changed.
func act(change string) string {
	members := map[string]string{
		"name": "act", "effect": "Irreversible", "input": "[{name: user, type: String}]",
		"target": `{type: User, name: "${input.user}"}`, "request": "{method: POST, path: /act}",
	}
	out := "- " + change + "\n"
	if change == "" {
		out = "- semantics: Idempotent\n"
	}
	for name, value := range members {
		if !strings.Contains("\n  "+change, "\n  "+name+":") {
			out += fmt.Sprintf("  %s: %s\n", name, value)
		}
	}
	return out
}

func TestCheckJoinsAllThatIsWrong(t *testing.T) {
	object := operations(t, find+act(`succeeded: "1 +"`+"\n  refused: nope"))
	err := Check(object)
	for _, want := range []string{"spec.operations[2].succeeded", "spec.operations[2].refused", "undeclared reference to 'nope'"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check = %v, want %s in it", err, want)
		}
	}
}

func TestCheckJudgesTheProbe(t *testing.T) {
	tests := map[string]struct{ probe, want string }{
		"a probe that reads":        {`{operation: findUser, input: {user: probe@example.com}}`, ""},
		"a probe that changes":      {`{operation: suspendUser, input: {user: a}}`, "spec.probe.operation"},
		"a probe without its input": {`{operation: findUser}`, `spec.probe.input: could not use the input of findUser: field "user" is missing`},
		"a probe with a list":       {`{operation: findUser, input: []}`, "spec.probe.input: it is not an object"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			object := load(t, "directory")
			object.Spec.Probe = parse(t, "spec: {probe: "+tc.probe+"}").Spec.Probe
			err := Check(object)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("Check = %v, want %q", err, tc.want)
			}
		})
	}
}

func TestOpenCompilesEqualOperationsOnce(t *testing.T) {
	opener := NewOpener(Dependencies{})
	first, err := opener.compiled(load(t, "directory"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := opener.compiled(load(t, "directory"))
	if err != nil || again != first {
		t.Errorf("compiled = %p, %v, want the first, %p", again, err, first)
	}
	changed := load(t, "directory")
	changed.Spec.Operations[1].Succeeded = "response.status == 204"
	if other, err := opener.compiled(changed); err != nil || other == first {
		t.Errorf("compiled after a change = %p, %v, want another", other, err)
	}
}
