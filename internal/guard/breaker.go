// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"strings"
)

// shownWrong is how many wrong actions a breaker names.
const shownWrong = 3

// BreakerState is what a breaker says now.
type BreakerState struct {
	// Guardrail names the Guardrail that has it.
	Guardrail string
	// Wrong of Seen actions turned out wrong; Seen are the newest that ended, at most OutOf.
	Wrong, Seen int
	// WrongPercent of OutOf is how much may be wrong.
	WrongPercent, OutOf int
	// Newest are the newest wrong ones, at most three: case/handle, and what was wrong.
	Newest []string
	// Unknown says that what ended was not read: then the breaker asks.
	Unknown bool
}

// Open tells whether nothing may run unattended: too much turned out wrong, or it cannot
// be counted.
func (b BreakerState) Open() bool {
	return b.Unknown || b.Wrong*100 > b.WrongPercent*b.OutOf
}

// String says how much turned out wrong, for people: "2 of the last 20 actions turned
// out wrong, at most 1 of 20 may: rt-1/isolate Failed".
func (b BreakerState) String() string {
	may := fmt.Sprintf("at most %d of %d may", b.WrongPercent*b.OutOf/100, b.OutOf)
	if b.Unknown {
		return "the breaker (" + may + " turn out wrong) cannot be decided: what ran in the namespace was not read"
	}
	actions := "actions"
	switch b.Seen {
	case 0:
		return "no action has ended, and " + may + " turn out wrong"
	case 1:
		actions = "action"
	}
	text := fmt.Sprintf("%d of the last %d %s turned out wrong, %s", b.Wrong, b.Seen, actions, may)
	if len(b.Newest) > 0 {
		text += ": " + strings.Join(b.Newest, ", ")
	}
	if more := b.Wrong - len(b.Newest); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Breaker is the state of a Guardrail's breaker, of what ended in the action's namespace,
// attended or not; nil if it has none.
func (p *Policy) Breaker(ended []Ended) *BreakerState {
	if p.breaker == nil {
		return nil
	}
	var of []Ended
	for _, e := range ended {
		if p.Covers(e.Operation) {
			of = append(of, e)
		}
	}
	newest(of)
	state := &BreakerState{Guardrail: p.Name, WrongPercent: int(*p.breaker.WrongPercent), OutOf: int(p.breaker.OutOf)}
	of = of[:min(len(of), state.OutOf)]
	state.Seen = len(of)
	for _, e := range of {
		if e.Wrong == "" {
			continue
		}
		state.Wrong++
		if state.Wrong <= shownWrong {
			state.Newest = append(state.Newest, e.Handle+" "+e.Wrong)
		}
	}
	return state
}

// breakerFor is that of the policy for a proposed action.
func (p *Policy) breakerFor(in Input) *BreakerState {
	if in.Facts.History != nil {
		return p.Breaker(in.Facts.History.Ended)
	}
	state := p.Breaker(nil)
	if state != nil {
		state.Unknown = true
	}
	return state
}
