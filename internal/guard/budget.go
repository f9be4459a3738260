// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Usage is an action that began: an attempt was announced, whoever wanted it and whatever
// became of it. Where it is known that no attempt reached the target, nothing began.
type Usage struct {
	// Action is the action's uid.
	Action string
	// Operation is its operation, as connector/operation.
	Operation string
	// BeganTime is when the first attempt was announced that counts; see [Began].
	BeganTime time.Time
}

// BudgetState is what a budget says of one operation now.
type BudgetState struct {
	// Guardrail and Budget name it.
	Guardrail, Budget string
	// Used is how many other actions began within the time.
	Used int
	// Max is how many may begin within Per.
	Max int
	Per time.Duration
	// Counted says that the action has begun already, so that the budget does not ask of it.
	Counted bool
	// Frees is when the next may begin; zero if it may now, or if Max is 0 and none ever may.
	Frees time.Time
	// Unknown says that what began was not read: then the budget asks.
	Unknown bool
}

// Over tells whether the budget asks people: it is used up or cannot be counted.
func (b BudgetState) Over() bool {
	return b.Unknown || !b.Counted && b.Used >= b.Max
}

// String says how much is used, for people: "10 of 10 suspensions in the last hour; the
// next is free at 11:04 UTC".
func (b BudgetState) String() string {
	if b.Unknown {
		return fmt.Sprintf("%s in the last %s cannot be counted, at most %d may begin: what ran in the namespace was not read", b.Budget, window(b.Per), b.Max)
	}
	text := fmt.Sprintf("%d of %d %s in the last %s", b.Used, b.Max, b.Budget, window(b.Per))
	switch {
	case b.Counted:
		text += ", besides this one, which has begun"
	case b.Over() && b.Frees.IsZero():
		text += "; none is ever free"
	case b.Over():
		text += "; the next is free at " + moment(b.Frees, b.Per)
	}
	return text
}

// Budgets are the states of those budgets of a Guardrail that count an operation, in the
// order in which they are listed; none if it does not cover the operation. Usage is what
// began in the action's namespace, at least within the last 24 hours, each action once;
// older is not counted. Self is the uid of the action, empty for a forecast.
//
// The window slides: what began exactly the time ago is not counted any more, so that no
// window of that length, wherever it begins, holds more than may begin. What began later
// than now, by a clock that was set back, is counted.
func (p *Policy) Budgets(operation string, now time.Time, usage []Usage, self string) []BudgetState {
	var out []BudgetState
	for _, b := range p.budgets {
		counts := b.Operations
		if len(counts) == 0 {
			counts = p.covers
		}
		if !p.Covers(operation) || !matches(counts, operation) {
			continue
		}
		state := BudgetState{Guardrail: p.Name, Budget: b.Name, Max: int(*b.Max), Per: b.Per.Duration}
		state.count(counts, now, usage, self)
		out = append(out, state)
	}
	return out
}

// Counts is for how long the budgets of a Guardrail count an action of an operation after it
// began, at most 24 hours; zero if none does. One that does not compile counts as it is
// written: it may be corrected before that time is over.
func Counts(g *v1alpha1.Guardrail, operation string) time.Duration {
	var longest time.Duration
	for _, b := range g.Spec.Budgets {
		if matches(g.Spec.Covers, operation) && (len(b.Operations) == 0 || matches(b.Operations, operation)) {
			longest = max(longest, min(b.Per.Duration, maxWindow))
		}
	}
	return longest
}

func (b *BudgetState) count(operations []string, now time.Time, usage []Usage, self string) {
	var began []time.Time
	for _, u := range usage {
		switch {
		case self != "" && u.Action == self:
			b.Counted = true
		case u.BeganTime.After(now.Add(-b.Per)) && matches(operations, u.Operation):
			began = append(began, u.BeganTime)
		}
	}
	b.Used = len(began)
	if b.Max > 0 && b.Over() {
		slices.SortFunc(began, time.Time.Compare)
		b.Frees = began[b.Used-b.Max].Add(b.Per)
	}
}

// budgets are those of the policy for a proposed action.
func (p *Policy) budgetsFor(in Input) []BudgetState {
	if in.Facts.History != nil {
		return p.Budgets(in.Operation, in.Facts.Now, in.Facts.History.Usage, in.Facts.Self)
	}
	out := p.Budgets(in.Operation, in.Facts.Now, nil, "")
	for i := range out {
		out[i].Unknown, out[i].Frees = true, time.Time{}
	}
	return out
}

// window is a length of time for people: "hour", "30 minutes".
func window(per time.Duration) string {
	switch {
	case per == time.Hour:
		return "hour"
	case per%time.Hour == 0:
		return fmt.Sprintf("%d hours", per/time.Hour)
	case per == time.Minute:
		return "minute"
	case per%time.Minute == 0:
		return fmt.Sprintf("%d minutes", per/time.Minute)
	default:
		return per.String()
	}
}

// moment is a time of day in UTC, rounded up to the minute so that it is not promised too
// early, with the day where the window may reach into another.
func moment(t time.Time, per time.Duration) string {
	t = t.UTC()
	if down := t.Truncate(time.Minute); down.Before(t) {
		t = down.Add(time.Minute)
	}
	layout := "15:04 UTC"
	if per > 12*time.Hour {
		layout = "15:04 UTC on 2006-01-02"
	}
	return strings.TrimSpace(t.Format(layout))
}
