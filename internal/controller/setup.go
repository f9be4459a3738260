// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controller has one controller a kind: each is three functions that internal/controller/loop drives. They wire
// pure decisions to reads and writes; none decides, and none writes a status by hand.
package controller

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/kube"
)

// Options are what the controllers are given. Every field is required but Clock.
type Options struct {
	// Namespace is the operator's own namespace: its guardrails and its default EvidenceLog serve every tenant.
	Namespace string
	// Holder identifies this process among all that ever ran: attempts it announced are sent by no other.
	Holder string
	// Connectors opens Connectors.
	Connectors connector.Opener
	// OpenLog opens the log of an EvidenceLog.
	OpenLog OpenLog
	// Clock tells the time; the real one if nil.
	Clock clock.PassiveClock
}

// Setup registers every controller with a manager.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) (*Sealer, error) {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if err := kube.Index(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	// What is written once and not watched goes past the cache, which would otherwise begin to watch it.
	direct, err := client.New(mgr.GetConfig(), client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("set up a client past the cache: %w", err)
	}
	sealer := &Sealer{client: mgr.GetClient(), live: mgr.GetAPIReader(), open: o.OpenLog, namespace: o.Namespace, clock: o.Clock}
	for _, register := range []func(ctrl.Manager, client.Client, Options, *Sealer) error{setupConfig, setupRecords, setupEvidence} {
		if err := register(mgr, direct, o, sealer); err != nil {
			return nil, err
		}
	}
	return sealer, nil
}

func setupConfig(mgr ctrl.Manager, direct client.Client, o Options, _ *Sealer) error {
	k := &checks{client: mgr.GetClient(), live: direct, connectors: connectorsOf(mgr, direct, o)}
	c := mgr.GetClient()
	for _, err := range []error{
		complete(mgr, "mapping", configLoop(mgr, o, "mapping", k.mapping, 0), ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Mapping{})),
		complete(mgr, "guardrail", configLoop(mgr, o, "guardrail", k.guardrail, 0), ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Guardrail{})),
		complete(mgr, "source", configLoop(mgr, o, "source", k.source, 5*time.Minute), ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Source{}).
			Watches(&v1alpha1.Mapping{}, allIn(c, &v1alpha1.SourceList{}))),
		complete(mgr, "connector", &loop.Loop[*v1alpha1.Connector, connectorWorld, *appsv1.ControllerRevision]{
			Kind: &connectorKind{direct: direct, opener: o.Connectors}, Headline: v1alpha1.ReadyCondition, Client: c,
			Events: mgr.GetEventRecorder("connector"), Actor: "connector", Clock: o.Clock, StalledRecheck: stalledRecheck,
		}, ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Connector{})),
		complete(mgr, "casetype", configLoop(mgr, o, "casetype", k.caseType, 0), ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.CaseType{}).
			Watches(&v1alpha1.Playbook{}, allIn(c, &v1alpha1.CaseTypeList{})).Watches(&v1alpha1.Connector{}, allIn(c, &v1alpha1.CaseTypeList{}))),
		complete(mgr, "playbook", &loop.Loop[*v1alpha1.Playbook, playbookWorld, *appsv1.ControllerRevision]{
			Kind: &playbookKind{direct: direct, checks: k}, Headline: v1alpha1.ReadyCondition, Client: c,
			Events: mgr.GetEventRecorder("playbook"), Actor: "playbook", Clock: o.Clock,
		}, ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Playbook{}).Watches(&v1alpha1.Connector{}, allIn(c, &v1alpha1.PlaybookList{}))),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func configLoop[T loop.Object](mgr ctrl.Manager, o Options, name string, check func(context.Context, T) (func(T), error), recheck time.Duration) *loop.Loop[T, checked[T], struct{}] {
	return &loop.Loop[T, checked[T], struct{}]{
		Kind: configKind[T]{check: check, recheck: recheck}, Headline: v1alpha1.ReadyCondition, Client: mgr.GetClient(),
		Events: mgr.GetEventRecorder(name), Actor: name, Clock: o.Clock, StalledRecheck: stalledRecheck,
	}
}

// connectorsOf opens connectors for one controller or several: what it keeps of revisions may be shared.
func connectorsOf(mgr ctrl.Manager, direct client.Client, o Options) *connectors {
	return &connectors{client: mgr.GetClient(), opener: o.Connectors, operations: pinnedOperations(direct)}
}

// stalledRecheck is when configuration that cannot be used is looked at again: a Role or a Secret may have come.
const stalledRecheck = 30 * time.Second

func setupRecords(mgr ctrl.Manager, direct client.Client, o Options, sealer *Sealer) error {
	c := mgr.GetClient()
	use, playbooks := connectorsOf(mgr, direct, o), pinnedPlaybooks(direct)
	for _, err := range []error{
		complete(mgr, "case", &loop.Loop[*v1alpha1.Case, casefile.World, casefile.Start]{
			Kind: &caseKind{client: c, live: direct, connectors: use, playbooks: playbooks, clock: o.Clock}, Headline: v1alpha1.EnrichedCondition, Record: true,
			Client: c, Events: mgr.GetEventRecorder("case"), Actor: "case", Clock: o.Clock, Heads: sealer,
			Quiet: map[string]bool{v1alpha1.LookupsAnsweredReason: true},
		}, ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Case{}).
			Watches(&v1alpha1.Signal{}, toCase()).Watches(&v1alpha1.PlaybookRun{}, toCase()).
			Watches(&v1alpha1.Action{}, toCase()).Watches(&v1alpha1.Decision{}, toCase()).
			Watches(&v1alpha1.CaseType{}, toCasesOfType(c)).WithOptions(controller.Options{MaxConcurrentReconciles: 4})),
		complete(mgr, "playbookrun", &loop.Loop[*v1alpha1.PlaybookRun, runWorld, runCommand]{
			Kind: &runKind{client: c, connectors: use, revisions: playbooks, clock: o.Clock}, Headline: v1alpha1.CompleteCondition,
			Record: true, Client: c, Events: mgr.GetEventRecorder("playbookrun"), Actor: "playbookrun", Clock: o.Clock, Heads: sealer,
		}, ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.PlaybookRun{}).Watches(&v1alpha1.Action{}, toRun()).
			Watches(&v1alpha1.Decision{}, toRunsOfCase(c)).Watches(&v1alpha1.Case{}, toRunsOfCase(c)).
			WithOptions(controller.Options{MaxConcurrentReconciles: 4})),
		complete(mgr, "action", ActionReconciler(ActionOptions{
			Client: c, Live: direct, Connectors: o.Connectors, Namespace: o.Namespace, Holder: o.Holder, Clock: o.Clock,
			Events: mgr.GetEventRecorder("action"), Heads: sealer,
		}), ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Action{}).Watches(&v1alpha1.Decision{}, toActionsDecided(c, o.Namespace)).
			Watches(&v1alpha1.Guardrail{}, toOpenActions(c, o.Namespace)).WithOptions(controller.Options{MaxConcurrentReconciles: 4})),
		complete(mgr, "decision", &loop.Loop[*v1alpha1.Decision, decisionWorld, *v1alpha1.Action]{
			Kind: &decisionKind{client: c, direct: direct, connectors: use, playbooks: playbooks, clock: o.Clock}, Record: true, Client: c,
			Events: mgr.GetEventRecorder("decision"), Actor: "decision", Clock: o.Clock, Heads: sealer,
		}, ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.Decision{})),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// complete registers one loop under the kind's name.
func complete[T client.Object](mgr ctrl.Manager, name string, l reconcile.ObjectReconciler[T], b *builder.Builder) error {
	if err := b.Named(name).Complete(reconcile.AsReconciler(mgr.GetClient(), l)); err != nil {
		return fmt.Errorf("set up the controller of %s: %w", name, err)
	}
	return nil
}
