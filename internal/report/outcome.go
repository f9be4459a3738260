// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Outcome is what became of a decision, and of the action it was about.
type Outcome struct {
	Case     string `json:"case"`
	Decision string `json:"decision"`
	Verdict  string `json:"verdict"`
	// State is Counted, Void, or empty while the controllers have not looked.
	State   string `json:"state,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Action is the action approved, denied or made.
	Action *Action `json:"action,omitempty"`
	// Question is what the action asks people now.
	Question *Question `json:"question,omitempty"`
	// Result is what a lookup gave, Error why it gave nothing.
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// Found adds what the lookup that was decided gave.
func (o *Outcome) Found(kept *v1alpha1.EnrichmentRecord) {
	o.Error = kept.Error
	if kept.Error == "" {
		o.Result = json.RawMessage(cmp.Or(string(raw(kept.Result)), "null"))
	}
}

// NewOutcome says what became of a decision. action may be nil.
func NewOutcome(d *v1alpha1.Decision, action *v1alpha1.Action) Outcome {
	out := Outcome{
		Case: d.Spec.CaseRef.Name, Decision: d.Name, Verdict: string(d.Spec.Verdict), State: string(d.Status.State),
		Reason: d.Status.Reason, Message: d.Status.Message,
	}
	if action == nil {
		return out
	}
	view := ActionView(out.Case, action)
	out.Action = &view
	if q := action.Status.Question; q != nil && action.Status.State == v1alpha1.ActionAsking {
		out.Question = &Question{
			Handle: view.Handle, Kind: string(q.Kind), Prompt: q.Prompt, Because: q.Because, Who: WhoMayAnswer(*q), Verb: q.Verb,
			Groups: q.Groups, Excluded: q.Excluded, Count: q.Count, Digest: q.Digest, AskedTime: q.AskedTime.UTC(), DueTime: q.DueTime.UTC(),
		}
	}
	return out
}

// done is a verdict as something that has happened.
var done = map[v1alpha1.Verdict]string{
	v1alpha1.VerdictApprove: "Approved.", v1alpha1.VerdictDeny: "Denied.", v1alpha1.VerdictAnswer: "Answered.",
	v1alpha1.VerdictAct: "Accepted.", v1alpha1.VerdictAssign: "Assigned.", v1alpha1.VerdictComment: "Noted.",
	v1alpha1.VerdictClose: "Closed.", v1alpha1.VerdictReopen: "Reopened.", v1alpha1.VerdictRollback: "Accepted.",
	v1alpha1.VerdictResolve: "Resolved.", v1alpha1.VerdictLookup: "Asked; the case shows the answer under KNOWN.", v1alpha1.VerdictRun: "Accepted; the case shows the run under RUNS.",
	v1alpha1.VerdictSet: "Corrected.", v1alpha1.VerdictAdd: "Added.",
	v1alpha1.VerdictFreeze: "Frozen: nothing changes a target until kubectl casebook thaw -m \"…\".", v1alpha1.VerdictThaw: "Thawed.",
}

// Text says it in a few lines, with the command that comes next.
func (o Outcome) Text(s Screen) string {
	p := s.page()
	switch o.State {
	case "":
		look := "kubectl casebook timeline " + Escape(o.Case)
		if o.Case == "" {
			look = "kubectl get decision " + Escape(o.Decision)
		}
		p.tell("Decision " + Escape(o.Decision) + " is recorded; nothing has come of it yet. Look with: " + look)
		return p.String()
	case string(v1alpha1.DecisionVoid):
		p.tell(p.paint(bad, "Void") + ", " + Escape(o.Reason) + ": " + Prose(o.Message))
		return p.String()
	}
	if o.Error != "" {
		p.tell("Recorded; the case shows it under KNOWN.")
		return p.String()
	}
	p.tell(cmp.Or(done[v1alpha1.Verdict(o.Verdict)], Escape(o.Verdict)+" counts."))
	if o.Result != nil {
		if text, err := Encode(FormatJSON, o.Result); err == nil {
			p.WriteString(string(text))
		}
	}
	if o.Action != nil {
		o.action(p, *o.Action)
	}
	return p.String()
}

func (o Outcome) action(p *page, action Action) {
	text := Escape(action.Operation) + " on " + Escape(action.Target.text()) + ": " + Prose(action.outcome())
	if !action.EndTime.IsZero() {
		text = p.clock(action.EndTime) + "  " + text
	}
	for _, line := range p.fold(text, p.width()) {
		p.line(p.paint(toneOfState(action.State), line))
	}
	if why := action.why(); why != "" {
		p.tell("  " + Prose(why))
	}
	if o.Question != nil {
		p.tell(fmt.Sprintf("%s waits for %s, until %s.", Escape(o.Question.Handle), o.Question.Who, p.minute(o.Question.DueTime)))
		if given := len(action.Approvals); given > 0 {
			p.tell(fmt.Sprintf("%d of %d have approved.", given, o.Question.Count))
		}
	}
	if action.canRollBack() && !strings.HasPrefix(o.Verdict, "Rollback") {
		p.line("To take it back:")
		p.line("  kubectl casebook rollback " + Escape(action.Handle) + " -m \"…\"")
	}
}

// tell writes a sentence, wrapped.
func (p *page) tell(text string) {
	for _, line := range p.fold(text, p.width()) {
		p.line(line)
	}
}
