// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/test/history"
)

// The times that the connector declares.
const (
	timeout   = 10 * time.Second
	settle    = 5 * time.Second
	retention = time.Minute // of keys
	verifying = 8 * time.Second
)

// operations are one of each semantics that can be read back, and one that cannot be where that is another thing.
var operations = []connector.Operation{
	{Name: "set", Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent, Rollback: "unset", TargetType: "Thing", VerifyWithin: verifying},
	{Name: "unset", Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent, Rollback: "set", TargetType: "Thing", VerifyWithin: verifying},
	{Name: "setBlind", Effect: v1alpha1.EffectIrreversible, Semantics: v1alpha1.Idempotent, NotPossible: "it is not", TargetType: "Thing", AcknowledgedOnly: true},
	{Name: "order", Effect: v1alpha1.EffectIrreversible, Semantics: v1alpha1.Keyed, NotPossible: "it is not", TargetType: "Thing", KeyRetention: retention, VerifyWithin: verifying},
	{Name: "orderBlind", Effect: v1alpha1.EffectIrreversible, Semantics: v1alpha1.Keyed, NotPossible: "it is not", TargetType: "Thing", KeyRetention: retention, AcknowledgedOnly: true},
	{Name: "file", Effect: v1alpha1.EffectIrreversible, Semantics: v1alpha1.ReadBack, NotPossible: "it is not", TargetType: "Thing", VerifyWithin: verifying},
	{Name: "fire", Effect: v1alpha1.EffectIrreversible, Semantics: v1alpha1.AtMostOnce, NotPossible: "it is not", TargetType: "Thing", AcknowledgedOnly: true},
}

// thing is a target: it keeps what its operations' semantics say, and nothing more.
type thing struct {
	on   bool
	by   string // whose mark it was set with
	keys map[string]time.Duration
	left []string // marks that were left on it

	before *thing        // what reads still show; nil: how it is
	shows  time.Duration // when they show how it is
}

// arrive has a request do what it says, and gives the target's answer.
func (w *world) arrive(r connector.Request) connector.Result {
	w.log.Add(history.Event{Kind: history.Arrived, Key: r.Key})
	if w.strikes(w.rates.refuse) {
		w.note("the target refuses %s of %s", r.Operation, r.Mark)
		return connector.Result{Outcome: v1alpha1.OutcomeRefused, Reason: v1alpha1.RefusedReason, Message: "refused"}
	}
	if w.strikes(w.rates.limit) {
		return connector.Result{Outcome: v1alpha1.OutcomeNotSent, Reason: connector.RateLimitedReason, Message: "later", RetryAfter: 7 * time.Second}
	}
	t := w.thing(r.Target.Name)
	if w.strikes(w.rates.late) {
		t.hide(w.now() + w.upTo(verifying))
	}
	changed, done := t.do(r, w.now())
	if done {
		w.log.Add(history.Event{Kind: history.Effect, Key: r.Key, Changed: changed})
		w.note("the target does %s of %s (changed %t)", r.Operation, r.Mark, changed)
	}
	return connector.Result{Outcome: v1alpha1.OutcomeAcknowledged, Message: "done"}
}

func (t *thing) do(r connector.Request, now time.Duration) (changed, done bool) {
	switch r.Operation {
	case "set", "setBlind":
		if changed = !t.on; changed {
			t.on, t.by = true, r.Mark
		}
	case "unset":
		changed, t.on, t.by = t.on, false, ""
	case "order", "orderBlind":
		if at, known := t.keys[r.Key]; known && now-at < retention {
			return false, false
		}
		t.keys[r.Key] = now
		fallthrough
	default:
		t.left, changed = append(t.left, r.Mark), true
	}
	return changed, true
}

// hide has reads show how it is now until then, whatever is done to it meanwhile.
func (t *thing) hide(until time.Duration) {
	old := *t
	old.left = slices.Clone(t.left)
	t.before, t.shows = &old, until
}

// seen is what a read shows.
func (t *thing) seen(now time.Duration) *thing {
	if t.before == nil || now >= t.shows {
		return t
	}
	return t.before
}

func (t *thing) observe(r connector.Request) connector.Observation {
	switch r.Operation {
	case "set":
		return connector.Observation{Desired: t.on, Message: fmt.Sprintf("on %t by %s", t.on, t.by)}
	case "unset":
		return connector.Observation{Desired: !t.on, AsLeft: t.on && t.by == r.Mark, Message: fmt.Sprintf("on %t by %s", t.on, t.by)}
	case "order", "file":
		return connector.Observation{Desired: slices.Contains(t.left, r.Mark), AsLeft: true, Message: fmt.Sprint(t.left)}
	default:
		return connector.Observation{Message: "nothing can be read"}
	}
}

// meddle changes a target as somebody else would.
func (w *world) meddle(name string) {
	t := w.thing(name)
	t.before = nil
	switch {
	case len(t.left) > 0:
		t.left = t.left[1:]
	case t.on:
		t.on, t.by = false, ""
	default:
		t.on, t.by = true, "somebody"
	}
	w.log.Add(history.Event{Kind: history.Rival, Target: name})
	w.note("somebody changes %s: on %t by %s, left %v", name, t.on, t.by, t.left)
}

// tool is the connector of one process.
type tool struct{ p *process }

// Open implements connector.Opener.
func (c tool) Open(*v1alpha1.Connector) (connector.Connector, error) { return c, nil }

// Operations implements connector.Connector.
func (tool) Operations() []connector.Operation { return operations }

// Target implements connector.Connector.
func (tool) Target(string, map[string]any) (v1alpha1.Target, error) {
	return v1alpha1.Target{}, errors.ErrUnsupported
}

// Read implements connector.Connector: what guardrails look up, once it is back.
func (c tool) Read(context.Context, string, map[string]any) (any, error) {
	if now := c.p.w.now(); now < c.p.w.away {
		return nil, fmt.Errorf("away for another %s", c.p.w.away-now)
	}
	return map[string]any{"found": true}, nil
}

// Probe implements connector.Connector.
func (tool) Probe(context.Context) error { return nil }

// Before implements connector.Connector.
func (c tool) Before(ctx context.Context, r connector.Request) (connector.Observation, error) {
	return c.look(ctx, r)
}

// Verify implements connector.Connector.
func (c tool) Verify(ctx context.Context, r connector.Request) (connector.Observation, error) {
	return c.look(ctx, r)
}

func (c tool) look(ctx context.Context, r connector.Request) (connector.Observation, error) {
	t, w := taskOf(ctx), c.p.w
	t.wait(w.latency())
	if w.strikes(w.rates.look) {
		w.note("%s cannot read %s", c.p.holder, r.Target.Name)
		return connector.Observation{}, errors.New("the target did not answer")
	}
	seen := w.thing(r.Target.Name).seen(w.now()).observe(r)
	w.log.Add(history.Event{Kind: history.Read, Action: w.wants[r.Operation+r.Mark], Desired: seen.Desired})
	t.wait(w.latency())
	return seen, nil
}

// exchange is a request on its way: when it arrives, and when its answer is back, counted from its first byte.
type exchange struct {
	travel, back time.Duration
	reset        time.Duration // when the connection breaks; zero: it does not
	lost         bool
	answer       connector.Result
}

// Do implements connector.Connector. However long a request takes, it arrives at most a settling time after the sender
// gave it up.
func (c tool) Do(ctx context.Context, r connector.Request) connector.Result {
	t, w := taskOf(ctx), c.p.w
	w.note("%s sends %s of %s", c.p.holder, r.Operation, r.Mark)
	w.heed(r)
	switch w.fault(beforeSend, c.p) {
	case crash:
		c.p.kill(string(beforeSend))
		t.wait(0)
	case failure, lostReply:
		return connector.Result{Outcome: v1alpha1.OutcomeNotSent, Reason: connector.UnreachableReason, Message: "connection refused"}
	case delay:
		t.wait(w.long())
	case rival:
		w.meddle(r.Target.Name)
	}
	left := c.left(ctx, r)
	if left <= 0 {
		w.note("%s is too late to send", c.p.holder)
		return connector.Result{Outcome: v1alpha1.OutcomeNotSent, Reason: v1alpha1.DeadlinePassedReason, Message: "the time is over"}
	}
	return c.exchange(t, r, left)
}

// left is how long the exchange may take.
func (c tool) left(ctx context.Context, r connector.Request) time.Duration {
	left := 2 * time.Hour
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	if !r.Deadline.IsZero() {
		left = min(left, r.Deadline.Sub(c.p.Now()))
	}
	return left
}

func (c tool) exchange(t *task, r connector.Request, left time.Duration) connector.Result {
	w := c.p.w
	x := &exchange{travel: w.latency(), back: w.latency()}
	sent := w.fault(sentBytes, c.p)
	switch sent {
	case failure:
		x.reset = max(time.Duration(w.random.Int64N(int64(left))), time.Millisecond)
		x.travel = x.reset + w.upTo(settle)
	case delay:
		x.travel = left + w.upTo(settle)
	case lostReply:
		x.lost = true
	case rival:
		w.after(x.travel-1, func() { w.meddle(r.Target.Name) })
	}
	if !x.lost {
		w.after(x.travel, func() { x.answer = w.arrive(r) })
	}
	switch {
	case sent == crash:
		c.p.kill(string(sentBytes))
		t.wait(0)
	case x.reset > 0:
		t.wait(x.reset)
		return connector.Result{Outcome: v1alpha1.OutcomeInDoubt, Message: "the connection was reset"}
	case x.lost || x.travel >= left:
		t.wait(left)
		return connector.Result{Outcome: v1alpha1.OutcomeInDoubt, Message: "there was no answer in time"}
	}
	t.wait(x.travel)
	return c.receive(t, r, x, left)
}

func (c tool) receive(t *task, r connector.Request, x *exchange, left time.Duration) connector.Result {
	w := c.p.w
	switch w.fault(received, c.p) {
	case crash:
		c.p.kill(string(received))
		t.wait(0)
	case failure:
		return connector.Result{Outcome: v1alpha1.OutcomeInDoubt, Message: "502 Bad Gateway"}
	case delay, lostReply:
		x.back = left
	case rival:
		w.meddle(r.Target.Name)
	}
	if x.travel+x.back >= left {
		t.wait(left - x.travel)
		return connector.Result{Outcome: v1alpha1.OutcomeInDoubt, Message: "there was no answer in time"}
	}
	t.wait(x.back)
	return x.answer
}
