// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"fmt"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// maxMessage is what the status of a Decision takes, in code points.
const maxMessage = 1024

// Access is what a SubjectAccessReview of the actor for [Verb] on the case said.
type Access string

// The answers. The zero Access is not an answer, and is taken as AccessError.
const (
	AccessAllowed Access = "Allowed"
	AccessDenied  Access = "Denied"
	// AccessError: the review could not be made; nothing is judged.
	AccessError Access = "Error"
)

// AccessAnswer is an Access and the reason that was given for it.
type AccessAnswer struct {
	Access Access
	Reason string
}

// Input is a decision and everything that bears on it, as read live.
type Input struct {
	// Decision is what is judged.
	Decision *v1alpha1.Decision
	// Case is the case that it names; nil if there is none of that name. A Freeze and a
	// Thaw name none.
	Case *v1alpha1.Case
	// Question is what it answers, as [Find] finds it; nil if there is none. It is not
	// looked at for other verdicts.
	Question *Held
	// Action is the action to take back, or whose outcome is resolved; nil if there is
	// none. For a Rollback and a Resolve only.
	Action *v1alpha1.Action
	// Rollbacks are the actions that take that action back, in any state.
	Rollbacks []v1alpha1.Action
	// Earlier are the decisions that counted for the same question, or, for a Resolve,
	// that resolve the same action.
	Earlier []v1alpha1.Decision
	// Access says whether the actor has the verb.
	Access AccessAnswer
	// CloseError is what casefile.CheckClose says. For a Close only.
	CloseError error
	// Playbook is the playbook to run; nil if there is none of that name. For a Run only.
	Playbook *v1alpha1.Playbook
	// PlaybookError says why it cannot run with these inputs. For a Run only.
	PlaybookError error
	// TypeError says why the case cannot be of the type. For a Set with a type only.
	TypeError error
	// Frozen says that a freeze of the decision's namespace is in force. For a Thaw only.
	Frozen bool
}

// Ruling is whether a decision counts, and why. Without a State it could not be judged,
// for the reason in Message: ask again.
type Ruling struct {
	State v1alpha1.DecisionState
	// Reason is a condition reason: Counted, NotEntitled, Stale, Late, SubjectMissing,
	// CaseFull, or InvalidSpec where the decision lacks something.
	Reason string
	// Message says what could not be done to what, why, and what to do about it; at most
	// 1024 code points.
	Message string
}

// Judge rules on a decision. Rules are tried in the order of [rules]; the first that
// does not hold voids it.
func Judge(in Input, now time.Time) Ruling {
	for _, rule := range rules {
		if v := rule(in, now); v != nil {
			v.Message = cut(v.Message)
			return *v
		}
	}
	return Ruling{State: v1alpha1.DecisionCounted, Reason: v1alpha1.CountedReason, Message: cut(counted(in))}
}

// rules hold a decision up to the present state; each returns nil where it has nothing
// against it. What is asked comes before who may answer, so that a person learns first
// that there is nothing to answer any more.
var rules = []func(Input, time.Time) *Ruling{
	caseExists,
	actorIsAPerson,
	complete,
	caseTakesVerdict,
	questionStands,
	notTwice,
	actionCanBeTakenBack,
	outcomeIsUnknown,
	playbookRuns,
	correctionFits,
	somethingIsFrozen,
	notExcluded,
	inGroups,
	hasVerb,
	closesWell,
}

// void rules a decision out.
func void(reason, format string, args ...any) *Ruling {
	return &Ruling{State: v1alpha1.DecisionVoid, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func caseExists(in Input, _ time.Time) *Ruling {
	ref := in.Decision.Spec.CaseRef
	switch {
	case ofNamespace(in.Decision.Spec.Verdict):
		return nil
	case in.Case == nil:
		return void(v1alpha1.SubjectMissingReason, "could not %s: case %s does not exist; look for it with kubectl casebook queue", deed(in), ref.Name)
	case string(in.Case.UID) != ref.UID:
		return void(v1alpha1.SubjectMissingReason,
			"could not %s: case %s is another one of that name, the one decided on is gone; look at it and decide again", deed(in), ref.Name)
	}
	return nil
}

// machines begin the usernames of what is not a person.
var machines = []string{"system:serviceaccount:", "system:node:"}

func actorIsAPerson(in Input, _ time.Time) *Ruling {
	actor := in.Decision.Spec.Actor
	if actor == nil || actor.Username == "" {
		return void(v1alpha1.NotEntitledReason, "could not %s: nobody is named as the one who decided; the admission policy that stamps the actor is missing", deed(in))
	}
	for _, prefix := range machines {
		if strings.HasPrefix(actor.Username, prefix) {
			return void(v1alpha1.NotEntitledReason, "%s may not %s: only people decide; sign in as a person", actor.Username, deed(in))
		}
	}
	return nil
}

// complete holds what the schema asks for, for objects that an older schema let in.
func complete(in Input, _ time.Time) *Ruling {
	spec := in.Decision.Spec
	has := map[v1alpha1.Verdict]bool{
		v1alpha1.VerdictApprove: spec.Answer != nil, v1alpha1.VerdictDeny: spec.Answer != nil, v1alpha1.VerdictAnswer: spec.Answer != nil,
		v1alpha1.VerdictAct: spec.Act != nil, v1alpha1.VerdictAssign: spec.Assign != nil, v1alpha1.VerdictClose: spec.Close != nil,
		v1alpha1.VerdictRollback: spec.Rollback != nil, v1alpha1.VerdictComment: true, v1alpha1.VerdictReopen: true,
		v1alpha1.VerdictResolve: spec.Resolve != nil, v1alpha1.VerdictLookup: spec.Lookup != nil, v1alpha1.VerdictRun: spec.Run != nil,
		v1alpha1.VerdictSet: spec.Set != nil, v1alpha1.VerdictAdd: spec.Add != nil, v1alpha1.VerdictFreeze: true, v1alpha1.VerdictThaw: true,
	}
	given, known := has[spec.Verdict]
	switch {
	case !known:
		return void(v1alpha1.InvalidSpecReason, "could not judge the verdict %q: this version does not know it", spec.Verdict)
	case !given:
		return void(v1alpha1.InvalidSpecReason, "could not %s: the decision does not say what the verdict %s needs", deed(in), spec.Verdict)
	}
	return nil
}

func caseTakesVerdict(in Input, _ time.Time) *Ruling {
	verdict := in.Decision.Spec.Verdict
	if ofNamespace(verdict) {
		return nil
	}
	name, state := in.Case.Name, in.Case.Status.State
	closed, merged := state == v1alpha1.CaseClosed, state == v1alpha1.CaseMerged
	switch {
	case verdict == v1alpha1.VerdictComment:
		return nil
	case in.Case.DeletionTimestamp != nil:
		return void(v1alpha1.LateReason, "could not %s: case %s is sealed and being deleted", deed(in), name)
	case merged:
		return void(v1alpha1.LateReason, "could not %s: case %s was merged into another; decide there", deed(in), name)
	case closed && tellsWhatHappened(in.Decision.Spec):
		return nil // it changes nothing at the target, and the record should end with what is known
	case closed && verdict != v1alpha1.VerdictReopen:
		return void(v1alpha1.LateReason, "could not %s: case %s is closed; reopen it first", deed(in), name)
	case !closed && verdict == v1alpha1.VerdictReopen:
		return void(v1alpha1.LateReason, "could not %s: it is not closed", deed(in))
	}
	return nil
}

func actionCanBeTakenBack(in Input, _ time.Time) *Ruling {
	spec := in.Decision.Spec
	if spec.Verdict != v1alpha1.VerdictRollback {
		return nil
	}
	a := in.Action
	if a == nil || string(a.UID) != spec.Rollback.ActionRef.UID || a.Spec.CaseRef.UID != spec.CaseRef.UID {
		return void(v1alpha1.SubjectMissingReason, "could not %s: case %s has no such action", deed(in), spec.CaseRef.Name)
	}
	if s := a.Status.State; s != v1alpha1.ActionSucceeded && s != v1alpha1.ActionUnknown {
		return void(v1alpha1.StaleReason, "could not %s: it is %s, and only what succeeded, or may have, can be taken back", deed(in), s)
	}
	if a.Spec.Rollback.Operation == "" {
		return void(v1alpha1.InvalidSpecReason, "could not %s: it cannot be taken back: %s", deed(in), a.Spec.Rollback.NotPossible)
	}
	for _, r := range in.Rollbacks {
		if r.Spec.RollbackOf == nil || r.Spec.RollbackOf.UID != string(a.UID) {
			continue
		}
		switch s := r.Status.State; {
		case s == v1alpha1.ActionSucceeded, s == v1alpha1.ActionNotNeeded:
			return void(v1alpha1.LateReason, "could not %s: %s has taken it back already", deed(in), r.Spec.Handle)
		case !s.Ended():
			return void(v1alpha1.LateReason, "could not %s: %s is taking it back already", deed(in), r.Spec.Handle)
		}
	}
	return nil
}

func hasVerb(in Input, _ time.Time) *Ruling {
	spec := in.Decision.Spec
	verb := Verb(spec, question(in))
	switch in.Access.Access {
	case AccessAllowed:
		return nil
	case AccessDenied:
		message := fmt.Sprintf("%s may not %s: the verb %q on cases.%s is missing in namespace %s",
			spec.Actor.Username, deed(in), verb, v1alpha1.GroupName, namespace(in))
		if in.Access.Reason != "" {
			message += " (" + in.Access.Reason + ")"
		}
		return void(v1alpha1.NotEntitledReason, "%s; %s", message, whoMay(question(in)))
	default:
		return &Ruling{Message: fmt.Sprintf("could not ask whether %s may %s: %s", spec.Actor.Username, deed(in), in.Access.Reason)}
	}
}

func closesWell(in Input, _ time.Time) *Ruling {
	if in.Decision.Spec.Verdict != v1alpha1.VerdictClose || in.CloseError == nil {
		return nil
	}
	return void(v1alpha1.InvalidSpecReason, "%s", in.CloseError.Error())
}

// Verb is the RBAC verb on cases that a decision needs: that of the question for those
// who answer one (nil if there is none), else the verdict's own. That of a Freeze and a
// Thaw is asked for the cases of the namespace, without a name.
func Verb(spec v1alpha1.DecisionSpec, q *v1alpha1.Question) string {
	switch spec.Verdict {
	case v1alpha1.VerdictApprove, v1alpha1.VerdictDeny:
		if q != nil && q.Kind == v1alpha1.QuestionApproval && q.Verb != "" {
			return q.Verb
		}
		return "approve"
	case v1alpha1.VerdictAnswer:
		if q != nil && q.Kind == v1alpha1.QuestionChoice && q.Verb != "" {
			return q.Verb
		}
		return "answer"
	case v1alpha1.VerdictLookup:
		return "act"
	case v1alpha1.VerdictSet, v1alpha1.VerdictAdd:
		return "edit"
	case v1alpha1.VerdictFreeze, v1alpha1.VerdictThaw:
		return "freeze"
	default:
		return strings.ToLower(string(spec.Verdict))
	}
}

// deed is what the decision would do, to what: "approve ida-7f3k2/suspend".
func deed(in Input) string {
	spec := in.Decision.Spec
	subject := spec.CaseRef.Name
	switch {
	case spec.Answer != nil:
		subject += "/" + spec.Answer.Handle
	case spec.Rollback != nil && in.Action != nil:
		subject += "/" + in.Action.Spec.Handle
	case spec.Rollback != nil:
		subject += "/" + spec.Rollback.ActionRef.Name
	case spec.Resolve != nil && in.Action != nil:
		subject += "/" + in.Action.Spec.Handle
	case spec.Resolve != nil:
		subject += "/" + spec.Resolve.ActionRef.Name
	}
	verb := strings.ToLower(string(spec.Verdict))
	switch spec.Verdict {
	case v1alpha1.VerdictAct, v1alpha1.VerdictComment:
		verb += " on"
	case v1alpha1.VerdictRollback:
		verb = "roll back"
	case v1alpha1.VerdictAdd:
		verb = "add to"
	case v1alpha1.VerdictSet:
		verb = "correct"
	case v1alpha1.VerdictLookup:
		verb = "look up for"
	case v1alpha1.VerdictRun:
		verb = "run a playbook for"
	case v1alpha1.VerdictFreeze, v1alpha1.VerdictThaw:
		verb, subject = verb+" namespace", namespace(in)
	}
	return verb + " " + subject
}

// whoMay says who can do what this person cannot.
func whoMay(q *v1alpha1.Question) string {
	switch {
	case q == nil || len(q.Groups) == 0:
		return "ask someone who has it"
	case len(q.Groups) == 1:
		return "who may answer: group " + q.Groups[0]
	}
	return "who may answer: groups " + strings.Join(q.Groups, ", ")
}

// counted says what a decision amounts to.
func counted(in Input) string {
	out := fmt.Sprintf("%s by %s", deed(in), in.Decision.Spec.Actor.Username)
	if q := question(in); q != nil && in.Decision.Spec.Verdict == v1alpha1.VerdictApprove {
		_, _, approvals := Quorum(*q, in.Earlier)
		out += fmt.Sprintf(", %d of %d", len(approvals)+1, max(q.Count, 1)) // nobody counts twice
	}
	if resolve := in.Decision.Spec.Resolve; in.Decision.Spec.Verdict == v1alpha1.VerdictResolve {
		out += ": " + told[resolve.Outcome]
		if r := in.Action.Spec.Requester; r.Type == v1alpha1.ActorPerson && same(*in.Decision.Spec.Actor, v1alpha1.Actor{Username: r.Name, UID: r.UID}) {
			out += "; it is who asked for the action"
		}
	}
	return out
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > maxMessage {
		return string(runes[:maxMessage-1]) + "…"
	}
	return text
}
