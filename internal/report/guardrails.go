// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/guard"
)

// Guardrails explains what guardrails would say of a proposed action, rule by rule.
type Guardrails struct {
	Namespace string `json:"namespace"`
	Operation string `json:"operation"`
	Case      string `json:"case,omitempty"`
	// Target and Input are what was given of them.
	Target    *Target        `json:"target,omitempty"`
	Input     map[string]any `json:"input,omitempty"`
	Requester Actor          `json:"requester"`
	// Unnamed says why the target has no name, where it has none.
	Unnamed string `json:"unnamed,omitempty"`
	// Freeze stops whatever the verdict is.
	Freeze *Freeze `json:"freeze,omitempty"`
	// Guardrails are in the order in which they are heard: the operator's first.
	Guardrails []Guardrail `json:"guardrails"`
	// NotHeard names what could not be read, and what that means.
	NotHeard []string `json:"notHeard,omitempty"`
	// Verdict is the strictest of what they say, Who in words who must approve where it asks.
	Verdict  GuardrailVerdict `json:"verdict"`
	Who      string           `json:"who,omitempty"`
	ValidFor string           `json:"validFor,omitempty"`
}

// GuardrailVerdict is a verdict that was given to nobody, and so has no time.
type GuardrailVerdict struct {
	Answer  string `json:"answer"`
	Rule    string `json:"rule,omitempty"`
	Because string `json:"because"`
}

// Freeze is a person's stop.
type Freeze struct {
	Namespace string    `json:"namespace"`
	Decision  string    `json:"decision"`
	By        string    `json:"by"`
	Message   string    `json:"message"`
	Since     time.Time `json:"since"`
}

// Guardrail says how one Guardrail answered.
type Guardrail struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Side is Operator or Tenant.
	Side   string            `json:"side"`
	Covers bool              `json:"covers"`
	Lookup []GuardrailLookup `json:"lookups,omitempty"`
	Rules  []GuardrailRule   `json:"rules,omitempty"`
	// Baseline says why its silence asks.
	Baseline string            `json:"baseline,omitempty"`
	Budgets  []GuardrailBudget `json:"budgets,omitempty"`
	Breaker  *GuardrailBreaker `json:"breaker,omitempty"`
}

// GuardrailLookup is a read that a Guardrail wants before its rules are asked.
type GuardrailLookup struct {
	Name      string         `json:"name"`
	Operation string         `json:"operation"`
	Input     map[string]any `json:"input,omitempty"`
	// Given is the value that was given for it; nil: it was not made, and what needs it is Unknown.
	Given json.RawMessage `json:"given,omitempty"`
	// Error says why it cannot be made at all.
	Error string `json:"error,omitempty"`
}

// GuardrailRule says how one rule answered.
type GuardrailRule struct {
	Name string `json:"name"`
	If   string `json:"if,omitempty"`
	// Would is the rule's answer if its condition holds, Truth whether it does: True, False or Unknown.
	Would  string `json:"would"`
	Truth  string `json:"truth"`
	Reason string `json:"reason,omitempty"`
	// Answer is what it said; empty: it kept silent.
	Answer  string `json:"answer,omitempty"`
	Because string `json:"because,omitempty"`
}

// GuardrailBudget is how much of a budget is used.
type GuardrailBudget struct {
	Name string `json:"name"`
	Used int    `json:"used"`
	Max  int    `json:"max"`
	Per  string `json:"per"`
	// Over says that it asks.
	Over  bool      `json:"over"`
	Frees time.Time `json:"frees,omitzero"`
	Text  string    `json:"text"`
}

// GuardrailBreaker is how much turned out wrong.
type GuardrailBreaker struct {
	Wrong        int      `json:"wrong"`
	Seen         int      `json:"seen"`
	WrongPercent int      `json:"wrongPercent"`
	OutOf        int      `json:"outOf"`
	Newest       []string `json:"newest,omitempty"`
	// Open says that nothing runs unattended.
	Open bool   `json:"open"`
	Text string `json:"text"`
}

// NewGuardrails explains a verdict for a requester. Lookups gives those of a Guardrail.
func NewGuardrails(v guard.Verdict, requester v1alpha1.JournalActor, lookups func(namespace, guardrail string) []GuardrailLookup) Guardrails {
	out := Guardrails{
		Requester: actorOf(requester), Guardrails: []Guardrail{},
		Verdict: GuardrailVerdict{Answer: string(v.Answer), Rule: v.Rule, Because: v.Because},
	}
	if v.Ask != nil {
		out.Who = WhoMayAnswer(v1alpha1.Question{
			Verb: v.Ask.Verb, Groups: v.Ask.Groups, Count: v.Ask.Count, Excluded: guard.ExcludedFrom(*v.Ask, requester, ""),
		})
		out.ValidFor = v.Ask.ValidFor.Duration.String()
	}
	for _, p := range v.Trace {
		one := Guardrail{Namespace: p.Namespace, Name: p.Guardrail, Side: string(p.Side), Covers: p.Covers, Baseline: p.Baseline}
		if p.Covers {
			one.Lookup = lookups(p.Namespace, p.Guardrail)
		}
		for _, r := range p.Rules {
			one.Rules = append(one.Rules, GuardrailRule{
				Name: r.Rule, If: r.If, Would: string(r.Would), Truth: r.Truth.String(), Reason: r.Reason, Answer: string(r.Answer), Because: r.Because,
			})
		}
		for _, b := range p.Budgets {
			one.Budgets = append(one.Budgets, GuardrailBudget{
				Name: b.Budget, Used: b.Used, Max: b.Max, Per: b.Per.String(), Over: b.Over(), Frees: b.Frees.UTC(), Text: b.String(),
			})
		}
		if b := p.Breaker; b != nil {
			one.Breaker = &GuardrailBreaker{
				Wrong: b.Wrong, Seen: b.Seen, WrongPercent: b.WrongPercent, OutOf: b.OutOf, Newest: b.Newest, Open: b.Open(), Text: b.String(),
			}
		}
		out.Guardrails = append(out.Guardrails, one)
	}
	return out
}

// Text is the explanation in sections, the verdict last.
func (g Guardrails) Text(s Screen) string {
	p := s.page()
	for _, line := range p.fold(g.subject(), p.width()) {
		p.line(line)
	}
	if g.Unnamed != "" {
		p.head("TARGET", "", "has no name, so what needs it is Unknown")
		p.section("", Prose(g.Unnamed), "give it with --input, or with --target name=…")
	}
	if f := g.Freeze; f != nil {
		p.head("FREEZE", "", "namespace "+Escape(f.Namespace)+", by "+Escape(cmp.Or(f.By, "nobody"))+" since "+p.clock(f.Since)+": "+Prose(f.Message))
		p.section("", p.paint(bad, "Nothing is sent until it is thawed, whatever the verdict."))
	}
	var away []string
	for _, one := range g.Guardrails {
		if !one.Covers {
			away = append(away, one.called(g.Namespace))
			continue
		}
		p.head("GUARDRAIL", "", one.called(g.Namespace))
		one.write(p)
	}
	if len(away) > 0 {
		p.head("SILENT", "", "they do not cover the operation: "+strings.Join(away, ", "))
	}
	if len(g.NotHeard) > 0 {
		p.head("NOT HEARD", "", "the controllers may hear more")
		for _, what := range g.NotHeard {
			p.section("", Prose(what))
		}
	}
	p.head("VERDICT", toneOfAnswer(g.Verdict.Answer), Escape(g.Verdict.Answer+"  "+g.Verdict.Rule))
	p.section("because", Prose(g.Verdict.Because))
	if g.Who != "" {
		p.section("who", g.Who+"; the question stands "+strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(g.ValidFor))
	}
	return p.String()
}

// head begins a section below a blank line.
func (p *page) head(head string, of tone, text string) {
	p.line("")
	for i, line := range p.fold(head+"  "+text, p.width()) {
		if i == 0 {
			line = p.paint(strong, head) + p.paint(of, strings.TrimPrefix(line, head))
		}
		p.line(line)
	}
}

func (g Guardrails) subject() string {
	text := Escape(g.Operation)
	if g.Target != nil {
		text += " on " + Escape(strings.TrimSpace(g.Target.Type+" "+strings.TrimPrefix(g.Target.Namespace+"/"+g.Target.Name, "/")))
	}
	if g.Case != "" {
		text += " for case " + Escape(g.Case)
	}
	return text + ", wanted by " + g.Requester.text()
}

// called names a guardrail, with its namespace where that is not the tenant's.
func (g Guardrail) called(tenant string) string {
	if g.Namespace == tenant {
		return Escape(g.Name)
	}
	return Escape(g.Namespace + "/" + g.Name)
}

func (g Guardrail) write(p *page) {
	for _, l := range g.Lookup {
		p.section("lookup", l.text())
	}
	for _, r := range g.Rules {
		p.section(strings.ToLower(r.Would), r.lines(p)...)
	}
	if g.Baseline != "" {
		p.section("baseline", p.paint(warn, "asks: ")+Prose(g.Baseline))
	}
	for _, b := range g.Budgets {
		p.section("budget", p.asks(b.Over)+Prose(b.Text))
	}
	if b := g.Breaker; b != nil {
		p.section("breaker", p.asks(b.Open)+Prose(b.Text))
	}
}

func (p *page) asks(asks bool) string {
	if asks {
		return p.paint(warn, "asks: ")
	}
	return ""
}

func (l GuardrailLookup) text() string {
	text := Escape(l.Name) + " = " + Escape(l.Operation)
	if len(l.Input) > 0 {
		raw, err := json.Marshal(l.Input)
		if err == nil {
			text += " " + Prose(string(raw))
		}
	}
	switch {
	case l.Given != nil:
		return text + ": taken to be " + Prose(string(l.Given))
	case l.Error != "":
		return text + ": cannot be made: " + Prose(l.Error)
	default:
		return text + ": not made here, so what needs it is Unknown"
	}
}

// lines say what came of a rule's condition and what the rule said, then both in their own words.
func (r GuardrailRule) lines(p *page) []string {
	what := "silent"
	if r.Answer != "" {
		what = map[string]string{"Allow": "allows", "Ask": "asks", "Deny": "denies"}[r.Answer]
	}
	if r.Truth == expr.Unknown.String() {
		what = "Unknown, so it " + strings.Replace(what, "silent", "is silent", 1)
	}
	lines := []string{Escape(r.Name) + ": " + p.paint(toneOfAnswer(r.Answer), what)}
	if r.If != "" {
		lines = append(lines, "  if "+Escape(strings.Join(strings.Fields(r.If), " ")))
	}
	switch {
	case r.Reason != "":
		lines = append(lines, "  "+Prose(r.Reason))
	case r.Because != "":
		lines = append(lines, "  "+Prose(r.Because))
	}
	return lines
}

func toneOfAnswer(answer string) tone {
	switch v1alpha1.Answer(answer) {
	case v1alpha1.AnswerDeny:
		return bad
	case v1alpha1.AnswerAsk:
		return warn
	case v1alpha1.AnswerAllow:
		return good
	default:
		return calm
	}
}

// RawOf is a value as compact JSON, for GuardrailLookup.Given.
func RawOf(value any) json.RawMessage {
	raw, err := json.Marshal(value)
	if err != nil {
		return json.RawMessage(fmt.Sprintf("%q", err.Error()))
	}
	return raw
}
