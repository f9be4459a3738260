// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"slices"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// events are the points in a case's history that decide where it stands.
type events struct {
	// reopened is when a Reopen decision last counted; zero if never.
	reopened time.Time
	// closure is how the case was closed after that; nil while it is open.
	closure *v1alpha1.Closure
}

// eventsOf finds them. What only runs close stays open until a person said what became
// of every action whose outcome is Unknown, as it does for people (decision.Input).
func eventsOf(w World) events {
	var e events
	for _, d := range w.Decisions { // they are sorted by time
		if d.Spec.Verdict == v1alpha1.VerdictReopen {
			e.reopened = DecidedTime(&d).Time
		}
	}
	for _, d := range w.Decisions {
		if d.Spec.Close != nil {
			e.close(ClosedWith(&d))
		}
	}
	unclear := slices.ContainsFunc(w.Actions, func(a v1alpha1.Action) bool { return a.Status.State == v1alpha1.ActionUnknown })
	if unclear && e.closure == nil && w.Case.Status.State != v1alpha1.CaseClosed {
		return e
	}
	byPerson := e.closure
	for _, r := range w.Runs {
		if c := r.Status.Closure; c != nil && r.Status.State != v1alpha1.RunRolledBack && (byPerson == nil || c.Time.After(byPerson.Time.Time)) {
			e.close(*c)
		}
	}
	return e
}

// close takes a closure that came after the last reopening, if it is the latest. Of
// two at the same time the later call has it.
func (e *events) close(c v1alpha1.Closure) {
	if !c.Time.After(e.reopened) && !e.reopened.IsZero() {
		return
	}
	if e.closure == nil || !c.Time.Time.Before(e.closure.Time.Time) {
		e.closure = &c
	}
}

// state is where an open case stands. Reopening begins anew: an owner, and what ended
// runs made of the case, count only if they came after it.
func (e *events) state(w World) v1alpha1.CaseState {
	state := v1alpha1.CaseNew
	if before := w.Case.Status.State; w.Enriched || before != v1alpha1.CaseNew && before != "" {
		state = v1alpha1.CaseTriage
	}
	for _, r := range w.Runs {
		state = further(state, e.byRun(r))
	}
	if anyUnseen(w) || e.owned(w) {
		state = further(state, v1alpha1.CaseInvestigating)
	}
	if state == v1alpha1.CaseContained && containmentTakenBack(w.Actions) {
		state = v1alpha1.CaseInvestigating
	}
	return state
}

// byRun is what one run makes of the case.
func (e *events) byRun(r v1alpha1.PlaybookRun) v1alpha1.CaseState {
	state := r.Status.CaseState
	switch {
	case !r.Status.State.Ended():
		return further(v1alpha1.CaseInvestigating, state)
	case !e.reopened.IsZero() && !lastMoved(r).After(e.reopened), state == "":
		return v1alpha1.CaseNew
	case r.Status.State == v1alpha1.RunRolledBack:
		return v1alpha1.CaseInvestigating // what it had achieved was taken back
	}
	return state
}

// lastMoved is when a run's last step began or ended.
func lastMoved(r v1alpha1.PlaybookRun) time.Time {
	last := r.CreationTimestamp.Time
	for _, s := range r.Status.Steps {
		if s.StartTime.After(last) {
			last = s.StartTime.Time
		}
		if s.EndTime != nil && s.EndTime.After(last) {
			last = s.EndTime.Time
		}
	}
	return last
}

// anyUnseen tells whether a run that was started is not yet observed.
func anyUnseen(w World) bool {
	seen := map[string]bool{}
	for _, r := range w.Runs {
		seen[r.Name] = true
	}
	for _, row := range w.Case.Status.Playbooks {
		if row.Run != "" && !seen[row.Run] {
			return true
		}
	}
	return false
}

func (e *events) owned(w World) bool {
	for _, d := range w.Decisions {
		if d.Spec.Assign != nil && d.Spec.Assign.Owner != "" && (e.reopened.IsZero() || DecidedTime(&d).After(e.reopened)) {
			return true
		}
	}
	return false
}

// containmentTakenBack tells whether the last action that succeeded for the case was
// rolled back. An action done again counts again.
func containmentTakenBack(actions []v1alpha1.Action) bool {
	var last *v1alpha1.Action
	takenBack := map[string]bool{}
	for i, a := range actions { // they are sorted by name
		switch {
		case a.Status.State != v1alpha1.ActionSucceeded:
		case a.Spec.RollbackOf != nil:
			takenBack[a.Spec.RollbackOf.UID] = true
		case last == nil || !endTime(a).Before(endTime(*last)):
			last = &actions[i]
		}
	}
	return last != nil && takenBack[string(last.UID)]
}

func endTime(a v1alpha1.Action) time.Time {
	if a.Status.EndTime == nil {
		return a.CreationTimestamp.Time
	}
	return a.Status.EndTime.Time
}
