// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Playbook is the steps of a response. A run executes the revision it started with, to the end.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=pb,categories={casebook,casebook-config}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.revision`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Playbook struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what people ask for.
	// +required
	Spec PlaybookSpec `json:"spec,omitzero"`
	// status is what the controller found.
	// +optional
	Status PlaybookStatus `json:"status,omitzero"`
}

// PlaybookSpec is the steps of a response, in order.
type PlaybookSpec struct {
	// description says in a sentence or two what the playbook is for.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Description string `json:"description,omitempty"`
	// inputs are what a run needs to start.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Inputs []PlaybookInput `json:"inputs,omitempty"`
	// steps run in order.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +required
	Steps []Step `json:"steps,omitempty"`
}

// PlaybookInput is a value that a run needs.
type PlaybookInput struct {
	// name is the input's name in expressions: inputs.<name>.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// type is what the value is: String, Integer, Boolean, Object, List, User, Host, Asset or Indicator.
	// +kubebuilder:validation:Enum=String;Integer;Boolean;Object;List;User;Host;Asset;Indicator
	// +required
	Type string `json:"type,omitempty"`
}

// OrElse says what a step does when its condition cannot be decided.
// +kubebuilder:validation:Enum=Skip;Run
type OrElse string

// FailurePolicy says how a run goes on after a step that failed or was denied.
// +kubebuilder:validation:Enum=Continue;Fail
type FailurePolicy string

// The values of OrElse and FailurePolicy.
const (
	OrElseSkip      OrElse        = "Skip"
	OrElseRun       OrElse        = "Run"
	FailureContinue FailurePolicy = "Continue"
	FailureFail     FailurePolicy = "Fail"
)

// Step is one step: exactly one kind of step, and how it fits in.
// +kubebuilder:validation:ExactlyOneOf=action;decision;wait;set;close;fail;notify
type Step struct {
	// name is the step's name in expressions: steps.<name>.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// if is a CEL condition over case, severity, inputs, enrichment and steps: whether the step runs. One that cannot be
	// decided fails the step unless orElse says otherwise.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	If string `json:"if,omitempty"`
	// orElse says what happens when the condition cannot be decided.
	// +optional
	OrElse OrElse `json:"orElse,omitempty"`
	// timeout ends the step as failed; one hour if left out. A decision has its own (within).
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="timeout must be between 1s and 720h, for example 2m"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// onFailure says how the run goes on after this step failed; it fails if left out.
	// +optional
	OnFailure FailurePolicy `json:"onFailure,omitempty"`
	// action does one mutating operation, or takes an earlier one back.
	// +optional
	Action *ActionStep `json:"action,omitempty"`
	// decision asks people to choose.
	// +optional
	Decision *DecisionStep `json:"decision,omitempty"`
	// wait lets time pass.
	// +optional
	Wait *WaitStep `json:"wait,omitempty"`
	// set changes the case.
	// +optional
	Set *SetStep `json:"set,omitempty"`
	// close closes the case and ends the run.
	// +optional
	Close *CloseStep `json:"close,omitempty"`
	// fail ends the run as failed.
	// +optional
	Fail *FailStep `json:"fail,omitempty"`
	// notify tells people something, by mail. A message whose delivery is in doubt is sent again, with the same
	// Message-ID.
	// +optional
	Notify *NotifyStep `json:"notify,omitempty"`
}

// ActionStep does one mutating operation on one target, or takes an earlier one back.
// +kubebuilder:validation:ExactlyOneOf=operation;rollbackOf
type ActionStep struct {
	// operation is the operation, as connector/operation.
	// +kubebuilder:validation:Pattern=`^[a-z0-9][a-z0-9.-]*/[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Operation string `json:"operation,omitempty"`
	// rollbackOf names an earlier action step to take back; its operation's rollback is used.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	RollbackOf string `json:"rollbackOf,omitempty"`
	// input is the operation's input; strings may hold ${ CEL } over case, inputs, enrichment and steps.
	// +optional
	Input *apiextensionsv1.JSON `json:"input,omitempty"`
	// onDenied says how the run goes on when the action was denied; it fails if left out.
	// +optional
	OnDenied FailurePolicy `json:"onDenied,omitempty"`
}

// DecisionStep asks people to choose one of several options.
// +kubebuilder:validation:XValidation:rule="!has(self.onSilence) || self.onSilence in self.options",message="onSilence must be one of the options",fieldPath=".onSilence"
type DecisionStep struct {
	// question is what is asked; it may hold ${ CEL }.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Question string `json:"question,omitempty"`
	// options are the possible answers.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=2
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +required
	Options []string `json:"options,omitempty"`
	// verb is the RBAC verb on the case that answering needs: answer, or approve for who approves as well; answer if
	// left out.
	// +kubebuilder:validation:Pattern=`^(answer|approve)(-[a-z0-9]+)*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Verb string `json:"verb,omitempty"`
	// groups narrows who may answer to members of one of these groups.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Groups []string `json:"groups,omitempty"`
	// within is how long the question stands.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="within must be between 1s and 720h, for example 4h"
	// +required
	Within metav1.Duration `json:"within,omitzero"`
	// onSilence is the option taken when nobody answers; without it the step fails.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	OnSilence string `json:"onSilence,omitempty"`
}

// WaitStep lets time pass.
type WaitStep struct {
	// for is how long.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="for must be between 1s and 720h, for example 10m"
	// +required
	For metav1.Duration `json:"for,omitzero"`
}

// SetStep changes the case.
type SetStep struct {
	// state is the case's new state.
	// +kubebuilder:validation:XValidation:rule="self in ['Investigating', 'Contained', 'Resolved']",message="state must be Investigating, Contained or Resolved; to close the case use a close step"
	// +required
	State CaseState `json:"state,omitempty"`
}

// CloseStep closes the case and ends the run.
type CloseStep struct {
	// classification is what the case turned out to be.
	// +required
	Classification Classification `json:"classification,omitempty"`
	// note is the justification; it may hold ${ CEL }.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +required
	Note string `json:"note,omitempty"`
}

// FailStep ends the run as failed.
type FailStep struct {
	// message says why; it may hold ${ CEL }.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Message string `json:"message,omitempty"`
}

// NotifyStep tells people something. Each address gets a message of its own.
type NotifyStep struct {
	// connector names an smtp Connector.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Connector string `json:"connector,omitempty"`
	// to are addresses (RFC 5322); each may hold ${ CEL }, which may give a list.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	// +required
	To []string `json:"to,omitempty"`
	// subject is one line; it may hold ${ CEL }.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Subject string `json:"subject,omitempty"`
	// message is plain text; it may hold ${ CEL }.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	// +required
	Message string `json:"message,omitempty"`
}

// PlaybookStatus is what the controller found.
type PlaybookStatus struct {
	StatusHead `json:",inline"`
	// revision names the ControllerRevision that new runs pin.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Revision string `json:"revision,omitempty"`
}

// PlaybookList is a list of Playbook objects.
// +kubebuilder:object:root=true
type PlaybookList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Playbook `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *Playbook) Head() *StatusHead { return &o.Status.StatusHead }
