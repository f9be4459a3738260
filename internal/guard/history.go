// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// History is what ran in a namespace.
type History struct {
	// Usage is what began, for budgets.
	Usage []Usage
	// Ended is what ended, for breakers, in any order.
	Ended []Ended
}

// Ended is an action that ran and has ended: something of it was sent, or may have been.
type Ended struct {
	// Action is the action's uid, Handle what people call it, as case/handle.
	Action, Handle string
	// Operation is its operation, as connector/operation.
	Operation string
	// Time is when its outcome was known.
	Time time.Time
	// Wrong says in words what was wrong with it; empty if nothing was.
	Wrong string
}

// WantsHistory tells whether any of some policies counts what ran before it judges an
// operation: without that, what ran need not be read.
func WantsHistory(policies []*Policy, operation string) bool {
	return slices.ContainsFunc(policies, func(p *Policy) bool {
		return p.Covers(operation) && (p.breaker != nil || len(p.budgets) > 0)
	})
}

// HistoryOf tells from the actions of a namespace what began and what became of it.
//
// Wrong is an action that failed after something of it may have reached the target, one
// whose outcome is unknown, and one that a person had taken back. An action that ended
// without an attempt, or whose attempts all failed before anything was sent, did not run:
// that the target was gone, or could not be reached, says nothing against acting.
func HistoryOf(actions []v1alpha1.Action) *History {
	takenBack := map[string]string{} // by uid, who did
	for i := range actions {
		spec, state := actions[i].Spec, actions[i].Status.State
		done := state == v1alpha1.ActionSucceeded || state == v1alpha1.ActionNotNeeded
		if spec.RollbackOf != nil && done && spec.Requester.Type == v1alpha1.ActorPerson {
			takenBack[spec.RollbackOf.UID] = spec.Requester.Name
		}
	}
	out := &History{}
	for i := range actions {
		a := &actions[i]
		began, ok := Began(a)
		if !ok {
			continue
		}
		out.Usage = append(out.Usage, Usage{Action: string(a.UID), Operation: a.Spec.Operation, BeganTime: began})
		if !a.Status.State.Ended() {
			continue
		}
		ended := Ended{
			Action: string(a.UID), Handle: a.Spec.CaseRef.Name + "/" + a.Spec.Handle, Operation: a.Spec.Operation,
			Wrong: wrong(a, takenBack),
		}
		if a.Status.EndTime != nil {
			ended.Time = a.Status.EndTime.Time
		}
		out.Ended = append(out.Ended, ended)
	}
	return out
}

// Began is when the first attempt was announced that reached the target, or may have or may yet; false if none did.
func Began(a *v1alpha1.Action) (time.Time, bool) {
	for _, at := range a.Status.Attempts {
		if at.Outcome != v1alpha1.OutcomeNotSent {
			return at.StartTime.Time, true
		}
	}
	return time.Time{}, false
}

func wrong(a *v1alpha1.Action, takenBack map[string]string) string {
	by, back := takenBack[string(a.UID)]
	switch {
	case back:
		return "taken back by " + by
	case a.Status.State == v1alpha1.ActionFailed, a.Status.State == v1alpha1.ActionUnknown:
		return string(a.Status.State)
	default:
		return ""
	}
}

// newest sorts what ended from the newest to the oldest.
func newest(ended []Ended) {
	slices.SortFunc(ended, func(a, b Ended) int {
		return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.Action, b.Action))
	})
}
