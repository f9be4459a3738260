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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	connectors connector.Opener
	guardrails *guardrails
	holder     string // this process, never another
	sent       *sentAttempts
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
	if a.Status.State.Ended() {
		k.sent.forget(a.UID)
		return w, nil
	}
	if n := len(a.Status.Attempts); n > 0 {
		w.Sent = k.sent.of(a.UID, a.Status.Attempts[n-1].Number)
	}
	opened, err := openFor(ctx, k.client, k.connectors, a)
	if err != nil {
		return w, w.refuse(err)
	}
	w.Settle, w.Timeout, w.Verifiable = opened.settle, opened.timeout, true
	if loop.JournalFull(a) {
		w.Withheld = "the journal is full and waits for the evidence log: see kubectl get evidencelogs"
	}
	if w.Permission, err = k.guardrails.permission(ctx, a, k.clock.Now()); err != nil {
		return w, err
	}
	return w, w.look(ctx, opened, a, action.Wants(a.Status, w.Permission, k.clock.Now(), w.Settle))
}

// refuse keeps a terminal fault as a fact about the action; any other error ends the pass.
func (w *actionWorld) refuse(err error) error {
	if terminal, ok := errors.AsType[*fault.Terminal](err); ok {
		w.cannot = terminal
		return nil
	}
	return err
}

func (w *actionWorld) look(ctx context.Context, opened openConnector, a *v1alpha1.Action, wants action.Reads) error {
	request, err := opened.request(a)
	if err != nil {
		return w.refuse(err)
	}
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	if wants.Before {
		seen, err := opened.Before(ctx, request)
		if err != nil {
			return w.refuse(err)
		}
		w.Before, err = sight(seen)
		return err
	}
	if wants.After {
		seen, err := opened.Verify(ctx, request)
		if err != nil {
			return w.refuse(err)
		}
		w.After, err = sight(seen)
		return err
	}
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
	if step.Command != "" {
		plan.Commands, plan.Reason = []action.Command{step.Command}, "Executed"
	}
	return plan
}

// Act sends the announced attempt, once, and notes what became of it. An answer is kept in memory until its write is
// stored: a conflict after the send must not lose it.
func (k *actionKind) Act(ctx context.Context, a *v1alpha1.Action, _ action.Command) error {
	attempt := a.Status.Attempts[len(a.Status.Attempts)-1]
	if err := k.fence(ctx, a); err != nil {
		return err
	}
	opened, err := openFor(ctx, k.client, k.connectors, a)
	if err != nil {
		return err
	}
	request, err := opened.request(a)
	if err != nil {
		return err
	}
	request.Key, request.Deadline = attempt.Key, attempt.DeadlineTime.Time
	if !k.sent.begin(a.UID, attempt.Number, k.clock.Now()) {
		return fault.Waitf(v1alpha1.RetryingReason, time.Second, "attempt %d of action %s is being sent", attempt.Number, a.Name)
	}
	// The exchange outlives a lost lease or a stopping process up to its own deadline: half of it would be doubt.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), attempt.DeadlineTime.Time)
	defer cancel()
	result := opened.Do(ctx, request)
	sent := &action.Sent{Outcome: result.Outcome, Reason: result.Reason, Message: result.Message, Time: k.clock.Now()}
	k.sent.keep(a.UID, attempt.Number, sent)

	w := action.World{Holder: k.holder, Sent: sent, Verifiable: true, Settle: opened.settle, Timeout: opened.timeout}
	if result.Outcome == v1alpha1.OutcomeAcknowledged {
		if seen, err := opened.Verify(ctx, request); err == nil {
			w.After, _ = sight(seen) // read again on the next pass if this failed
		}
	}
	step := action.Next(a.Namespace, a.Name, a.Spec, &a.Status, w, k.clock.Now())
	if step.Headline.Status != "" {
		step.Headline.Type, step.Headline.ObservedGeneration = v1alpha1.ExecutedCondition, a.Generation
		meta.SetStatusCondition(&a.Status.Conditions, step.Headline)
	}
	return nil
}

// fence reads the action live: only the attempt that is stored as announced may be sent, and only by its holder.
func (k *actionKind) fence(ctx context.Context, a *v1alpha1.Action) error {
	var stored v1alpha1.Action
	if err := k.live.Get(ctx, client.ObjectKeyFromObject(a), &stored); err != nil {
		return fmt.Errorf("read action %s before sending: %w", a.Name, err)
	}
	if stored.UID != a.UID || stored.ResourceVersion != a.ResourceVersion {
		return fault.Waitf(v1alpha1.RetryingReason, 100*time.Millisecond, "action %s changed before it was sent", a.Name)
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

// openConnector is a connector, opened for one action.
type openConnector struct {
	connector.Connector
	settle, timeout time.Duration
}

// openFor opens the connector of an action, if it is still the one the action was made for.
func openFor(ctx context.Context, c client.Reader, opener connector.Opener, a *v1alpha1.Action) (openConnector, error) {
	object, opened, err := openNamed(ctx, c, opener, a.Namespace, a.Spec.ConnectorRef.Name)
	if err != nil {
		return openConnector{}, err
	}
	if string(object.UID) != a.Spec.ConnectorRef.UID {
		return openConnector{}, fault.Terminalf(v1alpha1.ReferenceNotFoundReason,
			"connector %s is not the one this action was made for: it was deleted and made again", object.Name)
	}
	return opened, nil
}

func openNamed(ctx context.Context, c client.Reader, opener connector.Opener, namespace, name string) (*v1alpha1.Connector, openConnector, error) {
	var object v1alpha1.Connector
	if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &object); apierrors.IsNotFound(err) {
		return nil, openConnector{}, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "there is no connector %s in namespace %s: make one", name, namespace)
	} else if err != nil {
		return nil, openConnector{}, fmt.Errorf("read connector %s: %w", name, err)
	}
	opened, err := opener.Open(&object)
	if err != nil {
		return nil, openConnector{}, err
	}
	effective := object.Spec.Effective()
	return &object, openConnector{Connector: opened, settle: effective.Settle.Duration, timeout: effective.Timeout.Duration}, nil
}

func (o openConnector) request(a *v1alpha1.Action) (connector.Request, error) {
	_, operation := splitOperation(a.Spec.Operation)
	input := map[string]any{}
	if err := json.Unmarshal(a.Spec.Input.Raw, &input); err != nil {
		return connector.Request{}, fault.Terminalf(v1alpha1.InvalidSpecReason, "the input of action %s is not an object: %w", a.Name, err)
	}
	return connector.Request{Operation: operation, Input: input, Target: a.Spec.Target, Mark: action.Mark(a.Name, a.Spec)}, nil
}

func automation(name, revision, step string) *v1alpha1.JournalActor {
	return &v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: name, Revision: revision, Step: step}
}
