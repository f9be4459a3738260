// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Action is one mutating operation on one target: an entry of the action ledger.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=act,categories={casebook}
// +kubebuilder:selectablefield:JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Case",type=string,JSONPath=`.spec.caseRef.name`
// +kubebuilder:printcolumn:name="Operation",type=string,JSONPath=`.spec.operation`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target.name`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Actor",type=string,JSONPath=`.spec.requester.name`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.message`
type Action struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what was intended when the object was created; it never changes.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the spec of an Action is evidence and cannot change; make another action"
	// +required
	Spec ActionSpec `json:"spec,omitzero"`
	// status is written by the controllers alone.
	// +optional
	Status ActionStatus `json:"status,omitzero"`
}

// ActionState is where an action stands (PROTOCOL: the action protocol).
// +kubebuilder:validation:Enum=Pending;Asking;Ready;Executing;Settling;Verifying;Succeeded;NotNeeded;Failed;Unknown;Denied;Expired;Held
type ActionState string

// The states of an action.
const (
	ActionPending   ActionState = "Pending"
	ActionAsking    ActionState = "Asking"
	ActionReady     ActionState = "Ready"
	ActionExecuting ActionState = "Executing"
	ActionSettling  ActionState = "Settling"
	ActionVerifying ActionState = "Verifying"
	ActionSucceeded ActionState = "Succeeded"
	ActionNotNeeded ActionState = "NotNeeded"
	ActionFailed    ActionState = "Failed"
	ActionUnknown   ActionState = "Unknown"
	ActionDenied    ActionState = "Denied"
	ActionExpired   ActionState = "Expired"
	ActionHeld      ActionState = "Held"
)

// Ended tells whether an action in this state moves only by a person's decision, if at all.
func (s ActionState) Ended() bool {
	switch s {
	case ActionSucceeded, ActionNotNeeded, ActionFailed, ActionUnknown, ActionDenied, ActionExpired:
		return true
	default:
		return false
	}
}

// ActionSpec is the intent: everything that will be sent, and to what.
type ActionSpec struct {
	// caseRef names the Case.
	// +required
	CaseRef RecordRef `json:"caseRef,omitzero"`
	// runRef names the PlaybookRun whose step this is; absent when done by hand.
	// +optional
	RunRef *RecordRef `json:"runRef,omitempty"`
	// step is the step of that run.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Step string `json:"step,omitempty"`
	// decisionRef names the Decision that asked for it by hand.
	// +optional
	DecisionRef *RecordRef `json:"decisionRef,omitempty"`
	// rollbackOf names the Action that this one takes back. It runs only while the target is as that action left it.
	// +optional
	RollbackOf *RecordRef `json:"rollbackOf,omitempty"`
	// handle is what people call the action within its case: case/handle.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Handle string `json:"handle,omitempty"`
	// connectorRef names the Connector, with the uid it had, so that another of its name is not mistaken for it.
	// +required
	ConnectorRef RecordRef `json:"connectorRef,omitzero"`
	// connectorRevision names the ControllerRevision of the connector's operations that this action executes; empty where
	// they are in code.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ConnectorRevision string `json:"connectorRevision,omitempty"`
	// operation is the operation, as connector/operation.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Operation string `json:"operation,omitempty"`
	// input is the operation's input, fully rendered.
	// +required
	Input apiextensionsv1.JSON `json:"input,omitzero"`
	// target is what the operation changes.
	// +required
	Target Target `json:"target,omitzero"`
	// effect says what the operation does to its target.
	// +required
	Effect Effect `json:"effect,omitempty"`
	// semantics says what may be done after doubt.
	// +required
	Semantics Semantics `json:"semantics,omitempty"`
	// rollback says how the action can be taken back.
	// +required
	Rollback RollbackPlan `json:"rollback,omitzero"`
	// revision is the playbook revision of the run.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Revision string `json:"revision,omitempty"`
	// planDigest binds approvals to exactly what will run: SHA-256 in lower-case hex over the canonical JSON of
	// revision, step, operation, input, target, connector, connectorRevision, effect, semantics, rollback and rollbackOf.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +required
	PlanDigest string `json:"planDigest,omitempty"`
	// requester is who or what wants it.
	// +required
	Requester JournalActor `json:"requester,omitzero"`
	// author is who last changed the playbook, where a run wants it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Author string `json:"author,omitempty"`
	// deadlineTime is when it is too late to begin.
	// +required
	DeadlineTime metav1.MicroTime `json:"deadlineTime,omitzero"`
}

// Target is what an operation changes.
type Target struct {
	// type is the kind of thing, for example Pod or User.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Type string `json:"type,omitempty"`
	// name identifies it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Name string `json:"name,omitempty"`
	// namespace is the Kubernetes namespace of a Kubernetes object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// uid pins it: another object of the same name is not touched.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	UID string `json:"uid,omitempty"`
}

// RollbackPlan says how an action can be taken back, or why not.
// +kubebuilder:validation:ExactlyOneOf=operation;notPossible
type RollbackPlan struct {
	// operation is the operation that takes it back, with the same input.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Operation string `json:"operation,omitempty"`
	// notPossible says why it cannot be taken back.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	NotPossible string `json:"notPossible,omitempty"`
}

// ActionStatus is an action as it stands.
type ActionStatus struct {
	StatusHead `json:",inline"`
	// state is where the action stands.
	// +optional
	State ActionState `json:"state,omitempty"`
	// message says why, for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
	// verdict is what the guardrails say.
	// +optional
	Verdict *GuardVerdict `json:"verdict,omitempty"`
	// question is what people are asked while the state is Asking, or were asked; a late answer is told that it is late.
	// +optional
	Question *Question `json:"question,omitempty"`
	// approvals are the decisions that approved it.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Approvals []Approval `json:"approvals,omitempty"`
	// before is what was read at the target before anything was sent.
	// +optional
	Before *apiextensionsv1.JSON `json:"before,omitempty"`
	// resolutions are the decisions on what became of an attempt whose outcome was unknown. It is tried again at most 15
	// times by one: the last place is for one that ends it.
	// +listType=map
	// +listMapKey=decision
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Resolutions []Resolution `json:"resolutions,omitempty"`
	// attempts are the executions, each announced here before its first byte was sent.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Attempts []Attempt `json:"attempts,omitempty"`
	// after is what was read back.
	// +optional
	After *apiextensionsv1.JSON `json:"after,omitempty"`
	// endTime is when the outcome was known.
	// +optional
	EndTime *metav1.MicroTime `json:"endTime,omitempty"`
}

// MaxResolutions is how many resolutions an action keeps.
const MaxResolutions = 16

// MayRetry tells whether a person may have the action tried again. The last place among its resolutions is kept for one
// that ends it: what is Unknown can always be closed.
func (s *ActionStatus) MayRetry() bool { return len(s.Resolutions) < MaxResolutions-1 }

// Answer is a guardrail's answer.
// +kubebuilder:validation:Enum=Allow;Ask;Deny
type Answer string

// The answers, from lenient to strict.
const (
	AnswerAllow Answer = "Allow"
	AnswerAsk   Answer = "Ask"
	AnswerDeny  Answer = "Deny"
)

// GuardVerdict is what the guardrails said of an action, and which rule said it.
type GuardVerdict struct {
	// answer is the verdict.
	// +required
	Answer Answer `json:"answer,omitempty"`
	// rule is the rule that decided, as guardrail/rule; empty when no rule answered.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Rule string `json:"rule,omitempty"`
	// because is the rule's own explanation.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Because string `json:"because,omitempty"`
	// time is when it was given.
	// +required
	Time metav1.MicroTime `json:"time,omitzero"`
}

// Approval is a decision that counted for an action.
type Approval struct {
	// decision names the Decision.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Decision string `json:"decision,omitempty"`
	// actor is who decided.
	// +required
	Actor Actor `json:"actor,omitzero"`
	// time is when.
	// +required
	Time metav1.MicroTime `json:"time,omitzero"`
}

// Resolution is a decision on an action whose outcome was unknown.
type Resolution struct {
	// decision names the Decision.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Decision string `json:"decision,omitempty"`
	// outcome is what was decided.
	// +required
	Outcome ResolveOutcome `json:"outcome,omitempty"`
	// message says what the person found.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Message string `json:"message,omitempty"`
	// actor is who decided.
	// +required
	Actor Actor `json:"actor,omitzero"`
	// time is when.
	// +required
	Time metav1.MicroTime `json:"time,omitzero"`
}

// AttemptOutcome is what is known of an attempt.
// +kubebuilder:validation:Enum=Acknowledged;Refused;NotSent;InDoubt
type AttemptOutcome string

// The outcomes of an attempt.
const (
	// OutcomeAcknowledged: the target said that it did it.
	OutcomeAcknowledged AttemptOutcome = "Acknowledged"
	// OutcomeRefused: the target said that it did not and will not.
	OutcomeRefused AttemptOutcome = "Refused"
	// OutcomeNotSent: nothing reached the target.
	OutcomeNotSent AttemptOutcome = "NotSent"
	// OutcomeInDoubt: it may or may not have happened.
	OutcomeInDoubt AttemptOutcome = "InDoubt"
)

// Attempt is one execution of an action.
type Attempt struct {
	// number counts the attempts from 1.
	// +kubebuilder:validation:Minimum=1
	// +required
	Number int32 `json:"number,omitempty"`
	// key is the idempotency key: SHA-256 over namespace, action name and plan digest, in lower-case hex.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +required
	Key string `json:"key,omitempty"`
	// holder is the operator process that may send.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Holder string `json:"holder,omitempty"`
	// startTime is when it was announced.
	// +required
	StartTime metav1.MicroTime `json:"startTime,omitzero"`
	// deadlineTime is when the exchange is over, whatever became of it.
	// +required
	DeadlineTime metav1.MicroTime `json:"deadlineTime,omitzero"`
	// outcome is what is known of it; empty until something is.
	// +optional
	Outcome AttemptOutcome `json:"outcome,omitempty"`
	// reason says in one word why it was refused.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Reason string `json:"reason,omitempty"`
	// message is what the target said.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
	// endTime is when the outcome was known.
	// +optional
	EndTime *metav1.MicroTime `json:"endTime,omitempty"`
	// retryAfter is how long the target asked to be left alone.
	// +optional
	RetryAfter *metav1.Duration `json:"retryAfter,omitempty"`
}

// ActionList is a list of Action objects.
// +kubebuilder:object:root=true
type ActionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Action `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *Action) Head() *StatusHead { return &o.Status.StatusHead }
