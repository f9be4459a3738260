// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// at is a moment, in minutes after the cases open.
func at(minutes int) metav1.MicroTime {
	return metav1.NewMicroTime(opened.Add(time.Duration(minutes) * time.Minute))
}

func ptr[T any](v T) *T { return &v }

var caseRef = v1alpha1.RecordRef{Name: "rt-1", UID: "uid-rt-1"}

// world is an enriched case of type runtime with one signal; changes come on top.
func world(t testing.TB, change ...func(*casefile.World)) casefile.World {
	t.Helper()
	c := &v1alpha1.Case{Spec: v1alpha1.CaseSpec{Severity: v1alpha1.SeverityHigh, SignalRef: v1alpha1.LocalRef{Name: "sig-1"}}}
	c.Name, c.UID, c.CreationTimestamp.Time = caseRef.Name, types.UID(caseRef.UID), opened
	w := casefile.World{Case: c, Type: compile(t, caseType("runtime")), Enriched: true, Signals: []v1alpha1.Signal{signal("sig-1", 0)}}
	for _, f := range change {
		f(&w)
	}
	return w
}

func signal(name string, minute int, change ...func(*v1alpha1.NormalizedSignal)) v1alpha1.Signal {
	s := v1alpha1.Signal{Spec: v1alpha1.SignalSpec{
		NormalizedSignal: detection(change...), CaseRef: v1alpha1.LocalRef{Name: caseRef.Name}, Mapping: "falco@1", ReceivedTime: at(minute),
	}}
	s.Name = name
	return s
}

func run(name string, state v1alpha1.RunState, minute int, change ...func(*v1alpha1.PlaybookRun)) v1alpha1.PlaybookRun {
	r := v1alpha1.PlaybookRun{Spec: v1alpha1.PlaybookRunSpec{CaseRef: caseRef, PlaybookRef: v1alpha1.LocalRef{Name: "isolate"}, Item: name}}
	r.Name, r.UID = name, types.UID("uid-"+name)
	r.Status.State = state
	r.Status.Steps = []v1alpha1.StepStatus{{Name: "first", State: v1alpha1.StepSucceeded, StartTime: at(minute), EndTime: ptr(at(minute))}}
	for _, f := range change {
		f(&r)
	}
	return r
}

func made(state v1alpha1.CaseState) func(*v1alpha1.PlaybookRun) {
	return func(r *v1alpha1.PlaybookRun) { r.Status.CaseState = state }
}

func closing(c v1alpha1.Classification, minute int) func(*v1alpha1.PlaybookRun) {
	return func(r *v1alpha1.PlaybookRun) {
		r.Status.Closure = &v1alpha1.Closure{Classification: c, Time: at(minute)}
	}
}

func action(name string, state v1alpha1.ActionState, minute int, rollbackOf string) v1alpha1.Action {
	a := v1alpha1.Action{Spec: v1alpha1.ActionSpec{CaseRef: caseRef, Handle: name}}
	a.Name, a.UID = name, types.UID("uid-"+name)
	a.Status.State, a.Status.EndTime = state, ptr(at(minute))
	if rollbackOf != "" {
		a.Spec.RollbackOf = &v1alpha1.RecordRef{Name: rollbackOf, UID: "uid-" + rollbackOf}
	}
	return a
}

// decision is one that counted, by its first journal entry, in that minute.
func decision(name string, verdict v1alpha1.Verdict, minute int, change ...func(*v1alpha1.Decision)) v1alpha1.Decision {
	d := v1alpha1.Decision{Spec: v1alpha1.DecisionSpec{CaseRef: caseRef, Verdict: verdict, Message: "why", Actor: &v1alpha1.Actor{Username: "mia", UID: "7"}}}
	d.Name = name
	d.Status.State = v1alpha1.DecisionCounted
	d.Status.Journal = []v1alpha1.JournalEntry{{Sequence: 1, Time: at(minute)}}
	switch verdict {
	case v1alpha1.VerdictClose:
		d.Spec.Close = &v1alpha1.CloseDecision{Classification: "TruePositive"}
	case v1alpha1.VerdictAssign:
		d.Spec.Assign = &v1alpha1.AssignDecision{Owner: "mia"}
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

func assigned(owner, queue string) func(*v1alpha1.Decision) {
	return func(d *v1alpha1.Decision) { d.Spec.Assign = &v1alpha1.AssignDecision{Owner: owner, Queue: queue} }
}

func runs(all ...v1alpha1.PlaybookRun) func(*casefile.World) {
	return func(w *casefile.World) { w.Runs = all }
}

func actions(all ...v1alpha1.Action) func(*casefile.World) {
	return func(w *casefile.World) { w.Actions = all }
}

func decisions(all ...v1alpha1.Decision) func(*casefile.World) {
	return func(w *casefile.World) { w.Decisions = all }
}

func was(state v1alpha1.CaseState) func(*casefile.World) {
	return func(w *casefile.World) { w.Case.Status.State = state }
}

func notEnriched(w *casefile.World) { w.Enriched = false }

func TestFoldState(t *testing.T) {
	aborted := run("r", v1alpha1.RunAborted, 5, made("Contained"))
	isolated, freed := action("isolate", v1alpha1.ActionSucceeded, 1, ""), action("free", v1alpha1.ActionSucceeded, 5, "isolate")
	contained := runs(run("r", v1alpha1.RunSucceeded, 2, made("Contained")))
	reopen := decision("reopen", v1alpha1.VerdictReopen, 20)
	tests := map[string]struct {
		change []func(*casefile.World)
		want   v1alpha1.CaseState
	}{
		"a case waits for its first lookups":                  {[]func(*casefile.World){notEnriched}, "New"},
		"an enriched case waits for people":                   {nil, "Triage"},
		"a later lookup does not make a case new again":       {[]func(*casefile.World){notEnriched, was("Triage")}, "Triage"},
		"a case without its type waits for people":            {[]func(*casefile.World){notEnriched, func(w *casefile.World) { w.Type = nil }}, "Triage"},
		"a run is going":                                      {[]func(*casefile.World){runs(run("r", v1alpha1.RunWaiting, 1))}, "Investigating"},
		"a run that was just created is going":                {[]func(*casefile.World){runs(run("r", "", 1))}, "Investigating"},
		"a run was started and is not seen yet":               {[]func(*casefile.World){func(w *casefile.World) { w.Case.Status.Playbooks = []v1alpha1.StartedPlaybook{{Name: "p", Run: "r"}} }}, "Investigating"},
		"the runs ended and nobody owns it":                   {[]func(*casefile.World){runs(run("r", v1alpha1.RunSucceeded, 1))}, "Triage"},
		"somebody owns it":                                    {[]func(*casefile.World){decisions(decision("d", "Assign", 1))}, "Investigating"},
		"somebody owns it before it is enriched":              {[]func(*casefile.World){notEnriched, decisions(decision("d", "Assign", 1))}, "Investigating"},
		"only its queue was changed":                          {[]func(*casefile.World){decisions(decision("d", "Assign", 1, assigned("", "q")))}, "Triage"},
		"a decision that does not count":                      {[]func(*casefile.World){decisions(decision("d", "Assign", 1, func(d *v1alpha1.Decision) { d.Status.State = v1alpha1.DecisionVoid }))}, "Triage"},
		"a run of another case of that name":                  {[]func(*casefile.World){runs(run("r", v1alpha1.RunRunning, 1, func(r *v1alpha1.PlaybookRun) { r.Spec.CaseRef.UID = "other" }))}, "Triage"},
		"a run contained it":                                  {[]func(*casefile.World){contained}, "Contained"},
		"the furthest run has it":                             {[]func(*casefile.World){runs(run("a", v1alpha1.RunSucceeded, 9, made("Resolved")), run("b", v1alpha1.RunRunning, 1, made("Contained")))}, "Resolved"},
		"a run was rolled back":                               {[]func(*casefile.World){runs(run("r", v1alpha1.RunRolledBack, 2, made("Contained")))}, "Investigating"},
		"the containment stands":                              {[]func(*casefile.World){contained, actions(isolated)}, "Contained"},
		"the containment was taken back":                      {[]func(*casefile.World){contained, actions(isolated, freed)}, "Investigating"},
		"taking it back failed":                               {[]func(*casefile.World){contained, actions(isolated, action("free", v1alpha1.ActionFailed, 5, "isolate"))}, "Contained"},
		"it was contained again":                              {[]func(*casefile.World){contained, actions(isolated, freed, action("again", v1alpha1.ActionSucceeded, 6, ""))}, "Contained"},
		"an earlier action was taken back, the last was not":  {[]func(*casefile.World){contained, actions(action("wrong", v1alpha1.ActionSucceeded, 0, ""), action("undo", v1alpha1.ActionSucceeded, 1, "wrong"), isolated)}, "Contained"},
		"a run closed it":                                     {[]func(*casefile.World){runs(run("r", v1alpha1.RunSucceeded, 1, closing("BenignPositive", 1)))}, "Closed"},
		"a person closed it, and a run goes on":               {[]func(*casefile.World){runs(run("r", v1alpha1.RunRunning, 1)), decisions(decision("d", "Close", 2))}, "Closed"},
		"it was reopened":                                     {[]func(*casefile.World){was("Closed"), decisions(decision("d", "Close", 10), reopen)}, "Triage"},
		"what its run made of it before counts no more":       {[]func(*casefile.World){was("Closed"), runs(aborted), decisions(decision("d", "Close", 10), reopen)}, "Triage"},
		"nor does its owner":                                  {[]func(*casefile.World){was("Closed"), decisions(decision("a", "Assign", 1), decision("d", "Close", 10), reopen)}, "Triage"},
		"it was taken after it was reopened":                  {[]func(*casefile.World){was("Closed"), decisions(decision("d", "Close", 10), reopen, decision("a", "Assign", 21))}, "Investigating"},
		"a run ended after it was reopened":                   {[]func(*casefile.World){decisions(decision("d", "Close", 10), reopen), runs(run("r", v1alpha1.RunSucceeded, 21, made("Resolved")))}, "Resolved"},
		"it was closed again":                                 {[]func(*casefile.World){decisions(decision("d", "Close", 10), reopen, decision("e", "Close", 30))}, "Closed"},
		"a run's closure before the reopening does not count": {[]func(*casefile.World){runs(run("r", v1alpha1.RunSucceeded, 5, closing("Test", 5))), decisions(reopen)}, "Triage"},
		"a run closed it, and an outcome is unknown":          {[]func(*casefile.World){runs(run("r", v1alpha1.RunSucceeded, 1, closing("BenignPositive", 1))), actions(action("revoke", v1alpha1.ActionUnknown, 1, ""))}, "Triage"},
		"a run closed it, and then an outcome was unknown":    {[]func(*casefile.World){was("Closed"), runs(run("r", v1alpha1.RunSucceeded, 1, closing("BenignPositive", 1))), actions(action("revoke", v1alpha1.ActionUnknown, 2, ""))}, "Closed"},
		"a merged case stays merged":                          {[]func(*casefile.World){was("Merged"), decisions(decision("d", "Close", 10))}, "Merged"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := world(t, tc.change...)
			got := casefile.Fold(t.Context(), w, opened).Status
			if got.State != tc.want {
				t.Errorf("got %s, want %s", got.State, tc.want)
			}
			if before := w.Case.Status.State; before != got.State && !casefile.Can(before, got.State) {
				t.Errorf("from %q to %s is not a way a case may go", before, got.State)
			}
			if (got.Closure != nil) != (got.State == v1alpha1.CaseClosed) {
				t.Errorf("a %s case has closure %+v", got.State, got.Closure)
			}
		})
	}
}

func TestFoldMergesWhatSignalsSpeakOf(t *testing.T) {
	with := func(change func(*v1alpha1.NormalizedSignal)) func(*v1alpha1.NormalizedSignal) { return change }
	ip := v1alpha1.Indicator{Type: "ipv4", Value: "198.51.100.4"}
	w := world(t, func(w *casefile.World) {
		w.Signals = []v1alpha1.Signal{
			signal("sig-2", 2, with(func(s *v1alpha1.NormalizedSignal) {
				s.Severity = v1alpha1.SeverityCritical
				s.Users = []v1alpha1.Entity{{Name: "Ana", UID: "okta-7"}, {Name: "bob"}}
				s.Assets[0].UID = "u2"
				s.Indicators = []v1alpha1.Indicator{ip, {Type: "domain", Value: "evil.example"}}
				s.Explanation = []v1alpha1.FieldExplanation{{Field: "severity", Path: "priority", Value: "Critical"}}
			})),
			signal("sig-3", 3, with(func(s *v1alpha1.NormalizedSignal) { s.Assets[0].UID = "u1" })),
			signal("sig-1", 1, with(func(s *v1alpha1.NormalizedSignal) {
				s.Users = []v1alpha1.Entity{{Name: "ana", DisplayName: "Ana"}}
				s.Assets[0].UID = "u1"
				s.Indicators = []v1alpha1.Indicator{ip}
			})),
			{Spec: v1alpha1.SignalSpec{NormalizedSignal: detection(), CaseRef: v1alpha1.LocalRef{Name: "other"}, ReceivedTime: at(9)}},
		}
	})
	got := casefile.Fold(t.Context(), w, opened).Status
	first, second := pod("shop", "web-6d4f9"), pod("shop", "web-6d4f9")
	first.UID, second.UID = "u1", "u2"
	want := v1alpha1.CaseStatus{
		State: "Triage", Queue: "runtime", Severity: "Critical",
		Signals:    &v1alpha1.SignalTotals{Total: 3, LastTime: at(3)},
		Users:      []v1alpha1.Entity{{Name: "ana", DisplayName: "Ana", UID: "okta-7"}, {Name: "bob"}},
		Assets:     []v1alpha1.Entity{first, second},
		Indicators: []v1alpha1.Indicator{ip, {Type: "domain", Value: "evil.example"}},
		Sightings:  []v1alpha1.Sighting{{IP: ip.Value, Time: metav1.NewMicroTime(opened), Signal: "sig-1"}, {IP: ip.Value, Time: metav1.NewMicroTime(opened), Signal: "sig-2"}},
		SeverityTrace: []v1alpha1.SeverityTraceEntry{
			{Factor: "base", Severity: "Critical", Because: "signal sig-2, mapping falco@1: severity, from priority Critical"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFoldStaysWithinTheSchema(t *testing.T) {
	w := world(t)
	for i := range 40 {
		w.Signals = append(w.Signals, signal("sig-"+itoa(int32(i)), i, func(s *v1alpha1.NormalizedSignal) {
			for j := range 64 {
				s.Assets = append(s.Assets, pod("shop", itoa(int32(i*64+j))))
				s.Indicators = append(s.Indicators, v1alpha1.Indicator{Type: "domain", Value: itoa(int32(i*64 + j))})
			}
		}))
		w.Enrichments = append(w.Enrichments, record("a", itoa(int32(i)), i), record("b", itoa(int32(i)), i))
		w.Runs = append(w.Runs, run("r"+itoa(int32(i)), v1alpha1.RunWaiting, 1, asking("q", 60)), run("s"+itoa(int32(i)), v1alpha1.RunWaiting, 1))
	}
	got := casefile.Fold(t.Context(), w, opened).Status
	sizes := []int{len(got.Assets), len(got.Indicators), len(got.Enrichments), len(got.Playbooks), len(got.Questions)}
	if diff := cmp.Diff([]int{100, 200, 64, 64, 32}, sizes); diff != "" {
		t.Errorf("assets, indicators, enrichments, playbooks, questions (-want +got):\n%s", diff)
	}
}

func record(name, input string, minute int) v1alpha1.EnrichmentRecord {
	return v1alpha1.EnrichmentRecord{Name: name, Lookup: "x/y", Input: raw(`{"id":"` + input + `"}`), Result: raw(`{}`), Time: at(minute)}
}

func asking(step string, due int) func(*v1alpha1.PlaybookRun) {
	return func(r *v1alpha1.PlaybookRun) {
		r.Status.Steps = append(r.Status.Steps, v1alpha1.StepStatus{
			Name: step, State: v1alpha1.StepWaiting, StartTime: at(0),
			Question: &v1alpha1.Question{Kind: v1alpha1.QuestionChoice, Prompt: step + "?", DueTime: at(due)},
		})
	}
}

func TestFoldShowsWhatPeopleCanAnswer(t *testing.T) {
	pending := action("suspend", v1alpha1.ActionAsking, 0, "")
	pending.Status.Question = &v1alpha1.Question{Kind: v1alpha1.QuestionApproval, DueTime: at(30)}
	ready := action("ready", v1alpha1.ActionReady, 0, "")
	ready.Status.Question = pending.Status.Question
	unknown := action("revoke", v1alpha1.ActionUnknown, 3, "")
	unknown.Spec.Operation, unknown.Spec.Target = "idp/revokeSessions", v1alpha1.Target{Type: "User", Name: "ana"}
	unknown.Status.Question, unknown.Status.Message = pending.Status.Question, "it may or may not have happened" // it was approved
	w := world(t, actions(ready, pending, unknown), runs(
		run("late", v1alpha1.RunWaiting, 0, asking("keep", 60), asking("overdue", 4)),
		run("soon", v1alpha1.RunWaiting, 0, asking("keep", 10)),
		run("ended", v1alpha1.RunFailed, 0, asking("gone", 10)),
	))
	handles := func(s v1alpha1.CaseStatus) []string {
		var out []string
		for _, q := range s.Questions {
			holder := q.RunRef
			if q.ActionRef != nil {
				holder = q.ActionRef
			}
			out = append(out, q.Handle+" of "+holder.Name+" "+holder.UID)
		}
		return out
	}
	want := []string{"revoke of revoke uid-revoke", "keep of soon uid-soon", "suspend of suspend uid-suspend", "keep of late uid-late"}
	if diff := cmp.Diff(want, handles(casefile.Fold(t.Context(), w, at(5).Time).Status)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.Decisions = []v1alpha1.Decision{decision("d", "Close", 1)}
	closed := casefile.Fold(t.Context(), w, at(5).Time).Status
	resolution := []v1alpha1.CaseQuestion{{
		Handle: "revoke", ActionRef: &v1alpha1.RecordRef{Name: "revoke", UID: "uid-revoke"}, Question: v1alpha1.Question{
			Kind: v1alpha1.QuestionResolution, Prompt: "Did idp/revokeSessions on user ana happen? Look at the target, then say so.",
			Because: "it may or may not have happened", Verb: "resolve", Count: 1, AskedTime: at(3),
		},
	}}
	if diff := cmp.Diff(resolution, closed.Questions); diff != "" {
		t.Errorf("what a closed case asks (-want +got):\n%s", diff)
	}
}

func TestFoldOwnerAndQueue(t *testing.T) {
	tests := map[string]struct {
		change       []func(*casefile.World)
		owner, queue string
	}{
		"the type's queue":                       {queue: "runtime"},
		"the last to take it":                    {change: []func(*casefile.World){decisions(decision("b", "Assign", 1, assigned("ana", "")), decision("a", "Assign", 2, assigned("bob", "")))}, owner: "bob", queue: "runtime"},
		"another queue, and later another owner": {change: []func(*casefile.World){decisions(decision("a", "Assign", 2, assigned("bob", "")), decision("b", "Assign", 1, assigned("ana", "night")))}, owner: "bob", queue: "night"},
		"without the type it keeps its queue":    {change: []func(*casefile.World){func(w *casefile.World) { w.Type, w.Case.Status.Queue = nil, "runtime" }}, queue: "runtime"},
		"without the type and a queue":           {change: []func(*casefile.World){func(w *casefile.World) { w.Type = nil }}, queue: "default"},
		"a closed case keeps its queue":          {change: []func(*casefile.World){was("Closed"), func(w *casefile.World) { w.Case.Status.Queue = "then" }, decisions(decision("d", "Close", 1))}, queue: "then"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := casefile.Fold(t.Context(), world(t, tc.change...), opened).Status
			if got.Owner != tc.owner || got.Queue != tc.queue {
				t.Errorf("got owner %q, queue %q; want %q, %q", got.Owner, got.Queue, tc.owner, tc.queue)
			}
		})
	}
}

func TestFoldClosure(t *testing.T) {
	byRun := run("r", v1alpha1.RunSucceeded, 5, closing("BenignPositive", 5))
	tests := map[string]struct {
		at   int
		want v1alpha1.Classification
	}{
		"a person before the run":   {at: 4, want: "BenignPositive"},
		"a person after the run":    {at: 6, want: "TruePositive"},
		"a person at the same time": {at: 5, want: "TruePositive"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := casefile.Fold(t.Context(), world(t, runs(byRun), decisions(decision("d", "Close", tc.at))), opened).Status.Closure
			if got == nil || got.Classification != tc.want {
				t.Errorf("got %+v, want %s", got, tc.want)
			}
		})
	}
	t.Run("a run that a person was faster than, while an outcome is unknown", func(t *testing.T) {
		w := world(t, runs(byRun), decisions(decision("d", "Close", 4)), actions(action("a", v1alpha1.ActionUnknown, 3, "")))
		first := casefile.Fold(t.Context(), w, opened)
		w.Case.Status = first.Status
		again := casefile.Fold(t.Context(), w, opened)
		if diff := cmp.Diff(first.Status.Closure, again.Status.Closure); diff != "" || first.Status.Closure == nil {
			t.Errorf("folding again changes the closure %+v:\n%s", first.Status.Closure, diff)
		}
	})
	want := v1alpha1.Closure{Classification: "TruePositive", Note: "why", Time: at(6), By: v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: "mia", UID: "7"}}
	d := decision("d", "Close", 6)
	if diff := cmp.Diff(want, casefile.ClosedWith(&d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFoldKeepsAClosedCasesSeverity(t *testing.T) {
	w := world(t, decisions(decision("d", "Close", 1)))
	w.Case.Status = casefile.Fold(t.Context(), w, opened).Status
	w.Type = compile(t, scored(factor("true", 1, "later")))
	if got := casefile.Fold(t.Context(), w, opened).Status; got.Severity != v1alpha1.SeverityHigh || len(got.SeverityTrace) != 1 {
		t.Errorf("a type that changed later made it %s: %+v", got.Severity, got.SeverityTrace)
	}
}

func TestCheckClose(t *testing.T) {
	given := v1alpha1.CloseDecision{Classification: "TruePositive"}
	rootCause := v1alpha1.CloseDecision{Classification: "TruePositive", RootCause: "an open port"}
	all := &v1alpha1.Closing{Needs: []v1alpha1.ClosingNeed{"Classification", "Note", "RootCause"}}
	tests := map[string]struct {
		closing  *v1alpha1.Closing
		severity v1alpha1.Severity
		decision v1alpha1.CloseDecision
		message  string
		want     []string
	}{
		"the type needs nothing":         {severity: "Critical"},
		"everything is given":            {closing: all, severity: "Low", decision: rootCause, message: "done"},
		"everything is missing":          {closing: all, severity: "Low", message: " ", want: []string{"type runtime needs", "classification", "a note (spec.message)", "a root cause"}},
		"severe enough for a root cause": {closing: &v1alpha1.Closing{RootCauseFrom: "High"}, severity: "Critical", decision: given, want: []string{"Critical", "from High on"}},
		"exactly severe enough":          {closing: &v1alpha1.Closing{RootCauseFrom: "High"}, severity: "High", decision: given, want: []string{"a root cause"}},
		"not severe enough":              {closing: &v1alpha1.Closing{RootCauseFrom: "High"}, severity: "Medium", decision: given},
		"severe enough, and it is given": {closing: &v1alpha1.Closing{RootCauseFrom: "High"}, severity: "High", decision: rootCause},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			typ := compile(t, caseType("runtime", func(s *v1alpha1.CaseTypeSpec) { s.Closing = tc.closing }))
			err := casefile.CheckClose(typ, tc.severity, tc.decision, tc.message)
			if (err != nil) != (tc.want != nil) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not contain %q", err, want)
				}
			}
		})
	}
	if err := casefile.CheckClose(nil, "Critical", v1alpha1.CloseDecision{}, ""); err != nil {
		t.Errorf("without a type: %v", err)
	}
}
