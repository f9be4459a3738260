// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
)

// caseColumn is how wide the first column of a section's rows is, where rows have columns.
const caseColumn = 10

// Text is the page of a case.
func (c Case) Text(s Screen) string {
	p := s.page()
	for _, line := range p.fold(Escape(c.Name)+"  "+Prose(c.Title), p.width()) {
		p.line(p.paint(strong, line))
	}
	for _, text := range c.standing(p) {
		for _, line := range p.fold(text, p.width()) {
			p.line(p.paint(toneOfSeverity(c.Severity), line))
		}
	}
	p.line("")
	p.section("WHO", c.who()...)
	p.section("WHERE", c.where(p)...)
	p.section("WHAT", c.what()...)
	p.section("KNOWN", c.known()...)
	p.section("WHY", c.why()...)
	p.section("RUNS", c.runs()...)
	c.did(p)
	c.asked(p)
	c.asks(p)
	c.canDo(p)
	c.closed(p)
	c.similar(p)
	p.section("RECORD", c.record(p)...)
	return p.String()
}

// standing are the lines that say where the case stands.
func (c Case) standing(p *page) []string {
	severity := c.Severity
	if c.SeverityAtOpen != c.Severity {
		severity += ", was " + c.SeverityAtOpen + " at open"
	}
	queue := "no queue yet"
	if c.Queue != "" {
		queue = "queue " + c.Queue
	}
	owner := "no owner"
	if c.Owner != "" {
		owner = "owner " + c.Owner
	}
	return []string{
		severity + "   " + c.State + "   " + Escape(queue+", "+owner),
		Escape("type "+c.Type) + "   opened " + p.away(c.OpenedTime),
	}
}

func entity(e Entity) string {
	name := e.Name
	if e.Namespace != "" && !strings.HasPrefix(name, e.Namespace+"/") {
		name = e.Namespace + "/" + name
	}
	if e.Type != "" {
		name = e.Type + " " + name
	}
	if e.Cluster != "" {
		name += "   cluster " + e.Cluster
	}
	return name
}

func (c Case) what() []string {
	out := make([]string, 0, len(c.Assets)+1)
	for _, asset := range c.Assets {
		out = append(out, Escape(entity(asset)))
	}
	return append(out, count(c.Signals, "signal", "signals"))
}

func (c Case) why() []string {
	out := make([]string, len(c.SeverityTrace))
	for i, f := range c.SeverityTrace {
		move := f.Severity
		if f.Factor != "base" {
			move = fmt.Sprintf("%+d", f.Adjust)
		}
		out[i] = pad(move, caseColumn) + Prose(f.because())
	}
	return out
}

func (c Case) runs() []string {
	var out []string
	for _, playbook := range c.Playbooks {
		text := Escape(playbook.Name)
		switch {
		case playbook.By != nil:
			text += ", started by " + playbook.By.text()
		case playbook.Item != "":
			text += " for " + Escape(playbook.Item)
		}
		switch {
		case playbook.State != "":
			text += "   " + playbook.State
		case playbook.Run == "":
			text += "   not started"
		}
		if playbook.Step != "" && playbook.State != "Succeeded" {
			text += " at " + Escape(playbook.Step)
		}
		if playbook.Message != "" {
			text += ": " + Prose(notStarted(playbook.Message))
		}
		out = append(out, text)
	}
	return out
}

func (c Case) did(p *page) {
	label := "DID"
	for _, action := range c.Actions {
		lead := pad(p.clock(action.time())+"  ", caseColumn) // longer for another day
		for _, line := range p.fold(Escape(action.Operation)+"  "+Escape(action.Target.text()), p.width()-labelWidth-columns(lead)) {
			p.line(p.paint(strong, pad(label, labelWidth)) + lead + line)
			label, lead = "", strings.Repeat(" ", caseColumn)
		}
		for _, line := range p.fold(Prose(action.outcome()), p.width()-labelWidth-caseColumn) {
			p.line(strings.Repeat(" ", labelWidth+caseColumn) + p.paint(toneOfState(action.State), line))
		}
		if why := action.why(); why != "" {
			p.section("", strings.Repeat(" ", caseColumn)+Prose(why))
		}
	}
}

func (c Case) asked(p *page) {
	label := "ASKED"
	for _, answer := range c.Answers {
		by := "nobody"
		if answer.By != nil {
			by = answer.By.text()
		}
		p.section(label, Escape(answer.Handle)+"   "+Prose(answer.Prompt),
			strings.Repeat(" ", caseColumn)+Escape(answer.Answer)+" at "+p.minute(answer.Time)+", by "+by)
		label = ""
	}
}

func (c Case) asks(p *page) {
	label := "ASKS"
	for _, q := range c.Questions {
		when := "since " + p.minute(q.AskedTime) + ", " + p.away(q.AskedTime)
		if !q.DueTime.IsZero() {
			when = "until " + p.minute(q.DueTime) + ", " + p.away(q.DueTime)
		}
		p.section(label, Escape(q.Handle)+"   "+when)
		for _, line := range p.fold(Prose(q.Prompt), p.width()-labelWidth) {
			p.line(strings.Repeat(" ", labelWidth) + p.paint(warn, line))
		}
		if q.Because != "" {
			p.section("", "because "+Prose(q.Because))
		}
		p.section("", Escape(q.Who))
		for _, command := range q.commands() {
			p.line(strings.Repeat(" ", labelWidth) + "  " + command)
		}
		label = ""
	}
}

func (c Case) canDo(p *page) {
	name := Escape(c.Name)
	commands := []string{"kubectl casebook do " + name + "   (what may be done by hand)"}
	if c.Owner == "" {
		commands = append([]string{"kubectl casebook take " + name}, commands...)
	}
	actions := c.Actions
	if c.Closure != nil || c.State == "Closed" || c.State == "Merged" {
		commands, actions = []string{"kubectl casebook reopen " + name + " -m \"…\""}, nil // first of all
	}
	for _, action := range actions {
		if action.canRollBack() {
			commands = append(commands, "kubectl casebook rollback "+Escape(action.Handle)+" -m \"…\"")
		}
	}
	label := "CAN DO"
	for _, command := range commands {
		p.line(p.paint(strong, pad(label, labelWidth)) + command)
		label = ""
	}
}

func (c Case) closed(p *page) {
	if c.Closure == nil {
		return
	}
	lines := []string{c.Closure.Classification + " at " + p.clock(c.Closure.Time) + ", by " + c.Closure.By.text()}
	if c.Closure.Note != "" {
		lines = append(lines, "note "+Prose(c.Closure.Note))
	}
	if c.Closure.RootCause != "" {
		lines = append(lines, "root cause "+Prose(c.Closure.RootCause))
	}
	p.section("CLOSED", lines...)
}

func (c Case) similar(p *page) {
	var lines []string
	if c.PreviousCase != "" {
		lines = append(lines, Escape(c.PreviousCase)+" (the case before this one, about the same)")
	}
	if c.SourceURL != "" {
		lines = append(lines, "source "+Escape(c.SourceURL))
	}
	p.section("SEE ALSO", lines...)
}

func (c Case) record(p *page) []string {
	text := count(c.Record.Entries, "entry", "entries") + " of " + count(int64(c.Record.Records), "record", "records")
	switch {
	case c.Record.Log == "":
		return []string{text + "; the evidence log cannot be read"}
	case c.Record.CheckpointTime.IsZero():
		return []string{text, "evidence log " + Escape(c.Record.Log) + ": no checkpoint yet"}
	default:
		return []string{text, fmt.Sprintf("evidence log %s at size %d, signed %s", Escape(c.Record.Log), c.Record.LogSize, p.clock(c.Record.CheckpointTime))}
	}
}
