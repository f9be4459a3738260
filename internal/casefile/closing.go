// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// CheckClose tells whether a person gave what closing a case of this type, at this
// severity, needs; the error says what is missing and why. A nil type needs nothing.
// What a run closes is not asked: its playbook says it all.
func CheckClose(t *Type, severity v1alpha1.Severity, d v1alpha1.CloseDecision, message string) error {
	if t == nil || t.Spec.Closing == nil {
		return nil
	}
	closing := t.Spec.Closing
	needs := func(n v1alpha1.ClosingNeed) bool { return slices.Contains(closing.Needs, n) }
	var missing []string
	if needs(v1alpha1.NeedClassification) && d.Classification == "" {
		missing = append(missing, "a classification (spec.close.classification)")
	}
	if needs(v1alpha1.NeedNote) && strings.TrimSpace(message) == "" {
		missing = append(missing, "a note (spec.message)")
	}
	if strings.TrimSpace(d.RootCause) == "" {
		from := closing.RootCauseFrom
		switch {
		case needs(v1alpha1.NeedRootCause):
			missing = append(missing, "a root cause (spec.close.rootCause)")
		case from != "" && severity.Rank() >= from.Rank():
			missing = append(missing, fmt.Sprintf("a root cause (spec.close.rootCause), for the case is %s and it is needed from %s on", severity, from))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("could not close the case: its type %s needs %s; decide again and give it", t.Name, strings.Join(missing, " and "))
}

// ClosedWith is the closure that a counted Close decision gives a case: what it says,
// by whom, and when it came to count. The decision must have spec.close.
func ClosedWith(d *v1alpha1.Decision) v1alpha1.Closure {
	return v1alpha1.Closure{
		Classification: d.Spec.Close.Classification,
		Note:           d.Spec.Message,
		RootCause:      d.Spec.Close.RootCause,
		By:             Person(d.Spec.Actor),
		Time:           DecidedTime(d),
	}
}

// Person is an actor as journals and closures name one. An actor that was never
// stamped is nobody: admission refuses such a decision, and it never counts.
func Person(a *v1alpha1.Actor) v1alpha1.JournalActor {
	if a == nil {
		return v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: "nobody"}
	}
	return v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: a.Username, UID: a.UID, Groups: slices.Clone(a.Groups)}
}
