// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package decision_test

import (
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/decision"
)

const (
	resolve, lookup, runIt = v1alpha1.VerdictResolve, v1alpha1.VerdictLookup, v1alpha1.VerdictRun
	set, add               = v1alpha1.VerdictSet, v1alpha1.VerdictAdd
	freeze, thaw           = v1alpha1.VerdictFreeze, v1alpha1.VerdictThaw
	full                   = v1alpha1.CaseFullReason
)

func outcome(o v1alpha1.ResolveOutcome) func(*decision.Input) {
	return func(in *decision.Input) { in.Decision.Spec.Resolve.Outcome = o }
}

func resolved(by string, o v1alpha1.ResolveOutcome) func(*decision.Input) {
	return func(in *decision.Input) {
		in.Action.Status.Resolutions = append(in.Action.Status.Resolutions, v1alpha1.Resolution{Decision: "dec-resolve-" + by, Outcome: o, Actor: v1alpha1.Actor{Username: by}})
	}
}

// retried is an action that was tried again so many times.
func retried(times int) func(*decision.Input) {
	return func(in *decision.Input) {
		for i := range times {
			resolved(fmt.Sprint("p", i), v1alpha1.ResolveRetry)(in)
		}
	}
}

func retry(by v1alpha1.Actor) v1alpha1.Decision {
	d := decided(resolve, by)
	d.Spec.Resolve.Outcome = v1alpha1.ResolveRetry
	return d
}

var unknown = actionIs(v1alpha1.ActionUnknown)

func TestJudgeResolve(t *testing.T) {
	check(t, map[string]ruling{
		"what nobody knows": {judged(resolve, unknown), countedOK, "resolve ida-7f3k2/isolate by mia: it happened"},
		"it is tried again": {judged(resolve, unknown, outcome("Retry")), countedOK, "it did not happen and is tried again"},
		"by who asked for it, and it says": {judged(resolve, unknown, func(in *decision.Input) {
			in.Action.Spec.Requester = v1alpha1.JournalActor{Type: "Person", Name: "mia", UID: "2"}
		}), countedOK, "by mia: it happened; it is who asked for the action"},
		"what is known":                      {judged(resolve, actionIs(v1alpha1.ActionSucceeded)), stale, "could not resolve ida-7f3k2/isolate: it is Succeeded, and only an action whose outcome is Unknown is resolved"},
		"what nothing has looked at":         {judged(resolve, actionIs("")), stale, "it is Pending"},
		"what was resolved":                  {judged(resolve, actionIs(v1alpha1.ActionFailed), resolved("eve", "DidNot")), late, "it was resolved already by eve: it did not happen; it is Failed"},
		"what is Unknown again after a try":  {judged(resolve, unknown, resolved("eve", "Retry")), countedOK, ""},
		"what was just resolved by another":  {judged(resolve, unknown, earlier(decided(resolve, eve))), late, "it was resolved already by eve: it happened"},
		"what the action has taken already":  {judged(resolve, unknown, resolved("eve", "Retry"), earlier(decided(resolve, eve))), countedOK, ""},
		"another action's resolution":        {judged(resolve, unknown, earlier(func() v1alpha1.Decision { d := decided(resolve, eve); d.Spec.Resolve.ActionRef.UID = "other"; return d }())), countedOK, ""},
		"a try for which there is room":      {judged(resolve, unknown, retried(14), outcome("Retry")), countedOK, "is tried again"},
		"a try too many":                     {judged(resolve, unknown, retried(15), outcome("Retry")), late, "could not resolve ida-7f3k2/isolate with --retry: it was tried again 15 times, and no more; look at the target and say --happened or --did-not, and if it is still wanted do it anew by hand: kubectl casebook do ida-7f3k2"},
		"after all tries, that it happened":  {judged(resolve, unknown, retried(15)), countedOK, "it happened"},
		"after all tries, that it did not":   {judged(resolve, unknown, retried(15), outcome("DidNot")), countedOK, "it did not happen"},
		"beside a try that found no room":    {judged(resolve, unknown, retried(15), earlier(retry(eve))), countedOK, "it happened"},
		"beside a try that finds room":       {judged(resolve, unknown, retried(14), earlier(retry(eve))), late, "resolved already by eve"},
		"what is not there":                  {judged(resolve, func(in *decision.Input) { in.Action = nil }), missing, "could not resolve ida-7f3k2/act-1: case ida-7f3k2 has no such action"},
		"another action of the name":         {judged(resolve, unknown, func(in *decision.Input) { in.Action.UID = "other" }), missing, ""},
		"an action of another case":          {judged(resolve, unknown, func(in *decision.Input) { in.Action.Spec.CaseRef.UID = "other" }), missing, ""},
		"an outcome of another version":      {judged(resolve, unknown, outcome("Perhaps")), invalid, `with "Perhaps": say Happened, DidNot or Retry`},
		"in a closed case, what happened":    {judged(resolve, unknown, state("Closed")), countedOK, ""},
		"in a closed case, nothing is tried": {judged(resolve, unknown, state("Closed"), outcome("Retry")), late, "is closed; reopen it first"},
		"in a merged case":                   {judged(resolve, unknown, state("Merged")), late, "was merged"},
		"in a case that is being deleted":    {judged(resolve, unknown, func(in *decision.Input) { in.Case.DeletionTimestamp = &metav1.Time{Time: asked} }), late, "sealed and being deleted"},
		"without saying what":                {judged(resolve, func(in *decision.Input) { in.Decision.Spec.Resolve = nil }), invalid, "does not say"},
	})
}

func TestJudgeCorrections(t *testing.T) {
	playbook := func(revision string) func(*decision.Input) {
		return func(in *decision.Input) {
			in.Playbook = &v1alpha1.Playbook{}
			in.Playbook.Status.Revision = revision
		}
	}
	crowded := func(in *decision.Input) {
		for i := range 100 {
			in.Case.Status.Users = append(in.Case.Status.Users, v1alpha1.Entity{Name: fmt.Sprint("u", i)})
		}
		in.Case.Status.Enrichments = make([]v1alpha1.EnrichmentRecord, 64)
	}
	gone := errors.New("there is no case type identity: apply it")
	check(t, map[string]ruling{
		"a playbook":                        {judged(runIt, playbook("contain-1")), countedOK, "run a playbook for ida-7f3k2 by mia"},
		"a playbook that is not there":      {judged(runIt), missing, "there is no playbook contain in namespace soc; kubectl get playbooks"},
		"a playbook that does not compile":  {judged(runIt, playbook("")), missing, "playbook contain has no revision that compiles"},
		"a playbook without its inputs":     {judged(runIt, playbook("contain-1"), func(in *decision.Input) { in.PlaybookError = errors.New("the input user is missing") }), invalid, "playbook contain: the input user is missing"},
		"a playbook in a closed case":       {judged(runIt, playbook("contain-1"), state("Closed")), late, "reopen it first"},
		"a lookup":                          {judged(lookup), countedOK, "look up for ida-7f3k2 by mia"},
		"a lookup in a closed case":         {judged(lookup, state("Closed")), late, "reopen it first"},
		"a lookup for which there is space": {judged(lookup, func(in *decision.Input) { in.Case.Status.Enrichments = make([]v1alpha1.EnrichmentRecord, 63) }), countedOK, ""},
		"a lookup too many":                 {judged(lookup, crowded), full, "a case keeps 64 answers of lookups"},
		"a correction":                      {judged(set), countedOK, "correct ida-7f3k2 by mia"},
		"a correction of a closed case":     {judged(set, state("Closed")), late, "reopen it first"},
		"a type that is not there": {judged(set, func(in *decision.Input) {
			in.Decision.Spec.Set.TypeRef, in.TypeError = &v1alpha1.LocalRef{Name: "identity"}, gone
		}), invalid, gone.Error()},
		"a type, when none is set":     {judged(set, func(in *decision.Input) { in.TypeError = gone }), countedOK, ""},
		"an addition":                  {judged(add), countedOK, "add to ida-7f3k2 by mia"},
		"an addition to a merged case": {judged(add, state("Merged")), late, "was merged"},
		"a user too many":              {judged(add, crowded), full, "could not add to ida-7f3k2: a case keeps 100 users"},
		"a user that the case has":     {judged(add, crowded, func(in *decision.Input) { in.Decision.Spec.Add.Users[0].Name = "U7" }), countedOK, ""},
		"a host too many":              {judged(add, func(in *decision.Input) { in.Case.Status.Hosts = make([]v1alpha1.Entity, 100) }), full, "100 hosts"},
		"an indicator too many":        {judged(add, func(in *decision.Input) { in.Case.Status.Indicators = make([]v1alpha1.Indicator, 200) }), full, "200 indicators"},
	})
}

func TestJudgeFreeze(t *testing.T) {
	alone := func(in *decision.Input) {
		in.Case, in.Action, in.Question, in.Decision.Namespace = nil, nil, nil, "soc"
	}
	denied := func(in *decision.Input) { in.Access = decision.AccessAnswer{Access: decision.AccessDenied} }
	frozen := func(in *decision.Input) { in.Frozen = true }
	check(t, map[string]ruling{
		"freezing":                {judged(freeze, alone), countedOK, "freeze namespace soc by mia"},
		"freezing what is so":     {judged(freeze, alone, frozen), countedOK, ""},
		"thawing":                 {judged(thaw, alone, frozen), countedOK, "thaw namespace soc by mia"},
		"thawing nothing":         {judged(thaw, alone), missing, "could not thaw namespace soc: nothing is frozen there"},
		"freezing without verb":   {judged(freeze, alone, denied), notEntitled, `mia may not freeze namespace soc: the verb "freeze" on cases.casebook.dev is missing in namespace soc; ask someone who has it`},
		"thawing without verb":    {judged(thaw, alone, frozen, denied), notEntitled, `mia may not thaw namespace soc: the verb "freeze"`},
		"a machine freezes":       {judged(freeze, alone, by(v1alpha1.Actor{Username: "system:serviceaccount:a:b"})), notEntitled, "only people decide"},
		"nobody freezes":          {judged(freeze, alone, func(in *decision.Input) { in.Decision.Spec.Actor = nil }), notEntitled, "nobody is named"},
		"the review was not made": {judged(freeze, alone, func(in *decision.Input) { in.Access = decision.AccessAnswer{} }), "", "could not ask"},
	})
}

// TestJudgeIsTotal gives it decisions that no schema would let in, on whatever there is.
func TestJudgeIsTotal(t *testing.T) {
	verdicts := []v1alpha1.Verdict{approve, deny, answer, act, assign, comment, closeIt, reopen, undo, resolve, lookup, runIt, set, add, freeze, thaw, "Declare"}
	rapid.Check(t, func(r *rapid.T) {
		in := judged(rapid.SampledFrom(verdicts).Draw(r, "made as"))
		in.Decision.Spec.Verdict = rapid.SampledFrom(verdicts).Draw(r, "judged as")
		if rapid.Bool().Draw(r, "bare") {
			in.Decision.Spec = v1alpha1.DecisionSpec{Verdict: in.Decision.Spec.Verdict, CaseRef: in.Decision.Spec.CaseRef}
		}
		if rapid.Bool().Draw(r, "no case") {
			in.Case = nil
		}
		if rapid.Bool().Draw(r, "no action") {
			in.Action = nil
		} else {
			unknown(&in)
		}
		if rapid.Bool().Draw(r, "no question") {
			in.Question = nil
		}
		in.Frozen = rapid.Bool().Draw(r, "frozen")
		other := judged(rapid.SampledFrom(verdicts).Draw(r, "earlier"))
		in.Earlier = []v1alpha1.Decision{*other.Decision, {}}
		if got := decision.Judge(in, asked); got.Message == "" || got.State != "" && got.Reason == "" {
			r.Fatalf("a ruling that says nothing: %+v", got)
		}
	})
}
