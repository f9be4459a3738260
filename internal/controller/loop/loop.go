// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package loop is the one reconcile loop of Casebook: observe, decide, act, record. A controller adds a Kind to it,
// which looks, thinks and acts; the loop writes the status once, as a compare-and-set, and with it the journal entry
// that says how it changed. No controller writes a status or an entry by hand.
package loop

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Object is what the loop can drive: an object whose status begins with a StatusHead.
type Object interface {
	client.Object
	// Head gives the part of the status that every kind has.
	Head() *v1alpha1.StatusHead
}

// Kind is what one controller adds to the loop: it looks, it thinks, it acts.
type Kind[T Object, W, C any] interface {
	// Observe reads all that Decide needs; it writes nothing.
	Observe(ctx context.Context, obj T) (W, error)
	// Decide is pure; it changes obj's status and nothing else. Its context bounds the time that expressions may take.
	Decide(ctx context.Context, obj T, world W, now time.Time) Plan[C]
	// Act carries out one command; it is safe to repeat, and notes its result in obj's status.
	Act(ctx context.Context, obj T, command C) error
}

// Plan is what Decide answers.
type Plan[C any] struct {
	// Commands are carried out in order. One that leaves the cluster is only given if the status as read announces it.
	Commands []C
	// Headline is the one condition people read first: status, reason, message. A record whose milestone is not reached
	// leaves it empty.
	Headline metav1.Condition
	// Recheck asks for another look after this time even if nothing changes; zero: never.
	Recheck time.Duration
	// Fault is a *fault.Terminal, a *fault.Wait, another error, or nil.
	Fault error
	// Reason says in one CamelCase word what this pass did, for the journal; the headline's reason if empty.
	Reason string
	// Actor is who caused the change, for the journal; the controller itself if nil.
	Actor *v1alpha1.JournalActor
}

// Loop drives one kind. Every field but Heads, StalledRecheck and Quiet is required.
type Loop[T Object, W, C any] struct {
	// Kind looks, thinks and acts.
	Kind Kind[T, W, C]
	// Headline is the condition type people read first: Ready, or a record's milestone; empty for a record without one.
	Headline string
	// Record tells a record from configuration: no Ready, no Reconciling, and no pass while it is being deleted.
	Record bool
	// Client writes the status.
	Client client.Client
	// Events announces changes of the headline.
	Events events.EventRecorder
	// Actor is the controller's name, for the journal.
	Actor string
	// Clock tells the time.
	Clock clock.PassiveClock
	// Heads tells how far an object is sealed in the evidence log, so that its journal may be trimmed.
	Heads Heads
	// StalledRecheck is when a stalled object is looked at again, where what stalled it may be mended without any event
	// here, for example a Role or a Secret; zero: only on an event.
	StalledRecheck time.Duration
	// Quiet names headline reasons that are not announced as events, because they are the good path.
	Quiet map[string]bool

	mu       sync.Mutex
	failures map[types.UID]int
}

// Heads tells the last sealed sequence of an object; false while it is not known.
type Heads interface {
	Head(ctx context.Context, uid types.UID) (sequence int64, known bool)
}

// failuresToTell is how many transient errors in a row are written to the status: most pass before anybody looks.
const failuresToTell = 3

// conflictPause is how long a pass that lost a compare-and-set waits before it looks again.
const conflictPause = 100 * time.Millisecond

// Reconcile makes one pass: observe, decide, act, record.
func (l *Loop[T, W, C]) Reconcile(ctx context.Context, obj T) (ctrl.Result, error) {
	if l.Record && !obj.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, nil // sealed already; what is written now would be lost
	}
	before := obj.DeepCopyObject().(T)
	plan, err := l.pass(ctx, obj)
	if err != nil && !stable(err) {
		obj = before.DeepCopyObject().(T) // what was decided was not all done: decide again rather than record it
		plan = Plan[C]{Reason: v1alpha1.RetryingReason}
	}
	if !l.untold(obj, err) {
		l.setHead(obj, plan.Headline, err)
	}
	if rerr := l.record(ctx, before, obj, plan); apierrors.IsConflict(rerr) {
		return ctrl.Result{RequeueAfter: conflictPause}, nil // decided on a stale read: look again
	} else if rerr != nil {
		return ctrl.Result{}, errors.Join(err, client.IgnoreNotFound(rerr))
	}
	l.announce(before, obj)
	return l.result(plan, err)
}

func (l *Loop[T, W, C]) result(plan Plan[C], err error) (ctrl.Result, error) {
	if terminal, ok := errors.AsType[*fault.Terminal](err); ok {
		if l.StalledRecheck > 0 {
			return ctrl.Result{RequeueAfter: l.StalledRecheck}, nil
		}
		return ctrl.Result{}, reconcile.TerminalError(terminal) // logged and counted, not retried
	}
	if wait, ok := errors.AsType[*fault.Wait](err); ok {
		return ctrl.Result{RequeueAfter: wait.After}, nil
	}
	return ctrl.Result{RequeueAfter: plan.Recheck}, err
}

func (l *Loop[T, W, C]) pass(ctx context.Context, obj T) (Plan[C], error) {
	l.trim(ctx, obj)
	world, err := l.Kind.Observe(ctx, obj)
	if err != nil {
		return Plan[C]{}, err
	}
	plan := l.decide(ctx, obj, world)
	if len(plan.Commands) > 0 && JournalFull(obj) {
		return plan, fault.Waitf(v1alpha1.JournalFullReason, time.Minute,
			"the journal is full and waits for the evidence log, so nothing more is done: see kubectl get evidencelogs")
	}
	for _, command := range plan.Commands {
		if err := l.Kind.Act(ctx, obj, command); err != nil {
			return plan, err
		}
	}
	return plan, plan.Fault
}

// Thinking bounds the expressions of one decision.
const Thinking = 2 * time.Second

func (l *Loop[T, W, C]) decide(ctx context.Context, obj T, world W) Plan[C] {
	ctx, cancel := context.WithTimeout(ctx, Thinking)
	defer cancel()
	return l.Kind.Decide(ctx, obj, world, l.Clock.Now())
}

// untold counts transient errors and says whether this one is still too young to be written.
func (l *Loop[T, W, C]) untold(obj T, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil || stable(err) {
		delete(l.failures, obj.GetUID())
		return false
	}
	if l.failures == nil {
		l.failures = map[types.UID]int{}
	}
	l.failures[obj.GetUID()]++
	return l.failures[obj.GetUID()] < failuresToTell
}

func stable(err error) bool {
	if _, ok := errors.AsType[*fault.Terminal](err); ok {
		return true
	}
	_, ok := errors.AsType[*fault.Wait](err)
	return ok
}

// record writes the status once, as a compare-and-set, only if it changed, and with it the entry that says how.
func (l *Loop[T, W, C]) record(ctx context.Context, before, after T, plan Plan[C]) error {
	return Record(ctx, l.Client, before, after, v1alpha1.JournalEntry{
		Time: metav1.NewMicroTime(l.Clock.Now()), Actor: l.actor(plan), Reason: reasonOf(plan),
	})
}

func (l *Loop[T, W, C]) actor(plan Plan[C]) v1alpha1.JournalActor {
	if plan.Actor != nil {
		return *plan.Actor
	}
	return v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: l.Actor}
}

func reasonOf[C any](plan Plan[C]) string {
	switch {
	case plan.Reason != "":
		return plan.Reason
	case plan.Headline.Reason != "":
		return plan.Headline.Reason
	default:
		return "Observed"
	}
}

// announce emits one event when the headline's status or reason changed.
func (l *Loop[T, W, C]) announce(before, after T) {
	was, is := meta.FindStatusCondition(before.Head().Conditions, l.Headline), meta.FindStatusCondition(after.Head().Conditions, l.Headline)
	if is == nil || l.Quiet[is.Reason] || was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	kind := corev1.EventTypeNormal
	if is.Status == metav1.ConditionFalse {
		kind = corev1.EventTypeWarning
	}
	l.Events.Eventf(after, nil, kind, is.Reason, l.Headline, "%s", is.Message)
}
