// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// holder is the one operator of a test.
const holder = "test"

// ledger is what the world knows of an action and its target.
type ledger struct {
	tool     Tool
	declared connector.Operation
	object   *v1alpha1.Connector
	forward  *v1alpha1.Action
	sent     *action.Sent // of the last attempt
	number   int32        // of that attempt
	holds    bool         // the target is as the operation wants it
	decision string       // what people said
	seen     string       // the state and the attempt that the action stands in
	since    time.Time    // since when it does
}

// makeAction plans the action that a step wants, as the operator does.
func (w *world) makeAction(run *v1alpha1.PlaybookRun, want playbook.Want) error {
	l := &ledger{}
	operation, input := want.Operation, want.Input
	spec := v1alpha1.ActionSpec{
		CaseRef: v1alpha1.RecordRef{Name: w.of.Name, UID: caseUID}, RunRef: &v1alpha1.RecordRef{Name: run.Name, UID: string(run.UID)},
		Step: want.Step, Handle: run.Spec.Handle(want.Step), Revision: run.Spec.Revision, Requester: run.Spec.Actor(want.Step), DeadlineTime: metav1.NewMicroTime(want.Deadline),
	}
	if want.RollbackOf != "" {
		for _, a := range w.actions {
			if a.Spec.RunRef.UID == string(run.UID) && a.Spec.Step == want.RollbackOf {
				l.forward = a
			}
		}
		if l.forward == nil || l.forward.Spec.Rollback.Operation == "" {
			return fmt.Errorf("%s cannot be taken back", want.RollbackOf)
		}
		operation, input = l.forward.Spec.Rollback.Operation, object(json.RawMessage(l.forward.Spec.Input.Raw))
		spec.RollbackOf = &v1alpha1.RecordRef{Name: l.forward.Name, UID: string(l.forward.UID)}
	}
	var err error
	if l.tool, l.declared, l.object, err = w.catalog.tool(operation); err != nil {
		w.checker.fail("step %s: %v", want.Step, err)
		return err
	}
	if l.tool == nil {
		w.checker.fail("step %s: connector %s is of a kind whose operations cannot be simulated", want.Step, l.object.Name)
		return fmt.Errorf("%s cannot be simulated", operation)
	}
	connectorName, name, _ := strings.Cut(operation, "/")
	if l.forward != nil {
		_, forward, _ := strings.Cut(l.forward.Spec.Operation, "/")
		if input, err = connector.RollbackInput(l.tool, forward, input); err != nil {
			return err
		}
	}
	spec.ConnectorRef = v1alpha1.RecordRef{Name: connectorName, UID: connectorName}
	if err := connector.Plan(&spec, connectorName, l.tool, name, input); err != nil {
		return err
	}
	if spec.PlanDigest, err = action.PlanDigest(spec); err != nil {
		return err
	}
	a := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: run.Name + "-" + want.Step}, Spec: spec}
	a.UID = types.UID(a.Name)
	if w.ledger == nil {
		w.ledger = map[string]*ledger{}
	}
	w.ledger[a.Name] = l
	w.actions = append(w.actions, a)
	return nil
}

// stepAction does what the action's controller does.
func (w *world) stepAction(a *v1alpha1.Action) time.Duration {
	l := w.ledger[a.Name]
	effective := l.object.Spec.Effective()
	in := action.World{
		Holder: holder, Settle: effective.Settle.Duration, Timeout: effective.Timeout.Duration, Permission: w.permission(a, l),
		Verifiable: !l.declared.AcknowledgedOnly, VerifyWithin: l.declared.VerifyWithin, KeyRetention: l.declared.KeyRetention,
	}
	if n := len(a.Status.Attempts); n > 0 && l.number == a.Status.Attempts[n-1].Number {
		in.Sent = l.sent
	}
	in.SeenFor = l.seenFor(a, w.now)
	reads := action.Wants(a.Status, in)
	if reads.Before {
		in.Before, in.ReadError = w.before(a, l)
	}
	if reads.After {
		in.After = l.after()
	}
	step := action.Next(namespace, a.Name, a.Spec, &a.Status, in, w.now)
	if step.Command == action.Send {
		w.do(a, l)
		in.Sent = l.sent
		if in.Sent.Outcome == v1alpha1.OutcomeAcknowledged && in.Verifiable {
			in.After = l.after()
		}
		step = action.Next(namespace, a.Name, a.Spec, &a.Status, in, w.now)
	}
	if a.Status.State == v1alpha1.ActionAsking {
		w.ask(&v1alpha1.PlaybookRun{ObjectMeta: metav1.ObjectMeta{Name: a.Spec.RunRef.Name}}, a.Spec.Step)
	}
	return step.Recheck
}

// seenFor is how long the action has stood as it does.
func (l *ledger) seenFor(a *v1alpha1.Action, now time.Time) time.Duration {
	if seen := fmt.Sprint(a.Status.State, len(a.Status.Attempts)); seen != l.seen {
		l.seen, l.since = seen, now
	}
	return now.Sub(l.since)
}

// after is what a read after an attempt shows.
func (l *ledger) after() *action.Sight {
	if l.holds {
		return &action.Sight{Desired: true, Message: "the target was read back as wanted"}
	}
	return &action.Sight{Message: "the target is not as wanted, as the test says"}
}

// before is what a read before the first attempt shows; nil, with the reason, where it cannot be made.
func (w *world) before(a *v1alpha1.Action, l *ledger) (*action.Sight, string) {
	if l.forward != nil {
		left := w.ledger[l.forward.Name].holds
		return &action.Sight{Desired: !left, AsLeft: left, Message: "the target is as it was left"}, ""
	}
	if l.holds {
		return l.after(), "" // an attempt in doubt did it
	}
	rehearser, ok := l.tool.(Rehearser)
	if !ok {
		return &action.Sight{AsLeft: true}, ""
	}
	done, err := rehearser.Rehearse(w.ctx, w.request(a), w.replies(a, Reply{Lost: true}))
	if done.Before == nil {
		return nil, fmt.Sprint(err)
	}
	seen := done.Before
	out := &action.Sight{Desired: seen.Desired, AsLeft: seen.AsLeft, Gone: seen.Gone, Message: seen.Message}
	if raw, err := json.Marshal(seen.State); err == nil && seen.State != nil {
		out.State = &apiextensionsv1.JSON{Raw: raw}
	}
	return out, ""
}

func (w *world) request(a *v1alpha1.Action) connector.Request {
	_, name, _ := strings.Cut(a.Spec.Operation, "/")
	return connector.Request{
		Operation: name, Input: object(json.RawMessage(a.Spec.Input.Raw)), Target: a.Spec.Target,
		Mark: action.Mark(a.Name, a.Spec), Key: action.Key(namespace, a.Name, a.Spec.PlanDigest),
	}
}

// replies answers reads as the test says of lookups, and the mutation with a reply.
func (w *world) replies(a *v1alpha1.Action, mutation Reply) func(Request) Reply {
	connectorName, name, _ := strings.Cut(a.Spec.Operation, "/")
	return func(r Request) Reply {
		if r.Operation == name {
			return mutation
		}
		value, err := w.read(connectorName+"/"+r.Operation, object(json.RawMessage(a.Spec.Input.Raw)), a.Spec.Operation)
		if err != nil {
			return Reply{Status: 503}
		}
		return Reply{Read: true, Value: value}
	}
}

// do lets the target answer an attempt.
func (w *world) do(a *v1alpha1.Action, l *ledger) {
	given, said := w.reply(a.Spec.Operation)
	result := connector.Result{Outcome: outcomeOf(given), Message: given.Message}
	if rehearser, ok := l.tool.(Rehearser); ok && given.Outcome == "" {
		if judged, sent := w.rehearse(rehearser, a, given); judged != nil && (said || !sent) {
			result = *judged
		}
	}
	l.number = a.Status.Attempts[len(a.Status.Attempts)-1].Number
	l.sent = &action.Sent{Outcome: result.Outcome, Reason: result.Reason, Message: result.Message, RetryAfter: result.RetryAfter, Time: w.now}
	l.holds = l.holds || result.Outcome == v1alpha1.OutcomeAcknowledged
	if given.Holds != nil {
		l.holds = *given.Holds
	}
	if l.forward != nil && l.holds {
		w.ledger[l.forward.Name].holds = false
	}
}

// rehearse renders the request and has the connector judge the answer; sent tells whether it came to the mutation.
func (w *world) rehearse(rehearser Rehearser, a *v1alpha1.Action, given reply) (result *connector.Result, sent bool) {
	answer, err := given.asReply()
	if w.checker.failed(err) {
		return nil, false
	}
	done, err := rehearser.Rehearse(w.ctx, w.request(a), w.replies(a, answer))
	for _, r := range done.Requests {
		if r.Operation == w.request(a).Operation {
			sent = true
			w.checker.trace("sent    %s %s%s %s", r.Method, r.Path, query(r.RawQuery), r.Body)
		}
	}
	if done.Result == nil && err != nil {
		return &connector.Result{Outcome: v1alpha1.OutcomeNotSent, Message: err.Error()}, false
	}
	return done.Result, sent
}

func query(raw string) string {
	if raw == "" {
		return ""
	}
	return "?" + raw
}

// reply takes the next of the replies that the test gives an operation; after the last, it answers as if nothing was said.
func (w *world) reply(operation string) (reply, bool) {
	all := w.given.Answers[operation]
	if w.replied == nil {
		w.replied = map[string]int{}
	}
	i := w.replied[operation]
	w.replied[operation]++
	if i >= len(all) {
		return reply{}, false
	}
	return all[i], true
}

// outcomeOf is what a reply means where nothing else judges it.
func outcomeOf(r reply) v1alpha1.AttemptOutcome {
	switch {
	case r.Outcome != "":
		return v1alpha1.AttemptOutcome(r.Outcome)
	case r.Lost:
		return v1alpha1.OutcomeInDoubt
	case r.Status == 0, r.Status >= 200 && r.Status < 300:
		return v1alpha1.OutcomeAcknowledged
	case r.Status >= 400 && r.Status < 500 && r.Status != 408 && r.Status != 425 && r.Status != 429:
		return v1alpha1.OutcomeRefused
	default:
		return v1alpha1.OutcomeInDoubt
	}
}

func (r reply) asReply() (Reply, error) {
	out := Reply{Lost: r.Lost, Status: cmp.Or(r.Status, 200), Headers: r.Headers}
	switch body := r.Body.(type) {
	case nil:
	case string:
		out.Body = []byte(body)
	default:
		raw, err := json.Marshal(body)
		if err != nil {
			return out, fmt.Errorf("the body of an answer is not JSON: %w", err)
		}
		out.Body = raw
	}
	return out, nil
}
