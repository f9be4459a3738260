// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// defaultWait is how long a command waits for what comes of a decision.
const defaultWait = 30 * time.Second

// decision is one decision under way: what is said, and how long its outcome is waited for.
type decision struct {
	*options
	message string
	wait    bool
	timeout time.Duration

	// subject is what the decision is about, for messages: a case or case/handle.
	subject string
	// who says who may decide, where that is known.
	who string
}

// addFlags gives a command the flags that every decision has. need says whether -m must be given.
func (d *decision) addFlags(cmd *cobra.Command, need need) {
	why := "why; kept as evidence"
	if need == messageNeeded {
		why += " (required)"
	}
	cmd.Flags().StringVarP(&d.message, "message", "m", "", why)
	cmd.Flags().BoolVar(&d.wait, "wait", true, "wait for what comes of it")
	cmd.Flags().DurationVar(&d.timeout, "timeout", defaultWait, "how long to wait")
	d.addOutput(cmd)
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d.message = strings.TrimSpace(d.message)
		if d.message == "" && need == messageNeeded {
			return usagef("cannot %s: there is no reason given", strings.Join(append([]string{cmd.Name()}, args...), " ")).
				so("Say why, which is kept as evidence: add -m \"…\"")
		}
		return run(cmd, args)
	}
}

// need says whether a decision needs a message.
type need string

const (
	messageNeeded   need = "Needed"
	messageOptional need = "Optional"
)

// make creates the Decision. The API server stamps who decides, whatever is written here.
func (d *decision) make(ctx context.Context, c *cluster, of *v1alpha1.Case, spec v1alpha1.DecisionSpec) (*v1alpha1.Decision, error) {
	spec.CaseRef = v1alpha1.RecordRef{Name: of.Name, UID: string(of.UID)}
	spec.Message = d.message
	made := &v1alpha1.Decision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: of.Namespace, GenerateName: of.Name + "-" + strings.ToLower(string(spec.Verdict)) + "-",
			Labels: map[string]string{v1alpha1.CaseLabel: of.Name},
		},
		Spec: spec,
	}
	if err := c.Create(ctx, made); err != nil {
		failure := apiError(doing(spec.Verdict, d.subject), err)
		if d.who != "" {
			_ = failure.so("Who may answer: %s.", d.who)
		}
		return nil, failure
	}
	return made, nil
}

// verbs are the verdicts whose name alone does not make a sentence with what they are about.
var verbs = map[v1alpha1.Verdict]string{
	v1alpha1.VerdictAct: "do", v1alpha1.VerdictAdd: "add to", v1alpha1.VerdictComment: "comment on", v1alpha1.VerdictRollback: "roll back",
	v1alpha1.VerdictLookup: "look something up for", v1alpha1.VerdictRun: "run a playbook for",
}

// doing says what could not be done to what.
func doing(verdict v1alpha1.Verdict, subject string) string {
	return cmp.Or(verbs[verdict], strings.ToLower(string(verdict))) + " " + subject
}

// settled is what a decision waits for after it counts.
type settled struct {
	// action names the action that must come to rest; nil when there is none.
	action func(*v1alpha1.Decision) string
	// inCase tells whether the case shows what was decided; nil when it need not.
	inCase func(*v1alpha1.Case) bool
	// tells adds to the outcome what the case shows of it; nil when there is nothing.
	tells func(*report.Outcome)
}

// finish waits for what comes of a decision and prints it.
func (d *decision) finish(ctx context.Context, c *cluster, made *v1alpha1.Decision, until settled) error {
	if !d.wait {
		return d.print(report.NewOutcome(made, nil))
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	made, err := await(ctx, c, made, &v1alpha1.DecisionList{}, func(m *v1alpha1.Decision) bool {
		named := until.action == nil || until.action(m) != ""
		return m.Status.State == v1alpha1.DecisionVoid || m.Status.State == v1alpha1.DecisionCounted && named
	})
	if err != nil {
		return d.unfinished(err, made, nil)
	}
	if made.Status.State == v1alpha1.DecisionVoid {
		return d.void(made)
	}
	var action *v1alpha1.Action
	if until.action != nil {
		action = &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: made.Namespace, Name: until.action(made)}}
		action, err = await(ctx, c, action, &v1alpha1.ActionList{}, func(a *v1alpha1.Action) bool { return rests(a, made) })
		if err != nil {
			return d.unfinished(err, made, action)
		}
	}
	if until.inCase != nil {
		of := &v1alpha1.Case{ObjectMeta: metav1.ObjectMeta{Namespace: made.Namespace, Name: made.Spec.CaseRef.Name}}
		if _, err := await(ctx, c, of, &v1alpha1.CaseList{}, until.inCase); err != nil {
			return d.unfinished(err, made, action)
		}
	}
	outcome := report.NewOutcome(made, action)
	if until.tells != nil {
		until.tells(&outcome)
	}
	if err := d.print(outcome); err != nil {
		return err
	}
	return verdictOf(made, action, d.subject)
}

// rests tells whether an action moves no further by this decision: it has ended or is held; or it asks people, and the
// decision has been counted among their answers, or was none.
func rests(a *v1alpha1.Action, made *v1alpha1.Decision) bool {
	if made.Spec.Resolve != nil && !slices.ContainsFunc(a.Status.Resolutions, func(r v1alpha1.Resolution) bool { return r.Decision == made.Name }) {
		return false // it is Unknown still, as before
	}
	if a.Status.State.Ended() || a.Status.State == v1alpha1.ActionHeld {
		return true
	}
	counted := slices.ContainsFunc(a.Status.Approvals, func(p v1alpha1.Approval) bool { return p.Decision == made.Name })
	return a.Status.State == v1alpha1.ActionAsking && a.Status.Question != nil && (counted || made.Spec.Answer == nil)
}

// verdictOf makes an error of an action that did not do what was decided.
func verdictOf(made *v1alpha1.Decision, action *v1alpha1.Action, subject string) error {
	if action == nil || made.Spec.Verdict == v1alpha1.VerdictDeny {
		return nil
	}
	asSaid := made.Spec.Resolve != nil && made.Spec.Resolve.Outcome == v1alpha1.ResolveDidNot
	handle := action.Spec.CaseRef.Name + "/" + action.Spec.Handle
	failure := refusedf("the decision on %s counts, but %s is %s: %s", subject, action.Spec.Operation, action.Status.State, action.Status.Message).
		so("See: kubectl casebook why %s", handle)
	switch action.Status.State {
	case v1alpha1.ActionUnknown:
		return failure.so("Look at the target, then say what you found: kubectl casebook resolve %s --happened|--did-not|--retry -m \"…\"", handle)
	case v1alpha1.ActionFailed, v1alpha1.ActionDenied, v1alpha1.ActionExpired, v1alpha1.ActionHeld:
		if asSaid {
			return nil
		}
		return failure
	default:
		return nil
	}
}

// void reports a decision that does not count.
func (d *decision) void(made *v1alpha1.Decision) error {
	if d.output != "" {
		if err := d.print(report.NewOutcome(made, nil)); err != nil {
			return err
		}
	}
	failure := refusedf("cannot %s: the decision is void (%s): %s", doing(made.Spec.Verdict, d.subject), made.Status.Reason, made.Status.Message)
	if d.who != "" && made.Status.Reason == v1alpha1.NotEntitledReason && !strings.Contains(made.Status.Message, "who may answer") {
		_ = failure.so("Who may answer: %s.", d.who)
	}
	return failure
}

// unfinished reports what is known when waiting ended without an outcome.
func (d *decision) unfinished(err error, made *v1alpha1.Decision, action *v1alpha1.Action) error {
	if action != nil && action.UID == "" {
		action = nil
	}
	if !errors.Is(err, errNotInTime) {
		return apiError("see what comes of decision "+made.Name, err)
	}
	if printErr := d.print(report.NewOutcome(made, action)); printErr != nil {
		return printErr
	}
	return timeoutf("the decision on %s is recorded as %s; what comes of it was not known after %s", d.subject, made.Name, d.timeout).
		so("Look again: kubectl casebook timeline %s", made.Spec.CaseRef.Name)
}
