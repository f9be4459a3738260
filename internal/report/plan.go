// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Plan is exactly what a person decides about: an action that would run, or a question with its options.
type Plan struct {
	Case   string `json:"case"`
	Handle string `json:"handle"`
	Kind   string `json:"kind"`
	Prompt string `json:"prompt"`
	// Because says why people are asked.
	Because string `json:"because,omitempty"`
	// Operation, Target, Input, Effect, Semantics, Rollback and Connector are what would run, for an approval.
	Operation string          `json:"operation,omitempty"`
	Target    *Target         `json:"target,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	Effect    string          `json:"effect,omitempty"`
	Semantics string          `json:"semantics,omitempty"`
	Rollback  string          `json:"rollback,omitempty"`
	// Connector is what carries it out, by name and uid.
	Connector string `json:"connector,omitempty"`
	// RollbackOf names the action that this one takes back.
	RollbackOf string `json:"rollbackOf,omitempty"`
	// Options are the possible answers to a choice.
	Options []string `json:"options,omitempty"`
	// Requester is who or what wants it, Revision and Step where in which playbook.
	Requester *Actor `json:"requester,omitempty"`
	Revision  string `json:"revision,omitempty"`
	Step      string `json:"step,omitempty"`
	// Digest binds the decision to what is shown.
	Digest     string    `json:"digest"`
	ValidUntil time.Time `json:"validUntil"`
	// Needed is how many people must agree, Given how many have.
	Needed int32 `json:"needed"`
	Given  int32 `json:"given"`
}

// Target is what an operation changes.
type Target struct {
	Type      string `json:"type"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

func targetOf(t v1alpha1.Target) *Target {
	return &Target{Type: t.Type, Namespace: t.Namespace, Name: t.Name, UID: t.UID}
}

func (t *Target) text() string {
	return entityText(v1alpha1.Entity{Type: t.Type, Namespace: t.Namespace, Name: t.Name})
}

// PlanOfAction is what an approval of an action covers. digest is the plan digest that the caller computed from the
// same spec.
func PlanOfAction(action *v1alpha1.Action, q v1alpha1.CaseQuestion, digest string) Plan {
	spec := action.Spec
	requester := actorOf(spec.Requester)
	plan := Plan{
		Case: spec.CaseRef.Name, Handle: spec.CaseRef.Name + "/" + spec.Handle, Kind: string(q.Kind), Prompt: q.Prompt,
		Because: q.Because, Operation: spec.Operation, Target: targetOf(spec.Target), Input: spec.Input.Raw,
		Effect: string(spec.Effect), Semantics: string(spec.Semantics), Rollback: rollbackText(spec.Rollback),
		Connector: spec.ConnectorRef.Name + " (uid " + spec.ConnectorRef.UID + ")", Requester: &requester, Revision: spec.Revision,
		Step: spec.Step, Digest: digest, ValidUntil: q.DueTime.UTC(), Needed: q.Count, Given: int32(len(action.Status.Approvals)),
	}
	if spec.RollbackOf != nil {
		plan.RollbackOf = spec.RollbackOf.Name
	}
	return plan
}

// PlanOfChoice is what an answer to a question of a playbook covers.
func PlanOfChoice(caseName string, run *v1alpha1.PlaybookRun, q v1alpha1.CaseQuestion) Plan {
	return Plan{
		Case: caseName, Handle: caseName + "/" + q.Handle, Kind: string(q.Kind), Prompt: q.Prompt, Because: q.Because,
		Options: q.Options, Revision: run.Spec.Revision, Step: stepOf(run, q), Digest: q.Digest, ValidUntil: q.DueTime.UTC(),
		Needed: q.Count,
	}
}

func rollbackText(r v1alpha1.RollbackPlan) string {
	switch {
	case r.Operation != "":
		return r.Operation
	case r.NotPossible != "":
		return "not possible: " + r.NotPossible
	default:
		return "not declared"
	}
}

// Text shows the plan in full: nothing that the digest covers is cut. doing says who does what, for example "You
// approve, as mia, for case ida-7f3k2:".
func (plan Plan) Text(s Screen, doing string) string {
	p := s.page()
	for _, line := range p.fold(doing, p.width()) {
		p.line(line)
	}
	p.put("", Prose(plan.Prompt))
	if plan.Operation != "" {
		p.put("", Escape(plan.Operation)+"   "+Escape(plan.Target.text()))
		if plan.Target.UID != "" {
			p.put("uid", Escape(plan.Target.UID))
		}
		for i, line := range inputLines(plan.Input) {
			p.put(map[bool]string{true: "input", false: " "}[i == 0], Escape(line))
		}
		if plan.RollbackOf != "" {
			p.put("takes back", Escape(plan.RollbackOf))
		}
		p.put("effect", Escape(plan.Effect+", "+plan.Semantics))
		p.put("rollback", Escape(plan.Rollback))
		p.put("connector", Escape(plan.Connector))
	}
	if len(plan.Options) > 0 {
		p.put("options", Escape(strings.Join(plan.Options, ", ")))
	}
	if by := plan.by(); by != "" {
		p.put("wanted by", by)
	}
	if plan.Because != "" {
		p.put("because", Prose(plan.Because))
	}
	valid := "digest " + abbreviate(plan.Digest) + "   valid until " + p.minute(plan.ValidUntil)
	if plan.Needed > 1 {
		valid += fmt.Sprintf("   approval %d of %d", plan.Given+1, plan.Needed)
	}
	p.put("", valid)
	return p.String()
}

// Undo shows what a rollback of the action takes back, and by what. doing says who does it.
func (a Action) Undo(s Screen, doing string) string {
	p := a.shown(s, doing)
	p.put("by", Escape(a.Rollback))
	return p.String()
}

// Resolve shows an action before a person says what became of it.
func (a Action) Resolve(s Screen, doing string) string { return a.shown(s, doing).String() }

func (a Action) shown(s Screen, doing string) *page {
	p := s.page()
	for _, line := range p.fold(doing, p.width()) {
		p.line(line)
	}
	p.put("", Escape(a.Operation)+"   "+Escape(a.Target.text()))
	p.put("", Prose(a.outcome())+", "+p.clock(a.time()))
	return p
}

func (plan Plan) by() string {
	parts := []string{}
	if plan.Requester != nil {
		parts = append(parts, plan.Requester.text())
	}
	if plan.Revision != "" && (plan.Requester == nil || plan.Requester.Playbook != plan.Revision) {
		parts = append(parts, "playbook "+Escape(plan.Revision))
	}
	if plan.Step != "" {
		parts = append(parts, "step "+Escape(plan.Step))
	}
	return strings.Join(parts, ", ")
}

// inputLines is an input as JSON, a field a line.
func inputLines(raw []byte) []string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return []string{string(raw)}
	}
	return strings.Split(b.String(), "\n")
}

// put writes one labelled line of a plan, wrapped and indented.
func (p *page) put(label, text string) {
	if label != "" {
		text = pad(label, 12) + text
	}
	for _, line := range p.fold("  "+text, p.width()) {
		p.line(line)
	}
}

// abbreviate shows the beginning and the end of a digest.
func abbreviate(digest string) string {
	if len(digest) < 12 {
		return Escape(digest)
	}
	return Escape(digest[:4] + "…" + digest[len(digest)-4:])
}

// compact is JSON on one line; what is no JSON stays as it is.
func compact(raw []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// stepOf is the step of a run that asks.
func stepOf(run *v1alpha1.PlaybookRun, q v1alpha1.CaseQuestion) string {
	for _, step := range run.Status.Steps {
		if run.Spec.Handle(step.Name) == q.Handle {
			return step.Name
		}
	}
	return q.Handle
}
