// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile_test

import (
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// propertyType uses all that a fold evaluates, and reads what a fold changes.
func propertyType(t *testing.T) *casefile.Type {
	return compile(t, propertyCaseType())
}

func propertyCaseType() *v1alpha1.CaseType {
	return caseType("runtime", func(s *v1alpha1.CaseTypeSpec) {
		s.Enrich = []v1alpha1.Enrichment{{Name: "a", ForEach: "case.users", Lookup: "x/y"}, {Name: "b", Lookup: "x/y"}}
		s.Severity = []v1alpha1.SeverityFactor{
			factor("severity < High", 1, "low"), factor("case.state == 'Contained'", -1, "contained by ${case.owner}"), factor("size(enrichment.a) > 1", 1, "seen"),
		}
		s.Playbooks = []v1alpha1.CasePlaybook{
			{Name: "isolate", ForEach: "case.users", When: "severity >= Medium"}, {Name: "watch", When: "case.state == 'Triage'"}, {Name: "never", When: "enrichment.b[0].x"},
		}
	})
}

func drawWorld(t *testing.T, r *rapid.T, typ *casefile.Type) casefile.World {
	minute := rapid.IntRange(0, 5)
	names := rapid.SampledFrom([]string{"n1", "n2", "n3"})
	w := world(t, func(w *casefile.World) { w.Type, w.Signals = typ, nil })
	w.Enriched = rapid.Bool().Draw(r, "enriched")
	w.Case.Status.State = rapid.SampledFrom([]v1alpha1.CaseState{"", "New", "Triage", "Investigating", "Contained", "Closed"}).Draw(r, "before")
	for range rapid.IntRange(1, 4).Draw(r, "signals") {
		w.Signals = append(w.Signals, signal("sig-"+names.Draw(r, "signal"), minute.Draw(r, "received"), func(s *v1alpha1.NormalizedSignal) {
			s.Severity = v1alpha1.SeverityOfRank(rapid.IntRange(1, 5).Draw(r, "severity"))
			s.Users = []v1alpha1.Entity{{Name: names.Draw(r, "user"), UID: rapid.SampledFrom([]string{"", "1", "2"}).Draw(r, "uid")}}
			s.Assets[0].UID = rapid.SampledFrom([]string{"", "1", "2"}).Draw(r, "pod")
		}))
	}
	w.Signals = distinct(w.Signals, func(s v1alpha1.Signal) string { return s.Name })
	for range rapid.IntRange(0, 4).Draw(r, "records") {
		e := record(rapid.SampledFrom([]string{"b", "a", "old"}).Draw(r, "lookup"), names.Draw(r, "input"), minute.Draw(r, "asked"))
		if rapid.Bool().Draw(r, "failed") {
			e.Result, e.Error = nil, "gone"
		}
		e.Decision = rapid.SampledFrom([]string{"", "", "d1"}).Draw(r, "asked by")
		w.Enrichments = append(w.Enrichments, e)
	}
	for range rapid.IntRange(0, 3).Draw(r, "runs") {
		state := rapid.SampledFrom([]v1alpha1.RunState{"Running", "Waiting", "Succeeded", "Aborted", "RolledBack"}).Draw(r, "run state")
		one := run(names.Draw(r, "run"), state, minute.Draw(r, "moved"), asking("keep", minute.Draw(r, "due")))
		one.Status.CaseState = rapid.SampledFrom([]v1alpha1.CaseState{"", "Contained", "Resolved"}).Draw(r, "made")
		if rapid.Bool().Draw(r, "closed") {
			closing("Test", minute.Draw(r, "closed at"))(&one)
		}
		w.Runs = append(w.Runs, one)
	}
	w.Runs = distinct(w.Runs, func(p v1alpha1.PlaybookRun) string { return p.Name })
	for range rapid.IntRange(0, 4).Draw(r, "actions") {
		state := rapid.SampledFrom([]v1alpha1.ActionState{"Succeeded", "Failed", "Asking", "Unknown"}).Draw(r, "action state")
		one := action(names.Draw(r, "action"), state, minute.Draw(r, "ended"), rapid.SampledFrom([]string{"", "n1"}).Draw(r, "rollback of"))
		one.Status.Question = &v1alpha1.Question{Kind: v1alpha1.QuestionApproval, DueTime: at(minute.Draw(r, "due"))}
		w.Actions = append(w.Actions, one)
	}
	w.Actions = distinct(w.Actions, func(a v1alpha1.Action) string { return a.Name })
	for range rapid.IntRange(0, 4).Draw(r, "decisions") {
		one := decision(names.Draw(r, "decision"), rapid.SampledFrom([]v1alpha1.Verdict{"Close", "Reopen", "Assign", "Set", "Add", "Run"}).Draw(r, "verdict"), minute.Draw(r, "decided"))
		switch one.Spec.Verdict {
		case v1alpha1.VerdictSet:
			one.Spec.Set = &v1alpha1.SetDecision{
				Severity: rapid.SampledFrom([]v1alpha1.Severity{"", "Low", "Critical"}).Draw(r, "set"), Queue: rapid.SampledFrom([]string{"", "day"}).Draw(r, "queue"),
			}
			if name := rapid.SampledFrom([]string{"", "runtime", "other"}).Draw(r, "type"); name != "" {
				one.Spec.Set.TypeRef = &v1alpha1.LocalRef{Name: name}
			}
		case v1alpha1.VerdictAdd:
			one.Spec.Add = &v1alpha1.AddDecision{Users: []v1alpha1.Entity{{Name: names.Draw(r, "added"), Type: rapid.SampledFrom([]string{"", "User"}).Draw(r, "kind")}}}
		case v1alpha1.VerdictRun:
			one.Spec.Run = &v1alpha1.RunDecision{PlaybookRef: v1alpha1.LocalRef{Name: "isolate"}}
		}
		if one.Spec.Assign != nil {
			assigned(names.Draw(r, "owner"), rapid.SampledFrom([]string{"", "night"}).Draw(r, "queue"))(&one)
		}
		w.Decisions = append(w.Decisions, one)
	}
	w.Decisions = distinct(w.Decisions, func(d v1alpha1.Decision) string { return d.Name })
	return w
}

func distinct[T any](all []T, name func(T) string) []T {
	seen := map[string]bool{}
	var out []T
	for _, one := range all {
		if !seen[name(one)] {
			out = append(out, one)
		}
		seen[name(one)] = true
	}
	return out
}

func shuffled[T any](seed int64, all []T) []T {
	out := append([]T(nil), all...)
	rand.New(rand.NewSource(seed)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestFoldProperties(t *testing.T) {
	typ := propertyType(t)

	skipType := cmp.Comparer(func(a, b *casefile.Type) bool { return a == b })
	rapid.Check(t, func(r *rapid.T) {
		w := drawWorld(t, r, typ)
		now := at(rapid.IntRange(0, 5).Draw(r, "now")).Time
		before := w
		before.Case = w.Case.DeepCopy()
		first := casefile.Fold(t.Context(), w, now)
		if diff := cmp.Diff(before, w, skipType); diff != "" {
			r.Fatalf("the world was changed:\n%s", diff)
		}

		seed := rapid.Int64().Draw(r, "seed")
		w.Signals, w.Enrichments, w.Runs = shuffled(seed, w.Signals), shuffled(seed, w.Enrichments), shuffled(seed, w.Runs)
		w.Actions, w.Decisions = shuffled(seed, w.Actions), shuffled(seed, w.Decisions)
		if diff := cmp.Diff(first, casefile.Fold(t.Context(), w, now)); diff != "" {
			r.Fatalf("the order of the lists matters:\n%s", diff)
		}

		w.Case = w.Case.DeepCopy()
		w.Case.Status = *first.Status.DeepCopy()
		if diff := cmp.Diff(first, casefile.Fold(t.Context(), w, now)); diff != "" {
			r.Fatalf("folding again changes the status:\n%s", diff)
		}
		w.Enrichments = first.Status.Enrichments
		if diff := cmp.Diff(first, casefile.Fold(t.Context(), w, now)); diff != "" {
			r.Fatalf("folding with the records kept changes the status:\n%s", diff)
		}
	})
}

// TestFoldFollowsTheLifecycle lets a case live: facts only come to be, and each pass
// goes only where a case may go.
func TestFoldFollowsTheLifecycle(t *testing.T) {
	typ := propertyType(t)
	rapid.Check(t, func(r *rapid.T) {
		w := world(t, func(w *casefile.World) { w.Type = typ }, notEnriched)
		for minute := range rapid.IntRange(1, 12).Draw(r, "passes") {
			live(r, &w, minute+1)
			next := casefile.Fold(t.Context(), w, at(minute+1).Time).Status
			if before := w.Case.Status.State; before != next.State && !casefile.Can(before, next.State) {
				r.Fatalf("from %q to %q is not a way a case may go", before, next.State)
			}
			w.Case = w.Case.DeepCopy()
			w.Case.Status = next
		}
	})
}

// live lets one thing happen.
func live(r *rapid.T, w *casefile.World, minute int) {
	id := "m" + itoa(int32(minute))
	switch rapid.SampledFrom([]string{"enrich", "signal", "run", "step", "end", "act", "undo", "assign", "close", "reopen", "set", "run by hand"}).Draw(r, "event") {
	case "enrich":
		w.Enriched = true
	case "signal":
		w.Signals = append(w.Signals, signal(id, minute))
	case "run":
		w.Runs = append(w.Runs, run(id, v1alpha1.RunRunning, minute))
	case "step", "end":
		if n := len(w.Runs); n > 0 && !w.Runs[n-1].Status.State.Ended() {
			one := w.Runs[n-1].DeepCopy()
			made(further(one.Status.CaseState, rapid.SampledFrom([]v1alpha1.CaseState{"Contained", "Resolved"}).Draw(r, "made")))(one)
			one.Status.Steps[0].EndTime = ptr(at(minute))
			one.Status.State = rapid.SampledFrom([]v1alpha1.RunState{"Waiting", "Succeeded", "RolledBack"}).Draw(r, "state")
			w.Runs = append(append([]v1alpha1.PlaybookRun(nil), w.Runs[:n-1]...), *one)
		}
	case "act":
		w.Actions = append(w.Actions, action(id, v1alpha1.ActionSucceeded, minute, ""))
	case "undo":
		if n := len(w.Actions); n > 0 {
			w.Actions = append(w.Actions, action(id, v1alpha1.ActionSucceeded, minute, w.Actions[n-1].Name))
		}
	case "assign":
		w.Decisions = append(w.Decisions, decision(id, v1alpha1.VerdictAssign, minute))
	case "set":
		w.Decisions = append(w.Decisions, decision(id, v1alpha1.VerdictSet, minute, setting(v1alpha1.SetDecision{Severity: "Low", TypeRef: &v1alpha1.LocalRef{Name: "other"}})))
	case "run by hand":
		w.Decisions = append(w.Decisions, decision(id, v1alpha1.VerdictRun, minute, running("isolate", "")))
	case "close":
		w.Decisions = append(w.Decisions, decision(id, v1alpha1.VerdictClose, minute))
	case "reopen":
		if w.Case.Status.State == v1alpha1.CaseClosed {
			w.Decisions = append(w.Decisions, decision(id, v1alpha1.VerdictReopen, minute))
		}
	}
}

// further is Contained, then Resolved: a run does not set a case back.
func further(a, b v1alpha1.CaseState) v1alpha1.CaseState {
	if a == v1alpha1.CaseResolved {
		return a
	}
	return b
}

func TestCan(t *testing.T) {
	tests := map[string]struct {
		from, to v1alpha1.CaseState
		want     bool
	}{
		"a closed case is reopened":             {"Closed", "Triage", true},
		"a closed case is not new":              {"Closed", "New", false},
		"containment is taken back":             {"Contained", "Investigating", true},
		"a contained case is not triaged again": {"Contained", "Triage", false},
		"nothing becomes new again":             {"Triage", "New", false},
		"a merged case stays merged":            {"Merged", "Triage", false},
		"a closed case is not merged":           {"Closed", "Merged", false},
		"a state does not go to itself":         {"Triage", "Triage", false},
		"an unknown state goes nowhere":         {"Odd", "Triage", false},
		"nothing goes to an unknown state":      {"Triage", "Odd", false},
	}
	for name, tc := range tests {
		if got := casefile.Can(tc.from, tc.to); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
