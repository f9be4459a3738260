// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strconv"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlaybookRun is one execution of one Playbook revision for one Case.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=run,categories={casebook}
// +kubebuilder:selectablefield:JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Case",type=string,JSONPath=`.spec.caseRef.name`
// +kubebuilder:printcolumn:name="Playbook",type=string,JSONPath=`.spec.playbookRef.name`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Step",type=string,JSONPath=`.status.step`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PlaybookRun struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what was started when the object was created; it never changes.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the spec of a PlaybookRun is evidence and cannot change; start another run"
	// +required
	Spec PlaybookRunSpec `json:"spec,omitzero"`
	// status is written by the controllers alone.
	// +optional
	Status PlaybookRunStatus `json:"status,omitzero"`
}

// RunState is where a run stands.
// +kubebuilder:validation:Enum=Running;Waiting;Paused;Succeeded;Failed;Aborted;RolledBack
type RunState string

// The states of a run.
const (
	RunRunning    RunState = "Running"
	RunWaiting    RunState = "Waiting"
	RunPaused     RunState = "Paused"
	RunSucceeded  RunState = "Succeeded"
	RunFailed     RunState = "Failed"
	RunAborted    RunState = "Aborted"
	RunRolledBack RunState = "RolledBack"
)

// Ended tells whether a run in this state will do nothing more.
func (s RunState) Ended() bool {
	return s == RunSucceeded || s == RunFailed || s == RunAborted || s == RunRolledBack
}

// PlaybookRunSpec is what a run started with.
type PlaybookRunSpec struct {
	// caseRef names the Case.
	// +required
	CaseRef RecordRef `json:"caseRef,omitzero"`
	// playbookRef names the Playbook.
	// +required
	PlaybookRef LocalRef `json:"playbookRef,omitzero"`
	// revision names the ControllerRevision that this run executes.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Revision string `json:"revision,omitempty"`
	// author is who last changed the playbook before this revision, as the API server knew them.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Author string `json:"author,omitempty"`
	// item tells runs of one playbook for one case apart.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Item string `json:"item,omitempty"`
	// inputs are the values of the playbook's inputs.
	// +optional
	Inputs *apiextensionsv1.JSON `json:"inputs,omitempty"`
	// number counts the runs of the case from 1, in the order in which they were started. It tells apart the handles of
	// steps that several runs have.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	Number int32 `json:"number,omitempty"`
	// connectors are the connectors that the playbook names, with the operations that this run executes.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Connectors []PinnedConnector `json:"connectors,omitempty"`
	// decisionRef names the Decision that started the run by hand.
	// +optional
	DecisionRef *RecordRef `json:"decisionRef,omitempty"`
}

// PinnedConnector is a connector as a run found it when it started.
type PinnedConnector struct {
	// name is the Connector's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// uid is the Connector's uid.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	UID string `json:"uid,omitempty"`
	// revision names the ControllerRevision of its operations; empty where they are in code.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Revision string `json:"revision,omitempty"`
}

// PlaybookRunStatus is a run as it stands.
type PlaybookRunStatus struct {
	StatusHead `json:",inline"`
	// state is where the run stands.
	// +optional
	State RunState `json:"state,omitempty"`
	// step is the step it is at.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Step string `json:"step,omitempty"`
	// steps are the steps it has come to, in order.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	// +optional
	Steps []StepStatus `json:"steps,omitempty"`
	// caseState is the state that the run's steps gave the case.
	// +optional
	CaseState CaseState `json:"caseState,omitempty"`
	// closure is how the run closed the case.
	// +optional
	Closure *Closure `json:"closure,omitempty"`
	// message says why the run ended as it did.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
}

// StepState is where a step stands.
// +kubebuilder:validation:Enum=Waiting;Succeeded;Skipped;Failed;Denied
type StepState string

// The states of a step.
const (
	StepWaiting   StepState = "Waiting"
	StepSucceeded StepState = "Succeeded"
	StepSkipped   StepState = "Skipped"
	StepFailed    StepState = "Failed"
	StepDenied    StepState = "Denied"
)

// StepStatus is one step of a run.
type StepStatus struct {
	// name is the step.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// state is where it stands.
	// +required
	State StepState `json:"state,omitempty"`
	// action names the Action that it made.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Action string `json:"action,omitempty"`
	// question is what it asks while it waits, or asked; a late answer is told that it is late.
	// +optional
	Question *Question `json:"question,omitempty"`
	// answer is the option that was chosen.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Answer string `json:"answer,omitempty"`
	// answeredBy is who chose it, or automation when silence did.
	// +optional
	AnsweredBy *JournalActor `json:"answeredBy,omitempty"`
	// deliveries are the messages of a notify step, each announced here before it is sent.
	// +listType=map
	// +listMapKey=messageId
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Deliveries []Delivery `json:"deliveries,omitempty"`
	// message says why it stands as it does.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
	// startTime is when the run came to it.
	// +required
	StartTime metav1.MicroTime `json:"startTime,omitzero"`
	// dueTime is when it is too late.
	// +optional
	DueTime *metav1.MicroTime `json:"dueTime,omitempty"`
	// endTime is when it ended.
	// +optional
	EndTime *metav1.MicroTime `json:"endTime,omitempty"`
}

// DeliveryState is what became of a message.
// +kubebuilder:validation:Enum=Announced;Accepted;Refused
type DeliveryState string

// The states of a message.
const (
	// DeliveryAnnounced: it is to be sent, or may have been.
	DeliveryAnnounced DeliveryState = "Announced"
	// DeliveryAccepted: the mail server took it.
	DeliveryAccepted DeliveryState = "Accepted"
	// DeliveryRefused: the mail server will not take it, or it was tried too often.
	DeliveryRefused DeliveryState = "Refused"
)

// Delivery is one message to one address.
type Delivery struct {
	// messageId is the message's Message-ID (RFC 5322) without angle brackets; the same whenever it is sent.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	MessageID string `json:"messageId,omitempty"`
	// to is the address.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	// +required
	To string `json:"to,omitempty"`
	// subject is the message's subject.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=998
	// +optional
	Subject string `json:"subject,omitempty"`
	// text is the message.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	// +optional
	Text string `json:"text,omitempty"`
	// state is what became of it.
	// +required
	State DeliveryState `json:"state,omitempty"`
	// attempts counts how often it was sent.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	Attempts *int32 `json:"attempts,omitempty"`
	// sentTime is when it was last sent.
	// +optional
	SentTime *metav1.MicroTime `json:"sentTime,omitempty"`
	// message says why it was refused, or is not accepted yet.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
}

// PlaybookRunList is a list of PlaybookRun objects.
// +kubebuilder:object:root=true
type PlaybookRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []PlaybookRun `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *PlaybookRun) Head() *StatusHead { return &o.Status.StatusHead }

// Actor is who does what a step of this run does.
func (s PlaybookRunSpec) Actor(step string) JournalActor {
	return JournalActor{Type: ActorAutomation, Name: "playbookrun", Revision: s.Revision, Step: step}
}

// Handle is what people call what a step of this run asks or does, within its case: the step's name, with the run's
// number after the first run of the case.
func (s PlaybookRunSpec) Handle(step string) string {
	if s.Number <= 1 {
		return step
	}
	return step + "-" + strconv.Itoa(int(s.Number))
}
