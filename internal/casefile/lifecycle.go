// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"slices"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// onward lists where a case may go from each state. Facts may come together: a case
// that is reopened and taken before anyone looked goes from Closed to Investigating.
var onward = map[v1alpha1.CaseState][]v1alpha1.CaseState{
	"": {
		v1alpha1.CaseNew, v1alpha1.CaseTriage, v1alpha1.CaseInvestigating, v1alpha1.CaseContained, v1alpha1.CaseResolved,
		v1alpha1.CaseClosed, v1alpha1.CaseMerged,
	},
	v1alpha1.CaseNew: {
		v1alpha1.CaseTriage, v1alpha1.CaseInvestigating, v1alpha1.CaseContained, v1alpha1.CaseResolved,
		v1alpha1.CaseClosed, v1alpha1.CaseMerged,
	},
	v1alpha1.CaseTriage: {
		v1alpha1.CaseInvestigating, v1alpha1.CaseContained, v1alpha1.CaseResolved, v1alpha1.CaseClosed, v1alpha1.CaseMerged,
	},
	// Back to Triage when the runs have ended and nobody owns the case.
	v1alpha1.CaseInvestigating: {
		v1alpha1.CaseTriage, v1alpha1.CaseContained, v1alpha1.CaseResolved, v1alpha1.CaseClosed, v1alpha1.CaseMerged,
	},
	// Back to Investigating when the containment was taken back.
	v1alpha1.CaseContained: {
		v1alpha1.CaseInvestigating, v1alpha1.CaseResolved, v1alpha1.CaseClosed, v1alpha1.CaseMerged,
	},
	v1alpha1.CaseResolved: {
		v1alpha1.CaseInvestigating, v1alpha1.CaseClosed, v1alpha1.CaseMerged,
	},
	// Only by a Reopen decision.
	v1alpha1.CaseClosed: {
		v1alpha1.CaseTriage, v1alpha1.CaseInvestigating, v1alpha1.CaseContained, v1alpha1.CaseResolved,
	},
	v1alpha1.CaseMerged: nil,
}

// Can tells whether a case may go from one state to another. From the empty state, of
// a case that nothing has looked at, it may go anywhere; a merged case stays merged. A
// state does not go to itself, and an unknown state goes nowhere.
func Can(from, to v1alpha1.CaseState) bool {
	return slices.Contains(onward[from], to)
}

// further is the later of two states of an open case.
func further(a, b v1alpha1.CaseState) v1alpha1.CaseState {
	order := []v1alpha1.CaseState{
		v1alpha1.CaseNew, v1alpha1.CaseTriage, v1alpha1.CaseInvestigating, v1alpha1.CaseContained, v1alpha1.CaseResolved,
	}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}
