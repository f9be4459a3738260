// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/controller/loop"
)

// ActionOptions are what the controller of Actions is given. Every field but Heads is required.
type ActionOptions struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads past the cache: what guards an effect, and revisions.
	Live client.Reader
	// Connectors opens Connectors.
	Connectors connector.Opener
	// Namespace is the operator's own namespace.
	Namespace string
	// Holder identifies this process among all that ever ran.
	Holder string
	// Clock tells the time. It may jump: what must not be cut short is measured by another.
	Clock clock.PassiveClock
	// Events announces changes of the headline.
	Events events.EventRecorder
	// Heads tells how far an Action is sealed.
	Heads loop.Heads
}

// ActionReconciler drives Actions through the action protocol. It remembers what its process sent and for how long it
// has seen what: there is one of them a process, and a new process begins with a new one.
func ActionReconciler(o ActionOptions) reconcile.ObjectReconciler[*v1alpha1.Action] {
	use := &connectors{client: o.Client, opener: o.Connectors, operations: pinnedOperations(o.Live)}
	return &loop.Loop[*v1alpha1.Action, actionWorld, action.Command]{
		Kind: &actionKind{
			client: o.Client, live: o.Live, connectors: use,
			guardrails: &guardrails{client: o.Client, live: o.Live, connectors: use, namespace: o.Namespace},
			holder:     o.Holder, sent: &sentAttempts{}, seen: sightingsFromNow(), clock: o.Clock,
		},
		Headline: v1alpha1.ExecutedCondition, Record: true, Client: o.Client, Events: o.Events, Actor: "action", Clock: o.Clock, Heads: o.Heads,
	}
}
