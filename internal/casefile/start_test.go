// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// starting is a type with a lookup, person, and these playbooks.
func starting(playbooks ...v1alpha1.CasePlaybook) *v1alpha1.CaseType {
	return caseType("starting", func(s *v1alpha1.CaseTypeSpec) {
		s.Enrich = []v1alpha1.Enrichment{{Name: "person", Lookup: "directory/findUser"}}
		s.Playbooks = playbooks
	})
}

func TestStarts(t *testing.T) {
	web, other := pod("shop", "web"), pod("shop", "web")
	web.UID, other.UID = "u1", "u2"
	status := v1alpha1.CaseStatus{
		Severity: "High", Users: []v1alpha1.Entity{{Name: "ana"}, {Name: "bob"}}, Assets: []v1alpha1.Entity{web, other, pod("shop", "db")},
		Indicators: []v1alpha1.Indicator{{Type: "ipv4", Value: "198.51.100.4"}},
	}
	tests := map[string]struct {
		playbook v1alpha1.CasePlaybook
		rows     []v1alpha1.StartedPlaybook
		want     []string // item, inputs, beginning of message
	}{
		"always":                             {v1alpha1.CasePlaybook{}, nil, []string{"||"}},
		"when it holds":                      {v1alpha1.CasePlaybook{When: "severity >= High"}, nil, []string{"||"}},
		"not when it does not":               {v1alpha1.CasePlaybook{When: "severity > High"}, nil, nil},
		"not when it is not known":           {v1alpha1.CasePlaybook{When: "enrichment.person[0].privileged"}, nil, []string{"||not started, for it cannot be decided: "}},
		"with inputs":                        {v1alpha1.CasePlaybook{Inputs: raw(`{"n":"${size(case.users)}","s":"<${case.state}>"}`)}, nil, []string{`|{"n":2,"s":"<New>"}|`}},
		"not with inputs that are not known": {v1alpha1.CasePlaybook{Inputs: raw(`{"p":"${enrichment.person}"}`)}, nil, []string{"||not started, for it cannot be decided: inputs: p: "}},
		"not with inputs that have no names": {v1alpha1.CasePlaybook{Inputs: raw(`"${case.state}"`)}, nil, []string{"||not started, for it cannot be decided: inputs must be an object"}},
		"for each user": {v1alpha1.CasePlaybook{ForEach: "case.users", Inputs: raw(`{"user":"${item}"}`)}, nil,
			[]string{`ana|{"user":{"name":"ana"}}|`, `bob|{"user":{"name":"bob"}}|`}},
		"for each user, as the input item": {v1alpha1.CasePlaybook{ForEach: "case.users", When: "item.name == 'bob'"}, nil, []string{`bob|{"item":{"name":"bob"}}|`}},
		"for each address":                 {v1alpha1.CasePlaybook{ForEach: "case.indicators", Inputs: raw(`{}`)}, nil, []string{"198.51.100.4|{}|"}},
		"for each text":                    {v1alpha1.CasePlaybook{ForEach: "['a', 'b', 'a']", Inputs: raw(`{}`)}, nil, []string{"a|{}|", "b|{}|"}},
		"for each number":                  {v1alpha1.CasePlaybook{ForEach: "[1]", Inputs: raw(`{}`)}, nil, []string{"1|{}|"}},
		"two pods of one name are two items": {v1alpha1.CasePlaybook{ForEach: "case.assets", Inputs: raw(`{}`)}, nil,
			[]string{"shop/web|{}|", "shop/web@u2|{}|", "shop/db|{}|"}},
		"for each of what is not a list":  {v1alpha1.CasePlaybook{ForEach: "case.state"}, nil, []string{"||not started, for its items cannot be decided: "}},
		"for each of what is not known":   {v1alpha1.CasePlaybook{ForEach: "enrichment.person"}, nil, []string{"||not started, for its items cannot be decided: "}},
		"once":                            {v1alpha1.CasePlaybook{}, []v1alpha1.StartedPlaybook{{Name: "p", Run: "r"}}, nil},
		"once for each":                   {v1alpha1.CasePlaybook{ForEach: "case.users", Inputs: raw(`{}`)}, []v1alpha1.StartedPlaybook{{Name: "p", Item: "ana", Run: "r"}}, []string{"bob|{}|"}},
		"what could not be, can be later": {v1alpha1.CasePlaybook{}, []v1alpha1.StartedPlaybook{{Name: "p", Message: "not yet"}}, []string{"||"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.playbook.Name = "p"
			c := &v1alpha1.Case{Status: status}
			c.Status.Playbooks = tc.rows
			got := casefile.Starts(t.Context(), c, compile(t, starting(tc.playbook)))
			if len(got) != len(tc.want) {
				t.Fatalf("got %d starts, want %d: %+v", len(got), len(tc.want), got)
			}
			for i, s := range got {
				inputs := ""
				if s.Inputs != nil {
					inputs = string(s.Inputs.Raw)
				}
				want := strings.SplitN(tc.want[i], "|", 3)
				if s.Item != want[0] || inputs != want[1] || !strings.HasPrefix(s.Message, want[2]) || (s.Message == "") != (want[2] == "") {
					t.Errorf("got %q with inputs %s and message %q, want %q", s.Item, inputs, s.Message, want)
				}
			}
		})
	}
}

func TestFoldStartsPlaybooks(t *testing.T) {
	typ := starting(v1alpha1.CasePlaybook{Name: "go"}, v1alpha1.CasePlaybook{Name: "ask", When: "enrichment.person[0].privileged"})
	w := world(t, func(w *casefile.World) { w.Type = compile(t, typ) }, notEnriched)
	if next := casefile.Fold(t.Context(), w, opened); len(next.Starts) != 0 || next.Status.State != v1alpha1.CaseNew {
		t.Fatalf("before it is enriched: %s, %+v", next.Status.State, next.Starts)
	}
	w.Enriched = true
	next := casefile.Fold(t.Context(), w, opened)
	if len(next.Starts) != 2 || next.Starts[0].Message != "" || next.Status.State != v1alpha1.CaseInvestigating {
		t.Fatalf("once it is enriched: %s, %+v", next.Status.State, next.Starts)
	}
	if rows := next.Status.Playbooks; len(rows) != 1 || rows[0].Name != "ask" || !strings.Contains(rows[0].Message, "lookup person was not made yet") {
		t.Errorf("what cannot be decided is noted with the reason: %+v", rows)
	}

	// The pass that created the run notes it, and later passes leave it there.
	w.Case.Status = next.Status
	w.Case.Status.Playbooks = casefile.Note(w.Case.Status.Playbooks, next.Starts[0], "go-1")
	w.Runs = []v1alpha1.PlaybookRun{run("go-1", v1alpha1.RunRunning, 1, func(r *v1alpha1.PlaybookRun) { r.Spec.PlaybookRef.Name, r.Spec.Item = "go", "" })}
	again := casefile.Fold(t.Context(), w, opened)
	if diff := cmp.Diff(w.Case.Status, again.Status); diff != "" {
		t.Errorf("the next pass writes (-before +after):\n%s", diff)
	}
	if len(again.Starts) != 1 || again.Starts[0].Playbook != "ask" {
		t.Errorf("the next pass starts %+v", again.Starts)
	}

	w.Decisions = []v1alpha1.Decision{decision("d", "Close", 9)}
	closed := casefile.Fold(t.Context(), w, opened)
	if len(closed.Starts) != 0 {
		t.Errorf("a closed case starts %+v", closed.Starts)
	}
	if diff := cmp.Diff(again.Status.Playbooks, closed.Status.Playbooks); diff != "" {
		t.Errorf("closing forgets what was started (-before +after):\n%s", diff)
	}
}

// A signal that was received earlier and is seen later writes the same person in other letters.
func TestFoldStartsNoSecondRunForAPerson(t *testing.T) {
	of := func(name string) func(*v1alpha1.NormalizedSignal) {
		return func(s *v1alpha1.NormalizedSignal) { s.Users = []v1alpha1.Entity{{Type: "User", Name: name}} }
	}
	w := world(t, func(w *casefile.World) {
		w.Type = compile(t, starting(v1alpha1.CasePlaybook{Name: "go", ForEach: "case.users"}))
		w.Signals = []v1alpha1.Signal{signal("sig-1", 5, of("Ana@Example.com"))}
	})
	next := casefile.Fold(t.Context(), w, opened)
	if len(next.Starts) != 1 || next.Starts[0].Item != "Ana@Example.com" {
		t.Fatalf("the first pass starts %+v", next.Starts)
	}
	w.Case.Status = next.Status
	w.Case.Status.Playbooks = casefile.Note(w.Case.Status.Playbooks, next.Starts[0], "go-1")
	w.Signals = append(w.Signals, signal("sig-2", 0, of("ana@example.com")), signal("sig-3", 7, of("bob@example.com")))
	next = casefile.Fold(t.Context(), w, opened)
	if len(next.Starts) != 1 || next.Starts[0].Item != "bob@example.com" {
		t.Errorf("the next pass starts %+v, want a run for bob alone", next.Starts)
	}
	if users := next.Status.Users; len(users) != 2 || users[0].Name != "Ana@Example.com" {
		t.Errorf("the users are %+v", users)
	}
}

func TestNoteReplacesTheMessage(t *testing.T) {
	rows := []v1alpha1.StartedPlaybook{{Name: "a", Run: "a-1"}, {Name: "b", Message: "not yet"}}
	want := []v1alpha1.StartedPlaybook{{Name: "a", Run: "a-1"}, {Name: "b", Run: "b-1"}}
	if diff := cmp.Diff(want, casefile.Note(rows, casefile.Start{Playbook: "b"}, "b-1")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if rows[1].Message == "" {
		t.Error("the rows given were changed")
	}
}
