// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package playbook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// DefaultTimeout is how long an action or notify step may take where it does not say.
const DefaultTimeout = time.Hour

// Facts is what a run can know when it steps.
type Facts struct {
	// Run identifies the run: questions are bound to it.
	Run string
	// Actor is how the run signs what it does.
	Actor v1alpha1.JournalActor
	// Vars are the variables of expressions: case, severity, enrichment, and inputs as the run was given them. Next adds
	// steps, and gives inputs their names and types.
	Vars map[string]any
	// Entity is the record of an input of type User, Host, Asset or Indicator, from the record or name that was given:
	// casefile.InputOf of the run's case. It may give nil, or be nil, for nothing more than what was given.
	Entity func(inputType string, given any) map[string]any
	// Actions are the run's actions, by step.
	Actions map[string]v1alpha1.Action
	// Answers are the first counted answers to the run's questions, by step.
	Answers map[string]Answer
	// Sent is what became of messages that were sent, by Message-ID, of those that are known. What is noted in the
	// status already may stay in it.
	Sent map[string]Sent
	// CaseClosed says that the case was closed by somebody else.
	CaseClosed bool
}

// Answer is what a person chose.
type Answer struct {
	// Option is the chosen option.
	Option string
	// Actor is who chose it.
	Actor v1alpha1.JournalActor
}

// Want is an action that a run wants made.
type Want struct {
	// Step is the step that wants it.
	Step string
	// Operation is the operation, as connector/operation; empty for a rollback.
	Operation string
	// RollbackOf is the step whose action is to be taken back.
	RollbackOf string
	// Input is the rendered input.
	Input map[string]any
	// Deadline is when it is too late to begin.
	Deadline time.Time
}

// Result is what Next answers beside the changed status.
type Result struct {
	// Wants are the actions to make; one that exists already is no harm.
	Wants []Want
	// Sends are the messages to send. Each is announced in the status as it was given to Next: hand back what becomes of
	// it through [NoteSent] or [Facts].Sent; until then Next asks for it again.
	Sends []Send
	// Recheck is when to look again; zero: on an event.
	Recheck time.Duration
	// Actor is the person whose answer moved the run, if one did.
	Actor *v1alpha1.JournalActor
}

// Next steps a run as far as the facts allow. It is total and deterministic: facts that do not fit leave the status as
// it is, and so does a run that has ended.
func (c *Compiled) Next(ctx context.Context, status *v1alpha1.PlaybookRunStatus, facts Facts, now time.Time) Result {
	n := &next{ctx: ctx, compiled: c, status: status, facts: facts, now: now, announced: announcedIn(status)}
	if status.State.Ended() {
		return Result{}
	}
	if facts.CaseClosed {
		n.end(v1alpha1.RunAborted, "the case was closed")
		return n.result
	}
	var err error
	if n.inputs, err = c.inputs(facts.Vars["inputs"], facts.Entity); len(status.Steps) == 0 && err != nil {
		n.end(v1alpha1.RunFailed, err.Error())
		return n.result
	}
	status.State = v1alpha1.RunRunning
	for i := range c.steps {
		if !n.through(&c.steps[i]) {
			return n.result
		}
	}
	n.end(v1alpha1.RunSucceeded, "")
	return n.result
}

type next struct {
	ctx      context.Context
	compiled *Compiled
	status   *v1alpha1.PlaybookRunStatus
	facts    Facts
	now      time.Time
	result   Result

	inputs    map[string]any  // as expressions read them
	announced map[string]bool // the messages that the status as read announces
}

// through takes one step as far as it goes; false means that the run stands there, or has ended.
func (n *next) through(s *step) bool {
	at := n.find(s.Name)
	if at == nil {
		if at = n.enter(s); at == nil {
			return true // skipped
		}
	}
	if at.State == v1alpha1.StepWaiting {
		n.look(s, at)
	}
	if n.status.State.Ended() {
		return false
	}
	switch at.State {
	case v1alpha1.StepWaiting:
		n.status.Step, n.status.State = s.Name, v1alpha1.RunWaiting
		return false
	case v1alpha1.StepFailed:
		return n.goesOn(s.OnFailure, at)
	case v1alpha1.StepDenied:
		return n.goesOn(s.Action.OnDenied, at)
	default:
		return true
	}
}

// goesOn applies the policy of a step that failed or was denied.
func (n *next) goesOn(policy v1alpha1.FailurePolicy, at *v1alpha1.StepStatus) bool {
	if policy == v1alpha1.FailureContinue {
		return true
	}
	n.end(v1alpha1.RunFailed, fmt.Sprintf("step %s: %s", at.Name, at.Message))
	return false
}

// enter begins a step, or skips it (nil).
func (n *next) enter(s *step) *v1alpha1.StepStatus {
	n.status.Step = s.Name
	n.status.Steps = append(n.status.Steps, v1alpha1.StepStatus{
		Name: s.Name, State: v1alpha1.StepWaiting, StartTime: metav1.NewMicroTime(n.now),
	})
	at := &n.status.Steps[len(n.status.Steps)-1]
	truth, err := n.condition(s)
	switch {
	case truth == expr.False, truth == expr.Unknown && s.OrElse == v1alpha1.OrElseSkip:
		n.finish(at, v1alpha1.StepSkipped, because(err))
		return nil
	case truth == expr.Unknown && s.OrElse != v1alpha1.OrElseRun:
		n.finish(at, v1alpha1.StepFailed, "its condition cannot be decided: "+because(err))
		return at
	}
	n.begin(s, at)
	return at
}

func (n *next) condition(s *step) (expr.Truth, error) {
	if s.when == nil {
		return expr.True, nil
	}
	return s.when.EvalBool(n.ctx, n.vars())
}

// begin does what a step does when the run comes to it.
func (n *next) begin(s *step, at *v1alpha1.StepStatus) {
	text, err := n.text(s)
	if err != nil {
		n.finish(at, v1alpha1.StepFailed, err.Error())
		return
	}
	switch {
	case s.Action != nil:
		n.due(at, timeout(s))
	case s.Decision != nil:
		n.due(at, s.Decision.Within.Duration)
		at.Question = n.question(s, cut(text), at)
	case s.Wait != nil:
		n.due(at, s.Wait.For.Duration)
	case s.Notify != nil:
		n.announce(s, text, at)
	case s.Set != nil:
		n.status.CaseState = s.Set.State
		n.finish(at, v1alpha1.StepSucceeded, "")
	case s.Close != nil:
		n.status.Closure = &v1alpha1.Closure{
			Classification: s.Close.Classification, Note: cutTo(text, maxNote), By: n.facts.Actor, Time: metav1.NewMicroTime(n.now),
		}
		n.finish(at, v1alpha1.StepSucceeded, "")
		n.end(v1alpha1.RunSucceeded, "")
	case s.Fail != nil:
		n.finish(at, v1alpha1.StepFailed, text)
		n.end(v1alpha1.RunFailed, text)
	default:
		n.finish(at, v1alpha1.StepFailed, "the step has no known kind: this operator is older than the playbook")
	}
}

// look sees whether what a waiting step waits for has come.
func (n *next) look(s *step, at *v1alpha1.StepStatus) {
	switch {
	case s.Action != nil:
		n.lookAtAction(s, at)
	case s.Decision != nil:
		n.lookForAnswer(s, at)
	case s.Notify != nil:
		n.lookAtDeliveries(s, at)
	case s.Wait != nil && !n.now.Before(at.DueTime.Time):
		n.finish(at, v1alpha1.StepSucceeded, "")
	default:
		n.result.Recheck = at.DueTime.Sub(n.now)
	}
}

func (n *next) lookAtAction(s *step, at *v1alpha1.StepStatus) {
	made, exists := n.facts.Actions[s.Name]
	if !exists {
		n.want(s, at)
		return
	}
	at.Action = made.Name
	switch state := made.Status.State; {
	case !state.Ended():
	case state == v1alpha1.ActionUnknown && at.DueTime != nil && n.now.Before(at.DueTime.Time):
		at.Message = "a person must say what became of it: " + made.Status.Message // until the step's time is over
		n.result.Recheck = at.DueTime.Sub(n.now)
	case state == v1alpha1.ActionSucceeded, state == v1alpha1.ActionNotNeeded:
		n.finish(at, v1alpha1.StepSucceeded, made.Status.Message)
	case state == v1alpha1.ActionDenied:
		n.finish(at, v1alpha1.StepDenied, made.Status.Message)
	default:
		n.finish(at, v1alpha1.StepFailed, string(state)+": "+made.Status.Message)
	}
}

func (n *next) want(s *step, at *v1alpha1.StepStatus) {
	rendered, err := s.in.Render(n.ctx, n.vars())
	if err != nil {
		n.finish(at, v1alpha1.StepFailed, "its input cannot be made: "+err.Error())
		return
	}
	input, ok := rendered.(map[string]any)
	if !ok {
		n.finish(at, v1alpha1.StepFailed, "its input is not an object")
		return
	}
	if of := s.Action.RollbackOf; of != "" {
		if earlier := n.find(of); earlier == nil || earlier.State != v1alpha1.StepSucceeded {
			n.finish(at, v1alpha1.StepSkipped, of+" did nothing that could be taken back")
			return
		}
	}
	n.result.Wants = append(n.result.Wants, Want{
		Step: s.Name, Operation: s.Action.Operation, RollbackOf: s.Action.RollbackOf, Input: input, Deadline: at.DueTime.Time,
	})
}

func (n *next) lookForAnswer(s *step, at *v1alpha1.StepStatus) {
	if answer, ok := n.facts.Answers[s.Name]; ok && slices.Contains(s.Decision.Options, answer.Option) {
		at.Answer, at.AnsweredBy = answer.Option, &answer.Actor
		n.result.Actor = &answer.Actor
		n.finish(at, v1alpha1.StepSucceeded, "")
		return
	}
	if n.now.Before(at.DueTime.Time) {
		n.result.Recheck = at.DueTime.Sub(n.now)
		return
	}
	if s.Decision.OnSilence == "" {
		n.finish(at, v1alpha1.StepFailed, "nobody answered in time")
		return
	}
	at.Answer, at.AnsweredBy = s.Decision.OnSilence, &n.facts.Actor
	n.finish(at, v1alpha1.StepSucceeded, "nobody answered in time: "+s.Decision.OnSilence+" was chosen, as the playbook says")
}

func (n *next) question(s *step, prompt string, at *v1alpha1.StepStatus) *v1alpha1.Question {
	d := s.Decision
	verb := d.Verb
	if verb == "" {
		verb = "answer"
	}
	return &v1alpha1.Question{
		Kind: v1alpha1.QuestionChoice, Prompt: prompt, Options: d.Options, Verb: verb, Groups: d.Groups, Count: 1,
		Digest: QuestionDigest(n.facts.Run, s.Name, prompt, d.Options), AskedTime: at.StartTime, DueTime: *at.DueTime,
	}
}

// QuestionDigest binds an answer to one question of one run (by uid) as it was shown: SHA-256 in lower-case hex.
func QuestionDigest(run, step, prompt string, options []string) string {
	raw, err := json.Marshal(append([]string{run, step, prompt}, options...))
	if err != nil {
		return "" // strings always encode
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func (n *next) find(name string) *v1alpha1.StepStatus {
	for i := range n.status.Steps {
		if n.status.Steps[i].Name == name {
			return &n.status.Steps[i]
		}
	}
	return nil
}

func (n *next) due(at *v1alpha1.StepStatus, after time.Duration) {
	due := metav1.NewMicroTime(n.now.Add(after))
	at.DueTime = &due
}

// finish ends a step. What it asked stays: an answer that comes late is told that it does.
func (n *next) finish(at *v1alpha1.StepStatus, state v1alpha1.StepState, message string) {
	end := metav1.NewMicroTime(n.now)
	at.State, at.Message, at.EndTime = state, cut(message), &end
}

func (n *next) end(state v1alpha1.RunState, message string) {
	n.status.State, n.status.Step, n.status.Message = state, "", cut(message)
}

func timeout(s *step) time.Duration {
	if s.Timeout != nil {
		return s.Timeout.Duration
	}
	return DefaultTimeout
}

// FailStep fails a waiting step whose action cannot be made; the next call of Next goes on from there.
func FailStep(status *v1alpha1.PlaybookRunStatus, name, message string, at time.Time) {
	for i := range status.Steps {
		if step := &status.Steps[i]; step.Name == name && step.State == v1alpha1.StepWaiting {
			end := metav1.NewMicroTime(at)
			step.State, step.Message, step.EndTime = v1alpha1.StepFailed, cut(message), &end
		}
	}
}
