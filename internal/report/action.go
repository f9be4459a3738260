// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Action is one entry of the action ledger, in a view.
type Action struct {
	Name      string `json:"name"`
	Handle    string `json:"handle"`
	Operation string `json:"operation"`
	Target    Target `json:"target"`
	State     string `json:"state"`
	// Reason says in one word why it stands so, for example Verified or Acknowledged.
	Reason    string    `json:"reason,omitempty"`
	Message   string    `json:"message,omitempty"`
	Requester Actor     `json:"requester"`
	Verdict   *Verdict  `json:"verdict,omitempty"`
	Approvals []Actor   `json:"approvals,omitempty"`
	Attempts  int       `json:"attempts"`
	StartTime time.Time `json:"startTime,omitzero"`
	EndTime   time.Time `json:"endTime,omitzero"`
	// Rollback says how it can be taken back, RollbackOf what it takes back, RolledBackBy what took it back.
	Rollback     string `json:"rollback"`
	RollbackOf   string `json:"rollbackOf,omitempty"`
	RolledBackBy string `json:"rolledBackBy,omitempty"`
}

// Verdict is what the guardrails said.
type Verdict struct {
	Answer  string    `json:"answer"`
	Rule    string    `json:"rule,omitempty"`
	Because string    `json:"because"`
	Time    time.Time `json:"time"`
}

func actionOf(r *Records, action *v1alpha1.Action) Action {
	view := ActionView(r.Case.Name, action)
	if by := r.RolledBackBy(action.Name); by != nil {
		view.RolledBackBy = r.Case.Name + "/" + by.Spec.Handle
	}
	if view.RollbackOf != "" {
		if of := r.Action(action.Spec.RollbackOf.Name); of != nil {
			view.RollbackOf = r.Case.Name + "/" + of.Spec.Handle
		}
	}
	return view
}

// ActionView is one action of a case by itself.
func ActionView(caseName string, action *v1alpha1.Action) Action {
	spec, status := action.Spec, action.Status
	view := Action{
		Name: action.Name, Handle: caseName + "/" + spec.Handle, Operation: spec.Operation, Target: *targetOf(spec.Target),
		State: string(status.State), Reason: executedReason(action), Message: status.Message, Requester: actorOf(spec.Requester),
		Attempts: len(status.Attempts), Rollback: rollbackText(spec.Rollback),
	}
	if view.State == "" {
		view.State = string(v1alpha1.ActionPending)
	}
	if status.Verdict != nil {
		view.Verdict = &Verdict{
			Answer: string(status.Verdict.Answer), Rule: status.Verdict.Rule, Because: status.Verdict.Because,
			Time: status.Verdict.Time.UTC(),
		}
	}
	for _, approval := range status.Approvals {
		view.Approvals = append(view.Approvals, personOf(&approval.Actor))
	}
	if len(status.Attempts) > 0 {
		view.StartTime = status.Attempts[0].StartTime.UTC()
	}
	if status.EndTime != nil {
		view.EndTime = status.EndTime.UTC()
	}
	if spec.RollbackOf != nil {
		view.RollbackOf = spec.RollbackOf.Name
	}
	return view
}

func executedReason(action *v1alpha1.Action) string {
	if c := meta.FindStatusCondition(action.Status.Conditions, v1alpha1.ExecutedCondition); c != nil {
		return c.Reason
	}
	return ""
}

// canRollBack tells whether a rollback would make sense now.
func (a Action) canRollBack() bool {
	return a.State == string(v1alpha1.ActionSucceeded) && a.RolledBackBy == "" && !strings.HasPrefix(a.Rollback, "not ")
}

// outcome is the state and what is known beyond it: "Succeeded, verified", "Failed: the pod is gone".
func (a Action) outcome() string {
	switch {
	case a.State == string(v1alpha1.ActionSucceeded) && a.Reason != "":
		return a.State + ", " + strings.ToLower(a.Reason)
	case a.State == string(v1alpha1.ActionNotNeeded):
		return "NotNeeded, it was so already"
	case a.Message != "":
		return a.State + ": " + a.Message
	case a.Reason != "":
		return a.State + ", " + a.Reason
	default:
		return a.State
	}
}

// why says who or what let it run, asked or denied.
func (a Action) why() string {
	var parts []string
	if v := a.Verdict; v != nil {
		parts = append(parts, v.text())
	}
	for _, approval := range a.Approvals {
		parts = append(parts, "approved by "+approval.text())
	}
	if a.RolledBackBy != "" {
		parts = append(parts, "taken back by "+a.RolledBackBy)
	}
	return strings.Join(parts, "; ")
}

// text is the verdict for people: "allowed by runtime/isolate", "asked, because no guardrail answers".
func (v Verdict) text() string {
	word := map[string]string{"Allow": "allowed", "Ask": "asked", "Deny": "denied"}[v.Answer]
	if word == "" {
		word = v.Answer
	}
	if v.Rule == "" {
		return fmt.Sprintf("%s: %s", word, v.Because)
	}
	return fmt.Sprintf("%s by %s", word, v.Rule)
}

// time is when the action did what it did, or came to wait.
func (a Action) time() time.Time {
	switch {
	case !a.StartTime.IsZero():
		return a.StartTime
	case a.EndTime.IsZero() && a.Verdict != nil:
		return a.Verdict.Time
	default:
		return a.EndTime
	}
}
