// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// decisionRules are tried on the whole spec, because each verdict wants another.
var decisionRules = []rule{
	{"decisions.spec", accepts("Approve", "Answer"), with("{answer: null}", "Approve", "Answer"), "spec.answer", "set spec.answer for the verdicts Approve, Deny and Answer, and for no other"},
	{"decisions.spec", accepts("Assign"), with("{answer: {handle: h, digest: "+hex64+"}}", "Act", "Close"), "spec.answer", "set spec.answer for the verdicts"},
	{"decisions.spec", accepts("Answer"), with("{answer: {handle: h, digest: "+hex64+"}}", "Answer"), "spec.answer.option", "set spec.answer.option for the verdict Answer, and for no other"},
	{"decisions.spec", with("{verdict: Deny}", "Approve"), with("{answer: {handle: h, digest: "+hex64+", option: keep}}", "Approve"), "spec.answer.option", "set spec.answer.option for the verdict Answer"},
	{"decisions.spec", accepts("Act"), with("{act: null}", "Act"), "spec.act", "set spec.act for the verdict Act, and for no other"},
	{"decisions.spec", accepts("Close"), with("{act: {operation: a/b}}", "Close"), "spec.act", "set spec.act for the verdict Act"},
	{"decisions.spec", accepts("Assign"), with("{assign: null}", "Assign"), "spec.assign", "set spec.assign for the verdict Assign, and for no other"},
	{"decisions.spec", accepts("Close"), with("{assign: {owner: ana}}", "Close"), "spec.assign", "set spec.assign for the verdict Assign"},
	{"decisions.spec", accepts("Close"), with("{close: null}", "Close"), "spec.close", "set spec.close for the verdict Close, and for no other"},
	{"decisions.spec", accepts("Act"), with("{close: {classification: Test}}", "Act"), "spec.close", "set spec.close for the verdict Close"},
	{"decisions.spec", accepts("Rollback"), with("{rollback: null}", "Rollback"), "spec.rollback", "set spec.rollback for the verdict Rollback, and for no other"},
	{"decisions.spec", accepts("Close"), with(`{rollback: {actionRef: {name: a, uid: "1"}}}`, "Close"), "spec.rollback", "set spec.rollback for the verdict Rollback"},
	{"decisions.spec", accepts("Answer", "Act", "Assign"), with("{message: null}", "Approve", "Close", "Rollback"), "spec.message", "give spec.message: it says why, and is kept as evidence"},
	{"decisions.spec", []string{comment("Comment", "x"), comment("Reopen", "x")}, []string{comment("Comment", "null"), comment("Reopen", "null")}, "spec.message", "give spec.message"},
	{"decisions.spec", accepts("Freeze", "Thaw", "Act"), append(with("{caseRef: null}", "Act", "Set"), with(`{caseRef: {name: rt-1, uid: "1"}}`, "Freeze", "Thaw")...), "spec.caseRef",
		"name the case in spec.caseRef; Freeze and Thaw are about the whole namespace and name none"},
	{"decisions.spec", accepts("Run", "Add"), with("{message: null}", "Resolve", "Set", "Freeze", "Thaw"), "spec.message", "give spec.message"},
	{"decisions.spec", accepts("Resolve"), with("{resolve: null}", "Resolve"), "spec.resolve", "set spec.resolve for the verdict Resolve, and for no other"},
	{"decisions.spec", accepts("Lookup"), with("{lookup: null}", "Lookup"), "spec.lookup", "set spec.lookup for the verdict Lookup, and for no other"},
	{"decisions.spec", accepts("Run"), with("{run: null}", "Run"), "spec.run", "set spec.run for the verdict Run, and for no other"},
	{"decisions.spec", accepts("Set"), with("{set: null}", "Set"), "spec.set", "set spec.set for the verdict Set, and for no other"},
	{"decisions.spec", accepts("Add"), with("{add: null}", "Add"), "spec.add", "set spec.add for the verdict Add, and for no other"},
	{"decisions.spec.verdict", []string{`Comment`, `Reopen`}, []string{`Shrug`}, "", enum},
}

// Rules of what a verdict holds are tried in that verdict's spec.
var verdictRules = map[string][]rule{
	"Act":     {{"decisions.spec.act.operation", []string{`a/b`}, []string{`b`, `a/*`}, "", operation}},
	"Resolve": {{"decisions.spec.resolve.outcome", []string{`Happened`, `DidNot`, `Retry`}, []string{`Maybe`}, "", enum}},
	"Lookup":  {{"decisions.spec.lookup.operation", []string{`a/b`}, []string{`findUser`, `a/*`}, "", operation}},
	"Set": {
		{"decisions.spec.set", []string{`{severity: Low}`, `{queue: q}`, `{typeRef: {name: t}}`}, []string{`{}`}, "", "at least one of the fields in [severity typeRef queue] must be set"},
		{"decisions.spec.set.severity", []string{`Low`}, []string{`low`}, "", enum},
		{"decisions.spec.set.queue", []string{`tier-2`}, []string{`Tier 2`}, "", label},
	},
	"Add": {
		{"decisions.spec.add", []string{`{users: [{name: a}]}`}, []string{`{}`}, "", "at least one of the fields in [users hosts indicators] must be set"},
		{"decisions.spec.add.users", []string{`[{name: a}]`}, []string{`[]`}, "", "at least 1"},
		{"decisions.spec.add.hosts", []string{`[{name: a}]`}, []string{`[]`}, "", "at least 1"},
		{"decisions.spec.add.indicators", []string{`[{type: ipv4, value: 192.0.2.1}]`}, []string{`[]`}, "", "at least 1"},
		{"decisions.spec.add.indicators[0].type", []string{`domain`}, []string{`ip`}, "", enum},
	},
	"Answer": {{"decisions.spec.answer.digest", []string{hex64}, []string{upper64}, "", sha256}},
	"Assign": {
		{"decisions.spec.assign", []string{`{owner: ana}`, `{queue: q}`}, []string{`{}`}, "", "at least 1"},
		{"decisions.spec.assign.queue", []string{`tier-2`}, []string{`Tier 2`}, "", label},
	},
	"Close": {{"decisions.spec.close.classification", []string{`TruePositive`, `Test`}, []string{`Yes`}, "", enum}},
}

func accepts(verdicts ...string) []string { return with("{}", verdicts...) }

// with gives the specs of some verdicts, with some fields changed or, by null, left out.
func with(change string, verdicts ...string) []string {
	var specs []string
	for _, verdict := range verdicts {
		spec, fields := map[string]any{}, map[string]any{}
		if err := yaml.Unmarshal([]byte(decisionSpecs[verdict]), &spec); err != nil {
			panic(err)
		}
		if err := yaml.Unmarshal([]byte(change), &fields); err != nil {
			panic(err)
		}
		for name, v := range fields {
			spec[name] = v
			if v == nil {
				delete(spec, name)
			}
		}
		text, err := yaml.Marshal(spec)
		if err != nil {
			panic(err)
		}
		specs = append(specs, string(text))
	}
	return specs
}

func comment(verdict, message string) string {
	return `{caseRef: {name: rt-1, uid: "1"}, verdict: ` + verdict + `, message: ` + message + `}`
}

// A Decision has what its verdict wants, and nothing else.
func TestDecisionRules(t *testing.T) {
	for _, r := range decisionRules {
		t.Run(r.at+" "+r.words, func(t *testing.T) { tryRule(t, r) })
	}
	for verdict, inner := range verdictRules {
		for _, r := range inner {
			t.Run(r.at, func(t *testing.T) {
				_, path, _ := strings.Cut(r.at, ".")
				try := func(text string) error {
					u := base(t, "decisions")
					u.Object["spec"] = value(t, decisionSpecs[verdict])
					put(t, u.Object, path, value(t, text))
					return tryCreate(t, u)
				}
				for _, text := range r.accept {
					must(t, try(text))
				}
				for _, text := range r.reject {
					rejected(t, try(text), path, r.words)
				}
			})
		}
	}
}

// immutable are the transition rules: what may not change, as merge patches of the base.
var immutable = []rule{
	{"signals.spec", []string{`{metadata: {annotations: {a: b}}}`}, []string{`{spec: {title: Another}}`, `{spec: {users: []}}`, `{spec: {description: More}}`}, "",
		"the spec of a Signal is evidence and cannot change; a corrected mapping makes another Signal"},
	{"cases.spec", []string{`{metadata: {finalizers: null}}`}, []string{`{spec: {severity: Low}}`, `{spec: {previousCaseRef: null}}`}, "",
		"the spec of a Case is evidence and cannot change; use kubectl casebook to add to it"},
	{"playbookruns.spec", []string{`{metadata: {labels: {a: b}}}`}, []string{`{spec: {revision: another}}`, `{spec: {inputs: {a: b}}}`}, "",
		"the spec of a PlaybookRun is evidence and cannot change; start another run"},
	{"actions.spec", []string{`{metadata: {labels: {a: b}}}`}, []string{`{spec: {input: {name: web}}}`, `{spec: {target: {name: db}}}`}, "",
		"the spec of an Action is evidence and cannot change; make another action"},
	{"decisions.spec", []string{`{metadata: {labels: {a: b}}}`}, []string{`{spec: {message: Never mind.}}`, `{spec: {actor: {username: lea}}}`, `{spec: {actor: null}}`}, "",
		"the spec of a Decision is evidence and cannot change; decide again instead"},
	{"evidencelogs.spec", []string{`{spec: {archiveAfter: 48h}}`}, []string{`{spec: {origin: example.com/other}}`}, "spec.origin",
		"origin cannot change: it is part of every signed checkpoint; create another EvidenceLog"},
}

// What is evidence does not change, not even for an administrator.
func TestImmutable(t *testing.T) {
	for _, r := range immutable {
		t.Run(r.at, func(t *testing.T) {
			plural, path, _ := strings.Cut(r.at, ".")
			u := base(t, plural)
			u.SetName("immutable")
			must(t, server.Create(t.Context(), u))
			patch := func(text string) error {
				raw, err := yaml.YAMLToJSON([]byte(text))
				must(t, err)
				return server.Patch(t.Context(), u.DeepCopy(), client.RawPatch("application/merge-patch+json", raw), client.DryRunAll)
			}
			field := r.field
			if field == "" {
				field = path
			}
			for _, text := range r.accept {
				if err := patch(text); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
			for _, text := range r.reject {
				rejected(t, patch(text), field, r.words)
			}
		})
	}
}

const (
	asked    = `askedTime: "2026-11-24T10:00:00.000000Z", count: 1, prompt: Suspend, verb: approve`
	bound    = asked + `, digest: ` + hex64 + `, dueTime: "2026-11-24T11:00:00.000000Z"`
	unbound  = "a question has a digest and a dueTime, unless it asks for a Resolution"
	stepHead = `name: s, state: Waiting, startTime: "2026-11-24T10:00:00.000000Z", question: `
)

// questionRules are the rules of what is asked, tried on whole statuses.
var questionRules = []rule{
	{"cases.status.questions[0]", []string{`{questions: [{handle: h, kind: Resolution, ` + asked + `}]}`, `{questions: [{handle: h, kind: Choice, ` + bound + `}]}`},
		[]string{`{questions: [{handle: h, kind: Approval, ` + asked + `}]}`, `{questions: [{handle: h, kind: Choice, ` + asked + `, digest: ` + hex64 + `}]}`}, "", unbound},
	{"actions.status.question", []string{`{question: {kind: Approval, ` + bound + `}}`}, []string{`{question: {kind: Approval, ` + asked + `}}`}, "", unbound},
	{"playbookruns.status.steps[0].question", []string{`{steps: [{` + stepHead + `{kind: Choice, ` + bound + `}}]}`},
		[]string{`{steps: [{` + stepHead + `{kind: Choice, ` + asked + `}}]}`}, "", unbound},
}

// What is asked can be answered: an answer is bound to it, and has a time.
func TestQuestionRules(t *testing.T) {
	for _, r := range questionRules {
		t.Run(r.at, func(t *testing.T) {
			plural, path, _ := strings.Cut(r.at, ".")
			u := base(t, plural)
			u.SetName("asking")
			must(t, server.Create(t.Context(), u))
			try := func(status string) error {
				asks := u.DeepCopy()
				asks.Object["status"] = value(t, status)
				return server.Status().Update(t.Context(), asks, client.DryRunAll)
			}
			for _, text := range r.accept {
				if err := try(text); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
			for _, text := range r.reject {
				rejected(t, try(text), path, r.words)
			}
		})
	}
}

// The base objects are valid, and each field that must be there is missed when it is not.
func TestRequiredFields(t *testing.T) {
	for plural, schema := range schemas(t) {
		t.Run(plural, func(t *testing.T) {
			must(t, tryCreate(t, base(t, plural)))
			missing := 0
			requiredIn(schema, base(t, plural).Object, "", func(path, name string) {
				missing++
				u := base(t, plural)
				parent, field := u.Object, name
				if path != "" {
					at, _ := locate(t, u.Object, path)
					parent, field = at.(map[string]any), path+"."+name
				}
				delete(parent, name)
				rejected(t, tryCreate(t, u), field, "Required value")
			})
			if missing < 2 {
				t.Errorf("the base of %s has %d required fields: the schema was not walked", plural, missing)
			}
		})
	}
}

// requiredIn visits the required fields of what is there of an object.
func requiredIn(schema *schemaProps, at any, path string, visit func(path, name string)) {
	switch v := at.(type) {
	case map[string]any:
		for _, name := range schema.Required {
			visit(path, name)
		}
		for name, inner := range schema.Properties {
			if member, ok := v[name]; ok {
				requiredIn(&inner, member, strings.TrimPrefix(path+"."+name, "."), visit)
			}
		}
	case []any:
		for i, member := range v {
			requiredIn(schema.Items.Schema, member, path+"["+string(rune('0'+i))+"]", visit)
		}
	}
}

// A person is stamped with every group: identity providers put up to 200 into a token.
func TestActorTakesManyGroups(t *testing.T) {
	groups := make([]any, 256)
	for i := range groups {
		groups[i] = strings.Repeat("g", 36)
	}
	u := base(t, "decisions")
	put(t, u.Object, "spec.actor", map[string]any{"username": "ana", "groups": groups})
	must(t, tryCreate(t, u))
	put(t, u.Object, "spec.actor", map[string]any{"username": "ana", "groups": append(groups, "one more")})
	rejected(t, tryCreate(t, u), "spec.actor.groups", "256")
}
