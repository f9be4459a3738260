// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// Held is a question as the record that asks it holds it.
type Held struct {
	v1alpha1.Question

	// Open tells whether it still waits for an answer.
	Open bool
	// Requester is who wants what would be approved; zero for a choice.
	Requester v1alpha1.JournalActor
	// Holder is the name of the Action or PlaybookRun that asks.
	Holder string
}

// Find finds a question of a case among its actions and runs by its handle. Runs of one
// playbook may ask several under one handle: it is the one with the digest of the
// answer, if there is any, and an open one before one that is over. It is nil if nothing
// ever asked under that handle.
func Find(handle, digest string, runs []v1alpha1.PlaybookRun, actions []v1alpha1.Action) *Held {
	var found []Held
	for i := range actions {
		a := &actions[i]
		asks := casefile.Asks(a)
		if q := cmp.Or(asks, a.Status.Question); a.Spec.Handle == handle && q != nil {
			found = append(found, Held{Question: *q.DeepCopy(), Open: asks != nil, Requester: a.Spec.Requester, Holder: a.Name})
		}
	}
	for _, r := range runs {
		for _, s := range r.Status.Steps {
			if r.Spec.Handle(s.Name) == handle && s.Question != nil {
				open := s.State == v1alpha1.StepWaiting && !r.Status.State.Ended()
				found = append(found, Held{Question: *s.Question.DeepCopy(), Open: open, Holder: r.Name})
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	rank := func(h Held) int {
		switch {
		case h.Digest == digest && h.Open:
			return 0
		case h.Digest == digest:
			return 1 // what the person was shown is over: another, open one is not what they meant
		case h.Open:
			return 2
		default:
			return 3
		}
	}
	best := slices.MinFunc(found, func(a, b Held) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Holder, b.Holder), a.AskedTime.Compare(b.AskedTime.Time))
	})
	return &best
}

// question is what the decision answers; nil for a verdict that answers nothing.
func question(in Input) *v1alpha1.Question {
	if in.Decision.Spec.Answer == nil || in.Question == nil {
		return nil
	}
	return &in.Question.Question
}

// questionStands holds an answer up to the question as it is now.
func questionStands(in Input, now time.Time) *Ruling {
	spec := in.Decision.Spec
	if spec.Answer == nil {
		return nil
	}
	if in.Question == nil {
		return void(v1alpha1.SubjectMissingReason, "could not %s: nothing asks under that handle; kubectl casebook case %s lists what does", deed(in), spec.CaseRef.Name)
	}
	q := in.Question
	switch {
	case q.Kind == v1alpha1.QuestionResolution:
		return void(v1alpha1.StaleReason, "could not %s: whether it happened is not known, and that is what it asks; look at the target, then: kubectl casebook resolve %s/%s --happened|--did-not|--retry -m \"…\"",
			deed(in), spec.CaseRef.Name, spec.Answer.Handle)
	case (q.Kind == v1alpha1.QuestionChoice) != (spec.Verdict == v1alpha1.VerdictAnswer):
		return void(v1alpha1.StaleReason, "could not %s: it asks for %s; look again and decide on that", deed(in), wants(q.Question))
	case !q.Open:
		return void(v1alpha1.LateReason, "could not %s: it is over, for it was answered or withdrawn", deed(in))
	case q.Digest != spec.Answer.Digest:
		return void(v1alpha1.StaleReason, "could not %s: what it asks has changed since it was shown (digest %s then, %s now); look again with kubectl casebook case %s and decide again. It now asks: %s",
			deed(in), abbreviated(spec.Answer.Digest), abbreviated(q.Digest), spec.CaseRef.Name, q.Prompt)
	case now.Before(q.AskedTime.Time):
		return void(v1alpha1.StaleReason, "could not %s: by the clock here it was not asked yet, so the clock was set back; decide again in a while", deed(in))
	case now.After(q.DueTime.Time) || in.Decision.CreationTimestamp.After(q.DueTime.Time):
		return void(v1alpha1.LateReason, "could not %s: its time was over at %s", deed(in), q.DueTime.UTC().Format(time.RFC3339))
	case spec.Verdict == v1alpha1.VerdictAnswer && !slices.Contains(q.Options, spec.Answer.Option):
		return void(v1alpha1.InvalidSpecReason, "could not %s with %q: choose one of %s", deed(in), spec.Answer.Option, strings.Join(q.Options, ", "))
	}
	return nil
}

func wants(q v1alpha1.Question) string {
	if q.Kind == v1alpha1.QuestionChoice {
		return "a choice of " + strings.Join(q.Options, ", ")
	}
	return "an approval"
}

func abbreviated(digest string) string {
	if len(digest) < 8 {
		return digest
	}
	return digest[:4] + "…" + digest[len(digest)-4:]
}

// notExcluded holds the separation of duties: nobody approves what they asked for.
func notExcluded(in Input, _ time.Time) *Ruling {
	q, actor := in.Question, in.Decision.Spec.Actor
	if question(in) == nil {
		return nil
	}
	r := q.Requester
	asked := r.Type == v1alpha1.ActorPerson && same(*actor, v1alpha1.Actor{Username: r.Name, UID: r.UID})
	switch {
	case asked:
		return void(v1alpha1.NotEntitledReason, "%s may not %s: whoever asked for it does not decide on it; %s", actor.Username, deed(in), another(q.Question))
	case slices.Contains(q.Excluded, actor.Username):
		return void(v1alpha1.NotEntitledReason, "%s may not %s: who asked for it or wrote its playbook does not decide on it; %s", actor.Username, deed(in), another(q.Question))
	}
	return nil
}

func another(q v1alpha1.Question) string {
	if len(q.Groups) == 0 {
		return "ask another person who may"
	}
	return whoMay(&q)
}

func inGroups(in Input, _ time.Time) *Ruling {
	q, actor := question(in), in.Decision.Spec.Actor
	if q == nil || len(q.Groups) == 0 || slices.ContainsFunc(actor.Groups, func(g string) bool { return slices.Contains(q.Groups, g) }) {
		return nil
	}
	return void(v1alpha1.NotEntitledReason, "%s may not %s: the question is for others; %s", actor.Username, deed(in), whoMay(q))
}

// notTwice holds that a question is answered once, and by each person once. A person
// who approved may still deny while others are asked: that stops what was approved.
func notTwice(in Input, _ time.Time) *Ruling {
	q, spec := question(in), in.Decision.Spec
	if q == nil {
		return nil
	}
	approved, denied, _ := Quorum(*q, in.Earlier)
	chosen, _ := Chosen(*q, in.Earlier)
	switch {
	case denied:
		return void(v1alpha1.LateReason, "could not %s: it was denied already", deed(in))
	case approved:
		return void(v1alpha1.LateReason, "could not %s: it was approved already", deed(in))
	case chosen != "":
		return void(v1alpha1.LateReason, "could not %s: it was answered already, with %s", deed(in), chosen)
	case spec.Verdict == v1alpha1.VerdictDeny:
		return nil
	}
	for _, e := range in.Earlier {
		if e.Spec.Actor != nil && same(*e.Spec.Actor, *spec.Actor) && answers(e, *q) {
			return void(v1alpha1.LateReason, "could not %s: %s has answered already (%s), and each person counts once; another one must answer",
				deed(in), spec.Actor.Username, e.Name)
		}
	}
	return nil
}

// answers tells whether a decision answers exactly this question, and not one that asked
// the same before it: that was withdrawn, or asked others.
func answers(d v1alpha1.Decision, q v1alpha1.Question) bool {
	return d.Spec.Answer != nil && d.Spec.Answer.Digest == q.Digest && !decidedTime(d).Before(q.AskedTime.Time)
}

// same tells whether two actors are one person: the same account, or two accounts that
// the authenticator gives the same uid.
func same(a, b v1alpha1.Actor) bool {
	return a.Username == b.Username || a.UID != "" && a.UID == b.UID
}

// Quorum is what the counted decisions on an approval amount to: approved when as many
// different people approved as the question asks for, denied when anybody did, which
// overrules it. Approvals has each person once, by their first approval. Decisions on
// another digest, or from before the question was asked, are passed over, and their order
// does not matter.
func Quorum(q v1alpha1.Question, counted []v1alpha1.Decision) (approved, denied bool, approvals []v1alpha1.Approval) {
	if q.Kind == v1alpha1.QuestionChoice {
		return false, false, nil
	}
	var yes []v1alpha1.Decision
	for _, d := range counted {
		if !answers(d, q) {
			continue
		}
		switch d.Spec.Verdict {
		case v1alpha1.VerdictApprove:
			yes = append(yes, d)
		case v1alpha1.VerdictDeny:
			denied = true
		}
	}
	approvals = people(yes)
	return !denied && len(approvals) >= int(max(q.Count, 1)), denied, approvals
}

// Chosen is the option that as many different people chose as the question asks for,
// and by whom; empty while there is none. Each person has one voice, their first; of
// several options the one that got there first has it.
func Chosen(q v1alpha1.Question, counted []v1alpha1.Decision) (option string, by []v1alpha1.Approval) {
	if q.Kind != v1alpha1.QuestionChoice {
		return "", nil
	}
	chose := map[string]string{} // decision to option
	var voices []v1alpha1.Decision
	for _, d := range counted {
		if answers(d, q) && d.Spec.Verdict == v1alpha1.VerdictAnswer && slices.Contains(q.Options, d.Spec.Answer.Option) {
			voices = append(voices, d)
			chose[d.Name] = d.Spec.Answer.Option
		}
	}
	votes := map[string][]v1alpha1.Approval{}
	for _, p := range people(voices) {
		o := chose[p.Decision]
		if votes[o] = append(votes[o], p); len(votes[o]) >= int(max(q.Count, 1)) {
			return o, votes[o]
		}
	}
	return "", nil
}

// people has each person once, by the first decision of theirs.
func people(decisions []v1alpha1.Decision) []v1alpha1.Approval {
	sorted := slices.SortedFunc(slices.Values(decisions), func(a, b v1alpha1.Decision) int {
		return cmp.Or(decidedTime(a).Compare(decidedTime(b)), strings.Compare(a.Name, b.Name))
	})
	var seen []v1alpha1.Actor
	var out []v1alpha1.Approval
	for _, d := range sorted {
		actor := d.Spec.Actor
		if actor == nil {
			continue
		}
		known := slices.ContainsFunc(seen, func(a v1alpha1.Actor) bool { return same(a, *actor) })
		seen = append(seen, *actor) // also of a known person: the third account may share with the second only
		if !known {
			out = append(out, approval(d))
		}
	}
	return out
}

func approval(d v1alpha1.Decision) v1alpha1.Approval {
	return v1alpha1.Approval{Decision: d.Name, Actor: *d.Spec.Actor.DeepCopy(), Time: casefile.DecidedTime(&d)}
}

func decidedTime(d v1alpha1.Decision) time.Time {
	return casefile.DecidedTime(&d).Time
}
