// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Violation is an invariant that a history breaks.
type Violation struct {
	// Invariant is its name, for example I2.
	Invariant string
	// Seq is the event that breaks it.
	Seq int64
	// Text says how.
	Text string
}

// String is the violation for people.
func (v Violation) String() string { return fmt.Sprintf("%s at %d: %s", v.Invariant, v.Seq, v.Text) }

// Check gives all that breaks an invariant, in the order in which it happened. Events are in the order of their Seq.
func Check(events []Event, budgets ...Budget) []Violation {
	c := &checker{events: events, byKey: map[string]*record{}, byName: map[string]*record{}}
	c.collect()
	for _, r := range c.records {
		c.once(r)
		c.succeeded(r)
		c.failed(r)
		c.permitted(r)
	}
	c.ended()
	for _, b := range budgets {
		c.within(b)
	}
	slices.SortStableFunc(c.found, func(a, b Violation) int { return cmp.Compare(a.Seq, b.Seq) })
	return c.found
}

// record is what happened to one action.
type record struct {
	Event     // the intent
	announced []Event
	arrived   []Event
	effects   []Event
	rivals    []Event
	reads     []Event
	wrote     []Event
	decided   []Event // resolutions
	approved  []Event // of its digest
}

type checker struct {
	events  []Event
	records []*record
	byKey   map[string]*record
	byName  map[string]*record
	rest    int64 // of the first Rest; zero if there is none
	found   []Violation
}

func (c *checker) violate(invariant string, e Event, format string, args ...any) {
	c.found = append(c.found, Violation{Invariant: invariant, Seq: e.Seq, Text: fmt.Sprintf(format, args...)})
}

// collect sorts events by action; what belongs to none breaks I1.
func (c *checker) collect() {
	for _, e := range c.events {
		switch e.Kind {
		case Intended:
			r := &record{Event: e}
			c.records = append(c.records, r)
			c.byKey[e.Key], c.byName[e.Action] = r, r
		case Arrived, Effect:
			c.atTarget(e)
		case Rest:
			c.rest = cmp.Or(c.rest, e.Seq)
		case Rival:
			for _, r := range c.records {
				if r.Target == e.Target {
					r.rivals = append(r.rivals, e)
				}
			}
		case Decided:
			c.decision(e)
		default:
			c.status(e)
		}
	}
}

func (c *checker) atTarget(e Event) {
	r := c.byKey[e.Key]
	if r == nil {
		c.violate("I1", e, "a request with the key %q came to the target, and no action has it", e.Key)
		return
	}
	if e.Kind == Effect {
		r.effects = append(r.effects, e)
		for _, other := range c.records {
			if e.Changed && other != r && other.Target == r.Target && other.RollbackOf != r.Action && r.RollbackOf != other.Action {
				other.rivals = append(other.rivals, e) // an action is another's rival, but not the rollback of what it takes back
			}
		}
		return
	}
	r.arrived = append(r.arrived, e)
	if len(r.arrived) > len(r.announced) {
		c.violate("I1", e, "%d requests of action %s came to the target, and %d attempts were announced", len(r.arrived), r.Action, len(r.announced))
	}
}

func (c *checker) decision(e Event) {
	for _, r := range c.records {
		switch {
		case e.Verdict == v1alpha1.VerdictResolve && r.Action == e.Action:
			r.decided = append(r.decided, e)
		case e.Verdict == v1alpha1.VerdictApprove && r.Digest == e.Digest:
			r.approved = append(r.approved, e)
		}
	}
}

func (c *checker) status(e Event) {
	r := c.byName[e.Action]
	if r == nil {
		return
	}
	switch e.Kind {
	case Announced:
		if e.Key != r.Key {
			c.violate("I1", e, "attempt %d of action %s is announced with the key %q, want %q", e.Attempt, r.Action, e.Key, r.Key)
		}
		r.announced = append(r.announced, e)
	case Read:
		r.reads = append(r.reads, e)
	case Wrote:
		if c.rest > 0 {
			c.violate("I10", e, "the status of action %s was written at rest: %s %s", r.Action, e.State, e.Reason)
		}
		r.wrote = append(r.wrote, e)
	}
}

// counts tells whether an effect is one: of what is absolute, only what changed something.
func (r *record) counts(effect Event) bool {
	return effect.Changed || r.Semantics != v1alpha1.Idempotent
}

// undone tells whether somebody else changed the target between two events: then the first effect may be gone. What may
// run at most once is not undone by anybody.
func (r *record) undone(after, before int64) bool {
	return r.Semantics != v1alpha1.AtMostOnce &&
		slices.ContainsFunc(r.rivals, func(e Event) bool { return after < e.Seq && e.Seq < before })
}

// unsent tells whether nothing was sent in an attempt.
func (r *record) unsent(attempt int32) bool {
	return slices.ContainsFunc(r.wrote, func(e Event) bool { return e.Attempt == attempt && e.Ended == v1alpha1.OutcomeNotSent })
}

// once: I2.
func (c *checker) once(r *record) {
	var last int64
	for _, e := range r.effects {
		if !r.counts(e) {
			continue
		}
		if last > 0 && !r.undone(last, e.Seq) {
			c.violate("I2", e, "action %s (%s) had its effect again, after that at %d", r.Action, r.Semantics, last)
		}
		last = e.Seq
	}
}

// succeeded: I3.
func (c *checker) succeeded(r *record) {
	for _, w := range r.wrote {
		if w.State != v1alpha1.ActionSucceeded {
			continue
		}
		switch w.Reason {
		case v1alpha1.VerifiedReason:
			c.verified(r, w)
		case v1alpha1.AcknowledgedReason:
			if r.Verifiable || !slices.ContainsFunc(r.effects, func(e Event) bool { return e.Seq < w.Seq }) {
				c.violate("I3", w, "action %s succeeded as acknowledged, though it can be read back or had no effect", r.Action)
			}
		case v1alpha1.ResolvedByPersonReason:
			c.resolved(r, w, v1alpha1.ResolveHappened)
		default:
			c.violate("I3", w, "action %s succeeded by %q, which is no way to know", r.Action, w.Reason)
		}
	}
}

func (c *checker) verified(r *record, w Event) {
	var from int64
	if len(r.announced) > 0 {
		from = r.announced[0].Seq
	}
	for _, e := range r.effects {
		if e.Seq < w.Seq {
			from = e.Seq
		}
	}
	if from == 0 || !slices.ContainsFunc(r.reads, func(e Event) bool { return e.Desired && from < e.Seq && e.Seq < w.Seq }) {
		c.violate("I3", w, "action %s succeeded as verified, and was not read as desired since %d", r.Action, from)
	}
}

func (c *checker) resolved(r *record, w Event, outcome v1alpha1.ResolveOutcome) {
	if !slices.ContainsFunc(r.decided, func(e Event) bool { return e.Outcome == outcome && e.Seq < w.Seq }) {
		c.violate("I3", w, "action %s is said to be resolved by a person, and nobody did", r.Action)
	}
}

// failed: I3'. What was acknowledged and is not as desired may have had its effect, and says so.
func (c *checker) failed(r *record) {
	for _, w := range r.wrote {
		switch w.State {
		case v1alpha1.ActionFailed, v1alpha1.ActionDenied, v1alpha1.ActionExpired, v1alpha1.ActionNotNeeded:
		default:
			continue
		}
		if w.Reason == v1alpha1.NotAsDesiredReason {
			continue
		}
		for _, e := range r.effects {
			if r.counts(e) && (e.Seq > w.Seq || !r.undone(e.Seq, w.Seq)) {
				c.violate("I3'", w, "action %s is %s (%s), and had its effect at %d", r.Action, w.State, w.Reason, e.Seq)
			}
		}
	}
}

// permitted: I4.
func (c *checker) permitted(r *record) {
	for _, a := range r.arrived {
		i := slices.IndexFunc(r.announced, func(e Event) bool { return e.Seq > a.Seq })
		if i < 0 {
			i = len(r.announced)
		}
		before := r.announced[:i]
		if len(before) == 0 || !r.Asks && before[i-1].Allowed {
			continue // not announced at all is I1
		}
		// What was begun while its approval stood may be brought to an end. An attempt of which nothing was sent began nothing.
		used := before[max(0, slices.IndexFunc(before, func(e Event) bool { return !e.Allowed && !r.unsent(e.Attempt) }))]
		stood := func(d Event) bool { return d.Seq < used.Seq && used.Time.Before(d.Until) }
		if !slices.ContainsFunc(r.approved, stood) {
			c.violate("I4", a, "action %s came to its target, and no approval of its plan stood when it was announced at %d", r.Action, used.Seq)
		}
	}
}

// ended: I6.
func (c *checker) ended() {
	if c.rest == 0 {
		return
	}
	for _, r := range c.records {
		state := v1alpha1.ActionPending
		if n := len(r.wrote); n > 0 {
			state = r.wrote[n-1].State
		}
		if !state.Ended() {
			c.violate("I6", c.events[slices.IndexFunc(c.events, func(e Event) bool { return e.Seq == c.rest })], "action %s is %s at rest", r.Action, state)
		}
	}
}

// judging is how long an action may be judged until it is decided on.
const judging = 10 * time.Second

// within: I11. An action began when the first attempt was decided on of which it is not known that nothing
// was sent, if anything of it ever came to the target.
func (c *checker) within(b Budget) {
	type begun struct {
		Event
		of *record
	}
	var all []begun
	for _, r := range c.records {
		i := slices.IndexFunc(r.announced, func(e Event) bool { return !r.unsent(e.Attempt) })
		if i >= 0 && len(r.arrived) > 0 && (len(b.Operations) == 0 || slices.Contains(b.Operations, r.Operation)) {
			all = append(all, begun{r.announced[i], r})
		}
	}
	slices.SortFunc(all, func(x, y begun) int { return x.Start.Compare(y.Start) })
	for i, a := range all {
		used := 0
		for _, other := range all[:i] {
			// One that people allow while another is being judged is not seen there yet.
			if other.Start.After(a.Start.Add(-b.Per)) && (other.Allowed || other.Start.Before(a.Start.Add(-judging))) {
				used++
			}
		}
		if a.Allowed && used >= b.Max {
			c.violate("I11", a.Event, "action %s began unattended at %s, and %d of %d had in the last %s (%s)",
				a.of.Action, a.Start.Format(time.TimeOnly), used, b.Max, b.Per, b.Name)
		}
	}
}
