// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Kind is what an event says.
type Kind string

// The kinds of event, with the fields that each has beside Seq and Time.
const (
	// Intended: an action was made. Action, Key, Target, RollbackOf, Digest, Operation, Semantics,
	// Verifiable, Asks.
	Intended Kind = "Intended"
	// Announced: an attempt was stored, before anything of it was sent. Action, Attempt, Key, Start,
	// Allowed.
	Announced Kind = "Announced"
	// Arrived: a request came to the target. Key.
	Arrived Kind = "Arrived"
	// Effect: the target did what a request said. Key, Changed.
	Effect Kind = "Effect"
	// Rival: somebody else changed the target. Target.
	Rival Kind = "Rival"
	// Read: the target was read for an action. Action, Desired.
	Read Kind = "Read"
	// Wrote: a status was stored. Action, State, Reason; Attempt and Ended of the last attempt.
	Wrote Kind = "Wrote"
	// Decided: a person's decision was counted. Verdict; Digest and Until of an approval; Action and Outcome of a resolution.
	Decided Kind = "Decided"
	// Rest: there are no more faults, and time enough was given for everything to end.
	Rest Kind = "Rest"
)

// Event is one thing that happened. Events are in the order in which they happened, whoever saw them.
type Event struct {
	// Seq is the event's place in the history.
	Seq int64 `json:"seq"`
	// Time is when it happened, by one clock for all events.
	Time time.Time `json:"time"`
	// Kind says what the event says.
	Kind Kind `json:"kind"`

	// Action names an action.
	Action string `json:"action,omitempty"`
	// Attempt is an attempt's number.
	Attempt int32 `json:"attempt,omitempty"`
	// Key is an action's idempotency key.
	Key string `json:"key,omitempty"`
	// Target names what is changed.
	Target string `json:"target,omitempty"`
	// RollbackOf names the action that is taken back.
	RollbackOf string `json:"rollbackOf,omitempty"`
	// Digest is the digest of an action's plan.
	Digest string `json:"digest,omitempty"`
	// Operation is the operation, as connector/operation.
	Operation string `json:"operation,omitempty"`
	// Semantics are the operation's.
	Semantics v1alpha1.Semantics `json:"semantics,omitempty"`
	// Verifiable says that the operation can be read back.
	Verifiable bool `json:"verifiable,omitempty"`
	// Asks says that the action must not run without an approval.
	Asks bool `json:"asks,omitempty"`
	// Start is when an attempt was decided on: its announcement may have been stored later.
	Start time.Time `json:"start,omitzero"`
	// Allowed says that an attempt was announced without an approval.
	Allowed bool `json:"allowed,omitempty"`
	// Changed says that an effect changed how the target stood.
	Changed bool `json:"changed,omitempty"`
	// Desired says that the target was found as the operation wants it.
	Desired bool `json:"desired,omitempty"`
	// State and Reason are of the status that was stored.
	State v1alpha1.ActionState `json:"state,omitempty"`
	// Reason is the reason of the status' headline.
	Reason string `json:"reason,omitempty"`
	// Ended is what is known of the last attempt.
	Ended v1alpha1.AttemptOutcome `json:"ended,omitempty"`
	// Verdict and Outcome are of a decision.
	Verdict v1alpha1.Verdict `json:"verdict,omitempty"`
	// Outcome is what a person found.
	Outcome v1alpha1.ResolveOutcome `json:"outcome,omitempty"`
	// Until is when an approval is worth nothing any more.
	Until time.Time `json:"until,omitzero"`
}

// Budget is how many actions may begin unattended within a time, of these operations; of all if there are none.
type Budget struct {
	// Name identifies it.
	Name string
	// Operations are counted, as connector/operation.
	Operations []string
	// Max may begin within Per.
	Max int
	// Per is the length of every window.
	Per time.Duration
}

// Log collects events. It is not safe for concurrent use.
type Log struct {
	// Now is the clock of all events.
	Now func() time.Time

	events []Event
}

// Add gives an event its place and time.
func (l *Log) Add(e Event) {
	e.Seq, e.Time = int64(len(l.events)+1), l.Now()
	l.events = append(l.events, e)
}

// Events are those added, in order.
func (l *Log) Events() []Event { return l.events }
