// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package decision_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/decision"
)

var (
	asked   = time.Date(2026, 11, 24, 10, 4, 0, 0, time.UTC)
	due     = asked.Add(time.Hour)
	caseRef = v1alpha1.RecordRef{Name: "ida-7f3k2", UID: "uid-case"}
	digest  = "9b1c" + strings.Repeat("0", 56) + "e07a"
	changed = "77aa" + strings.Repeat("0", 56) + "0001"
	ana     = v1alpha1.Actor{Username: "ana", UID: "1", Groups: []string{"soc"}}
	mia     = v1alpha1.Actor{Username: "mia", UID: "2", Groups: []string{"soc", "soc-managers"}}
	eve     = v1alpha1.Actor{Username: "eve", UID: "3", Groups: []string{"soc-managers"}}
)

// decided is a decision on the case, two minutes after the question was asked.
func decided(verdict v1alpha1.Verdict, actor v1alpha1.Actor) v1alpha1.Decision {
	d := v1alpha1.Decision{Spec: v1alpha1.DecisionSpec{CaseRef: caseRef, Verdict: verdict, Message: "why", Actor: &actor}}
	d.Name = "dec-" + strings.ToLower(string(verdict)) + "-" + actor.Username
	d.CreationTimestamp = metav1.NewTime(asked.Add(2 * time.Minute))
	switch verdict {
	case v1alpha1.VerdictApprove, v1alpha1.VerdictDeny:
		d.Spec.Answer = &v1alpha1.AnswerDecision{Handle: "suspend", Digest: digest}
	case v1alpha1.VerdictAnswer:
		d.Spec.Answer = &v1alpha1.AnswerDecision{Handle: "keep", Digest: digest, Option: "keepIt"}
	case v1alpha1.VerdictAct:
		d.Spec.Act = &v1alpha1.ActDecision{Operation: "kubernetes/isolatePod"}
	case v1alpha1.VerdictAssign:
		d.Spec.Assign = &v1alpha1.AssignDecision{Owner: "mia"}
	case v1alpha1.VerdictClose:
		d.Spec.Close = &v1alpha1.CloseDecision{Classification: "TruePositive"}
	case v1alpha1.VerdictRollback:
		d.Spec.Rollback = &v1alpha1.RollbackDecision{ActionRef: v1alpha1.RecordRef{Name: "act-1", UID: "uid-act"}}
	case v1alpha1.VerdictResolve:
		d.Spec.Resolve = &v1alpha1.ResolveDecision{ActionRef: v1alpha1.RecordRef{Name: "act-1", UID: "uid-act"}, Outcome: v1alpha1.ResolveHappened}
	case v1alpha1.VerdictLookup:
		d.Spec.Lookup = &v1alpha1.LookupDecision{Operation: "directory/findUser"}
	case v1alpha1.VerdictRun:
		d.Spec.Run = &v1alpha1.RunDecision{PlaybookRef: v1alpha1.LocalRef{Name: "contain"}}
	case v1alpha1.VerdictSet:
		d.Spec.Set = &v1alpha1.SetDecision{Severity: "Low"}
	case v1alpha1.VerdictAdd:
		d.Spec.Add = &v1alpha1.AddDecision{Users: []v1alpha1.Entity{{Name: "eve"}}, Hosts: []v1alpha1.Entity{{Name: "h1"}}, Indicators: []v1alpha1.Indicator{{Type: "ipv4", Value: "192.0.2.1"}}}
	case v1alpha1.VerdictFreeze, v1alpha1.VerdictThaw:
		d.Spec.CaseRef = v1alpha1.RecordRef{}
	}
	return d
}

// judged is what mia decides, on a question that fits the verdict, asked by ana, and
// everything else as it should be.
func judged(verdict v1alpha1.Verdict, change ...func(*decision.Input)) decision.Input {
	d := decided(verdict, mia)
	c := &v1alpha1.Case{}
	c.Name, c.Namespace, c.UID, c.Status.State = caseRef.Name, "soc", types.UID(caseRef.UID), v1alpha1.CaseInvestigating
	q := v1alpha1.Question{
		Kind: v1alpha1.QuestionApproval, Prompt: "Suspend ana@example.com?", Verb: "approve", Groups: []string{"soc-managers"},
		Excluded: []string{"ana", "author"}, Count: 2, Digest: digest, AskedTime: metav1.NewMicroTime(asked), DueTime: metav1.NewMicroTime(due),
	}
	if verdict == v1alpha1.VerdictAnswer {
		q.Kind, q.Verb, q.Options, q.Count = v1alpha1.QuestionChoice, "answer", []string{"keepIt", "release"}, 1
	}
	a := &v1alpha1.Action{Spec: v1alpha1.ActionSpec{CaseRef: caseRef, Handle: "isolate", Rollback: v1alpha1.RollbackPlan{Operation: "kubernetes/releasePod"}}}
	a.Name, a.UID, a.Status.State = "act-1", "uid-act", v1alpha1.ActionSucceeded
	in := decision.Input{
		Decision: &d, Case: c, Action: a, Access: decision.AccessAnswer{Access: decision.AccessAllowed},
		Question: &decision.Held{Question: q, Open: true, Requester: v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: "ana", UID: "1"}},
	}
	for _, f := range change {
		f(&in)
	}
	return in
}

func by(actor v1alpha1.Actor) func(*decision.Input) {
	return func(in *decision.Input) { in.Decision.Spec.Actor = &actor }
}

func earlier(all ...v1alpha1.Decision) func(*decision.Input) {
	return func(in *decision.Input) { in.Earlier = all }
}

func state(s v1alpha1.CaseState) func(*decision.Input) {
	return func(in *decision.Input) { in.Case.Status.State = s }
}

func rollback(s v1alpha1.ActionState) func(*decision.Input) {
	return func(in *decision.Input) {
		r := v1alpha1.Action{Spec: v1alpha1.ActionSpec{Handle: "rollback-isolate", RollbackOf: &v1alpha1.RecordRef{Name: "act-1", UID: "uid-act"}}}
		r.Status.State = s
		in.Rollbacks = []v1alpha1.Action{r}
	}
}

func actionIs(s v1alpha1.ActionState) func(*decision.Input) {
	return func(in *decision.Input) { in.Action.Status.State = s }
}

const (
	approve, deny, answer       = v1alpha1.VerdictApprove, v1alpha1.VerdictDeny, v1alpha1.VerdictAnswer
	undo, closeIt, reopen       = v1alpha1.VerdictRollback, v1alpha1.VerdictClose, v1alpha1.VerdictReopen
	act, assign, comment        = v1alpha1.VerdictAct, v1alpha1.VerdictAssign, v1alpha1.VerdictComment
	notEntitled, stale, late    = v1alpha1.NotEntitledReason, v1alpha1.StaleReason, v1alpha1.LateReason
	missing, invalid, countedOK = v1alpha1.SubjectMissingReason, v1alpha1.InvalidSpecReason, v1alpha1.CountedReason
)

type ruling struct {
	in      decision.Input
	reason  string
	message string // what the message contains
}

func check(t *testing.T, tests map[string]ruling) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := decision.Judge(tc.in, asked.Add(3*time.Minute))
			want := v1alpha1.DecisionVoid
			switch tc.reason {
			case countedOK:
				want = v1alpha1.DecisionCounted
			case "":
				want = ""
			}
			if got.State != want || got.Reason != tc.reason || !strings.Contains(got.Message, tc.message) {
				t.Errorf("got %s %s: %s\nwant %s %s: %s", got.State, got.Reason, got.Message, want, tc.reason, tc.message)
			}
		})
	}
}

func TestJudgeWhatIsAsked(t *testing.T) {
	check(t, map[string]ruling{
		"an approval counts":             {judged(approve), countedOK, "approve ida-7f3k2/suspend by mia, 1 of 2"},
		"the second approval counts":     {judged(approve, earlier(decided(approve, eve))), countedOK, "2 of 2"},
		"a denial counts":                {judged(deny), countedOK, "deny ida-7f3k2/suspend by mia"},
		"an answer counts":               {judged(answer), countedOK, "answer ida-7f3k2/keep by mia"},
		"there is no such case":          {judged(approve, func(in *decision.Input) { in.Case = nil }), missing, "could not approve ida-7f3k2/suspend: case ida-7f3k2 does not exist"},
		"it is another case of the name": {judged(approve, func(in *decision.Input) { in.Case.UID = "other" }), missing, "is another one of that name"},
		"there is no such question":      {judged(approve, func(in *decision.Input) { in.Question = nil }), missing, "nothing asks under that handle"},
		"it was answered or withdrawn":   {judged(approve, func(in *decision.Input) { in.Question.Open = false }), late, "it is over"},
		"what is asked has changed": {judged(approve, func(in *decision.Input) { in.Question.Digest = changed }), stale,
			"changed since it was shown (digest 9b1c…e07a then, 77aa…0001 now); look again with kubectl casebook case ida-7f3k2 and decide again. It now asks: Suspend ana@example.com?"},
		"an approval of a choice": {judged(answer, func(in *decision.Input) { in.Decision.Spec.Verdict = approve }), stale, "it asks for a choice of keepIt, release"},
		"an approval of what nobody knows": {judged(approve, func(in *decision.Input) {
			a := v1alpha1.Action{Spec: v1alpha1.ActionSpec{Handle: "suspend"}, Status: v1alpha1.ActionStatus{State: v1alpha1.ActionUnknown, Question: &in.Question.Question}}
			in.Question = decision.Find("suspend", digest, nil, []v1alpha1.Action{a})
		}), stale, "whether it happened is not known, and that is what it asks; look at the target, then: kubectl casebook resolve ida-7f3k2/suspend --happened|--did-not|--retry"},
		"a choice for an approval": {judged(approve, func(in *decision.Input) { in.Decision.Spec.Verdict = answer }), stale, "it asks for an approval"},
		"an option that is not there": {judged(answer, func(in *decision.Input) { in.Decision.Spec.Answer.Option = "burnIt" }), invalid,
			`could not answer ida-7f3k2/keep with "burnIt": choose one of keepIt, release`},
		"no option":                                  {judged(answer, func(in *decision.Input) { in.Decision.Spec.Answer.Option = "" }), invalid, "choose one of"},
		"at the last moment":                         {judged(approve, func(in *decision.Input) { in.Question.DueTime = metav1.NewMicroTime(asked.Add(3 * time.Minute)) }), countedOK, ""},
		"judged too late":                            {judged(approve, func(in *decision.Input) { in.Question.DueTime = metav1.NewMicroTime(asked.Add(3*time.Minute - 1)) }), late, "its time was over at 2026-11-24T10:0"},
		"judged before it was asked":                 {judged(approve, func(in *decision.Input) { in.Question.AskedTime = metav1.NewMicroTime(asked.Add(time.Hour / 2)) }), stale, "the clock was set back"},
		"made too late, by the server's clock":       {judged(approve, func(in *decision.Input) { in.Decision.CreationTimestamp = metav1.NewTime(due.Add(time.Second)) }), late, "its time was over at 2026-11-24T11:04:00Z"},
		"it was denied already":                      {judged(approve, earlier(decided(deny, eve))), late, "it was denied already"},
		"it was approved already":                    {judged(deny, earlier(decided(approve, eve), decided(approve, v1alpha1.Actor{Username: "bob"}))), late, "it was approved already"},
		"it was chosen already":                      {judged(answer, earlier(decided(answer, eve))), late, "answered already, with keepIt"},
		"the same person twice":                      {judged(approve, earlier(decided(approve, mia))), late, "mia has answered already (dec-approve-mia), and each person counts once"},
		"the same person by another account":         {judged(approve, earlier(decided(approve, v1alpha1.Actor{Username: "mia-admin", UID: "2"}))), late, "each person counts once"},
		"no uid is nobody's uid":                     {judged(approve, by(v1alpha1.Actor{Username: "mia", Groups: mia.Groups}), earlier(decided(approve, v1alpha1.Actor{Username: "eve"}))), countedOK, "2 of 2"},
		"who approved denies while others are asked": {judged(deny, earlier(decided(approve, mia))), countedOK, "deny"},
		"an approval before it was asked anew":       {judged(approve, earlier(at(-1, decided(approve, mia)))), countedOK, "1 of 2"},
		"a denial before it was asked anew":          {judged(approve, earlier(at(-1, decided(deny, mia)))), countedOK, "1 of 2"},
		"an earlier approval of something else":      {judged(approve, earlier(func() v1alpha1.Decision { d := decided(approve, mia); d.Spec.Answer.Digest = changed; return d }())), countedOK, "1 of 2"},
	})
}

func TestJudgeWhoDecides(t *testing.T) {
	denied := func(in *decision.Input) { in.Access = decision.AccessAnswer{Access: decision.AccessDenied} }
	check(t, map[string]ruling{
		"nobody":                           {judged(approve, func(in *decision.Input) { in.Decision.Spec.Actor = nil }), notEntitled, "admission policy that stamps the actor is missing"},
		"a service account":                {judged(comment, by(v1alpha1.Actor{Username: "system:serviceaccount:argocd:app"})), notEntitled, "system:serviceaccount:argocd:app may not comment on ida-7f3k2: only people decide"},
		"a node":                           {judged(approve, by(v1alpha1.Actor{Username: "system:node:worker-1"})), notEntitled, "only people decide"},
		"the requester":                    {judged(approve, by(ana)), notEntitled, "ana may not approve ida-7f3k2/suspend: whoever asked for it does not decide on it; who may answer: group soc-managers"},
		"the requester by another account": {judged(approve, by(v1alpha1.Actor{Username: "ana-admin", UID: "1", Groups: mia.Groups})), notEntitled, "whoever asked for it"},
		"automation of the person's name is not the person": {judged(approve, func(in *decision.Input) {
			in.Question.Requester = v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "mia"}
		}), countedOK, ""},
		"the playbook's author":             {judged(approve, by(v1alpha1.Actor{Username: "author", Groups: mia.Groups})), notEntitled, "wrote its playbook"},
		"the requester may not deny either": {judged(deny, by(ana)), notEntitled, "ana may not deny"},
		"not in the groups":                 {judged(approve, by(v1alpha1.Actor{Username: "bob", Groups: []string{"soc"}})), notEntitled, "the question is for others; who may answer: group soc-managers"},
		"a question without groups":         {judged(approve, by(v1alpha1.Actor{Username: "bob"}), func(in *decision.Input) { in.Question.Groups = nil }), countedOK, ""},
		"the verb is missing": {judged(approve, denied), notEntitled,
			`mia may not approve ida-7f3k2/suspend: the verb "approve" on cases.casebook.dev is missing in namespace soc; who may answer: group soc-managers`},
		"the finer verb is missing": {judged(deny, denied, func(in *decision.Input) { in.Question.Verb, in.Access.Reason = "approve-hosts", "no rule" }), notEntitled,
			`the verb "approve-hosts" on cases.casebook.dev is missing in namespace soc (no rule)`},
		"the verb of a plain verdict is missing": {judged(closeIt, denied), notEntitled, `mia may not close ida-7f3k2: the verb "close" on cases.casebook.dev is missing in namespace soc; ask someone who has it`},
		"the review failed": {judged(approve, func(in *decision.Input) {
			in.Access = decision.AccessAnswer{Access: decision.AccessError, Reason: "timeout"}
		}), "", "could not ask whether mia may approve ida-7f3k2/suspend: timeout"},
		"there was no review": {judged(comment, func(in *decision.Input) { in.Access = decision.AccessAnswer{} }), "", "could not ask"},
	})
}

func TestJudgeTheCase(t *testing.T) {
	tooLittle := errors.New("could not close the case: its type x needs a root cause")
	check(t, map[string]ruling{
		"an action by hand":               {judged(act), countedOK, "act on ida-7f3k2 by mia"},
		"an assignment":                   {judged(assign), countedOK, ""},
		"a comment":                       {judged(comment), countedOK, ""},
		"a comment on a closed case":      {judged(comment, state("Closed")), countedOK, ""},
		"a comment on a merged case":      {judged(comment, state("Merged")), countedOK, ""},
		"closing":                         {judged(closeIt), countedOK, "close ida-7f3k2 by mia"},
		"closing a case that is new":      {judged(closeIt, state("")), countedOK, ""},
		"closing with too little":         {judged(closeIt, func(in *decision.Input) { in.CloseError = tooLittle }), invalid, tooLittle.Error()},
		"closing twice":                   {judged(closeIt, state("Closed")), late, "case ida-7f3k2 is closed; reopen it first"},
		"approving in a closed case":      {judged(approve, state("Closed")), late, "reopen it first"},
		"acting in a merged case":         {judged(act, state("Merged")), late, "was merged into another"},
		"reopening":                       {judged(reopen, state("Closed")), countedOK, ""},
		"reopening an open case":          {judged(reopen), late, "could not reopen ida-7f3k2: it is not closed"},
		"reopening what is being deleted": {judged(reopen, state("Closed"), func(in *decision.Input) { in.Case.DeletionTimestamp = &metav1.Time{Time: asked} }), late, "is sealed and being deleted"},
		"a verdict without its part":      {judged(undo, func(in *decision.Input) { in.Decision.Spec.Rollback = nil }), invalid, "does not say what the verdict Rollback needs"},
		"an answer without its part":      {judged(approve, func(in *decision.Input) { in.Decision.Spec.Answer = nil }), invalid, "does not say"},
		"a verdict of another version":    {judged("Declare"), invalid, "does not know it"},
	})
}

func TestJudgeRollback(t *testing.T) {
	check(t, map[string]ruling{
		"what succeeded":             {judged(undo), countedOK, "roll back ida-7f3k2/isolate by mia"},
		"what may have happened":     {judged(undo, actionIs(v1alpha1.ActionUnknown)), countedOK, ""},
		"what failed":                {judged(undo, actionIs(v1alpha1.ActionFailed)), stale, "could not roll back ida-7f3k2/isolate: it is Failed"},
		"what is under way":          {judged(undo, actionIs(v1alpha1.ActionExecuting)), stale, "it is Executing"},
		"what was not needed":        {judged(undo, actionIs(v1alpha1.ActionNotNeeded)), stale, "it is NotNeeded"},
		"what is not there":          {judged(undo, func(in *decision.Input) { in.Action = nil }), missing, "could not roll back ida-7f3k2/act-1: case ida-7f3k2 has no such action"},
		"another action of the name": {judged(undo, func(in *decision.Input) { in.Action.UID = "other" }), missing, ""},
		"an action of another case":  {judged(undo, func(in *decision.Input) { in.Action.Spec.CaseRef.UID = "other" }), missing, ""},
		"what cannot be taken back": {judged(undo, func(in *decision.Input) {
			in.Action.Spec.Rollback = v1alpha1.RollbackPlan{NotPossible: "a session is gone"}
		}), invalid, "it cannot be taken back: a session is gone"},
		"what is being taken back":     {judged(undo, rollback(v1alpha1.ActionAsking)), late, "rollback-isolate is taking it back already"},
		"what was taken back":          {judged(undo, rollback(v1alpha1.ActionSucceeded)), late, "rollback-isolate has taken it back already"},
		"again after a failed attempt": {judged(undo, rollback(v1alpha1.ActionFailed)), countedOK, ""},
		"again after a denied attempt": {judged(undo, rollback(v1alpha1.ActionDenied)), countedOK, ""},
		"a rollback of something else": {judged(undo, rollback(v1alpha1.ActionSucceeded), func(in *decision.Input) { in.Rollbacks[0].Spec.RollbackOf.UID = "other" }), countedOK, ""},
	})
}

func TestVerb(t *testing.T) {
	approval := &v1alpha1.Question{Kind: v1alpha1.QuestionApproval, Verb: "approve-hosts"}
	choice := &v1alpha1.Question{Kind: v1alpha1.QuestionChoice, Verb: "approve"}
	tests := map[string]struct {
		verdict  v1alpha1.Verdict
		question *v1alpha1.Question
		want     string
	}{
		"approving needs the question's verb": {approve, approval, "approve-hosts"},
		"so does denying":                     {deny, approval, "approve-hosts"},
		"approving without a question":        {approve, nil, "approve"},
		"denying without a question":          {deny, nil, "approve"},
		"approving a choice":                  {approve, choice, "approve"},
		"answering needs the question's verb": {answer, choice, "approve"},
		"answering without a question":        {answer, nil, "answer"},
		"answering an approval":               {answer, approval, "answer"},
		"any other verdict has its own":       {undo, approval, "rollback"},
		"and it is in lower case":             {assign, nil, "assign"},
		"resolving":                           {"Resolve", nil, "resolve"},
		"looking up is acting":                {"Lookup", nil, "act"},
		"running":                             {"Run", nil, "run"},
		"correcting is editing":               {"Set", nil, "edit"},
		"so is adding":                        {"Add", nil, "edit"},
		"freezing":                            {"Freeze", nil, "freeze"},
		"who may freeze may thaw":             {"Thaw", nil, "freeze"},
	}
	for name, tc := range tests {
		if got := decision.Verb(v1alpha1.DecisionSpec{Verdict: tc.verdict}, tc.question); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}
