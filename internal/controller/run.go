// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// runKind drives a PlaybookRun: the outcomes of its actions and the answers of people decide the next step. It reads
// the pinned revision, never the live Playbook.
type runKind struct {
	client     client.Client
	connectors *connectors
	revisions  *pinned[*playbook.Compiled]
	clock      clock.PassiveClock
}

// runCommand is what a run wants done: an action made, or a message sent that its status announces.
type runCommand struct {
	want *playbook.Want
	send *playbook.Send
}

type runWorld struct {
	compiled *playbook.Compiled // nil while there is nothing to step
	facts    playbook.Facts
}

// Observe reads the revision, the case, the run's actions and the answers to its questions.
func (k *runKind) Observe(ctx context.Context, run *v1alpha1.PlaybookRun) (runWorld, error) {
	var w runWorld
	if run.Status.State.Ended() {
		return w, nil
	}
	var c v1alpha1.Case
	if err := k.client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.CaseRef.Name}, &c); err != nil {
		return w, fmt.Errorf("read the case of run %s: %w", run.Name, err)
	}
	if !startable(run, &c) {
		return w, nil // the case's next change wakes it
	}
	var err error
	if w.compiled, err = k.revisions.get(ctx, run.Namespace, run.Spec.Revision); err != nil {
		return w, err
	}
	ct, err := typeOf(ctx, k.client, &c)
	if err != nil {
		return w, err
	}
	w.facts = playbook.Facts{
		Run: string(run.UID), Vars: ct.Vars(ctx, &c), Actor: run.Spec.Actor(run.Status.Step),
		CaseClosed: c.Status.State == v1alpha1.CaseClosed && run.Status.Closure == nil,
		Entity: func(inputType string, given any) map[string]any {
			return casefile.InputOf(ctx, &c, ct, inputType, given)
		},
	}
	if w.facts.Vars["inputs"], err = decodeObject(run.Spec.Inputs); err != nil {
		return w, fault.Terminalf(v1alpha1.InvalidSpecReason, "the inputs of run %s are not an object: %w", run.Name, err)
	}
	if w.facts.Actions, err = k.actions(ctx, run); err != nil {
		return w, err
	}
	w.facts.Answers, err = k.answers(ctx, run)
	return w, err
}

// startable tells whether the case says all that its pass which made the run knew: it writes that, and the run's name with
// it, only after making the run.
func startable(run *v1alpha1.PlaybookRun, c *v1alpha1.Case) bool {
	return c.Status.State == v1alpha1.CaseClosed || slices.ContainsFunc(c.Status.Playbooks, func(row v1alpha1.StartedPlaybook) bool { return row.Run == run.Name })
}

func (k *runKind) actions(ctx context.Context, run *v1alpha1.PlaybookRun) (map[string]v1alpha1.Action, error) {
	var list v1alpha1.ActionList
	if err := k.client.List(ctx, &list, client.InNamespace(run.Namespace), client.MatchingFields{kube.ByRun: run.Name}); err != nil {
		return nil, fmt.Errorf("list the actions of run %s: %w", run.Name, err)
	}
	out := map[string]v1alpha1.Action{}
	for _, a := range list.Items {
		if a.Spec.RunRef.UID == string(run.UID) {
			out[a.Spec.Step] = a
		}
	}
	return out, nil
}

// answers are the first counted answers to the questions that the run asks now.
func (k *runKind) answers(ctx context.Context, run *v1alpha1.PlaybookRun) (map[string]playbook.Answer, error) {
	out := map[string]playbook.Answer{}
	for _, at := range run.Status.Steps {
		if at.Question == nil || at.State != v1alpha1.StepWaiting {
			continue
		}
		counted, err := countedDecisions(ctx, k.client, run.Namespace, run.Spec.CaseRef, run.Spec.Handle(at.Name), at.Question.Digest)
		if err != nil {
			return nil, err
		}
		if first := earliest(counted); first != nil {
			out[at.Name] = playbook.Answer{Option: first.Spec.Answer.Option, Actor: *action.Person(*first.Spec.Actor)}
		}
	}
	return out, nil
}

func earliest(decisions []v1alpha1.Decision) *v1alpha1.Decision {
	var first *v1alpha1.Decision
	for i := range decisions {
		d := &decisions[i]
		if first == nil || d.CreationTimestamp.Before(&first.CreationTimestamp) ||
			d.CreationTimestamp.Equal(&first.CreationTimestamp) && d.Name < first.Name {
			first = d
		}
	}
	return first
}

// Decide steps the playbook as far as the facts allow.
func (*runKind) Decide(ctx context.Context, run *v1alpha1.PlaybookRun, w runWorld, now time.Time) loop.Plan[runCommand] {
	switch {
	case run.Status.State.Ended():
		return loop.Plan[runCommand]{Headline: runEnded(run)}
	case w.compiled == nil:
		return loop.Plan[runCommand]{}
	}
	result := w.compiled.Next(ctx, &run.Status, w.facts, now)
	plan := loop.Plan[runCommand]{Recheck: result.Recheck, Reason: string(run.Status.State), Actor: result.Actor}
	for i := range result.Wants {
		plan.Commands = append(plan.Commands, runCommand{want: &result.Wants[i]})
	}
	for i := range result.Sends {
		plan.Commands = append(plan.Commands, runCommand{send: &result.Sends[i]})
	}
	if plan.Actor == nil {
		actor := run.Spec.Actor(run.Status.Step)
		plan.Actor = &actor
	}
	if run.Status.State.Ended() {
		plan.Headline = runEnded(run)
	}
	return plan
}

func runEnded(run *v1alpha1.PlaybookRun) metav1.Condition {
	switch run.Status.State {
	case v1alpha1.RunSucceeded:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.StepsDoneReason, Message: "every step is done"}
	case v1alpha1.RunAborted:
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.CaseClosedReason, Message: run.Status.Message}
	default:
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.StepFailedReason, Message: cmp.Or(run.Status.Message, "a step failed")}
	}
}

// Act makes the action that a step wants, or sends its message.
func (k *runKind) Act(ctx context.Context, run *v1alpha1.PlaybookRun, command runCommand) error {
	if command.send != nil {
		return k.notify(ctx, run, *command.send)
	}
	return k.make(ctx, run, *command.want)
}

// make makes the action that a step wants. What can never be made fails the step, so that the run goes on as its author
// said.
func (k *runKind) make(ctx context.Context, run *v1alpha1.PlaybookRun, want playbook.Want) error {
	planned, err := k.plan(ctx, run, want)
	if terminal, ok := errors.AsType[*fault.Terminal](err); ok {
		playbook.FailStep(&run.Status, want.Step, terminal.Error(), k.clock.Now())
		return nil
	}
	if err != nil {
		return err
	}
	if err := createAction(ctx, k.client, planned); err != nil {
		return err
	}
	for i := range run.Status.Steps {
		if run.Status.Steps[i].Name == want.Step {
			run.Status.Steps[i].Action = planned.Name
		}
	}
	return nil
}

func (k *runKind) plan(ctx context.Context, run *v1alpha1.PlaybookRun, want playbook.Want) (*v1alpha1.Action, error) {
	wanted := intent{
		name: kube.ChildName(run.Spec.CaseRef.Name+"-"+strings.ToLower(want.Step), string(run.UID), want.Step), namespace: run.Namespace,
		operation: want.Operation, input: want.Input, pins: run.Spec.Connectors,
		spec: v1alpha1.ActionSpec{
			CaseRef: run.Spec.CaseRef, RunRef: &v1alpha1.RecordRef{Name: run.Name, UID: string(run.UID)}, Step: want.Step,
			Handle: run.Spec.Handle(want.Step), Revision: run.Spec.Revision, Author: run.Spec.Author,
			Requester:    run.Spec.Actor(want.Step),
			DeadlineTime: metav1.NewMicroTime(want.Deadline),
		},
	}
	if want.RollbackOf != "" {
		actions, err := k.actions(ctx, run)
		if err != nil {
			return nil, err
		}
		forward, ok := actions[want.RollbackOf]
		if !ok {
			return nil, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "the action of step %s does not exist any more", want.RollbackOf)
		}
		wanted.rollbackOf = &forward
	}
	return k.connectors.planAction(ctx, wanted)
}
