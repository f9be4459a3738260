// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Records are a case and everything that names it, as they are in the API.
type Records struct {
	Case      v1alpha1.Case
	Signals   []v1alpha1.Signal
	Runs      []v1alpha1.PlaybookRun
	Actions   []v1alpha1.Action
	Decisions []v1alpha1.Decision
	// Log is the EvidenceLog that seals the case; nil if it cannot be read.
	Log *v1alpha1.EvidenceLog
}

// Sort puts every list into the order in which its records came about.
func (r *Records) Sort() {
	slices.SortStableFunc(r.Signals, func(a, b v1alpha1.Signal) int {
		return cmp.Or(a.Spec.ReceivedTime.Compare(b.Spec.ReceivedTime.Time), strings.Compare(a.Name, b.Name))
	})
	slices.SortStableFunc(r.Runs, func(a, b v1alpha1.PlaybookRun) int { return older(&a, &b) })
	slices.SortStableFunc(r.Actions, func(a, b v1alpha1.Action) int { return older(&a, &b) })
	slices.SortStableFunc(r.Decisions, func(a, b v1alpha1.Decision) int { return older(&a, &b) })
}

// record is what every kind of record has.
type record interface {
	metav1.Object
	Head() *v1alpha1.StatusHead
}

// older compares by what is known most exactly: the time of the first entry, else the creation's, which has whole
// seconds.
func older(a, b record) int {
	return cmp.Or(
		a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time),
		began(a).Compare(began(b).Time),
		strings.Compare(a.GetName(), b.GetName()),
	)
}

func began(r record) metav1.MicroTime {
	if journal := r.Head().Journal; len(journal) > 0 {
		return journal[0].Time
	}
	return metav1.MicroTime{Time: r.GetCreationTimestamp().Time}
}

// all lists every record.
func (r *Records) all() []record {
	out := []record{&r.Case}
	for i := range r.Signals {
		out = append(out, &r.Signals[i])
	}
	for i := range r.Runs {
		out = append(out, &r.Runs[i])
	}
	for i := range r.Actions {
		out = append(out, &r.Actions[i])
	}
	for i := range r.Decisions {
		out = append(out, &r.Decisions[i])
	}
	return out
}

// ActionsOf gives the actions that are called handle within the case; an action that is taken back and done again may
// give more than one.
func (r *Records) ActionsOf(handle string) []v1alpha1.Action {
	var out []v1alpha1.Action
	for _, action := range r.Actions {
		if action.Spec.Handle == handle {
			out = append(out, action)
		}
	}
	return out
}

// Action finds an action by name; nil if there is none.
func (r *Records) Action(name string) *v1alpha1.Action {
	for i := range r.Actions {
		if r.Actions[i].Name == name {
			return &r.Actions[i]
		}
	}
	return nil
}

// RolledBackBy finds the action that takes another back; nil if there is none.
func (r *Records) RolledBackBy(name string) *v1alpha1.Action {
	for i := range r.Actions {
		if ref := r.Actions[i].Spec.RollbackOf; ref != nil && ref.Name == name {
			return &r.Actions[i]
		}
	}
	return nil
}

// Decision finds a decision by name; nil if there is none.
func (r *Records) Decision(name string) *v1alpha1.Decision {
	for i := range r.Decisions {
		if name != "" && r.Decisions[i].Name == name {
			return &r.Decisions[i]
		}
	}
	return nil
}

// Run finds a run by name; nil if there is none.
func (r *Records) Run(name string) *v1alpha1.PlaybookRun {
	for i := range r.Runs {
		if r.Runs[i].Name == name {
			return &r.Runs[i]
		}
	}
	return nil
}

// Waits tells whether a case is open, or closed and still asks what became of an action.
func Waits(c *v1alpha1.Case) bool { return Open(c) || len(c.Status.Questions) > 0 }

// Open tells whether a case still takes decisions other than reopening.
func Open(c *v1alpha1.Case) bool {
	return c.Status.State != v1alpha1.CaseClosed && c.Status.State != v1alpha1.CaseMerged
}
