// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CaseType says what one type of case means: which signals open it, what is looked up, how severe it is, who works on
// it and which playbooks run.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=ct,categories={casebook,casebook-config}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Queue",type=string,JSONPath=`.spec.queue`
// +kubebuilder:printcolumn:name="Playbooks",type=string,JSONPath=`.status.starts`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type CaseType struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what people ask for.
	// +required
	Spec CaseTypeSpec `json:"spec,omitzero"`
	// status is what the controller found.
	// +optional
	Status CaseTypeStatus `json:"status,omitzero"`
}

// CaseTypeSpec is one type of case.
type CaseTypeSpec struct {
	// match is a CEL condition over signal and severity: whether a signal belongs to a case of this type.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Match string `json:"match,omitempty"`
	// prefix begins the names of these cases; the initials of the type's name if left out.
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{0,7}$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	// +optional
	Prefix string `json:"prefix,omitempty"`
	// correlate says which signals join one case.
	// +required
	Correlate Correlation `json:"correlate,omitzero"`
	// enrich lists the lookups made when a case opens or gains an entity.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Enrich []Enrichment `json:"enrich,omitempty"`
	// severity lists the factors that move the severity, in order.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Severity []SeverityFactor `json:"severity,omitempty"`
	// queue is where the case waits for people.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Queue string `json:"queue,omitempty"`
	// playbooks lists the playbooks that run, each once per case.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Playbooks []CasePlaybook `json:"playbooks,omitempty"`
	// closing says what a person must give to close a case of this type.
	// +optional
	Closing *Closing `json:"closing,omitempty"`
	// controls names the framework controls that these cases are evidence for, for example iso27001:A.5.26.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +optional
	Controls []string `json:"controls,omitempty"`
	// retentionDays is how long a case's evidence is kept after it closed; the EvidenceLog's floor if left out.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=36500
	// +optional
	RetentionDays int32 `json:"retentionDays,omitempty"`
}

// Correlation says which signals join one case.
type Correlation struct {
	// by names the fields whose values make the key: users, hosts, assets, indicators, ruleId, title or source.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:Enum=users;hosts;assets;indicators;ruleId;title;source
	// +required
	By []string `json:"by,omitempty"`
	// within is how long after its last signal a case still takes another; at most 30 days.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="within must be between 1m and 720h, for example 4h"
	// +required
	Within metav1.Duration `json:"within,omitzero"`
}

// Enrichment is one lookup.
type Enrichment struct {
	// name is the lookup's name in expressions: enrichment.<name> is the list of its results.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// forEach gives a list; the lookup is made once for each, as item. Once for the case if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ForEach string `json:"forEach,omitempty"`
	// lookup is the read operation, as connector/operation.
	// +kubebuilder:validation:Pattern=`^[a-z0-9][a-z0-9.-]*/[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Lookup string `json:"lookup,omitempty"`
	// input is the operation's input; strings may hold ${ CEL } over case and item.
	// +optional
	Input *apiextensionsv1.JSON `json:"input,omitempty"`
}

// SeverityFactor moves the severity when its condition holds. A condition that cannot be decided does not move it, and
// the record says so.
type SeverityFactor struct {
	// when is a CEL condition over case, severity and enrichment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	When string `json:"when,omitempty"`
	// adjust is how many steps of the scale to move, up or down.
	// +kubebuilder:validation:Minimum=-4
	// +kubebuilder:validation:Maximum=4
	// +required
	Adjust *int32 `json:"adjust,omitempty"`
	// because says why, for people; strings may hold ${ CEL }.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Because string `json:"because,omitempty"`
}

// CasePlaybook starts a playbook.
type CasePlaybook struct {
	// name names the Playbook.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// forEach gives a list; each item gets a run of its own, as the playbook's input item. One run if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ForEach string `json:"forEach,omitempty"`
	// when is a CEL condition over case, severity and enrichment; always if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	When string `json:"when,omitempty"`
	// inputs are the playbook's inputs; strings may hold ${ CEL } over case, enrichment and item.
	// +optional
	Inputs *apiextensionsv1.JSON `json:"inputs,omitempty"`
}

// ClosingNeed is something a person must give to close a case.
// +kubebuilder:validation:Enum=Classification;Note;RootCause
type ClosingNeed string

// The needs of closing.
const (
	NeedClassification ClosingNeed = "Classification"
	NeedNote           ClosingNeed = "Note"
	NeedRootCause      ClosingNeed = "RootCause"
)

// Closing says what closing needs.
type Closing struct {
	// needs lists what must be given.
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	// +optional
	Needs []ClosingNeed `json:"needs,omitempty"`
	// rootCauseFrom asks for a root cause from this severity on.
	// +optional
	RootCauseFrom Severity `json:"rootCauseFrom,omitempty"`
}

// CaseTypeStatus is what the controller found.
type CaseTypeStatus struct {
	StatusHead `json:",inline"`
	// starts names the playbooks in one line, as many as fit, for kubectl get.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Starts string `json:"starts,omitempty"`
}

// CaseTypeList is a list of CaseType objects.
// +kubebuilder:object:root=true
type CaseTypeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []CaseType `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *CaseType) Head() *StatusHead { return &o.Status.StatusHead }
