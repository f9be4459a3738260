// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Decision is one human judgement. Its actor is stamped by the API server; it never changes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=dec,categories={casebook}
// +kubebuilder:selectablefield:JSONPath=`.spec.caseRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.verdict`
// +kubebuilder:printcolumn:name="Case",type=string,JSONPath=`.spec.caseRef.name`
// +kubebuilder:printcolumn:name="Verdict",type=string,JSONPath=`.spec.verdict`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Actor",type=string,JSONPath=`.spec.actor.username`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.spec.message`
type Decision struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what was decided when the object was created; it never changes.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the spec of a Decision is evidence and cannot change; decide again instead"
	// +required
	Spec DecisionSpec `json:"spec,omitzero"`
	// status is written by the controllers alone.
	// +optional
	Status DecisionStatus `json:"status,omitzero"`
}

// Verdict is what a person decides.
// +kubebuilder:validation:Enum=Approve;Deny;Answer;Act;Assign;Comment;Close;Reopen;Rollback;Resolve;Lookup;Run;Set;Add;Freeze;Thaw
type Verdict string

// The verdicts. Each needs its own RBAC verb on cases: the verdict in lower case; approve for Deny, act for Lookup, edit
// for Set and Add, and freeze for Thaw.
const (
	VerdictApprove  Verdict = "Approve"
	VerdictDeny     Verdict = "Deny"
	VerdictAnswer   Verdict = "Answer"
	VerdictAct      Verdict = "Act"
	VerdictAssign   Verdict = "Assign"
	VerdictComment  Verdict = "Comment"
	VerdictClose    Verdict = "Close"
	VerdictReopen   Verdict = "Reopen"
	VerdictRollback Verdict = "Rollback"
	VerdictResolve  Verdict = "Resolve"
	VerdictLookup   Verdict = "Lookup"
	VerdictRun      Verdict = "Run"
	VerdictSet      Verdict = "Set"
	VerdictAdd      Verdict = "Add"
	VerdictFreeze   Verdict = "Freeze"
	VerdictThaw     Verdict = "Thaw"
)

// DecisionSpec is one judgement.
// +kubebuilder:validation:XValidation:rule="has(self.answer) == (self.verdict in ['Approve', 'Deny', 'Answer'])",message="set spec.answer for the verdicts Approve, Deny and Answer, and for no other",fieldPath=".answer"
// +kubebuilder:validation:XValidation:rule="!has(self.answer) || has(self.answer.option) == (self.verdict == 'Answer')",message="set spec.answer.option for the verdict Answer, and for no other",fieldPath=".answer.option"
// +kubebuilder:validation:XValidation:rule="has(self.act) == (self.verdict == 'Act')",message="set spec.act for the verdict Act, and for no other",fieldPath=".act"
// +kubebuilder:validation:XValidation:rule="has(self.assign) == (self.verdict == 'Assign')",message="set spec.assign for the verdict Assign, and for no other",fieldPath=".assign"
// +kubebuilder:validation:XValidation:rule="has(self.close) == (self.verdict == 'Close')",message="set spec.close for the verdict Close, and for no other",fieldPath=".close"
// +kubebuilder:validation:XValidation:rule="has(self.rollback) == (self.verdict == 'Rollback')",message="set spec.rollback for the verdict Rollback, and for no other",fieldPath=".rollback"
// +kubebuilder:validation:XValidation:rule="has(self.message) || !(self.verdict in ['Approve', 'Deny', 'Comment', 'Close', 'Reopen', 'Rollback', 'Resolve', 'Set', 'Freeze', 'Thaw'])",message="give spec.message: it says why, and is kept as evidence",fieldPath=".message"
// +kubebuilder:validation:XValidation:rule="has(self.caseRef) != (self.verdict in ['Freeze', 'Thaw'])",message="name the case in spec.caseRef; Freeze and Thaw are about the whole namespace and name none",fieldPath=".caseRef"
// +kubebuilder:validation:XValidation:rule="has(self.resolve) == (self.verdict == 'Resolve')",message="set spec.resolve for the verdict Resolve, and for no other",fieldPath=".resolve"
// +kubebuilder:validation:XValidation:rule="has(self.lookup) == (self.verdict == 'Lookup')",message="set spec.lookup for the verdict Lookup, and for no other",fieldPath=".lookup"
// +kubebuilder:validation:XValidation:rule="has(self.run) == (self.verdict == 'Run')",message="set spec.run for the verdict Run, and for no other",fieldPath=".run"
// +kubebuilder:validation:XValidation:rule="has(self.set) == (self.verdict == 'Set')",message="set spec.set for the verdict Set, and for no other",fieldPath=".set"
// +kubebuilder:validation:XValidation:rule="has(self.add) == (self.verdict == 'Add')",message="set spec.add for the verdict Add, and for no other",fieldPath=".add"
type DecisionSpec struct {
	// caseRef names the Case; absent for the verdicts Freeze and Thaw, which are about the whole namespace.
	// +optional
	CaseRef RecordRef `json:"caseRef,omitzero"` //nolint:kubeapilinter // an empty reference is no valid one, and needs no pointer to say so
	// verdict is what is decided.
	// +required
	Verdict Verdict `json:"verdict,omitempty"`
	// message says why.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Message string `json:"message,omitempty"`
	// answer answers an open question of the case.
	// +optional
	Answer *AnswerDecision `json:"answer,omitempty"`
	// act asks for an action by hand.
	// +optional
	Act *ActDecision `json:"act,omitempty"`
	// assign gives the case an owner or another queue.
	// +optional
	Assign *AssignDecision `json:"assign,omitempty"`
	// close closes the case.
	// +optional
	Close *CloseDecision `json:"close,omitempty"`
	// rollback takes an action back.
	// +optional
	Rollback *RollbackDecision `json:"rollback,omitempty"`
	// resolve says what became of an action whose outcome is unknown.
	// +optional
	Resolve *ResolveDecision `json:"resolve,omitempty"`
	// lookup asks for a read, whose answer is kept with the case.
	// +optional
	Lookup *LookupDecision `json:"lookup,omitempty"`
	// run starts a playbook.
	// +optional
	Run *RunDecision `json:"run,omitempty"`
	// set corrects the record.
	// +optional
	Set *SetDecision `json:"set,omitempty"`
	// add adds what the case is about.
	// +optional
	Add *AddDecision `json:"add,omitempty"`
	// actor is who decides, as the API server authenticated them. It is stamped at admission: what a client writes here
	// is replaced.
	// +optional
	Actor *Actor `json:"actor,omitempty"`
}

// AnswerDecision answers one question.
type AnswerDecision struct {
	// handle is the question's handle within the case.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Handle string `json:"handle,omitempty"`
	// digest is the digest of what the person was shown. A question that has changed since does not take the answer.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +required
	Digest string `json:"digest,omitempty"`
	// option is the chosen option, for the verdict Answer.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Option string `json:"option,omitempty"`
}

// ActDecision asks for an operation by hand, with the same guardrails as a playbook's.
type ActDecision struct {
	// operation is the operation, as connector/operation.
	// +kubebuilder:validation:Pattern=`^[a-z0-9][a-z0-9.-]*/[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Operation string `json:"operation,omitempty"`
	// input is the operation's input.
	// +optional
	Input *apiextensionsv1.JSON `json:"input,omitempty"`
}

// AssignDecision gives a case an owner or another queue.
// +kubebuilder:validation:MinProperties=1
type AssignDecision struct {
	// owner is the username of the new owner.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Owner string `json:"owner,omitempty"`
	// queue is the new queue.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Queue string `json:"queue,omitempty"`
}

// CloseDecision closes a case.
type CloseDecision struct {
	// classification is what the case turned out to be.
	// +required
	Classification Classification `json:"classification,omitempty"`
	// rootCause is what made it possible.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	RootCause string `json:"rootCause,omitempty"`
}

// RollbackDecision takes an action back.
type RollbackDecision struct {
	// actionRef names the Action.
	// +required
	ActionRef RecordRef `json:"actionRef,omitzero"`
}

// ResolveOutcome is what a person found of an action whose outcome was unknown.
// +kubebuilder:validation:Enum=Happened;DidNot;Retry
type ResolveOutcome string

// The outcomes of a resolution.
const (
	// ResolveHappened: the target did it. The action succeeded.
	ResolveHappened ResolveOutcome = "Happened"
	// ResolveDidNot: the target did not do it. The action failed.
	ResolveDidNot ResolveOutcome = "DidNot"
	// ResolveRetry: the target did not do it, and it is to be tried again.
	ResolveRetry ResolveOutcome = "Retry"
)

// ResolveDecision says what became of an action.
type ResolveDecision struct {
	// actionRef names the Action, whose state is Unknown.
	// +required
	ActionRef RecordRef `json:"actionRef,omitzero"`
	// outcome is what the person found.
	// +required
	Outcome ResolveOutcome `json:"outcome,omitempty"`
}

// LookupDecision asks for a read.
type LookupDecision struct {
	// operation is the operation, as connector/operation.
	// +kubebuilder:validation:Pattern=`^[a-z0-9][a-z0-9.-]*/[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=128
	// +required
	Operation string `json:"operation,omitempty"`
	// input is the operation's input.
	// +optional
	Input *apiextensionsv1.JSON `json:"input,omitempty"`
}

// RunDecision starts a playbook.
type RunDecision struct {
	// playbookRef names the Playbook.
	// +required
	PlaybookRef LocalRef `json:"playbookRef,omitzero"`
	// inputs are the values of the playbook's inputs.
	// +optional
	Inputs *apiextensionsv1.JSON `json:"inputs,omitempty"`
}

// SetDecision corrects the record. What a person set stays until a person sets it again.
// +kubebuilder:validation:AtLeastOneOf=severity;typeRef;queue
type SetDecision struct {
	// severity is the severity, whatever the type's factors say.
	// +optional
	Severity Severity `json:"severity,omitempty"`
	// typeRef names the CaseType that the case is of from now on.
	// +optional
	TypeRef *LocalRef `json:"typeRef,omitempty"`
	// queue is where the case waits.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Queue string `json:"queue,omitempty"`
}

// AddDecision adds what the case is about. A user who joins gets the runs that the type starts for each user.
// +kubebuilder:validation:AtLeastOneOf=users;hosts;indicators
type AddDecision struct {
	// users are people and accounts.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Users []Entity `json:"users,omitempty"`
	// hosts are machines.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Hosts []Entity `json:"hosts,omitempty"`
	// indicators are observables, in canonical form.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Indicators []Indicator `json:"indicators,omitempty"`
}

// DecisionState is whether a decision counts.
// +kubebuilder:validation:Enum=Counted;Void
type DecisionState string

// The states of a decision.
const (
	DecisionCounted DecisionState = "Counted"
	DecisionVoid    DecisionState = "Void"
)

// DecisionStatus is what became of a decision.
type DecisionStatus struct {
	StatusHead `json:",inline"`
	// state is whether it counts.
	// +optional
	State DecisionState `json:"state,omitempty"`
	// reason says in one word why.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Reason string `json:"reason,omitempty"`
	// message says why, for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
	// action names the Action that the decision made.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Action string `json:"action,omitempty"`
}

// DecisionList is a list of Decision objects.
// +kubebuilder:object:root=true
type DecisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Decision `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *Decision) Head() *StatusHead { return &o.Status.StatusHead }
