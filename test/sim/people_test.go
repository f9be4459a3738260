// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/test/history"
)

// decide makes a decision that counts. Whether one may is judged elsewhere, and simulated by those who call this.
func (w *world) decide(spec v1alpha1.DecisionSpec) {
	spec.Actor, spec.Message = &v1alpha1.Actor{Username: "mia", UID: "u1"}, "because"
	d := &v1alpha1.Decision{ObjectMeta: metav1.ObjectMeta{
		Namespace: tenant, Name: fmt.Sprintf("d-%d", len(w.store.objects)), CreationTimestamp: metav1.Time{Time: time.Now().Truncate(time.Second)},
	}, Spec: spec}
	d.Status.State = v1alpha1.DecisionCounted
	d.Status.Journal = []v1alpha1.JournalEntry{{Sequence: 1, Time: metav1.NewMicroTime(time.Now().Round(0))}}
	w.store.create(d)
}

// people look now and then at what waits for them.
func (w *world) people(everyUpTo time.Duration) {
	w.after(time.Second+w.upTo(everyUpTo), func() {
		for _, a := range w.store.actions() {
			switch {
			case a.Status.State == v1alpha1.ActionAsking:
				w.answer(a)
			case a.Status.State == v1alpha1.ActionUnknown && w.strikes(700):
				w.resolve(a)
			}
		}
		w.people(everyUpTo)
	})
}

// answer answers a question once, mostly with yes, while it stands.
func (w *world) answer(a *v1alpha1.Action) {
	q := a.Status.Question
	due := q.DueTime.Time
	if w.answered(a) || !time.Now().Before(due) || w.strikes(300) {
		return
	}
	verdict := v1alpha1.VerdictApprove
	if w.strikes(150) {
		verdict = v1alpha1.VerdictDeny
	}
	w.note("mia says %s to %s", verdict, a.Name)
	w.log.Add(history.Event{Kind: history.Decided, Verdict: verdict, Digest: q.Digest, Until: due})
	w.decide(v1alpha1.DecisionSpec{
		CaseRef: a.Spec.CaseRef, Verdict: verdict, Answer: &v1alpha1.AnswerDecision{Handle: a.Spec.Handle, Digest: q.Digest},
	})
}

func (w *world) decisions(which func(v1alpha1.DecisionSpec) bool) (out []*v1alpha1.Decision) {
	for _, o := range w.store.objects {
		if d, ok := o.newest().(*v1alpha1.Decision); ok && which(d.Spec) {
			out = append(out, d)
		}
	}
	return out
}

func (w *world) answered(a *v1alpha1.Action) bool {
	return len(w.decisions(func(s v1alpha1.DecisionSpec) bool { return s.Answer != nil && s.Answer.Digest == a.Spec.PlanDigest })) > 0
}

// resolve looks at the target and says what is found. Nobody is asked twice before the action has heard the first.
func (w *world) resolve(a *v1alpha1.Action) {
	for _, d := range w.decisions(func(s v1alpha1.DecisionSpec) bool {
		return s.Resolve != nil && s.Resolve.ActionRef.UID == string(a.UID)
	}) {
		if !slices.ContainsFunc(a.Status.Resolutions, func(r v1alpha1.Resolution) bool { return r.Decision == d.Name }) {
			return
		}
	}
	outcome := v1alpha1.ResolveDidNot
	switch {
	case w.happened(a):
		outcome = v1alpha1.ResolveHappened
	case w.strikes(500) && len(a.Status.Resolutions) < 3:
		outcome = v1alpha1.ResolveRetry
	}
	w.note("mia finds of %s: %s", a.Name, outcome)
	w.log.Add(history.Event{Kind: history.Decided, Verdict: v1alpha1.VerdictResolve, Action: a.Name, Outcome: outcome})
	w.decide(v1alpha1.DecisionSpec{CaseRef: a.Spec.CaseRef, Verdict: v1alpha1.VerdictResolve, Resolve: &v1alpha1.ResolveDecision{
		ActionRef: v1alpha1.RecordRef{Name: a.Name, UID: string(a.UID)}, Outcome: outcome,
	}})
}

// happened is the truth of an action.
func (w *world) happened(a *v1alpha1.Action) bool {
	key := action.Key(tenant, a.Name, a.Spec.PlanDigest)
	return slices.ContainsFunc(w.log.Events(), func(e history.Event) bool {
		return e.Kind == history.Effect && e.Key == key && (e.Changed || a.Spec.Semantics != v1alpha1.Idempotent)
	})
}

// freeze stops everything for a while.
func (w *world) freeze(lasts time.Duration) {
	w.note("mia freezes")
	w.decide(v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictFreeze})
	w.after(lasts, func() {
		w.note("mia thaws")
		w.decide(v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictThaw})
	})
}

// unheard is how long ago a freeze may have been decided that is not heard before a first byte: what follows the read of
// freezes takes no longer.
const unheard = 50 * time.Millisecond

// heed wants nothing to be sent while all is frozen.
func (w *world) heed(r connector.Request) {
	var all []v1alpha1.Decision
	for _, d := range w.decisions(func(v1alpha1.DecisionSpec) bool { return true }) {
		all = append(all, *d)
	}
	if f := guard.Frozen(all, nil); f != nil && time.Since(f.Since) > unheard {
		w.unheeded = append(w.unheeded, history.Violation{Invariant: "freeze", Seq: int64(len(w.log.Events())), Text: fmt.Sprintf(
			"%s of %s is sent %s after a freeze", r.Operation, r.Mark, time.Since(f.Since))})
	}
}
