// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/simulate"
)

// tool is a target with one operation that can be taken back, and one that cannot.
type tool struct{}

func (tool) Operations() []connector.Operation {
	return []connector.Operation{
		{Name: "block", Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent, Rollback: "unblock", TargetType: "Address"},
		{Name: "unblock", Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent, Rollback: "block", TargetType: "Address"},
		{Name: "wipe", Effect: v1alpha1.EffectIrreversible, NotPossible: "it is gone", TargetType: "Address", AcknowledgedOnly: true},
	}
}

func (tool) Target(_ string, input map[string]any) (v1alpha1.Target, error) {
	name, _ := input["address"].(string)
	if name == "" {
		return v1alpha1.Target{}, errors.New("the address is missing")
	}
	return v1alpha1.Target{Type: "Address", Name: name}, nil
}

func (tool) Rehearse(_ context.Context, request connector.Request, answer func(simulate.Request) simulate.Reply) (simulate.Rehearsed, error) {
	out := simulate.Rehearsed{Before: &connector.Observation{}}
	asked := simulate.Request{Operation: request.Operation, Method: "POST", Path: "/block"}
	out.Requests = []simulate.Request{asked}
	outcome := v1alpha1.OutcomeInDoubt
	switch reply := answer(asked); {
	case reply.Lost, reply.Status >= 500:
	case reply.Status >= 400:
		outcome = v1alpha1.OutcomeRefused
	default:
		outcome = v1alpha1.OutcomeAcknowledged
	}
	out.Result = &connector.Result{Outcome: outcome}
	return out, nil
}

const objects = `
guardrail:
  metadata: {name: blocks}
  spec:
    covers: [firewall/*]
    lookups: [{name: own, lookup: assets/find, input: {key: "${target.name}"}}]
    rules:
    - {name: ours, if: lookups.own.found, deny: It is one of ours.}
    - {name: cheap, if: operation != 'firewall/wipe', allow: A block is taken back.}
    - {name: dear, if: operation == 'firewall/wipe', ask: {}}
playbook:
  metadata: {name: block}
  spec:
    inputs: [{name: address, type: String}]
    steps:
    - {name: block, action: {operation: firewall/block, input: {address: "${inputs.address}"}}}
    - {name: keep, decision: {question: "Keep it?", options: [keep, release], within: 1h, onSilence: release}}
    - {name: release, if: steps.keep.answer == 'release', action: {rollbackOf: block}}
    - {name: wipe, if: steps.keep.answer == 'keep', action: {operation: firewall/wipe, input: {address: "${inputs.address}"}, onDenied: Continue}}
    - {name: tell, notify: {connector: mail, to: [soc@example.com], subject: Done, message: "${steps.block.state}"}}
mapping:
  metadata: {name: tool}
  spec:
    product: Tool
    finding: "item.?noise.orValue(false) ? dyn('noise') : dyn(true)"
    signal: {category: "'Network'", title: item.title, severity: severityOf(item.severity), indicators: "[ip(item.ip)]"}
connector:
  metadata: {name: firewall}
  spec: {http: {baseURL: "https://firewall.example.com"}}
`

func catalog(t *testing.T) *simulate.Catalog {
	t.Helper()
	var all struct {
		Guardrail v1alpha1.Guardrail `json:"guardrail"`
		Playbook  v1alpha1.Playbook  `json:"playbook"`
		Mapping   v1alpha1.Mapping   `json:"mapping"`
		Connector v1alpha1.Connector `json:"connector"`
	}
	if err := yaml.UnmarshalStrict([]byte(objects), &all); err != nil {
		t.Fatal(err)
	}
	return &simulate.Catalog{
		Guardrails: []*v1alpha1.Guardrail{&all.Guardrail}, Playbooks: []*v1alpha1.Playbook{&all.Playbook},
		Mappings: []*v1alpha1.Mapping{&all.Mapping}, Connectors: []*v1alpha1.Connector{&all.Connector},
		Open: func(*v1alpha1.Connector) (simulate.Tool, error) { return tool{}, nil },
	}
}

// open serves the payload of the tests.
func open(name string) ([]byte, error) {
	if name != "alert.json" {
		return nil, errors.New("no file " + name)
	}
	return []byte(`[{"title": "Scan", "severity": "high", "ip": "203.0.113.7"}, {"noise": true}]`), nil
}

// run gives all failures of the tests, and how many tests there were.
func run(t *testing.T, tests string) (failures string, results []simulate.Result) {
	t.Helper()
	suites, err := simulate.Parse("block.test.yaml", []byte(tests))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range suites {
		for _, r := range s.Run(t.Context(), catalog(t), open) {
			results = append(results, r)
			all = append(all, r.Failures...)
		}
	}
	return strings.Join(all, "\n"), results
}

const badDay = `
- {name: every lookup fails, given: {inputs: {address: 203.0.113.7}, lookups: {"*": Unavailable}}, expect: {asked: [block], actions: [], run: Failed}}`

func TestPlaybook(t *testing.T) {
	for name, tt := range map[string]struct {
		test string
		want string // part of the failures; empty: none
	}{
		"silence takes the block back after an hour": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}}
  expect: {steps: [block, keep, release, tell], asked: [keep], notified: [soc@example.com], run: Succeeded,
    actions: [{operation: firewall/block, outcome: Succeeded, attempts: 1, rule: blocks/cheap}, {operation: firewall/unblock, outcome: Succeeded}]}`},
		"people keep it, and approve the second action": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}}
  people: {keep: keep, wipe: approve}
  expect: {steps: [block, keep, wipe, tell], asked: [keep, wipe], actions: [{operation: firewall/wipe, outcome: Succeeded, target: 203.0.113.7}]}`},
		"a denied action goes on where the step says so": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}}
  people: {keep: keep, wipe: deny}
  expect: {steps: [block, keep, {wipe: Denied}, tell], run: Succeeded}`},
		"a rule denies by what a lookup says of one input": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find 203.0.113.7: {found: true}, assets/find: {found: false}}}
  expect: {steps: [{block: Denied}], actions: [], run: Failed}`},
		"an idempotent action is repeated after a lost answer": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}, answers: {firewall/block: [{lost: true}, {status: 500}]}}
  expect: {actions: [{operation: firewall/block, outcome: Succeeded, attempts: 3}]}`},
		"one that is not is Unknown": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}, answers: {firewall/wipe: [{lost: true}]}}
  people: {keep: keep, wipe: approve}
  expect: {steps: [block, keep, {wipe: Failed}], actions: [{operation: firewall/wipe, outcome: Unknown, attempts: 1}]}`},
		"a target that lies fails the verification": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}, answers: {firewall/block: [{status: 200, holds: false}]}}
  expect: {steps: [{block: Failed}], actions: [{operation: firewall/block, outcome: Failed}]}`},
		"mail that is refused fails its step": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}, answers: {mail/sendMail: [{outcome: Refused, message: no such mailbox}]}}
  expect: {steps: [block, keep, release, {tell: Failed}], notified: []}`},
		"steps that ran otherwise are said": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}}
  expect: {steps: [block], asked: [], notified: [], actions: []}`,
			want: "steps: expected [block], came [block, keep, release, tell]\nactions: expected none, came [firewall/block on 203.0.113.7: Succeeded, firewall/unblock on 203.0.113.7: Succeeded]\n" +
				"asked: expected [], came [keep]\nnotified: expected [], came [soc@example.com]"},
		"an outcome that is another is said": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}, answers: {firewall/block: [{status: 403}]}}
  expect: {actions: [{operation: firewall/block, outcome: Succeeded, attempts: 2}, {operation: firewall/unblock}], closed: FalsePositive, state: Contained}`,
			want: "closed: expected FalsePositive, came nothing"},
		"a lookup of which nothing is said": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}}
  expect: {}`, want: `guardrail blocks reads assets/find, of which the test says nothing: add it, or "*", under given.lookups`},
		"an answer to a step that asks nobody": {test: `
- name: a
  given: {inputs: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}}
  people: {keep: maybe, tell: approve, nothing: deny, wipe: yes}
  expect: {}`, want: "people.keep: \"maybe\" is none of the options keep, release\npeople.nothing: the playbook has no such step\npeople.tell: the step asks nobody\npeople.wipe: \"yes\" is neither approve nor deny"},
		"inputs that are missing": {test: `
- name: a
  given: {inputs: {}, lookups: {"*": Unavailable}}
  expect: {run: Failed, steps: []}`},
		"neither a signal nor inputs": {test: `
- {name: a, given: {}, expect: {}}`, want: "given says neither a signal nor inputs"},
		"a payload that is not there": {test: `
- {name: a, given: {signal: other.json}, expect: {}}`, want: "no file other.json"},
		"a playbook that no type starts": {test: `
- {name: a, given: {signal: alert.json, mapping: tool}, expect: {started: false, severity: High, state: Triage, steps: []}}`},
	} {
		t.Run(name, func(t *testing.T) {
			failures, results := run(t, "playbook: block\ntests:"+tt.test+badDay)
			if tt.want == "" && failures != "" || !strings.Contains(failures, tt.want) {
				t.Errorf("got %q, want %q\n%s", failures, tt.want, strings.Join(results[0].Trace, "\n"))
			}
		})
	}
}

func TestPlaybookWantsABadDay(t *testing.T) {
	failures, results := run(t, `
playbook: block
tests:
- {name: one fails, given: {inputs: {address: 203.0.113.7}, lookups: {"*": Unavailable, assets/find: {found: false}}}, expect: {}}`)
	if len(results) != 2 || !results[0].Passed() || results[1].Passed() || !strings.Contains(failures, `given: {lookups: {"*": Unavailable}}`) {
		t.Errorf("got %d results, %q", len(results), failures)
	}
}

func TestMappingAndGuardrailAndConnector(t *testing.T) {
	for name, tt := range map[string]struct{ test, want string }{
		"a mapping's signals and what it skips": {test: `
mapping: tool
tests:
- {name: a, given: {payload: alert.json}, expect: {fits: true, signals: [{severity: High, indicators: [203.0.113.7], category: Network}], skipped: {noise: 1}}}`},
		"a field that is another": {test: `
mapping: tool
tests:
- {name: a, given: {payload: alert.json}, expect: {signals: [{severity: Low, users: [ana]}], skipped: {}}}`,
			want: "skipped: expected {}, came {\"noise\":1}\nsignals[0].severity: expected \"Low\", came \"High\"\nsignals[0].users: expected [\"ana\"], came nothing"},
		"a payload that is no finding": {test: `
mapping: tool
tests:
- {name: a, given: {payload: alert.json}, expect: {signals: []}}`, want: "signals: expected 0, came 1"},
		"the first of several signals": {test: `
mapping: tool
tests:
- {name: a, given: {payload: alert.json}, expect: {count: 1, signals: [{severity: High}]}}
- {name: b, given: {payload: alert.json}, expect: {count: 2, signals: [{severity: High}]}}
- {name: c, given: {payload: alert.json}, expect: {count: 1, signals: [{severity: High}, {}]}}`, want: "count: expected 2, came 1\ncount: expected 1, came 1"},
		"a mapping that is not there": {test: `
mapping: toll
tests:
- {name: a, given: {payload: alert.json}, expect: {}}`, want: `no Mapping "toll" stands in the files beside the tests; there are tool`},
		"a guardrail's answers": {test: `
guardrail: blocks
tests:
- {name: allows, given: {operation: firewall/block, input: {address: 203.0.113.7}, lookups: {assets/find: {found: false}}}, expect: {answer: Allow, rule: cheap}}
- {name: denies, given: {operation: firewall/block, input: {address: 10.0.0.1}, lookups: {assets/find: {found: true}}}, expect: {answer: Deny, rule: ours, because: one of ours}}
- {name: unknown, given: {operation: firewall/block, input: {address: 10.0.0.1}, lookups: {"*": Unavailable}}, expect: {answer: Ask, rule: ours, verb: approve, count: 1}}`},
		"a guardrail that answers otherwise": {test: `
guardrail: blocks
tests:
- {name: a, given: {operation: firewall/wipe, target: {type: Address, name: x}, lookups: {assets/find: {found: false}}}, expect: {answer: Allow, rule: cheap}}`,
			want: "answer: expected Allow, came Ask\nrule: expected cheap, came dear"},
		"a guardrail's lookup of which nothing is said": {test: `
guardrail: blocks
tests:
- {name: a, given: {operation: firewall/block, input: {address: 10.0.0.1}}, expect: {answer: Ask}}`, want: "lookup own asks assets/find"},
		"a test that expects no answer": {test: `
guardrail: blocks
tests:
- {name: a, given: {operation: firewall/block, input: {address: 10.0.0.1}}, expect: {}}`, want: "expect.answer is missing"},
		"a connector's request and outcome": {test: `
connector: firewall
tests:
- {name: a, given: {operation: block, input: {address: x}, answer: {status: 403}}, expect: {request: {method: POST, path: /block}, outcome: Refused}}
- {name: b, given: {operation: block, input: {address: x}, answer: {lost: true}}, expect: {request: {method: GET}, outcome: Acknowledged}}`,
			want: "request.method: expected GET, came POST\noutcome: expected Acknowledged, came InDoubt"},
		"an operation that is not there": {test: `
connector: firewall
tests:
- {name: a, given: {operation: blok}, expect: {}}`, want: `connector firewall has no operation "blok"; it has block, unblock, wipe`},
	} {
		t.Run(name, func(t *testing.T) {
			failures, _ := run(t, tt.test)
			if tt.want == "" && failures != "" || !strings.Contains(failures, tt.want) {
				t.Errorf("got %q, want %q", failures, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"an unknown field":        {"playbook: a\ntests:\n- name: b\n  given:\n    sinal: c\n", "line 5: field sinal is not known here"},
		"in the second document":  {"mapping: a\ntests: [{name: b}]\n---\nmapping: a\ntests:\n- {nam: b}\n", "line 6: field nam is not known here"},
		"nothing that is tested":  {"tests: []\n", "line 1: none of the fields playbook, mapping, guardrail and connector"},
		"no name":                 {"playbook: ''\ntests: [{name: a}]\n", "line 1: field playbook is empty"},
		"no tests":                {"guardrail: a\n", "line 1: field tests is missing or empty"},
		"a list":                  {"- a\n", "line 1: want playbook, mapping, guardrail or connector"},
		"an empty file":           {"", "it is empty"},
		"a value of another type": {"playbook: a\ntests:\n- {name: b, given: {signals: {}}}\n", "line 3: cannot unmarshal"},
		"what is not YAML":        {"playbook: [\n", "line"},
		"a field of another kind": {"mapping: a\ntests:\n- {name: b, people: {a: b}}\n", "line 3: field people is not known here"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := simulate.Parse("a.test.yaml", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "a.test.yaml") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
