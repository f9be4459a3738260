// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/fault"
)

// actionKind drives an Action through the action protocol: it reads what the protocol wants to see, and sends what the
// protocol announced. What to do is internal/action's to say.
type actionKind struct {
	client     client.Client
	live       client.Reader // what guards an effect is read live
	connectors *connectors
	guardrails *guardrails
	holder     string // this process, never another
	sent       *sentAttempts
	seen       *sightings
	clock      clock.PassiveClock
}

// actionWorld is what was observed of an action.
type actionWorld struct {
	action.World
	// cannot says that the action can never be done: no such connector, operation or target.
	cannot *fault.Terminal
}

// Observe reads the connector, the guardrails, the decisions, and the target as far as the protocol wants to see it.
func (k *actionKind) Observe(ctx context.Context, a *v1alpha1.Action) (actionWorld, error) {
	w := actionWorld{World: action.World{Holder: k.holder, Timeout: 10 * time.Second, Settle: 5 * time.Second}}
	if a.Status.State.Ended() && a.Status.State != v1alpha1.ActionUnknown {
		k.sent.forget(a.UID)
		k.seen.forget(a.UID)
		k.guardrails.release(a)
		return w, nil
	}
	if n := len(a.Status.Attempts); n > 0 {
		w.Sent = k.sent.of(a.UID, a.Status.Attempts[n-1].Number)
	}
	var err error
	if w.Resolutions, err = resolutionsOf(ctx, k.client, a); err != nil || a.Status.State == v1alpha1.ActionUnknown {
		return w, err
	}
	opened, err := k.connectors.pinned(ctx, a.Namespace, pinOf(a.Spec))
	if err != nil {
		return w, w.refuse(err)
	}
	if err := w.declare(opened, a); err != nil {
		return w, w.refuse(err)
	}
	if loop.JournalFull(a) {
		w.Withheld = "the journal is full and waits for the evidence log: see kubectl get evidencelogs"
	}
	if action.Hears(a.Status, w.World) {
		if w.Permission, err = k.guardrails.permission(ctx, a, k.clock.Now()); err != nil {
			return w, err
		}
	}
	if err := k.hold(ctx, k.client, a, &w); err != nil {
		return w, err
	}
	forward, err := k.forward(ctx, a, &w)
	if err != nil {
		return w, err
	}
	w.SeenFor = k.seen.since(a)
	w.Late = a.Status.State == v1alpha1.ActionExecuting && k.seen.left(a) <= 0
	return w, w.look(ctx, opened, a, forward, action.Wants(a.Status, w.World))
}

// declare notes what the operation says of itself.
func (w *actionWorld) declare(opened openConnector, a *v1alpha1.Action) error {
	_, name := splitOperation(a.Spec.Operation)
	declared, err := connector.FindMutation(opened.Operations(), name)
	if err != nil {
		return err
	}
	w.Settle, w.Timeout = opened.settle, opened.timeout
	w.Verifiable, w.VerifyWithin, w.KeyRetention = !declared.AcknowledgedOnly, declared.VerifyWithin, declared.KeyRetention
	return nil
}

// forward is the action that a rollback takes back. It has ended, and nothing of it can arrive any more: an attempt in
// doubt settles before its action ends.
func (k *actionKind) forward(ctx context.Context, a *v1alpha1.Action, w *actionWorld) (*v1alpha1.Action, error) {
	if a.Spec.RollbackOf == nil {
		return nil, nil
	}
	var forward v1alpha1.Action
	if err := k.client.Get(ctx, types.NamespacedName{Namespace: a.Namespace, Name: a.Spec.RollbackOf.Name}, &forward); err != nil {
		return nil, fmt.Errorf("read action %s, which is to be taken back: %w", a.Spec.RollbackOf.Name, err)
	}
	if !forward.Status.State.Ended() {
		w.Unready = "action " + forward.Name + ", which is to be taken back, has not ended"
	}
	return &forward, nil
}

// refuse keeps a terminal fault as a fact about the action; any other error ends the pass.
func (w *actionWorld) refuse(err error) error {
	if terminal, ok := errors.AsType[*fault.Terminal](err); ok {
		w.cannot = terminal
		return nil
	}
	return err
}

func (w *actionWorld) look(ctx context.Context, opened openConnector, a, forward *v1alpha1.Action, wants action.Reads) error {
	request, err := opened.request(a, forward)
	if err != nil {
		return w.refuse(err)
	}
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	switch {
	case wants.Before:
		seen, err := opened.Before(ctx, request)
		if err != nil {
			return w.unread(err)
		}
		w.Before, err = sight(seen)
		return err
	case wants.After:
		seen, err := opened.Verify(ctx, request)
		if err != nil {
			w.ReadError = err.Error() // a doubt is not ended by a read that fails, whatever the reason
			return nil
		}
		w.After, err = sight(seen)
		return err
	}
	return nil
}

// unread keeps why the target could not be read before an attempt; what can never be read can never be done.
func (w *actionWorld) unread(err error) error {
	if _, terminal := errors.AsType[*fault.Terminal](err); terminal {
		return w.refuse(err)
	}
	w.ReadError = err.Error()
	return nil
}

// Decide asks the protocol.
func (*actionKind) Decide(_ context.Context, a *v1alpha1.Action, w actionWorld, now time.Time) loop.Plan[action.Command] {
	var step action.Step
	if w.cannot != nil {
		step = action.Fail(&a.Status, w.cannot.Reason, w.cannot.Error(), now)
	} else {
		step = action.Next(a.Namespace, a.Name, a.Spec, &a.Status, w.World, now)
	}
	plan := loop.Plan[action.Command]{
		Headline: step.Headline, Recheck: step.Recheck, Reason: string(a.Status.State), Actor: step.Actor,
	}
	if plan.Actor == nil {
		plan.Actor = automation("action", a.Spec.Revision, a.Spec.Step)
	}
	switch {
	case step.Command != "":
		plan.Commands, plan.Reason = []action.Command{step.Command}, "Executed"
	case step.Announced:
		plan.Commands = []action.Command{remember}
	}
	return plan
}

// remember notes in this process when it decided on an attempt.
const remember action.Command = "Remember"

// Act sends the announced attempt, once, and notes what became of it. An answer is kept in memory until its write is
// stored: a conflict after the send must not lose it.
func (k *actionKind) Act(ctx context.Context, a *v1alpha1.Action, command action.Command) error {
	if command == remember {
		k.seen.announce(a)
		return nil
	}
	attempt := *lastAttempt(a)
	opened, err := k.connectors.pinned(ctx, a.Namespace, pinOf(a.Spec))
	if err != nil {
		return err
	}
	w := actionWorld{World: action.World{Holder: k.holder}}
	if err := w.declare(opened, a); err != nil {
		return err
	}
	forward, err := k.forward(ctx, a, &w)
	if err != nil {
		return err
	}
	request, err := opened.request(a, forward)
	if err != nil {
		return err
	}
	request.Key, request.Deadline = attempt.Key, attempt.DeadlineTime.Time
	over, err := k.guardrails.overdrawn(ctx, a, k.clock.Now())
	if err != nil {
		return err
	}
	if err := k.fence(ctx, a); err != nil {
		return err
	}
	left := k.seen.left(a)
	if left <= 0 {
		return fault.Waitf(v1alpha1.RetryingReason, time.Millisecond, "the deadline of attempt %d of action %s passed", attempt.Number, a.Name)
	}
	if !k.sent.begin(a.UID, attempt.Number, k.clock.Now()) {
		return fault.Waitf(v1alpha1.RetryingReason, time.Second, "attempt %d of action %s is being sent", attempt.Number, a.Name)
	}
	// The exchange outlives a lost lease or a stopping process up to its own deadline: half of it would be doubt. Whoever
	// takes the attempt over counts on that deadline, so it is not measured by a clock that may have gone back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
	defer cancel()
	result := connector.Result{Outcome: v1alpha1.OutcomeNotSent, Message: "not sent: " + over}
	if over == "" {
		result = opened.Do(ctx, request)
	}
	w.Sent = &action.Sent{Outcome: result.Outcome, Reason: result.Reason, Message: result.Message, RetryAfter: result.RetryAfter, Time: k.clock.Now()}
	k.sent.keep(a.UID, attempt.Number, w.Sent)
	if (result.Outcome == v1alpha1.OutcomeAcknowledged || result.Outcome == v1alpha1.OutcomeRefused) && w.Verifiable {
		if seen, err := opened.Verify(ctx, request); err == nil {
			w.After, _ = sight(seen) // read again on the next pass if this failed
		}
	}
	step := action.Next(a.Namespace, a.Name, a.Spec, &a.Status, w.World, k.clock.Now())
	if step.Headline.Status != "" {
		step.Headline.Type, step.Headline.ObservedGeneration = v1alpha1.ExecutedCondition, a.Generation
		meta.SetStatusCondition(&a.Status.Conditions, step.Headline)
	}
	return nil
}

// fence reads live what guards the first byte: only the attempt that is stored as announced may be sent, only by its
// holder, and not while the namespace is frozen.
func (k *actionKind) fence(ctx context.Context, a *v1alpha1.Action) error {
	var stored v1alpha1.Action
	if err := k.live.Get(ctx, client.ObjectKeyFromObject(a), &stored); err != nil {
		return fmt.Errorf("read action %s before sending: %w", a.Name, err)
	}
	if stored.UID != a.UID || stored.ResourceVersion != a.ResourceVersion {
		return fault.Waitf(v1alpha1.RetryingReason, 100*time.Millisecond, "action %s changed before it was sent", a.Name)
	}
	var w actionWorld
	if err := k.hold(ctx, k.live, a, &w); err != nil {
		return err
	}
	if w.Withheld != "" {
		return fault.Waitf(v1alpha1.RetryingReason, 100*time.Millisecond, "action %s is not sent: %s", a.Name, w.Withheld)
	}
	return nil
}

func sight(seen connector.Observation) (*action.Sight, error) {
	out := &action.Sight{Desired: seen.Desired, AsLeft: seen.AsLeft, Gone: seen.Gone, Message: seen.Message}
	if seen.State != nil {
		raw, err := json.Marshal(seen.State)
		if err != nil {
			return nil, fmt.Errorf("encode what was read of the target: %w", err)
		}
		out.State = &apiextensionsv1.JSON{Raw: raw}
	}
	return out, nil
}

// request is the mutation of an action, and for a rollback what it takes back.
func (o openConnector) request(a, forward *v1alpha1.Action) (connector.Request, error) {
	_, operation := splitOperation(a.Spec.Operation)
	input, err := decodeObject(&a.Spec.Input)
	if err != nil {
		return connector.Request{}, fault.Terminalf(v1alpha1.InvalidSpecReason, "the input of action %s is not an object: %w", a.Name, err)
	}
	out := connector.Request{Operation: operation, Input: input, Target: a.Spec.Target, Mark: action.Mark(a.Name, a.Spec)}
	if forward != nil {
		_, out.Forward = splitOperation(forward.Spec.Operation)
		if forward.Status.After != nil {
			err = json.Unmarshal(forward.Status.After.Raw, &out.Left)
		}
	}
	return out, err
}

func automation(name, revision, step string) *v1alpha1.JournalActor {
	return &v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: name, Revision: revision, Step: step}
}
