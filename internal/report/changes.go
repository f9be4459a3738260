// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// change is one journal entry with what it changed, in words.
type change struct {
	entry v1alpha1.JournalEntry
	text  string
}

// changes gives each entry of a journal in words: describe says how the status before differs from the one after. A
// journal whose beginning has left the API, or that does not replay, is described by its reasons and patches alone.
func changes[S any](journal []v1alpha1.JournalEntry, describe func(before, after S) []string) []change {
	out := make([]change, len(journal))
	whole := len(journal) > 0 && journal[0].Sequence == 1
	document := []byte("{}")
	var before S
	for i, entry := range journal {
		out[i] = change{entry: entry, text: patchText(entry)}
		if !whole {
			continue
		}
		next, err := evidence.Apply(document, entry.Patch)
		var after struct {
			Status S `json:"status"`
		}
		if err != nil || json.Unmarshal(next, &after) != nil {
			whole = false
			continue
		}
		if words := describe(before, after.Status); len(words) > 0 {
			out[i].text = strings.Join(words, "; ")
		}
		document, before = next, after.Status
	}
	return out
}

// patchText is an entry in words when its context is missing: its reason, and the plain values that it set.
func patchText(entry v1alpha1.JournalEntry) string {
	var ops []struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal([]byte(entry.Patch), &ops) != nil {
		return entry.Reason
	}
	var words []string
	for _, op := range ops {
		var value string
		if name := strings.TrimPrefix(op.Path, "/status/"); !strings.Contains(name, "/") && json.Unmarshal(op.Value, &value) == nil {
			words = append(words, name+" "+value)
		}
	}
	if len(words) == 0 {
		return entry.Reason
	}
	return entry.Reason + ": " + strings.Join(words, ", ")
}

// moved describes a value that changed.
func moved(what, before, after string) []string {
	switch {
	case before == after:
		return nil
	case before == "":
		return []string{strings.TrimSpace(what + " " + after)}
	case after == "":
		return []string{"no " + what + " any more (was " + before + ")"}
	default:
		return []string{strings.TrimSpace(what + " " + before + " → " + after)}
	}
}

func caseChanges(r *Records) func(before, after v1alpha1.CaseStatus) []string {
	opened := r.Case.Spec
	return func(before, after v1alpha1.CaseStatus) []string {
		words := moved("state", string(before.State), string(after.State))
		words = append(words, moved("severity", string(cmp.Or(before.Severity, opened.Severity)), string(after.Severity))...)
		words = append(words, moved("type", nameOf(before.TypeRef, opened.TypeRef), nameOf(after.TypeRef, opened.TypeRef))...)
		words = append(words, moved("queue", before.Queue, after.Queue)...)
		words = append(words, moved("owner", before.Owner, after.Owner)...)
		if after.Signals != nil && (before.Signals == nil || before.Signals.Total != after.Signals.Total) {
			words = append(words, count(after.Signals.Total, "signal", "signals"))
		}
		words = append(words, joins(before, after)...)
		words = append(words, enriched(before, after)...)
		words = append(words, started(r, before, after)...)
		words = append(words, questioned(before, after)...)
		return append(words, closing(before.Closure, after.Closure)...)
	}
}

// enriched names the lookups that are new: those that failed each by itself, the others once with their number.
func enriched(before, after v1alpha1.CaseStatus) []string {
	var words, names []string
	answered := map[string]int64{}
	for _, e := range after.Enrichments {
		name := "lookup " + e.Name
		if e.Decision != "" {
			name += " by hand"
		}
		old := slices.ContainsFunc(before.Enrichments, func(o v1alpha1.EnrichmentRecord) bool {
			return o.Name == e.Name && o.Item == e.Item && o.Decision == e.Decision && string(raw(o.Input)) == string(raw(e.Input)) && o.Time.Equal(&e.Time)
		})
		switch {
		case old:
		case e.Error != "" && e.Item != "":
			words = append(words, name+" failed for "+e.Item+": "+e.Error)
		case e.Error != "":
			words = append(words, name+" failed: "+e.Error)
		default:
			if answered[name]++; answered[name] == 1 {
				names = append(names, name)
			}
		}
	}
	for i, name := range names {
		names[i] = name + " answered"
		if n := answered[name]; n > 1 {
			names[i] += " " + count(n, "time", "times")
		}
	}
	return append(names, words...)
}

// joins names what an open case is about since it was folded last.
func joins(before, after v1alpha1.CaseStatus) []string {
	if before.Signals == nil {
		return nil
	}
	var words []string
	named := func(kind string, old, all []v1alpha1.Entity) {
		for _, e := range all {
			if !slices.ContainsFunc(old, func(o v1alpha1.Entity) bool {
				return o.Name == e.Name && o.Namespace == e.Namespace && o.Cluster == e.Cluster
			}) {
				words = append(words, kind+" "+e.Name+" joins")
			}
		}
	}
	named("user", before.Users, after.Users)
	named("host", before.Hosts, after.Hosts)
	named("asset", before.Assets, after.Assets)
	for _, i := range after.Indicators {
		if !slices.Contains(before.Indicators, i) {
			words = append(words, string(i.Type)+" "+i.Value+" joins")
		}
	}
	return words
}

func nameOf(ref *v1alpha1.LocalRef, otherwise v1alpha1.LocalRef) string {
	if ref == nil {
		return otherwise.Name
	}
	return ref.Name
}

func started(r *Records, before, after v1alpha1.CaseStatus) []string {
	var words []string
	for _, playbook := range after.Playbooks {
		name := "playbook " + playbook.Name
		if playbook.Item != "" && r.Decision(playbook.Item) == nil { // one by hand has the decision's name
			name += " for " + playbook.Item
		}
		switch {
		case slices.Contains(before.Playbooks, playbook):
		case playbook.Run == "":
			words = append(words, name+" not started: "+notStarted(playbook.Message))
		default:
			words = append(words, name+" starts")
		}
	}
	return words
}

// notStarted is why a playbook was not started, without saying again that it was not.
func notStarted(message string) string {
	return strings.TrimPrefix(message, "not started, ")
}

func questioned(before, after v1alpha1.CaseStatus) []string {
	handle := func(handle string) func(v1alpha1.CaseQuestion) bool {
		return func(q v1alpha1.CaseQuestion) bool { return q.Handle == handle }
	}
	var words []string
	for _, q := range after.Questions {
		if !slices.ContainsFunc(before.Questions, handle(q.Handle)) {
			words = append(words, "asks "+q.Handle+": "+q.Prompt)
		}
	}
	for _, q := range before.Questions {
		if !slices.ContainsFunc(after.Questions, handle(q.Handle)) {
			words = append(words, "question "+q.Handle+" is over")
		}
	}
	return words
}

func closing(before, after *v1alpha1.Closure) []string {
	switch {
	case before == nil && after != nil && after.Note != "":
		return []string{"closed as " + string(after.Classification) + ": \"" + after.Note + "\""}
	case before == nil && after != nil:
		return []string{"closed as " + string(after.Classification)}
	case before != nil && after == nil:
		return []string{"reopened"}
	default:
		return nil
	}
}

func runChanges(before, after v1alpha1.PlaybookRunStatus) []string {
	var words []string
	for _, step := range after.Steps {
		i := slices.IndexFunc(before.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == step.Name })
		if i < 0 {
			i = len(before.Steps)
			before.Steps = append(before.Steps, v1alpha1.StepStatus{})
		}
		words = append(words, stepChange(before.Steps[i], step)...)
	}
	state := moved("run", string(before.State), string(after.State))
	if len(state) > 0 && after.State.Ended() && after.Message != "" {
		state[0] += ": " + after.Message
	}
	words = append(words, state...)
	if after.CaseState != before.CaseState {
		words = append(words, "case is "+string(after.CaseState))
	}
	return append(words, closing(before.Closure, after.Closure)...)
}

func stepChange(before, after v1alpha1.StepStatus) []string {
	var words []string
	if before.State != after.State {
		text := "step " + after.Name + " " + string(after.State)
		if after.Message != "" && after.State != v1alpha1.StepSucceeded {
			text += ": " + after.Message
		}
		words = append(words, text)
	}
	if before.Question == nil && after.Question != nil {
		words = append(words, "asks "+after.Name+": "+after.Question.Prompt)
	}
	words = append(words, deliveries(before.Deliveries, after.Deliveries)...)
	if before.Answer == "" && after.Answer != "" {
		text := "answer " + after.Answer
		if after.AnsweredBy != nil {
			text += " by " + actorOf(*after.AnsweredBy).text()
		}
		words = append(words, text)
	}
	return words
}

// deliveries says which messages are announced, and what became of them.
func deliveries(before, after []v1alpha1.Delivery) []string {
	var words []string
	for _, d := range after {
		i := slices.IndexFunc(before, func(o v1alpha1.Delivery) bool { return o.MessageID == d.MessageID })
		switch {
		case i >= 0 && before[i].State == d.State && before[i].Message == d.Message:
		case d.State == v1alpha1.DeliveryAccepted:
			words = append(words, "mail to "+d.To+" accepted")
		case d.State == v1alpha1.DeliveryRefused:
			words = append(words, "mail to "+d.To+" failed: "+d.Message)
		case i >= 0:
			words = append(words, "mail to "+d.To+" is tried again: "+d.Message)
		default:
			words = append(words, "mail to "+d.To+" announced")
		}
	}
	return words
}

func actionChanges(action *v1alpha1.Action) func(before, after v1alpha1.ActionStatus) []string {
	return func(before, after v1alpha1.ActionStatus) []string {
		var words []string
		if after.Verdict != nil && (before.Verdict == nil || *before.Verdict != *after.Verdict) {
			words = append(words, Verdict{Answer: string(after.Verdict.Answer), Rule: after.Verdict.Rule, Because: after.Verdict.Because}.text())
		}
		if before.Question == nil && after.Question != nil {
			words = append(words, "asks: "+after.Question.Prompt)
		}
		for i := len(before.Approvals); i < len(after.Approvals); i++ {
			words = append(words, "approved by "+personOf(&after.Approvals[i].Actor).text())
		}
		for i := len(before.Resolutions); i < len(after.Resolutions); i++ {
			resolution := after.Resolutions[i]
			words = append(words, "resolved by "+personOf(&resolution.Actor).text()+": "+cmp.Or(resolved[resolution.Outcome], string(resolution.Outcome)))
		}
		for i, attempt := range after.Attempts {
			old := v1alpha1.Attempt{}
			if i < len(before.Attempts) {
				old = before.Attempts[i]
			} else {
				words = append(words, fmt.Sprintf("attempt %d announced, key %s", attempt.Number, abbreviate(attempt.Key)))
			}
			if old.Outcome != attempt.Outcome {
				words = append(words, attemptText(attempt))
			}
		}
		if before.State != after.State && (after.State.Ended() || after.State == v1alpha1.ActionHeld || after.State == v1alpha1.ActionSettling) {
			ended := *action
			ended.Status = after
			words = append(words, ActionView("", &ended).outcome())
		}
		return words
	}
}

func attemptText(attempt v1alpha1.Attempt) string {
	text := fmt.Sprintf("attempt %d %s", attempt.Number, attempt.Outcome)
	if attempt.Reason != "" {
		text += ", " + attempt.Reason
	}
	if attempt.Message != "" && attempt.Outcome != v1alpha1.OutcomeAcknowledged {
		text += ": " + attempt.Message
	}
	return text
}

func signalChanges(before, after v1alpha1.SignalStatus) []string {
	if before.Count == after.Count {
		return nil
	}
	return []string{"seen " + count(after.Count, "time", "times")}
}

func decisionChanges(before, after v1alpha1.DecisionStatus) []string {
	if before.State == after.State {
		return nil
	}
	if after.State == v1alpha1.DecisionVoid {
		return []string{"VOID, " + after.Reason + ": " + after.Message}
	}
	return []string{"counts"}
}
