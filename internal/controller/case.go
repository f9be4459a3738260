// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"golang.org/x/sync/errgroup"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/enrich"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// caseKind keeps a Case: what its signals say, what lookups add, how severe it is, which playbooks run, what people
// decided. All of it is folded anew from what is observed.
type caseKind struct {
	client     client.Client
	live       client.Reader // past the cache: revisions are not watched
	connectors *connectors
	playbooks  *pinned[*playbook.Compiled]
	clock      clock.PassiveClock
}

// lookups made at once, and the time all of a case's lookups may take.
const (
	parallelLookups = 4
	lookupsWithin   = 10 * time.Second
	// lookupsAgain is when lookups that failed are made again.
	lookupsAgain = time.Minute
)

// Observe reads all that belongs to the case, and makes the lookups that it lacks.
func (k *caseKind) Observe(ctx context.Context, c *v1alpha1.Case) (casefile.World, error) {
	w := casefile.World{Case: c.DeepCopy()}
	var err error
	if w.Type, err = typeOf(ctx, k.client, c); err != nil {
		return w, err
	}
	if err := k.records(ctx, c, &w); err != nil {
		return w, err
	}
	w.Enrichments = c.Status.Enrichments
	if len(w.Signals) == 0 {
		return w, nil // its signal is being created
	}
	sketch := c.DeepCopy()
	sketch.Status = casefile.Fold(ctx, w, k.clock.Now()).Status
	w.Enrichments, w.Enriched = k.lookUp(ctx, w.Type, sketch, w.Decisions), true
	return w, nil
}

func (k *caseKind) records(ctx context.Context, c *v1alpha1.Case, w *casefile.World) error {
	var signals v1alpha1.SignalList
	var runs v1alpha1.PlaybookRunList
	var actions v1alpha1.ActionList
	var decisions v1alpha1.DecisionList
	of := []client.ListOption{client.InNamespace(c.Namespace), client.MatchingFields{kube.ByCase: c.Name}}
	for _, list := range []client.ObjectList{&signals, &runs, &actions, &decisions} {
		if err := k.client.List(ctx, list, of...); err != nil {
			return fmt.Errorf("list what belongs to case %s: %w", c.Name, err)
		}
	}
	w.Signals, w.Runs, w.Actions, w.Decisions = signals.Items, runs.Items, actions.Items, decisions.Items
	return nil
}

// lookUp makes the lookups that the case lacks, in parallel, and those again that failed a while ago. One that fails is a
// record that says why, and fails no other.
func (k *caseKind) lookUp(ctx context.Context, t *casefile.Type, c *v1alpha1.Case, decisions []v1alpha1.Decision) []v1alpha1.EnrichmentRecord {
	if c.Status.State == v1alpha1.CaseClosed {
		return c.Status.Enrichments
	}
	ctx, cancel := context.WithTimeout(ctx, lookupsWithin)
	defer cancel()
	now := k.clock.Now()
	known := c.Status.Enrichments
	c.Status.Enrichments = slices.DeleteFunc(slices.Clone(known), func(r v1alpha1.EnrichmentRecord) bool {
		return r.Error != "" && now.Sub(r.Time.Time) >= lookupsAgain
	})
	planned := enrich.Plan(ctx, t, c, decisions...)
	answers := make([]enrich.Answer, len(planned))
	var group errgroup.Group
	group.SetLimit(parallelLookups)
	for i, lookup := range planned {
		group.Go(func() error {
			answers[i] = enrich.Answer{Lookup: lookup, Time: now}
			answers[i].Result, answers[i].Err = k.read(ctx, c.Namespace, lookup)
			return nil
		})
	}
	_ = group.Wait() // no lookup fails the others
	return keepSameFailures(known, enrich.Merge(known, answers...))
}

// keepSameFailures keeps the record of a lookup that failed again in the same way: a new time alone is no news.
func keepSameFailures(known, merged []v1alpha1.EnrichmentRecord) []v1alpha1.EnrichmentRecord {
	for i := range merged {
		for _, k := range known {
			if k.Error != "" && k.Error == merged[i].Error && casefile.RecordKey(k) == casefile.RecordKey(merged[i]) {
				merged[i] = k
			}
		}
	}
	return merged
}

func (k *caseKind) read(ctx context.Context, namespace string, lookup enrich.Lookup) (any, error) {
	if lookup.Err != nil {
		return nil, lookup.Err
	}
	return k.connectors.lookUp(ctx, namespace, lookup.Operation, lookup.Input)
}

func runName(c *v1alpha1.Case, start casefile.Start) string {
	return kube.ChildName(c.Name+"-"+start.Playbook, string(c.UID), start.Playbook, start.Item)
}

// run makes the run of a start: it pins the revision that the playbook has now.
func (k *caseKind) run(ctx context.Context, c *v1alpha1.Case, start casefile.Start) (*v1alpha1.PlaybookRun, error) {
	var pb v1alpha1.Playbook
	if err := k.client.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: start.Playbook}, &pb); apierrors.IsNotFound(err) {
		return nil, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "there is no playbook %s in namespace %s", start.Playbook, c.Namespace)
	} else if err != nil {
		return nil, fmt.Errorf("read playbook %s: %w", start.Playbook, err)
	}
	if pb.Status.Revision == "" {
		return nil, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "playbook %s has no revision that compiles: see kubectl describe playbook %s", pb.Name, pb.Name)
	}
	author, err := k.author(ctx, c.Namespace, pb.Status.Revision)
	if err != nil {
		return nil, err
	}
	compiled, err := k.playbooks.get(ctx, c.Namespace, pb.Status.Revision)
	if err != nil {
		return nil, err
	}
	pins, err := k.pins(ctx, c.Namespace, compiled.Connectors())
	if err != nil {
		return nil, err
	}
	return &v1alpha1.PlaybookRun{
		ObjectMeta: metav1.ObjectMeta{Name: runName(c, start), Namespace: c.Namespace, Labels: map[string]string{v1alpha1.CaseLabel: c.Name}},
		Spec: v1alpha1.PlaybookRunSpec{
			CaseRef: v1alpha1.RecordRef{Name: c.Name, UID: string(c.UID)}, PlaybookRef: v1alpha1.LocalRef{Name: pb.Name},
			Revision: pb.Status.Revision, Author: author, Item: start.Item, Inputs: start.Inputs,
			Number: numberOf(c), Connectors: pins, DecisionRef: start.Decision,
		},
	}, nil
}

// numberOf is the number of the next run of a case.
func numberOf(c *v1alpha1.Case) int32 {
	number := int32(1)
	for _, row := range c.Status.Playbooks {
		if row.Run != "" {
			number++
		}
	}
	return number
}

// pins are the connectors of a playbook as they are now. One that cannot be opened is pinned by none: its step says why.
func (k *caseKind) pins(ctx context.Context, namespace string, names []string) ([]v1alpha1.PinnedConnector, error) {
	var out []v1alpha1.PinnedConnector
	for _, name := range names {
		opened, err := k.connectors.open(ctx, namespace, name)
		var pin v1alpha1.PinnedConnector
		if err == nil {
			pin, err = opened.pin()
		}
		if _, terminal := errors.AsType[*fault.Terminal](err); terminal {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, pin)
	}
	return out, nil
}

// author is who wrote the revision, which may not be who changed the playbook last.
func (k *caseKind) author(ctx context.Context, namespace, revision string) (string, error) {
	var pinned appsv1.ControllerRevision
	if err := k.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: revision}, &pinned); apierrors.IsNotFound(err) {
		return "", fault.Terminalf(v1alpha1.RevisionMissingReason, "the playbook revision %s does not exist any more: change the playbook", revision)
	} else if err != nil {
		return "", fmt.Errorf("read playbook revision %s: %w", revision, err)
	}
	return pinned.Annotations[v1alpha1.ChangedByAnnotation], nil
}

// Decide folds what was observed.
func (*caseKind) Decide(ctx context.Context, c *v1alpha1.Case, w casefile.World, now time.Time) loop.Plan[casefile.Start] {
	if len(w.Signals) == 0 {
		return loop.Plan[casefile.Start]{Recheck: 10 * time.Second, Headline: enrich.Condition(c)}
	}
	next := casefile.Fold(ctx, w, now)
	next.Status.StatusHead = c.Status.StatusHead
	c.Status = next.Status
	plan := loop.Plan[casefile.Start]{Headline: enrich.Condition(c), Reason: string(c.Status.State), Actor: casefile.WhoMoved(w, next)}
	for _, start := range next.Starts {
		if start.Message == "" {
			plan.Commands = append(plan.Commands, start)
		}
	}
	if w.Type == nil && c.Status.State != v1alpha1.CaseClosed {
		plan.Fault = fault.Terminalf(v1alpha1.TypeMissingReason,
			"case type %s is gone or does not compile, so nothing is looked up or started: apply it again", c.Spec.TypeRef.Name)
	}
	if c.Status.State != v1alpha1.CaseClosed && plan.Headline.Status == metav1.ConditionFalse {
		plan.Recheck = lookupsAgain
	}
	return plan
}

// Act starts a run, or notes why it cannot be started.
func (k *caseKind) Act(ctx context.Context, c *v1alpha1.Case, start casefile.Start) error {
	wanted, err := k.run(ctx, c, start)
	if err != nil {
		return err
	}
	if err := kube.Create(ctx, k.client, wanted, func(existing *v1alpha1.PlaybookRun) bool {
		return existing.Spec.CaseRef == wanted.Spec.CaseRef && existing.Spec.PlaybookRef == wanted.Spec.PlaybookRef
	}); err != nil {
		return err
	}
	c.Status.Playbooks = casefile.Note(c.Status.Playbooks, start, wanted.Name)
	return nil
}

// typeOf compiles the CaseType of a case; nil when it is gone or does not compile any more. A case that no type matched
// is of the built-in type, unless the tenant has one of that name.
func typeOf(ctx context.Context, c client.Reader, of *v1alpha1.Case) (*casefile.Type, error) {
	var ct v1alpha1.CaseType
	key := types.NamespacedName{Namespace: of.Namespace, Name: of.Spec.TypeRef.Name}
	if of.Status.TypeRef != nil {
		key.Name = of.Status.TypeRef.Name // a person gave it another
	}
	if err := c.Get(ctx, key, &ct); apierrors.IsNotFound(err) {
		if key.Name == casefile.UnclassifiedName {
			return casefile.Unclassified(), nil
		}
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read case type %s: %w", key.Name, err)
	}
	compiled, err := casefile.Compile(&ct)
	if err != nil {
		return nil, nil //nolint:nilerr // the CaseType's own status says it; a case goes on without
	}
	return compiled, nil
}
