// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// Side is whose a Guardrail is.
type Side string

// The sides.
const (
	// Operator: it is in the operator's namespace, and speaks for every tenant.
	Operator Side = "Operator"
	// Tenant: it is in the action's namespace.
	Tenant Side = "Tenant"
)

// PolicyTrace says how one Guardrail answered.
type PolicyTrace struct {
	Namespace string
	Guardrail string
	Side      Side
	// Covers says whether it has a say about the operation; all else is empty if not.
	Covers bool
	// Rules are all its rules, as they are listed.
	Rules []RuleTrace
	// Baseline says why its silence asks; empty where it does not.
	Baseline string
	// Budgets are those that count the operation.
	Budgets []BudgetState
	// Breaker is nil if it has none.
	Breaker *BreakerState
}

// RuleTrace says how one rule answered.
type RuleTrace struct {
	Rule string
	// If is its condition; empty: always.
	If string
	// Would is what it answers if the condition holds.
	Would v1alpha1.Answer
	// Truth is what the condition came to, Reason why it is Unknown.
	Truth  expr.Truth
	Reason string
	// Answer is what it said; empty: it kept silent.
	Answer v1alpha1.Answer
	// Because is why, in its own words.
	Because string
	// Ask is whom it asks, with every default applied; nil unless Answer is Ask.
	Ask *v1alpha1.Ask
}
