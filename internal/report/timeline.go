// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Timeline is all that happened in a case, in the order of time.
type Timeline struct {
	Case string          `json:"case"`
	Rows []TimelineEntry `json:"entries"`
	// Gaps names the records whose older entries have left the API; they are in the evidence log.
	Gaps []string `json:"gaps,omitempty"`

	playbooks map[string]string // by revision
}

// TimelineEntry is one thing that happened.
type TimelineEntry struct {
	Time time.Time `json:"time"`
	// Kind is signal, case, run, action or decision; Record the object's name.
	Kind   string `json:"kind"`
	Record string `json:"record"`
	// Sequence is the journal entry's; 0 is the record's creation.
	Sequence int64  `json:"sequence"`
	Reason   string `json:"reason,omitempty"`
	Text     string `json:"text"`
	Actor    Actor  `json:"actor"`
	// By names the actor for people, for example "playbook isolate-pod-7f9c".
	By    string `json:"by"`
	Voice string `json:"-"` // the state that gives the row its colour
}

// order of kinds that happened at the same moment: causes before effects.
var order = map[string]int{"signal": 0, "case": 1, "run": 2, "action": 3, "decision": 4}

// NewTimeline makes the timeline of a case.
func NewTimeline(r *Records) Timeline {
	t := Timeline{Case: r.Case.Name, playbooks: map[string]string{}}
	for _, run := range r.Runs {
		t.playbooks[run.Spec.Revision] = run.Spec.PlaybookRef.Name
	}
	for i := range r.Signals {
		t.addSignal(&r.Signals[i])
	}
	t.add(&r.Case, "case", "opened: "+r.Case.Spec.Title, changes(r.Case.Status.Journal, caseChanges(r)),
		Actor{}, "type "+r.Case.Spec.TypeRef.Name)
	for i := range r.Runs {
		run := &r.Runs[i]
		by := "playbook " + run.Spec.PlaybookRef.Name
		t.add(run, "run", "playbook "+run.Spec.PlaybookRef.Name+" begins", changes(run.Status.Journal, runChanges),
			Actor{Type: string(v1alpha1.ActorAutomation), Name: "case", Playbook: run.Spec.Revision}, by)
	}
	for i := range r.Actions {
		t.addAction(&r.Actions[i])
	}
	for i := range r.Decisions {
		t.addDecision(r, &r.Decisions[i])
	}
	for _, record := range r.all() {
		if journal := record.Head().Journal; len(journal) > 0 && journal[0].Sequence > 1 {
			t.Gaps = append(t.Gaps, record.GetName())
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b TimelineEntry) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(order[a.Kind], order[b.Kind]))
	})
	return t
}

// add adds a record: its creation, which has no time of its own finer than a second, goes into the row of its first
// entry. automation says how automation without a playbook is called.
func (t *Timeline) add(r record, kind, created string, entries []change, creator Actor, automation string) {
	row := TimelineEntry{Time: r.GetCreationTimestamp().UTC(), Kind: kind, Record: r.GetName(), Text: created, Actor: creator, By: automation}
	if creator.Type == string(v1alpha1.ActorPerson) {
		row.By = creator.text()
	}
	if len(entries) == 0 || entries[0].entry.Sequence > 1 {
		t.Rows = append(t.Rows, row)
	}
	for _, e := range entries {
		text := e.text
		if e.entry.Sequence == 1 {
			text = created + "; " + text
		}
		actor := actorOf(e.entry.Actor)
		by := t.by(actor, automation)
		t.Rows = append(t.Rows, TimelineEntry{
			Time: e.entry.Time.UTC(), Kind: kind, Record: r.GetName(), Sequence: e.entry.Sequence, Reason: e.entry.Reason,
			Text: text, Actor: actor, By: by, Voice: voice(kind, text),
		})
	}
}

// by names an actor. automation is how one without a playbook is called, if it has another name than its own.
func (t *Timeline) by(a Actor, automation string) string {
	switch {
	case t.playbooks[a.Playbook] != "":
		return "playbook " + t.playbooks[a.Playbook]
	case a.Type == string(v1alpha1.ActorAutomation) && a.Playbook == "" && automation != "":
		return automation
	default:
		return a.text()
	}
}

func (t *Timeline) addSignal(s *v1alpha1.Signal) {
	by := "source " + s.Spec.SourceRef.Name
	t.Rows = append(t.Rows, TimelineEntry{
		Time: s.Spec.ReceivedTime.UTC(), Kind: "signal", Record: s.Name, Text: string(s.Spec.Severity) + ": " + s.Spec.Title,
		Actor: Actor{Type: string(v1alpha1.ActorAutomation), Name: s.Spec.SourceRef.Name}, By: by,
	})
	for _, e := range changes(s.Status.Journal, signalChanges) {
		t.Rows = append(t.Rows, TimelineEntry{
			Time: e.entry.Time.UTC(), Kind: "signal", Record: s.Name, Sequence: e.entry.Sequence, Reason: e.entry.Reason,
			Text: s.Spec.Title + ": " + e.text, Actor: actorOf(e.entry.Actor), By: by,
		})
	}
}

func (t *Timeline) addAction(action *v1alpha1.Action) {
	created := action.Spec.Operation + " on " + targetOf(action.Spec.Target).text() + " wanted"
	if action.Spec.RollbackOf != nil {
		created += ", to take back " + strings.TrimPrefix(action.Spec.Handle, "rollback-")
	}
	requester := actorOf(action.Spec.Requester)
	entries := changes(action.Status.Journal, actionChanges(action))
	for i := range entries {
		if entries[i].entry.Sequence > 1 {
			entries[i].text = action.Spec.Operation + ": " + entries[i].text
		}
	}
	t.add(action, "action", created, entries, requester, t.by(requester, ""))
}

// addDecision shows a decision by its person; what became of it stands in the same row, or beneath.
func (t *Timeline) addDecision(r *Records, d *v1alpha1.Decision) {
	person := personOf(d.Spec.Actor)
	entries := changes(d.Status.Journal, decisionChanges)
	t.add(d, "decision", decisionText(r, d), entries, person, person.text())
}

// decisionText is what a decision says: `approve isolate: "called her"`.
func decisionText(r *Records, d *v1alpha1.Decision) string {
	spec := d.Spec
	words := []string{strings.ToLower(string(spec.Verdict))}
	switch {
	case spec.Answer != nil && spec.Answer.Option != "":
		words = append(words, spec.Answer.Handle, "with", spec.Answer.Option)
	case spec.Answer != nil:
		words = append(words, spec.Answer.Handle)
	case spec.Act != nil:
		words = append(words, spec.Act.Operation)
	case spec.Assign != nil:
		words = append(words, assignText(spec.Assign))
	case spec.Close != nil:
		words = append(words, "as", string(spec.Close.Classification))
	case spec.Rollback != nil:
		words = append(words, handleOf(r, spec.Rollback.ActionRef.Name))
	default:
		words = append(words, correctionText(r, spec)...)
	}
	text := strings.Join(words, " ")
	if spec.Message != "" {
		text += ": \"" + spec.Message + "\""
	}
	return text
}

// handleOf is the handle of an action by its name; the name itself if the action is not there.
func handleOf(r *Records, name string) string {
	if action := r.Action(name); action != nil {
		return action.Spec.Handle
	}
	return name
}

func assignText(a *v1alpha1.AssignDecision) string {
	var words []string
	if a.Owner != "" {
		words = append(words, "to "+a.Owner)
	}
	if a.Queue != "" {
		words = append(words, "to queue "+a.Queue)
	}
	return strings.Join(words, ", ")
}

// voice finds the word that makes a row loud. Titles of cases come from outside and are not looked at.
func voice(kind, text string) string {
	if kind == "case" {
		return ""
	}
	for _, word := range []string{"Failed", "Unknown", "Denied", "denied", "VOID", "Expired", "failed", "Aborted"} {
		if strings.Contains(text, word) {
			return string(v1alpha1.ActionFailed)
		}
	}
	return ""
}

// The columns of a timeline: time, kind, text, actor.
const (
	timeWidth  = len("15:04:05.000")
	kindWidth  = len("decision")
	actorWidth = 20
)

// Text is the timeline, with what does not fit on one line continued beneath: nothing is left out.
func (t Timeline) Text(s Screen) string {
	p := s.page()
	wide := p.width() - timeWidth - kindWidth - actorWidth - 6
	day := ""
	for _, row := range t.Rows {
		local := p.local(row.Time)
		if date := local.Format(time.DateOnly); date != day {
			day = date
			p.line(p.paint(strong, date))
		}
		texts, actors := wrap(Prose(row.Text), wide), wrap(Escape(row.By), actorWidth)
		for i := range max(len(texts), len(actors)) {
			lead := pad("", timeWidth+kindWidth+4)
			if i == 0 {
				lead = pad(local.Format("15:04:05.000"), timeWidth+2) + pad(row.Kind, kindWidth+2)
			}
			p.line(lead + p.paint(toneOfState(row.Voice), pad(at(texts, i), wide)) + "  " + p.paint(dim, at(actors, i)))
		}
	}
	if len(t.Gaps) > 0 {
		p.section("", "Older entries of "+Escape(strings.Join(t.Gaps, ", "))+" are in the evidence log alone: kubectl casebook evidence export "+Escape(t.Case))
	}
	return p.String()
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}
