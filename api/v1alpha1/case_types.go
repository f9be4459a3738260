// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Case is the case record: what was detected, what is known, what was done, who decided, how it ended.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,categories={casebook}
// +kubebuilder:selectablefield:JSONPath=`.status.state`
// +kubebuilder:selectablefield:JSONPath=`.status.severity`
// +kubebuilder:selectablefield:JSONPath=`.status.queue`
// +kubebuilder:selectablefield:JSONPath=`.status.owner`
// +kubebuilder:printcolumn:name="Severity",type=string,JSONPath=`.status.severity`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Queue",type=string,JSONPath=`.status.queue`
// +kubebuilder:printcolumn:name="Asks",type=string,JSONPath=`.status.questions[0].handle`
// +kubebuilder:printcolumn:name="Title",type=string,JSONPath=`.spec.title`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Owner",type=string,priority=1,JSONPath=`.status.owner`
type Case struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what was known when the object was created; it never changes.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the spec of a Case is evidence and cannot change; use kubectl casebook to add to it"
	// +required
	Spec CaseSpec `json:"spec,omitzero"`
	// status is written by the controllers alone.
	// +optional
	Status CaseStatus `json:"status,omitzero"`
}

// CaseState is where a case stands, in an analyst's words.
// +kubebuilder:validation:Enum=New;Triage;Investigating;Contained;Resolved;Closed;Merged
type CaseState string

// The states of a case.
const (
	CaseNew           CaseState = "New"
	CaseTriage        CaseState = "Triage"
	CaseInvestigating CaseState = "Investigating"
	CaseContained     CaseState = "Contained"
	CaseResolved      CaseState = "Resolved"
	CaseClosed        CaseState = "Closed"
	CaseMerged        CaseState = "Merged"
)

// Classification is what a case turned out to be (the verdicts of OCSF's Incident Finding).
// +kubebuilder:validation:Enum=TruePositive;BenignPositive;FalsePositive;Duplicate;Test;InsufficientData
type Classification string

// LogOwner says whose EvidenceLog seals a case.
// +kubebuilder:validation:Enum=Tenant;Operator
type LogOwner string

// The owners of a log.
const (
	LogOfTenant   LogOwner = "Tenant"
	LogOfOperator LogOwner = "Operator"
)

// CaseSpec is what is fixed when a case opens.
type CaseSpec struct {
	// typeRef names the CaseType.
	// +required
	TypeRef LocalRef `json:"typeRef,omitzero"`
	// title is one line for people: the title of the signal that opened the case.
	// It holds no control characters, and none that turn the direction of reading: what lists
	// show in a terminal must not pass for something else.
	// +kubebuilder:validation:Pattern=`^[^\p{Cc}\x{061C}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2066}-\x{2069}]+$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Title string `json:"title,omitempty"`
	// severity is the severity of the signal that opened the case.
	// +required
	Severity Severity `json:"severity,omitempty"`
	// correlationKey is what signals of this case have in common: SHA-256 in lower-case hex.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +required
	CorrelationKey string `json:"correlationKey,omitempty"`
	// correlatedBy is that key for people, for example assets=shop/web-6d4f9.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	CorrelatedBy string `json:"correlatedBy,omitempty"`
	// previousCaseRef names the case with the same key that closed before.
	// +optional
	PreviousCaseRef *LocalRef `json:"previousCaseRef,omitempty"`
	// signalRef names the signal that opened the case.
	// +required
	SignalRef LocalRef `json:"signalRef,omitzero"`
	// evidenceLog says whose log seals this case's records.
	// +required
	EvidenceLog LogOwner `json:"evidenceLog,omitempty"`
}

// CaseStatus is the case as it stands.
type CaseStatus struct {
	StatusHead `json:",inline"`
	// state is where the case stands.
	// +optional
	State CaseState `json:"state,omitempty"`
	// severity is the severity now; spec.severity is what it was at open.
	// +optional
	Severity Severity `json:"severity,omitempty"`
	// queue is where the case waits.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Queue string `json:"queue,omitempty"`
	// owner is the person who works on it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Owner string `json:"owner,omitempty"`
	// signals counts the signals of the case.
	// +optional
	Signals *SignalTotals `json:"signals,omitempty"`
	// users are the people and accounts of the case.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Users []Entity `json:"users,omitempty"`
	// hosts are the machines of the case.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Hosts []Entity `json:"hosts,omitempty"`
	// assets are the other things of the case.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Assets []Entity `json:"assets,omitempty"`
	// indicators are the observables of the case.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	// +optional
	Indicators []Indicator `json:"indicators,omitempty"`
	// sightings are the addresses that the signals name, with their times, in the order of time. A signal whose outcome is
	// Failure or Unknown speaks of an attempt, and is no sighting.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Sightings []Sighting `json:"sightings,omitempty"`
	// typeRef names the CaseType that a person gave the case in place of spec.typeRef.
	// +optional
	TypeRef *LocalRef `json:"typeRef,omitempty"`
	// enrichments are what lookups said.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Enrichments []EnrichmentRecord `json:"enrichments,omitempty"`
	// severityTrace says how the severity came about, one factor a row.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=40
	// +optional
	SeverityTrace []SeverityTraceEntry `json:"severityTrace,omitempty"`
	// playbooks names what the type started, one row a run.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Playbooks []StartedPlaybook `json:"playbooks,omitempty"`
	// questions are open questions to people.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Questions []CaseQuestion `json:"questions,omitempty"`
	// closure says how the case ended.
	// +optional
	Closure *Closure `json:"closure,omitempty"`
}

// SignalTotals counts the signals of a case.
type SignalTotals struct {
	// total counts the signals, repeats not included.
	// +kubebuilder:validation:Minimum=1
	// +required
	Total int64 `json:"total,omitempty"`
	// lastTime is when the newest signal was received.
	// +required
	LastTime metav1.MicroTime `json:"lastTime,omitzero"`
}

// Sighting is where something of the case was seen, and when.
type Sighting struct {
	// ip is the address.
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=45
	// +required
	IP string `json:"ip,omitempty"`
	// time is when the signal's tool observed it, or else when it was received.
	// +required
	Time metav1.MicroTime `json:"time,omitzero"`
	// signal names the Signal.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Signal string `json:"signal,omitempty"`
}

// EnrichmentRecord is one lookup and what it said.
type EnrichmentRecord struct {
	// name is the enrichment of the type.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// lookup is the operation that was asked.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Lookup string `json:"lookup,omitempty"`
	// item names what it was asked for, where the type looks up something for each of several.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Item string `json:"item,omitempty"`
	// decision names the Decision that asked for it by hand. Such a record informs people; expressions do not see it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Decision string `json:"decision,omitempty"`
	// input is what it was asked.
	// +optional
	Input *apiextensionsv1.JSON `json:"input,omitempty"`
	// result is what it answered; absent when it failed.
	// +optional
	Result *apiextensionsv1.JSON `json:"result,omitempty"`
	// error says why there is no result.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Error string `json:"error,omitempty"`
	// time is when it was asked.
	// +required
	Time metav1.MicroTime `json:"time,omitzero"`
}

// SeverityTraceEntry is one factor of the severity.
type SeverityTraceEntry struct {
	// factor names the rule: base, or the number of the factor in the type.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Factor string `json:"factor,omitempty"`
	// adjust is how far it moved the severity; absent for the base, and for a factor that did not move it.
	// +kubebuilder:validation:Minimum=-4
	// +kubebuilder:validation:Maximum=4
	// +optional
	Adjust *int32 `json:"adjust,omitempty"`
	// severity is the severity after it.
	// +required
	Severity Severity `json:"severity,omitempty"`
	// because says why, or why the factor could not be decided.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Because string `json:"because,omitempty"`
}

// StartedPlaybook is a playbook that the case's type started.
type StartedPlaybook struct {
	// name names the Playbook.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// item tells runs of one playbook apart; empty where there is one.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Item string `json:"item,omitempty"`
	// run names the PlaybookRun.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Run string `json:"run,omitempty"`
	// message says why no run was started.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
}

// Closure says how a case ended.
type Closure struct {
	// classification is what the case turned out to be.
	// +required
	Classification Classification `json:"classification,omitempty"`
	// note is the justification.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Note string `json:"note,omitempty"`
	// rootCause is what made it possible.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	RootCause string `json:"rootCause,omitempty"`
	// by is the person or the run that closed it.
	// +required
	By JournalActor `json:"by,omitzero"`
	// time is when it was closed.
	// +required
	Time metav1.MicroTime `json:"time,omitzero"`
}

// CaseList is a list of Case objects.
// +kubebuilder:object:root=true
type CaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Case `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *Case) Head() *StatusHead { return &o.Status.StatusHead }
