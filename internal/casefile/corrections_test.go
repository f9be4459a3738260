// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

func setting(s v1alpha1.SetDecision) func(*v1alpha1.Decision) {
	return func(d *v1alpha1.Decision) { d.Spec.Set = &s }
}

func adding(a v1alpha1.AddDecision) func(*v1alpha1.Decision) {
	return func(d *v1alpha1.Decision) { d.Spec.Add = &a }
}

func running(playbook, inputs string) func(*v1alpha1.Decision) {
	return func(d *v1alpha1.Decision) {
		d.UID = types.UID("uid-" + d.Name)
		d.Spec.Run = &v1alpha1.RunDecision{PlaybookRef: v1alpha1.LocalRef{Name: playbook}}
		if inputs != "" {
			d.Spec.Run.Inputs = raw(inputs)
		}
	}
}

func by(name string) func(*v1alpha1.Decision) {
	return func(d *v1alpha1.Decision) { d.Spec.Actor = &v1alpha1.Actor{Username: name} }
}

// set is a counted decision on the severity.
func set(severity v1alpha1.Severity, minute int) v1alpha1.Decision {
	return decision(fmt.Sprint("set-", minute), v1alpha1.VerdictSet, minute, setting(v1alpha1.SetDecision{Severity: severity}))
}

func TestFoldSetsTheSeverity(t *testing.T) {
	lower := compile(t, caseType("runtime", func(s *v1alpha1.CaseTypeSpec) {
		s.Severity = []v1alpha1.SeverityFactor{factor("severity == High", -1, "quiet")}
	}))
	gone := func(w *casefile.World) { w.Type = nil }
	tests := map[string]struct {
		change []func(*casefile.World)
		want   []string // factor, adjust, severity, because of the last row; then the severity
	}{
		"it ends the trace":                       {[]func(*casefile.World){decisions(set("Critical", 1))}, []string{"set +2 Critical by mia: why", "Critical"}},
		"the newest counts":                       {[]func(*casefile.World){decisions(set("Low", 2), set("Critical", 1))}, []string{"set -1 Low by mia: why", "Low"}},
		"what is so already is said":              {[]func(*casefile.World){decisions(set("Medium", 1))}, []string{"set 0 Medium by mia: why", "Medium"}},
		"one that was void does not count":        {[]func(*casefile.World){decisions(func() v1alpha1.Decision { d := set("Low", 1); d.Status.State = "Void"; return d }())}, []string{"1 -1 Medium quiet", "Medium"}},
		"a queue alone sets no severity":          {[]func(*casefile.World){decisions(decision("d", "Set", 1, setting(v1alpha1.SetDecision{Queue: "q"})))}, []string{"1 -1 Medium quiet", "Medium"}},
		"a case without its type takes it":        {[]func(*casefile.World){gone, decisions(set("Low", 1))}, []string{"set -2 Low by mia: why", "Low"}},
		"the closure takes what was set before":   {[]func(*casefile.World){decisions(set("Low", 1), decision("c", "Close", 2))}, []string{"set -1 Low by mia: why", "Low"}},
		"a closed case ignores it":                {[]func(*casefile.World){decisions(set("Low", 3), decision("c", "Close", 2))}, []string{"1 -1 Medium quiet", "Medium"}},
		"reopening does not take it back":         {[]func(*casefile.World){was("Closed"), decisions(set("Low", 1), decision("c", "Close", 2), decision("r", "Reopen", 3))}, []string{"set -1 Low by mia: why", "Low"}},
		"a signal that is worse does not move it": {[]func(*casefile.World){decisions(set("Low", 1)), func(w *casefile.World) { w.Signals[0].Spec.Severity = "Critical" }}, []string{"set -3 Low by mia: why", "Low"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := world(t, append([]func(*casefile.World){func(w *casefile.World) { w.Type = lower }}, tc.change...)...)
			got := casefile.Fold(t.Context(), w, opened).Status
			row := got.SeverityTrace[len(got.SeverityTrace)-1]
			sign := map[bool]string{true: "+"}[moved(row) > 0]
			if diff := cmp.Diff(tc.want, []string{fmt.Sprint(row.Factor, " ", sign, moved(row), " ", row.Severity, " ", row.Because), string(got.Severity)}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			w.Case.Status = got
			if diff := cmp.Diff(got, casefile.Fold(t.Context(), w, opened).Status); diff != "" {
				t.Errorf("the next pass writes:\n%s", diff)
			}
		})
	}
}

func TestFoldStartsByTheSeverityThatWasSet(t *testing.T) {
	w := world(t, func(w *casefile.World) {
		w.Type = compile(t, starting(v1alpha1.CasePlaybook{Name: "go", When: "severity >= High && case.severity >= High"}))
	})
	if n := len(casefile.Fold(t.Context(), w, opened).Starts); n != 1 {
		t.Fatalf("%d start at High", n)
	}
	w.Decisions = []v1alpha1.Decision{set("Low", 1)}
	if got := casefile.Fold(t.Context(), w, opened).Starts; len(got) > 0 {
		t.Errorf("at Low, %+v starts", got)
	}
}

func TestFoldSetsQueueAndType(t *testing.T) {
	other := v1alpha1.SetDecision{TypeRef: &v1alpha1.LocalRef{Name: "identity"}, Queue: "night"}
	w := world(t, func(w *casefile.World) { w.Type = compile(t, starting(v1alpha1.CasePlaybook{Name: "go"})) })
	w.Case.Spec.TypeRef.Name = "starting"
	w.Decisions = []v1alpha1.Decision{decision("a", "Assign", 1, assigned("", "day")), decision("d", "Set", 2, setting(other)), decision("b", "Assign", 3, assigned("ana", ""))}
	next := casefile.Fold(t.Context(), w, opened)
	if next.Status.Queue != "night" || next.Status.TypeRef == nil || next.Status.TypeRef.Name != "identity" {
		t.Fatalf("queue %s, type %v", next.Status.Queue, next.Status.TypeRef)
	}
	if len(next.Starts) > 0 || next.Status.SeverityTrace != nil {
		t.Errorf("the type that is no longer the case's starts %+v and scores %+v", next.Starts, next.Status.SeverityTrace)
	}
	w.Case.Status = next.Status
	if got := casefile.TypeName(w.Case); got != "identity" {
		t.Errorf("the case is of type %s", got)
	}
	w.Type = compile(t, caseType("identity", func(s *v1alpha1.CaseTypeSpec) {
		s.Playbooks = []v1alpha1.CasePlaybook{{Name: "contain", When: "case.type == 'identity'"}}
	}))
	w.Decisions = append(w.Decisions, decision("c", "Assign", 4, assigned("", "day")))
	next = casefile.Fold(t.Context(), w, opened)
	if len(next.Starts) != 1 || next.Starts[0].Playbook != "contain" || next.Status.Queue != "day" {
		t.Errorf("with its new type: queue %s, starts %+v", next.Status.Queue, next.Starts)
	}
}

func TestFoldAddsWhatPeopleAdd(t *testing.T) {
	ip := v1alpha1.Indicator{Type: "ipv4", Value: "192.0.2.1"}
	add := decision("d", "Add", 5, adding(v1alpha1.AddDecision{
		Users: []v1alpha1.Entity{{Name: "ANA", DisplayName: "Ana"}, {Name: "eve"}}, Hosts: []v1alpha1.Entity{{Name: "h1"}}, Indicators: []v1alpha1.Indicator{ip, ip},
	}))
	w := world(t, decisions(add), func(w *casefile.World) {
		w.Type = compile(t, starting(v1alpha1.CasePlaybook{Name: "p", ForEach: "case.users"}))
		w.Signals = []v1alpha1.Signal{
			signal("sig-1", 1, func(s *v1alpha1.NormalizedSignal) { s.Users = []v1alpha1.Entity{{Name: "ana", Type: "User"}} }),
			signal("sig-2", 9, func(s *v1alpha1.NormalizedSignal) {
				s.Users = []v1alpha1.Entity{{Name: "eve", Type: "User"}, {Name: "zoe"}}
			}),
		}
		w.Case.Status.Playbooks = []v1alpha1.StartedPlaybook{{Name: "p", Item: "ana", Run: "r"}}
	})
	next := casefile.Fold(t.Context(), w, opened)
	got := next.Status
	want := []v1alpha1.Entity{{Name: "ana", Type: "User", DisplayName: "Ana"}, {Name: "eve", Type: "User"}, {Name: "zoe"}}
	if diff := cmp.Diff(want, got.Users); diff != "" {
		t.Errorf("users, in the order of time (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]v1alpha1.Entity{{Name: "h1"}}, got.Hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]v1alpha1.Indicator{ip}, got.Indicators); diff != "" || got.Sightings != nil {
		t.Errorf("indicators (-want +got):\n%s sightings %v", diff, got.Sightings)
	}
	if len(next.Starts) != 2 || next.Starts[0].Item != "eve" {
		t.Errorf("who joins later gets a run: %+v", next.Starts)
	}

	w.Decisions = append(w.Decisions, decision("c", "Close", 6), decision("late", "Add", 7, adding(v1alpha1.AddDecision{Users: []v1alpha1.Entity{{Name: "mallory"}}})))
	closed := casefile.Fold(t.Context(), w, opened).Status
	if diff := cmp.Diff(want, closed.Users); diff != "" {
		t.Errorf("a closed case (-want +got):\n%s", diff)
	}
}

func TestFoldStartsRunsByHand(t *testing.T) {
	w := world(t, decisions(decision("d2", "Run", 2, running("contain", `{"user":"ana"}`)), decision("d1", "Run", 1, running("contain", ""))))
	next := casefile.Fold(t.Context(), w, opened)
	want := []casefile.Start{
		{Playbook: "contain", Item: "d1", Decision: &v1alpha1.RecordRef{Name: "d1", UID: "uid-d1"}},
		{Playbook: "contain", Item: "d2", Inputs: raw(`{"user":"ana"}`), Decision: &v1alpha1.RecordRef{Name: "d2", UID: "uid-d2"}},
	}
	if diff := cmp.Diff(want, next.Starts); diff != "" || next.Status.State != v1alpha1.CaseInvestigating {
		t.Fatalf("state %s (-want +got):\n%s", next.Status.State, diff)
	}
	w.Type, w.Enriched = nil, false
	if diff := cmp.Diff(want, casefile.Fold(t.Context(), w, opened).Starts); diff != "" {
		t.Errorf("without its type (-want +got):\n%s", diff)
	}
	w.Case.Status = next.Status
	w.Case.Status.Playbooks = casefile.Note(w.Case.Status.Playbooks, next.Starts[0], "run-1")
	if diff := cmp.Diff(want[1:], casefile.Fold(t.Context(), w, opened).Starts); diff != "" {
		t.Errorf("once each (-want +got):\n%s", diff)
	}
	w.Decisions = append(w.Decisions, decision("c", "Close", 3))
	if got := casefile.Fold(t.Context(), w, opened).Starts; len(got) > 0 {
		t.Errorf("a closed case starts %+v", got)
	}
	w.Decisions = append(w.Decisions, decision("r", "Reopen", 4), decision("d3", "Run", 5, running("contain", "")))
	if got := casefile.Fold(t.Context(), w, opened).Starts; len(got) != 1 || got[0].Item != "d3" {
		t.Errorf("a reopened case starts %+v", got)
	}
}

func TestWhoMoved(t *testing.T) {
	tests := map[string]struct {
		before, after []v1alpha1.Decision
		records       []v1alpha1.EnrichmentRecord
		want          string
	}{
		"nothing but automation":            {},
		"the severity":                      {after: []v1alpha1.Decision{set("Low", 1)}, want: "mia"},
		"the newest severity":               {before: []v1alpha1.Decision{set("Low", 1)}, after: []v1alpha1.Decision{decision("d", "Set", 2, by("ana"), setting(v1alpha1.SetDecision{Severity: "Low"}))}, want: "ana"},
		"a severity that was set before":    {before: []v1alpha1.Decision{set("Low", 1)}},
		"the type":                          {after: []v1alpha1.Decision{decision("d", "Set", 2, setting(v1alpha1.SetDecision{TypeRef: &v1alpha1.LocalRef{Name: "x"}}))}, want: "mia"},
		"the queue, corrected":              {after: []v1alpha1.Decision{decision("d", "Set", 2, setting(v1alpha1.SetDecision{Queue: "x"}))}, want: "mia"},
		"the queue, assigned":               {after: []v1alpha1.Decision{decision("d", "Assign", 2, assigned("", "x"))}, want: "mia"},
		"the owner, and a comment later":    {after: []v1alpha1.Decision{decision("d", "Assign", 2, assigned("bob", "")), decision("e", "Comment", 3, by("ana"))}, want: "mia"},
		"who was added":                     {after: []v1alpha1.Decision{decision("d", "Add", 2, adding(v1alpha1.AddDecision{Users: []v1alpha1.Entity{{Name: "eve"}}}))}, want: "mia"},
		"an indicator that was added":       {after: []v1alpha1.Decision{decision("d", "Add", 2, adding(v1alpha1.AddDecision{Indicators: []v1alpha1.Indicator{{Type: "ipv4", Value: "192.0.2.9"}}}))}, want: "mia"},
		"a run by hand":                     {after: []v1alpha1.Decision{decision("d", "Run", 2, running("p", ""))}, want: "mia"},
		"a lookup by hand":                  {after: []v1alpha1.Decision{decision("d", "Lookup", 2, func(d *v1alpha1.Decision) { d.Spec.Lookup = &v1alpha1.LookupDecision{Operation: "a/b"} })}, records: []v1alpha1.EnrichmentRecord{{Name: "b", Lookup: "a/b", Decision: "d"}}, want: "mia"},
		"a lookup that is not answered yet": {after: []v1alpha1.Decision{decision("d", "Lookup", 2, func(d *v1alpha1.Decision) { d.Spec.Lookup = &v1alpha1.LookupDecision{Operation: "a/b"} })}},
		"the closure goes before all":       {after: []v1alpha1.Decision{set("Low", 1), decision("c", "Close", 2, by("ana"))}, want: "ana"},
		"the reopening too":                 {before: []v1alpha1.Decision{decision("c", "Close", 2)}, after: []v1alpha1.Decision{decision("r", "Reopen", 3, by("ana")), set("Low", 4)}, want: "ana"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := world(t, decisions(tc.before...))
			w.Case.Status = casefile.Fold(t.Context(), w, opened).Status
			w.Decisions, w.Enrichments = append(w.Decisions, tc.after...), tc.records
			got := ""
			if person := casefile.WhoMoved(w, casefile.Fold(t.Context(), w, opened)); person != nil {
				got = person.Name
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
