// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/normalize"
)

func TestExplanationNamesWhatWasRead(t *testing.T) {
	const payload = `{"sent":"2026-11-24T09:00:00Z","all":[{"a":"","b":"<NA>","c d":"shell","list":[{"n":null},{"n":"ana"}],"sev":"high","big":{"k":[1,2.50,null,true]}}]}`
	tests := map[string]struct{ expression, path, value string }{
		"the first that holds a value":     {"first(item.a, item.b)", "item.b", "<NA>"},
		"the one that the value came from": {"item.b == '<NA>' ? item['c d'] : item.b", `item["c d"]`, "shell"},
		"one of a list":                    {"item.list.filter(l, l.n != null)[0].n", "item.list[].n", "ana"},
		"an index":                         {"item.list[1].n", "item.list[1].n", "ana"},
		"a condition":                      {"item.sev == 'high' ? 'yes' : 'no'", "item.sev", "high"},
		"the envelope":                     {"payload.sent", "payload.sent", "2026-11-24T09:00:00Z"},
		"a constant":                       {"'x'", "", "x"},
		"an object is shown as JSON":       {"string(item.big.k.size())", "item.big.k", "[1,2.50,null,true]"},
		"the time of receipt":              {"string(receivedTime)", "receivedTime", "2026-11-24T10:00:05.123456789Z"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m := compile(t, func(s *v1alpha1.MappingSpec) { s.Items, s.Signal.Title = "payload.all", tc.expression })
			want := v1alpha1.FieldExplanation{Field: "title", Expression: tc.expression, Path: tc.path, Value: tc.value}
			if diff := cmp.Diff(want, one(t, m, payload).Explanation[1]); diff != "" {
				t.Errorf("explanation (-want +got):\n%s", diff)
			}
		})
	}
	expression := "'" + strings.Repeat("ä", 2000) + "' == '' ? '' : item.title"
	long := compile(t, func(s *v1alpha1.MappingSpec) { s.Signal.Title = expression })
	for length, value := range map[int]string{256: strings.Repeat("ä", 256), 300: strings.Repeat("ä", 255) + "…"} {
		got := one(t, long, `{"title":"`+strings.Repeat("ä", length)+`","severity":"low"}`).Explanation[1]
		if got.Value != value {
			t.Errorf("of a value of %d characters %d bytes are kept: %q", length, len(got.Value), got.Value)
		}
		if want := "'" + strings.Repeat("ä", 1022) + "…"; got.Expression != want {
			t.Errorf("of the expression %d bytes are kept: %q", len(got.Expression), got.Expression)
		}
	}
}

func TestObservedTimeSaysWhereItWasFound(t *testing.T) {
	tests := map[string]struct {
		expression string
		want       v1alpha1.TimeOrigin
	}{
		"in the finding":         {"first(item.?at, payload.?sent)", v1alpha1.TimePayload},
		"around the findings":    {"first(item.?never, payload.?sent)", v1alpha1.TimeEnvelope},
		"the time of receipt":    {"receivedTime", v1alpha1.TimeReceipt},
		"nowhere":                {"item.?never", v1alpha1.TimeReceipt},
		"a time that was parsed": {"time(item.at)", v1alpha1.TimePayload},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m := compile(t, func(s *v1alpha1.MappingSpec) { s.Items, s.Signal.ObservedTime = "payload.all", tc.expression })
			got := one(t, m, `{"sent":"2026-11-24T09:00:00Z","all":[{"at":"2026-11-24T08:00:00Z"}]}`)
			if got.ObservedTimeFrom != tc.want {
				t.Errorf("got %s, want %s", got.ObservedTimeFrom, tc.want)
			}
		})
	}
}

func TestFingerprintTellsFindingsApart(t *testing.T) {
	const base = `{"rule":"r","users":["ana","bob"],"assets":["a"],"time":"2026-11-24T09:00:00Z"}`
	long := func(last string) string { return `{"rule":"r","users":["` + strings.Repeat("u", 600) + last + `"]}` }
	tests := map[string]struct {
		fingerprint []string
		a, b        string
		same        bool
	}{
		"a repeat at another time":                {nil, base, `{"rule":"r","users":["ana","bob"],"assets":["a"],"time":"2026-11-24T09:30:00Z"}`, true},
		"entities in another order and case":      {nil, base, `{"rule":"r","users":["Bob","ana"],"assets":["a"]}`, true},
		"another rule":                            {nil, base, `{"rule":"s","users":["ana","bob"],"assets":["a"]}`, false},
		"another user":                            {nil, base, `{"rule":"r","users":["ana"],"assets":["a"]}`, false},
		"another pod of the same name":            {nil, `{"assets":[{"name":"a","uid":"1"}]}`, `{"assets":[{"name":"a","uid":"2"}]}`, false},
		"what differs beyond the bound":           {nil, long("a"), long("b"), false},
		"nothing to tell them apart: the event":   {nil, `{"rule":"r","x":1}`, `{"rule":"r","x":2}`, false},
		"nothing to tell them apart, the same":    {nil, `{"rule":"r","x":1}`, `{"x":1,"rule":"r"}`, true},
		"nothing at all":                          {nil, `{"x":1}`, `{"x":1.0}`, false},
		"an attempt that failed, and its success": {nil, `{"rule":"r","users":["ana"],"outcome":"Failure"}`, `{"rule":"r","users":["ana"],"outcome":"Success"}`, false},
		"two events that tell an outcome alone":   {nil, `{"outcome":"Failure","x":1}`, `{"outcome":"Failure","x":2}`, false},
		"a Mapping that wants the rule alone":     {[]string{"ruleId"}, base, `{"rule":"r","x":2}`, true},
		"a Mapping whose own fields are empty":    {[]string{"ruleId"}, `{"x":1}`, `{"x":2}`, false},
		"a Mapping that wants the event's id":     {[]string{"eventId"}, `{"id":"1","rule":"r"}`, `{"id":"1","rule":"s"}`, true},
		"the same text in users and in hosts":     {nil, `{"users":["x"]}`, `{"hosts":["x"]}`, false},
		"one user with a comma is not two":        {nil, `{"users":["a,b"]}`, `{"users":["a","b"]}`, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m := compile(t, func(s *v1alpha1.MappingSpec) { s.Fingerprint = tc.fingerprint })
			a, b := one(t, m, tc.a).Fingerprint, one(t, m, tc.b).Fingerprint
			if (a == b) != tc.same {
				t.Errorf("got %s and %s; same should be %v", a, b, tc.same)
			}
		})
	}
	other := compile(t, func(s *v1alpha1.MappingSpec) { s.Product = "Other" })
	if one(t, other, base).Fingerprint == one(t, compile(t, nil), base).Fingerprint {
		t.Error("two products' findings are taken for one")
	}
}

func TestGenericStandsForAPayloadThatCannotBeRead(t *testing.T) {
	got := normalize.Generic("Acme", []byte("{"), received, "could not decode the payload: at byte 1")
	if err := valid(got); err != nil {
		t.Error(err)
	}
	if got.Severity != v1alpha1.SeverityMedium || got.Category != "Other" || !strings.Contains(got.Description, "at byte 1") || len(got.Gaps) != 17 || len(got.Warnings) != 2 {
		t.Errorf("got %+v", got)
	}
	if again := normalize.Generic("Acme", []byte("{"), received.AddDate(0, 0, 1), "another reason"); again.Fingerprint != got.Fingerprint {
		t.Error("the same payload is another finding")
	}
	if other := normalize.Generic("Acme", []byte("["), received, ""); other.Fingerprint == got.Fingerprint {
		t.Error("another payload is the same finding")
	}
	if err := valid(normalize.Generic("", nil, received, "")); err != nil {
		t.Error(err)
	}
}

func TestResultJSONHasEveryList(t *testing.T) {
	text, err := json.Marshal(signals(t, compile(t, nil), `{"title":"<b>"}`))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Mapping string
		Skipped map[string]int
		Signals []map[string]any
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Mapping != "acme" || got.Skipped == nil || got.Signals[0]["title"] != "<b>" || got.Signals[0]["observedTime"] != "2026-11-24T10:00:05.123456Z" {
		t.Errorf("got %s", text)
	}
	for _, name := range []string{"users", "hosts", "assets", "indicators", "techniques", "explanation", "gaps", "warnings"} {
		if _, ok := got.Signals[0][name].([]any); !ok {
			t.Errorf("%s is no list: %v", name, got.Signals[0][name])
		}
	}
	if text, err := json.Marshal(normalize.Result{}); err != nil || string(text) != `{"mapping":"","skipped":{},"signals":[]}` {
		t.Errorf("got %s, %v", text, err)
	}
}
