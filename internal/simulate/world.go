// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/enrich"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/playbook"
)

const (
	namespace = "test"
	caseUID   = "case"
	// maxPasses bounds a simulation: a run that waits for nothing would never end.
	maxPasses = 20_000
	// horizon is how far the clock goes: nothing waits longer than 30 days.
	horizon = 31 * 24 * time.Hour

	approve, deny = "approve", "deny"
)

// world is one case with all that belongs to it, and a clock.
type world struct {
	ctx      context.Context // of the one test that the world lives in
	catalog  *Catalog
	checker  *checker
	name     string // of the playbook
	compiled *playbook.Compiled
	policies []*guard.Policy
	given    playbookGiven
	people   map[string]string
	now      time.Time

	caseType *casefile.Type
	of       *v1alpha1.Case
	signals  []v1alpha1.Signal
	runs     []*v1alpha1.PlaybookRun
	actions  []*v1alpha1.Action
	joined   []v1alpha1.Decision
	ledger   map[string]*ledger // by action
	replied  map[string]int     // how many replies of an operation were used
	unsaid   map[string]bool    // what the test should have said, once each
	asked    []string
	notified []string
}

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

func (w *world) compileGuardrails() error {
	for _, g := range w.catalog.Guardrails {
		policy, err := guard.Compile(g)
		if err != nil {
			return err
		}
		w.policies = append(w.policies, policy)
	}
	return nil
}

// live steps everything until nothing is due any more.
func (w *world) live() {
	begin := w.now
	if w.given.Inputs != nil {
		w.startByHand()
	}
	before := ""
	for range maxPasses {
		due := w.pass()
		if after := w.digest(); after != before {
			before = after
			continue // a write brings the next pass
		}
		if rests := due <= 0 || w.now.Add(due).Sub(begin) > horizon; rests && !w.join() {
			return
		} else if rests {
			continue
		}
		w.now = w.now.Add(due)
	}
	w.checker.fail("it does not come to rest: after %d passes the clock stands at %s", maxPasses, w.now.Format(time.RFC3339))
}

// join adds the users that the test says join later, once.
func (w *world) join() bool {
	if len(w.joined) > 0 || len(w.given.Joins) == 0 {
		return false
	}
	d := v1alpha1.Decision{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "join", UID: "join", CreationTimestamp: metav1.NewTime(w.now)},
		Spec: v1alpha1.DecisionSpec{
			CaseRef: v1alpha1.RecordRef{Name: w.of.Name, UID: caseUID}, Verdict: v1alpha1.VerdictAdd,
			Actor: &v1alpha1.Actor{Username: "a person of the test"}, Add: &v1alpha1.AddDecision{},
		},
		Status: v1alpha1.DecisionStatus{State: v1alpha1.DecisionCounted},
	}
	for _, name := range w.given.Joins {
		d.Spec.Add.Users = append(d.Spec.Add.Users, v1alpha1.Entity{Name: name, Type: "User"})
	}
	w.joined = append(w.joined, d)
	return true
}

// digest is everything that a write could have changed.
func (w *world) digest() string {
	all := []any{w.of.Status}
	for _, run := range w.runs {
		all = append(all, run.Status)
	}
	for _, a := range w.actions {
		all = append(all, a.Status)
	}
	return compact(all)
}

// pass lets every controller look once, and says when something is due without a change.
func (w *world) pass() time.Duration {
	w.fold()
	var due time.Duration
	sooner := func(after time.Duration) {
		if after > 0 && (due == 0 || after < due) {
			due = after
		}
	}
	for _, run := range slices.Clone(w.runs) {
		if !run.Status.State.Ended() {
			sooner(w.stepRun(run))
		}
	}
	for _, a := range slices.Clone(w.actions) {
		if !a.Status.State.Ended() {
			sooner(w.stepAction(a))
		}
	}
	return due
}

// fold does what the case's controller does: look up, fold, start.
func (w *world) fold() {
	in := casefile.World{Case: w.of, Type: w.caseType, Signals: w.signals, Enrichments: w.of.Status.Enrichments, Decisions: w.joined}
	for _, run := range w.runs {
		in.Runs = append(in.Runs, *run)
	}
	for _, a := range w.actions {
		in.Actions = append(in.Actions, *a)
	}
	sketch := w.of.DeepCopy()
	sketch.Status = casefile.Fold(w.ctx, in, w.now).Status
	in.Enrichments, in.Enriched = w.lookUp(sketch), true
	next := casefile.Fold(w.ctx, in, w.now)
	w.of.Status = next.Status
	for _, s := range next.Starts {
		if s.Message == "" && s.Playbook == w.name && w.given.Inputs == nil {
			w.start(s)
		}
	}
}

func (w *world) lookUp(sketch *v1alpha1.Case) []v1alpha1.EnrichmentRecord {
	var answers []enrich.Answer
	for _, lookup := range enrich.Plan(w.ctx, w.caseType, sketch) {
		a := enrich.Answer{Lookup: lookup, Time: w.now, Err: lookup.Err}
		if a.Err == nil {
			a.Result, a.Err = w.read(lookup.Operation, lookup.Input, "enrichment "+lookup.Name)
		}
		answers = append(answers, a)
	}
	return enrich.Merge(sketch.Status.Enrichments, answers...)
}

// read is what the test says of a lookup. What it should say and does not fails the test, and is unavailable.
func (w *world) read(operation string, input map[string]any, reader string) (any, error) {
	value, said, err := w.given.Lookups.lookUp(operation, input)
	if err != nil {
		return nil, err
	}
	if !said {
		if w.unsaid == nil {
			w.unsaid = map[string]bool{}
		}
		if !w.unsaid[operation] {
			w.unsaid[operation] = true
			w.checker.fail("%s reads %s, of which the test says nothing: add it, or \"*\", under given.lookups", reader, operation)
		}
		return nil, fmt.Errorf("the test says nothing of %s", operation)
	}
	return plain(value)
}

// start makes the run of a start.
func (w *world) start(s casefile.Start) {
	name := fmt.Sprintf("run-%d", len(w.runs)+1)
	w.runs = append(w.runs, &v1alpha1.PlaybookRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(w.now)},
		Spec: v1alpha1.PlaybookRunSpec{
			CaseRef: v1alpha1.RecordRef{Name: w.of.Name, UID: caseUID}, PlaybookRef: v1alpha1.LocalRef{Name: s.Playbook},
			Revision: s.Playbook + "@test", Item: s.Item, Inputs: s.Inputs,
		},
	})
	w.of.Status.Playbooks = casefile.Note(w.of.Status.Playbooks, s, name)
}

func (w *world) startByHand() {
	raw, err := json.Marshal(w.given.Inputs)
	if w.checker.failed(err) {
		return
	}
	w.fold() // what is looked up is there before a person starts anything
	w.start(casefile.Start{Playbook: w.name, Inputs: &apiextensionsv1.JSON{Raw: raw}})
}

// stepRun does what the run's controller does.
func (w *world) stepRun(run *v1alpha1.PlaybookRun) time.Duration {
	facts := playbook.Facts{
		Run: string(run.UID), Actor: run.Spec.Actor(run.Status.Step), Vars: w.caseType.Vars(w.ctx, w.of), Actions: map[string]v1alpha1.Action{},
		CaseClosed: w.of.Status.State == v1alpha1.CaseClosed && run.Status.Closure == nil,
		Answers:    w.answers(run),
		Entity: func(inputType string, given any) map[string]any {
			return casefile.InputOf(w.ctx, w.of, w.caseType, inputType, given)
		},
	}
	facts.Vars["inputs"] = map[string]any{}
	if run.Spec.Inputs != nil {
		facts.Vars["inputs"] = object(json.RawMessage(run.Spec.Inputs.Raw))
	}
	for _, a := range w.actions {
		if a.Spec.RunRef.UID == string(run.UID) {
			facts.Actions[a.Spec.Step] = *a
		}
	}
	result := w.compiled.Next(w.ctx, &run.Status, facts, w.now)
	for _, want := range result.Wants {
		if err := w.makeAction(run, want); err != nil {
			playbook.FailStep(&run.Status, want.Step, err.Error(), w.now)
		}
	}
	for _, send := range result.Sends {
		w.send(run, send)
	}
	return result.Recheck
}

// answers are what people choose, once they are asked.
func (w *world) answers(run *v1alpha1.PlaybookRun) map[string]playbook.Answer {
	out := map[string]playbook.Answer{}
	for _, s := range run.Status.Steps {
		if s.Question == nil || s.State != v1alpha1.StepWaiting {
			continue
		}
		w.ask(run, s.Name)
		if option, ok := w.people[s.Name]; ok {
			out[s.Name] = playbook.Answer{Option: option, Actor: v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: "a person of the test"}}
		}
	}
	return out
}

// ask notes that people were asked, once for each run and step.
func (w *world) ask(run *v1alpha1.PlaybookRun, step string) {
	if w.ledger == nil {
		w.ledger = map[string]*ledger{}
	}
	key := "asked/" + run.Name + "/" + step
	if w.ledger[key] == nil {
		w.ledger[key] = &ledger{}
		w.asked = append(w.asked, step)
	}
}

// send takes a message, unless the test says otherwise of the connector's sendMail.
func (w *world) send(run *v1alpha1.PlaybookRun, s playbook.Send) {
	sent := playbook.Sent{Attempt: s.Attempt, State: v1alpha1.DeliveryAccepted, Time: w.now}
	if r, ok := w.reply(s.Connector + "/sendMail"); ok {
		sent.Message = r.Message
		switch outcomeOf(r) {
		case v1alpha1.OutcomeAcknowledged:
		case v1alpha1.OutcomeRefused:
			sent.State = v1alpha1.DeliveryRefused
		default:
			sent.State = v1alpha1.DeliveryAnnounced
		}
	}
	playbook.NoteSent(&run.Status, s.MessageID, sent)
	if sent.State == v1alpha1.DeliveryAccepted {
		w.notified = append(w.notified, s.To)
	}
}
