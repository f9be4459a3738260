// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// Why explains a case: each section says which rule or person made what is so.
type Why struct {
	Case     string   `json:"case"`
	Severity string   `json:"severity"`
	Trace    []Factor `json:"trace,omitempty"`
	// Queue is where the case waits, Routing why there.
	Queue   string `json:"queue,omitempty"`
	Routing string `json:"routing,omitempty"`
	// Grouping says for each signal why it belongs to this case.
	Grouping []Grouping `json:"grouping,omitempty"`
	// Fields say for each signal where each field came from.
	Fields []Field `json:"fields,omitempty"`
	// Verdicts are what guardrails said of actions, Judgements what people decided.
	Verdicts   []Judged    `json:"verdicts,omitempty"`
	Judgements []Judgement `json:"judgements,omitempty"`

	topic string // what Only was asked for
}

// Grouping is why one signal belongs to its case.
type Grouping struct {
	Signal  string `json:"signal"`
	Because string `json:"because"`
}

// Field is where one field of one signal came from.
type Field struct {
	Signal string `json:"signal"`
	Field  string `json:"field"`
	// Value is what stood at Path, or what the Expression gives where it reads nothing.
	Value string `json:"value,omitempty"`
	// Expression is the Mapping's, Path the part of the payload that it read.
	Expression string `json:"expression,omitempty"`
	Path       string `json:"path,omitempty"`
	// Mapping is name@generation.
	Mapping string `json:"mapping"`
}

// Judged is what guardrails said of one action.
type Judged struct {
	Handle    string  `json:"handle"`
	Operation string  `json:"operation"`
	State     string  `json:"state"`
	Message   string  `json:"message,omitempty"`
	Requester Actor   `json:"requester"`
	Verdict   Verdict `json:"verdict"`
	Approvals []Actor `json:"approvals,omitempty"`
}

// Judgement is what one person decided, and whether it counts.
type Judgement struct {
	Decision string    `json:"decision"`
	Text     string    `json:"text"`
	Handle   string    `json:"handle,omitempty"`
	Actor    Actor     `json:"actor"`
	State    string    `json:"state,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Message  string    `json:"message,omitempty"`
	Time     time.Time `json:"time"`
}

// NewWhy explains a case.
func NewWhy(r *Records) Why {
	why := Why{Case: r.Case.Name, Severity: string(severityOf(&r.Case)), Trace: factors(&r.Case), Queue: r.Case.Status.Queue}
	if why.Queue != "" {
		why.Routing = routing(r)
	}
	for i := range r.Signals {
		why.addSignal(&r.Signals[i], r.Case.Spec.CorrelatedBy)
	}
	for i := range r.Actions {
		view := actionOf(r, &r.Actions[i])
		if view.Verdict != nil {
			why.Verdicts = append(why.Verdicts, Judged{
				Handle: view.Handle, Operation: view.Operation, State: view.State, Message: view.Message, Requester: view.Requester,
				Verdict: *view.Verdict, Approvals: view.Approvals,
			})
		}
	}
	for i := range r.Decisions {
		why.Judgements = append(why.Judgements, judgementOf(r, &r.Decisions[i]))
	}
	return why
}

// routing says why a case waits where it does: the newest decision that counts and names a queue, or else its type.
func routing(r *Records) string {
	for _, d := range slices.Backward(r.Decisions) {
		assigned := d.Spec.Assign != nil && d.Spec.Assign.Queue != ""
		set := d.Spec.Set != nil && d.Spec.Set.Queue != ""
		if d.Status.State != v1alpha1.DecisionCounted || !assigned && !set {
			continue
		}
		because := "set by " + personOf(d.Spec.Actor).Name
		if d.Spec.Message != "" {
			because += ": " + d.Spec.Message
		}
		return because
	}
	return "that of type " + casefile.TypeName(&r.Case)
}

func (w *Why) addSignal(s *v1alpha1.Signal, correlatedBy string) {
	because := s.Spec.GroupedBecause
	if because == "" {
		because = "same " + correlatedBy
	}
	w.Grouping = append(w.Grouping, Grouping{Signal: s.Name, Because: because})
	for _, e := range s.Spec.Explanation {
		w.Fields = append(w.Fields, Field{
			Signal: s.Name, Field: e.Field, Value: e.Value, Expression: e.Expression, Path: e.Path, Mapping: s.Spec.Mapping,
		})
	}
	for _, gap := range s.Spec.Gaps {
		w.Fields = append(w.Fields, Field{Signal: s.Name, Field: gap, Mapping: s.Spec.Mapping})
	}
}

func judgementOf(r *Records, d *v1alpha1.Decision) Judgement {
	out := Judgement{
		Decision: d.Name, Text: decisionText(r, d), Actor: personOf(d.Spec.Actor), State: string(d.Status.State),
		Reason: d.Status.Reason, Message: d.Status.Message, Time: began(d).UTC(),
	}
	switch {
	case d.Spec.Answer != nil:
		out.Handle = r.Case.Name + "/" + d.Spec.Answer.Handle
	case d.Spec.Rollback != nil:
		out.Handle = r.Case.Name + "/" + handleOf(r, d.Spec.Rollback.ActionRef.Name)
	case d.Spec.Resolve != nil:
		out.Handle = r.Case.Name + "/" + handleOf(r, d.Spec.Resolve.ActionRef.Name)
	case d.Spec.Act != nil && d.Status.Action != "":
		out.Handle = r.Case.Name + "/" + handleOf(r, d.Status.Action)
	}
	return out
}

// Topics are what Only can be asked for: the fields of the signals and the handles of the actions and questions.
func (w Why) Topics() []string {
	topics := []string{"severity", "grouping"}
	if w.Queue != "" {
		topics = append(topics, "queue")
	}
	for _, f := range w.Fields {
		topics = append(topics, f.Field)
	}
	for _, v := range w.Verdicts {
		topics = append(topics, strings.TrimPrefix(v.Handle, w.Case+"/"))
	}
	for _, j := range w.Judgements {
		if j.Handle != "" {
			topics = append(topics, strings.TrimPrefix(j.Handle, w.Case+"/"))
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// Only keeps what explains one field, or one action or question by its handle; false if the case knows no such thing.
func (w Why) Only(topic string) (Why, bool) {
	if !slices.Contains(w.Topics(), topic) {
		return w, false
	}
	handle := w.Case + "/" + topic
	out := Why{Case: w.Case, Severity: w.Severity, topic: topic}
	if topic == "severity" {
		out.Trace = w.Trace
	}
	if topic == "grouping" {
		out.Grouping = w.Grouping
	}
	if topic == "queue" {
		out.Queue, out.Routing = w.Queue, w.Routing
	}
	out.Fields = slices.DeleteFunc(slices.Clone(w.Fields), func(f Field) bool { return f.Field != topic })
	out.Verdicts = slices.DeleteFunc(slices.Clone(w.Verdicts), func(j Judged) bool { return j.Handle != handle })
	out.Judgements = slices.DeleteFunc(slices.Clone(w.Judgements), func(j Judgement) bool { return j.Handle != handle })
	return out, true
}

// Text is the explanation in sections.
func (w Why) Text(s Screen) string {
	p := s.page()
	if len(w.Trace) > 0 {
		p.title("SEVERITY", w.Severity)
		for _, f := range w.Trace {
			because := Prose(f.because())
			if f.Factor != "base" && f.Factor != "set" {
				because += " (factor " + Escape(f.Factor) + ")"
			}
			p.why(fmt.Sprintf("%+d", f.Adjust), pad(f.Severity, 14)+because)
		}
	}
	if w.Queue != "" {
		p.title("QUEUE", Escape(w.Queue))
		p.why("", Prose(w.Routing))
	}
	if len(w.Grouping) > 0 {
		p.title("GROUPING", "why each signal belongs to this case")
		for _, g := range w.Grouping {
			p.why("", Escape(g.Signal)+": "+Prose(g.Because))
		}
	}
	w.fields(p)
	if len(w.Verdicts) > 0 {
		p.title("GUARDRAILS", "what they said of each action")
		for _, v := range w.Verdicts {
			v.write(p)
		}
	}
	if len(w.Judgements) > 0 {
		p.title("PEOPLE", "who decided what")
		for _, j := range w.Judgements {
			j.write(p)
		}
	}
	return p.String()
}

func (p *page) title(head, text string) {
	if p.Len() > 0 {
		p.line("")
	}
	p.line(p.paint(strong, head) + "  " + text)
}

// why writes an indented line with a narrow first column.
func (p *page) why(lead, text string) {
	if lead != "" {
		lead = pad(lead, 4)
	}
	for _, line := range p.fold("  "+lead+text, p.width()) {
		p.line(line)
	}
}

// briefly is how much of an expression is shown unless its field was asked for.
const briefly = 140

func (w Why) fields(p *page) {
	signal := ""
	for _, f := range w.Fields {
		if f.Signal != signal {
			signal = f.Signal
			p.title("FIELDS", "of signal "+Escape(f.Signal)+", read by mapping "+Escape(f.Mapping))
		}
		if f.Expression == "" && f.Path == "" && f.Value == "" {
			p.why("", Escape(f.Field)+": the payload has none")
			continue
		}
		expression := strings.Join(strings.Fields(f.Expression), " ") // a Mapping may break its lines
		if w.topic == "" {
			expression = cut(expression, briefly)
		}
		if f.Path == "" { // nothing was read: the value is the expression's own
			p.why("", Escape(f.Field)+" = "+Prose(f.Value))
		} else {
			p.why("", Escape(f.Field))
		}
		if expression != "" {
			p.why("", "    by "+Escape(expression))
		}
		if f.Path != "" {
			p.why("", "    from "+Escape(f.Path)+" = "+Prose(f.Value))
		}
	}
}

func (j Judged) write(p *page) {
	p.why("", Escape(j.Handle)+"  "+Escape(j.Operation)+", wanted by "+j.Requester.text())
	rule := j.Verdict.Rule
	if rule == "" {
		rule = "no rule answers"
	}
	p.why("", "    "+j.Verdict.Answer+"  "+Escape(rule)+": "+Prose(j.Verdict.Because))
	for _, approval := range j.Approvals {
		p.why("", "    approved by "+approval.text())
	}
	text := j.State
	if j.Message != "" {
		text += ": " + Prose(j.Message)
	}
	p.why("", "    "+p.paint(toneOfState(j.State), text))
}

func (j Judgement) write(p *page) {
	p.why("", p.clock(j.Time)+"  "+j.Actor.text()+"  "+Prose(j.Text))
	switch {
	case j.State == "":
		p.why("", "    not looked at yet")
	case j.Message != "":
		p.why("", "    "+p.paint(toneOfState(j.State), j.State+", "+j.Reason)+": "+Prose(j.Message))
	default:
		p.why("", "    "+p.paint(toneOfState(j.State), j.State))
	}
}
