// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Queue is the list of cases that wait for people, the most urgent first.
type Queue struct {
	Cases []QueueRow `json:"cases"`
	// Open counts the open cases of the list, and the closed ones that still ask what became of an action; Yours those
	// that ask the viewer, Overdue those whose question is past its time.
	Open    int `json:"open"`
	Yours   int `json:"yours"`
	Overdue int `json:"overdue"`
}

// QueueRow is one case of a queue.
type QueueRow struct {
	Namespace  string     `json:"namespace"`
	Name       string     `json:"name"`
	Title      string     `json:"title"`
	Severity   string     `json:"severity"`
	State      string     `json:"state"`
	Type       string     `json:"type"`
	Queue      string     `json:"queue,omitempty"`
	Owner      string     `json:"owner,omitempty"`
	About      string     `json:"about"`
	OpenedTime time.Time  `json:"openedTime"`
	DueTime    time.Time  `json:"dueTime,omitzero"`
	Questions  []Question `json:"questions,omitempty"`
}

// NewQueue makes the queue of some cases as a viewer sees it.
func NewQueue(cases []v1alpha1.Case, viewer Viewer, now time.Time) Queue {
	queue := Queue{Cases: make([]QueueRow, 0, len(cases))}
	for i := range cases {
		row := queueRow(&cases[i], viewer)
		queue.Cases = append(queue.Cases, row)
		if Waits(&cases[i]) {
			queue.Open++
		}
		if slices.ContainsFunc(row.Questions, func(q Question) bool { return q.Yours }) {
			queue.Yours++
		}
		if !row.DueTime.IsZero() && row.DueTime.Before(now) {
			queue.Overdue++
		}
	}
	slices.SortStableFunc(queue.Cases, byUrgency)
	return queue
}

func queueRow(c *v1alpha1.Case, viewer Viewer) QueueRow {
	row := QueueRow{
		Namespace: c.Namespace, Name: c.Name, Title: c.Spec.Title, Severity: string(severityOf(c)), State: stateOf(c),
		Type: typeOf(c), Queue: c.Status.Queue, Owner: c.Status.Owner, About: about(c),
		OpenedTime: c.CreationTimestamp.UTC(), Questions: QuestionsOf(c, viewer),
	}
	for _, q := range row.Questions {
		if q.DueTime.IsZero() {
			continue
		}
		if row.DueTime.IsZero() || q.DueTime.Before(row.DueTime) {
			row.DueTime = q.DueTime
		}
	}
	return row
}

// byUrgency puts the severe first, among equals what asks for ever, then what is due first, then what waits longest.
func byUrgency(a, b QueueRow) int {
	rank := func(row QueueRow) int { return v1alpha1.Severity(row.Severity).Rank() }
	due := func(row QueueRow) int64 {
		switch {
		case slices.ContainsFunc(row.Questions, func(q Question) bool { return q.DueTime.IsZero() }):
			return -1 << 63
		case row.DueTime.IsZero():
			return 1<<63 - 1
		}
		return row.DueTime.UnixNano()
	}
	return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(due(a), due(b)), a.OpenedTime.Compare(b.OpenedTime),
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// severityOf is the severity now; that at open until the controllers have looked.
func severityOf(c *v1alpha1.Case) v1alpha1.Severity {
	return cmp.Or(c.Status.Severity, c.Spec.Severity)
}

func stateOf(c *v1alpha1.Case) string {
	return string(cmp.Or(c.Status.State, v1alpha1.CaseNew))
}

// about is what a case is about in a few words: its things, else its people, else its machines, else its title.
func about(c *v1alpha1.Case) string {
	for _, entities := range [][]v1alpha1.Entity{c.Status.Assets, c.Status.Users, c.Status.Hosts} {
		if len(entities) == 1 {
			return entityText(entities[0])
		}
		if len(entities) > 1 {
			return fmt.Sprintf("%s and %d more", entityText(entities[0]), len(entities)-1)
		}
	}
	return c.Spec.Title
}

// entityText names an entity as people do: "Pod shop/web-6d4f9", "ana@example.com".
func entityText(e v1alpha1.Entity) string {
	name := e.Name
	if e.Namespace != "" && !strings.HasPrefix(name, e.Namespace+"/") {
		name = e.Namespace + "/" + name
	}
	if e.Type != "" {
		name = e.Type + " " + name
	}
	return name
}

// Text is the queue as a table.
func (q Queue) Text(s Screen) string {
	p := s.page()
	if len(q.Cases) == 0 {
		p.line("No cases. Look further with --all (closed ones), -n NAMESPACE or -A.")
		return p.String()
	}
	heads := []column{
		{head: "CASE", least: 14}, {head: "SEVERITY"}, {head: "STATE", least: 9}, {head: "TYPE", least: 6},
		{head: "ABOUT", least: 13}, {head: "DUE"}, {head: "ASKS", least: 18},
	}
	several := slices.ContainsFunc(q.Cases, func(r QueueRow) bool { return r.Namespace != q.Cases[0].Namespace })
	if several { // the names are longer
		heads[len(heads)-1].least = 12
	}
	rows := make([][]cell, len(q.Cases))
	for i, row := range q.Cases {
		name := row.Name
		if several {
			name = row.Namespace + "/" + name
		}
		rows[i] = []cell{
			{text: Escape(name)}, {text: row.Severity, tone: toneOfSeverity(row.Severity)}, {text: row.State},
			{text: Escape(row.Type)}, {text: Prose(row.About)}, p.dueCell(row), asksCell(row.Questions),
		}
	}
	p.table(heads, rows)
	p.line(q.summary())
	return p.String()
}

func (p *page) dueCell(row QueueRow) cell {
	c := cell{text: p.away(row.DueTime)}
	if !row.DueTime.IsZero() && row.DueTime.Before(p.Now) {
		c.tone = bad
	}
	return c
}

func asksCell(questions []Question) cell {
	if len(questions) == 0 {
		return cell{text: "-"}
	}
	shown := questions[0]
	if i := slices.IndexFunc(questions, func(q Question) bool { return q.Yours }); i >= 0 {
		shown = questions[i]
	}
	who, t := "others", calm
	if shown.Yours {
		who, t = "you", warn
	} else if len(shown.Groups) > 0 {
		who = strings.Join(shown.Groups, ", ")
	}
	text := who + ": " + shown.Prompt
	if len(questions) > 1 {
		text = fmt.Sprintf("%s, 1 of %d: %s", who, len(questions), shown.Prompt)
	}
	return cell{text: Prose(text), tone: t}
}

func (q Queue) summary() string {
	verb := "ask"
	if q.Yours == 1 || q.Open == 1 {
		verb = "asks"
	}
	text := fmt.Sprintf("%d of %s %s you.", q.Yours, count(int64(q.Open), "open case", "open cases"), verb)
	switch q.Overdue {
	case 0:
	case 1:
		text += " 1 is overdue."
	default:
		text += fmt.Sprintf(" %d are overdue.", q.Overdue)
	}
	return text
}
