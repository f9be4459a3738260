// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strconv"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Question is an open question, in a view.
type Question struct {
	// Handle is what the question is called: case/handle.
	Handle  string   `json:"handle"`
	Kind    string   `json:"kind"`
	Prompt  string   `json:"prompt"`
	Options []string `json:"options,omitempty"`
	Because string   `json:"because,omitempty"`
	// Who says in words who may answer; Yours, whether the viewer is one of them.
	Who      string   `json:"who"`
	Yours    bool     `json:"yours"`
	Verb     string   `json:"verb"`
	Groups   []string `json:"groups,omitempty"`
	Excluded []string `json:"excluded,omitempty"`
	Count    int32    `json:"count"`
	// Digest and DueTime are empty where what became of an action is asked: see Kind.
	Digest    string    `json:"digest,omitempty"`
	AskedTime time.Time `json:"askedTime"`
	DueTime   time.Time `json:"dueTime,omitzero"`
	Action    string    `json:"action,omitempty"`
	Run       string    `json:"run,omitempty"`
}

// QuestionsOf gives the open questions of a case as a viewer sees them.
func QuestionsOf(c *v1alpha1.Case, viewer Viewer) []Question {
	out := make([]Question, 0, len(c.Status.Questions))
	for _, q := range c.Status.Questions {
		view := Question{
			Handle: c.Name + "/" + q.Handle, Kind: string(q.Kind), Prompt: q.Prompt, Options: q.Options, Because: q.Because,
			Who: WhoMayAnswer(q.Question), Yours: viewer.May(q.Question), Verb: q.Verb, Groups: q.Groups, Excluded: q.Excluded,
			Count: q.Count, Digest: q.Digest, AskedTime: q.AskedTime.UTC(), DueTime: q.DueTime.UTC(),
		}
		if q.ActionRef != nil {
			view.Action = q.ActionRef.Name
		}
		if q.RunRef != nil {
			view.Run = q.RunRef.Name
		}
		out = append(out, view)
	}
	return out
}

// commands are the lines that answer the question.
func (q Question) commands() []string {
	if q.Kind == string(v1alpha1.QuestionResolution) {
		resolve := "kubectl casebook resolve " + Escape(q.Handle)
		return []string{resolve + " --happened -m \"…\"", resolve + " --did-not -m \"…\"", resolve + " --retry -m \"…\""}
	}
	if q.Kind == string(v1alpha1.QuestionChoice) {
		out := make([]string, len(q.Options))
		for i, option := range q.Options {
			out[i] = fmt.Sprintf("kubectl casebook answer %s %s -m \"…\"", Escape(q.Handle), Escape(option))
		}
		return out
	}
	return []string{
		fmt.Sprintf("kubectl casebook approve %s -m \"…\"", Escape(q.Handle)),
		fmt.Sprintf("kubectl casebook deny %s -m \"…\"", Escape(q.Handle)),
	}
}

// Questions is the list that a command prints when it cannot know which question is meant.
type Questions []Question

// Text lists the questions with the commands that answer them.
func (qs Questions) Text(s Screen) string {
	p := s.page()
	for _, q := range qs {
		for _, line := range p.fold(Escape(q.Handle)+"  "+Prose(q.Prompt), p.width()) {
			p.line(line)
		}
		for _, command := range q.commands() {
			p.line("  " + command)
		}
	}
	return p.String()
}

// count is a number with its noun.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}
