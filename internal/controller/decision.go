// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/decision"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// decisionKind judges each Decision once, and makes the Action that one by hand asks for. What it judges on is read
// live: a person answers what they were shown, which may be newer than a cache.
type decisionKind struct {
	client     client.Client
	direct     client.Client // past the cache
	connectors *connectors
	playbooks  *pinned[*playbook.Compiled]
	clock      clock.PassiveClock
}

// decisionWorld is what a Decision is judged on.
type decisionWorld struct {
	decision.Input
	planned *v1alpha1.Action // the action that it asks for, if it counts
	cannot  error            // why that action cannot be made
}

// Observe reads the case, the question or action, earlier decisions, and asks the authorizer.
func (k *decisionKind) Observe(ctx context.Context, d *v1alpha1.Decision) (decisionWorld, error) {
	w := decisionWorld{Input: decision.Input{Decision: d}}
	if d.Status.State != "" {
		return w, nil
	}
	if d.Spec.CaseRef.Name != "" {
		var c v1alpha1.Case
		if err := k.direct.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: d.Spec.CaseRef.Name}, &c); err == nil {
			w.Case = &c
		} else if !apierrors.IsNotFound(err) {
			return w, fmt.Errorf("read the case that decision %s is on: %w", d.Name, err)
		}
	}
	for _, look := range []func(context.Context, *v1alpha1.Decision, *decisionWorld) error{k.subject, k.earlier, k.access, k.closing, k.names, k.plan} {
		if err := look(ctx, d, &w); err != nil {
			return w, err
		}
	}
	return w, nil
}

// subject finds the question that is answered, or the action that is taken back or resolved, among the case's runs and
// actions.
func (k *decisionKind) subject(ctx context.Context, d *v1alpha1.Decision, w *decisionWorld) error {
	if d.Spec.Answer == nil && d.Spec.Rollback == nil && d.Spec.Resolve == nil {
		return nil
	}
	var actions v1alpha1.ActionList
	var runs v1alpha1.PlaybookRunList
	of := []client.ListOption{client.InNamespace(d.Namespace), client.MatchingLabels{v1alpha1.CaseLabel: d.Spec.CaseRef.Name}}
	for _, list := range []client.ObjectList{&actions, &runs} {
		if err := k.direct.List(ctx, list, of...); err != nil {
			return fmt.Errorf("list what belongs to case %s: %w", d.Spec.CaseRef.Name, err)
		}
	}
	if answer := d.Spec.Answer; answer != nil {
		w.Question = decision.Find(answer.Handle, answer.Digest, runs.Items, actions.Items)
		return nil
	}
	w.Rollbacks = actions.Items
	uid := ""
	if d.Spec.Rollback != nil {
		uid = d.Spec.Rollback.ActionRef.UID
	} else {
		uid = d.Spec.Resolve.ActionRef.UID
	}
	for i := range actions.Items {
		if string(actions.Items[i].UID) == uid {
			w.Action = &actions.Items[i]
		}
	}
	return nil
}

// names reads the configuration that a decision names.
func (k *decisionKind) names(ctx context.Context, d *v1alpha1.Decision, w *decisionWorld) error {
	if d.Spec.Run != nil {
		return k.toRun(ctx, d, w)
	}
	if d.Spec.Set != nil && d.Spec.Set.TypeRef != nil && d.Spec.Set.TypeRef.Name != casefile.UnclassifiedName {
		var ct v1alpha1.CaseType
		err := k.direct.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: d.Spec.Set.TypeRef.Name}, &ct)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("read case type %s: %w", d.Spec.Set.TypeRef.Name, err)
		}
		if err != nil {
			w.TypeError = fmt.Errorf("there is no case type %s in namespace %s", d.Spec.Set.TypeRef.Name, d.Namespace)
		} else if _, err := casefile.Compile(&ct); err != nil {
			w.TypeError = err
		}
	}
	if d.Spec.Verdict == v1alpha1.VerdictThaw {
		all, err := freezes(ctx, k.direct, d.Namespace)
		w.Frozen = guard.Frozen(all, nil) != nil
		return err
	}
	return nil
}

// toRun reads the playbook, and tells whether the revision that a run would pin could start with the inputs.
func (k *decisionKind) toRun(ctx context.Context, d *v1alpha1.Decision, w *decisionWorld) error {
	var pb v1alpha1.Playbook
	err := k.direct.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: d.Spec.Run.PlaybookRef.Name}, &pb)
	if apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read playbook %s: %w", d.Spec.Run.PlaybookRef.Name, err)
	}
	if w.Playbook = &pb; pb.Status.Revision == "" {
		return nil
	}
	inputs, err := decodeObject(d.Spec.Run.Inputs)
	if err != nil {
		w.PlaybookError = fmt.Errorf("spec.run.inputs is not an object: %w", err)
		return nil
	}
	compiled, err := k.playbooks.get(ctx, d.Namespace, pb.Status.Revision)
	if _, terminal := errors.AsType[*fault.Terminal](err); terminal {
		w.PlaybookError = err
		return nil
	} else if err != nil {
		return err
	}
	if err := compiled.CheckInputs(inputs); err != nil {
		w.PlaybookError = fmt.Errorf("%w; for example: kubectl casebook run %s %s%s", err, d.Spec.CaseRef.Name, pb.Name, compiled.ExampleInputs())
	}
	return nil
}

func (k *decisionKind) earlier(ctx context.Context, d *v1alpha1.Decision, w *decisionWorld) error {
	if d.Spec.Resolve != nil {
		return k.resolved(ctx, d, w)
	}
	if d.Spec.Answer == nil {
		return nil
	}
	var err error
	w.Earlier, err = countedDecisions(ctx, k.client, d.Namespace, d.Spec.CaseRef, d.Spec.Answer.Handle, d.Spec.Answer.Digest)
	return err
}

// resolved finds the counted decisions that resolve the same action.
func (k *decisionKind) resolved(ctx context.Context, d *v1alpha1.Decision, w *decisionWorld) error {
	var list v1alpha1.DecisionList
	if err := k.client.List(ctx, &list, client.InNamespace(d.Namespace), client.MatchingFields{kube.ByCase: d.Spec.CaseRef.Name}); err != nil {
		return fmt.Errorf("list the decisions of case %s: %w", d.Spec.CaseRef.Name, err)
	}
	for _, e := range list.Items {
		if e.Spec.Resolve != nil && e.Spec.Resolve.ActionRef == d.Spec.Resolve.ActionRef && e.Status.State == v1alpha1.DecisionCounted {
			w.Earlier = append(w.Earlier, e)
		}
	}
	return nil
}

func (k *decisionKind) access(ctx context.Context, d *v1alpha1.Decision, w *decisionWorld) error {
	if d.Spec.Actor == nil {
		return nil // nobody stamped it: it will not count
	}
	var asked *v1alpha1.Question
	if w.Question != nil {
		asked = &w.Question.Question
	}
	access, err := kube.Review(ctx, k.direct, *d.Spec.Actor, decision.Verb(d.Spec, asked), d.Namespace, d.Spec.CaseRef.Name)
	if err != nil {
		return err
	}
	w.Access = decision.AccessAnswer{Access: decision.AccessDenied, Reason: access.Reason}
	if access.Allowed {
		w.Access.Access = decision.AccessAllowed
	}
	return nil
}

// closing checks what the type wants of a closure, and that nothing of the case is still going on.
func (k *decisionKind) closing(ctx context.Context, d *v1alpha1.Decision, w *decisionWorld) error {
	if d.Spec.Close == nil || w.Case == nil {
		return nil
	}
	compiled, err := typeOf(ctx, k.client, w.Case)
	if err != nil {
		return err
	}
	w.CloseError = casefile.CheckClose(compiled, w.Case.Status.Severity, *d.Spec.Close, d.Spec.Message)
	return k.going(ctx, d, w)
}

// going refuses to close a case that still asks, or of which a run can still act. Runs and actions are read live: what the
// case itself says of them comes later.
func (k *decisionKind) going(ctx context.Context, d *v1alpha1.Decision, w *decisionWorld) error {
	var runs v1alpha1.PlaybookRunList
	var actions v1alpha1.ActionList
	of := []client.ListOption{client.InNamespace(d.Namespace), client.MatchingLabels{v1alpha1.CaseLabel: d.Spec.CaseRef.Name}}
	for _, list := range []client.ObjectList{&runs, &actions} {
		if err := k.direct.List(ctx, list, of...); err != nil {
			return fmt.Errorf("list what belongs to case %s: %w", d.Spec.CaseRef.Name, err)
		}
	}
	runs.Items = slices.DeleteFunc(runs.Items, func(r v1alpha1.PlaybookRun) bool { return r.Spec.CaseRef.UID != d.Spec.CaseRef.UID })
	actions.Items = slices.DeleteFunc(actions.Items, func(a v1alpha1.Action) bool { return a.Spec.CaseRef.UID != d.Spec.CaseRef.UID })
	if questions := casefile.Questions(runs.Items, actions.Items); len(questions) > 0 {
		subject, first := w.Case.Name+"/"+questions[0].Handle, "is still open; answer it first, so that nothing is left half done"
		if questions[0].Kind == v1alpha1.QuestionResolution {
			subject, first = "whether "+subject, "happened is not known; resolve it first, so that the record ends with what is so"
		}
		w.CloseError = fmt.Errorf("could not close the case: %s %s", subject, first)
		return nil
	}
	for _, run := range runs.Items {
		stalled := meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.StalledCondition)
		if !run.Status.State.Ended() && !stalled {
			w.CloseError = fmt.Errorf("could not close the case: playbook %s is at step %s; wait for it to end", run.Spec.PlaybookRef.Name, run.Status.Step)
		}
	}
	return nil
}

// plan makes, but does not store, the action that a decision asks for.
func (k *decisionKind) plan(ctx context.Context, d *v1alpha1.Decision, w *decisionWorld) error {
	if w.Case == nil || d.Spec.Actor == nil || d.Spec.Act == nil && (w.Action == nil || d.Spec.Rollback == nil) {
		return nil
	}
	suffix := kube.ChildName("", string(d.UID))[1:5]
	wanted := intent{
		name: kube.ChildName(d.Spec.CaseRef.Name+"-by-hand", string(d.UID)), namespace: d.Namespace, rollbackOf: w.Action,
		spec: v1alpha1.ActionSpec{
			CaseRef: d.Spec.CaseRef, DecisionRef: &v1alpha1.RecordRef{Name: d.Name, UID: string(d.UID)},
			Requester: *action.Person(*d.Spec.Actor), DeadlineTime: metav1.NewMicroTime(d.CreationTimestamp.Add(actionDeadline)),
		},
	}
	if w.Action != nil {
		wanted.spec.Handle = "rollback-" + w.Action.Spec.Handle
	} else {
		_, name := splitOperation(d.Spec.Act.Operation)
		wanted.operation, wanted.spec.Handle = d.Spec.Act.Operation, name+"-"+suffix
		var err error
		if wanted.input, err = decodeObject(d.Spec.Act.Input); err != nil {
			w.cannot = fmt.Errorf("spec.act.input is not an object: %w", err)
			return nil
		}
	}
	planned, err := k.connectors.planAction(ctx, wanted)
	if _, terminal := errors.AsType[*fault.Terminal](err); terminal {
		w.cannot = err
		return nil
	}
	w.planned = planned
	return err
}

// Decide judges a decision that was not judged yet.
func (*decisionKind) Decide(_ context.Context, d *v1alpha1.Decision, w decisionWorld, now time.Time) loop.Plan[*v1alpha1.Action] {
	if d.Status.State != "" {
		return loop.Plan[*v1alpha1.Action]{}
	}
	ruling := decision.Judge(w.Input, now)
	if ruling.State == v1alpha1.DecisionCounted && w.cannot != nil {
		ruling = decision.Ruling{State: v1alpha1.DecisionVoid, Reason: v1alpha1.InvalidSpecReason, Message: w.cannot.Error()}
	}
	d.Status.State, d.Status.Reason, d.Status.Message = ruling.State, ruling.Reason, ruling.Message
	plan := loop.Plan[*v1alpha1.Action]{Reason: ruling.Reason}
	if ruling.State == v1alpha1.DecisionCounted && w.planned != nil {
		d.Status.Action = w.planned.Name
		plan.Commands = []*v1alpha1.Action{w.planned}
	}
	return plan
}

// Act makes the action that the decision asks for.
func (k *decisionKind) Act(ctx context.Context, _ *v1alpha1.Decision, planned *v1alpha1.Action) error {
	return createAction(ctx, k.client, planned)
}
