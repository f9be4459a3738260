// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Guardrail says which mutating operations may run unattended, and who must approve the rest.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=gr,categories={casebook,casebook-config}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Operations",type=string,JSONPath=`.status.covers`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Guardrail struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what people ask for.
	// +required
	Spec GuardrailSpec `json:"spec,omitzero"`
	// status is what the controller found.
	// +optional
	Status GuardrailStatus `json:"status,omitzero"`
}

// GuardrailSpec is a list of rules; the strictest answer wins, and where no rule answers, a person is asked.
type GuardrailSpec struct {
	// covers names operations as connector/operation, or connector/* for all of a connector.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9][a-z0-9.-]*/([a-z][A-Za-z0-9]*|\*)$`
	// +required
	Covers []string `json:"covers,omitempty"`
	// lookups are reads made before the rules are asked, as lookups.<name> in their conditions.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Lookups []GuardrailLookup `json:"lookups,omitempty"`
	// rules each answer or keep silent; the strictest answer wins.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +required
	Rules []GuardrailRule `json:"rules,omitempty"`
	// budgets bound how many of these operations run in a time, whoever wants them; beyond one, people are asked.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Budgets []Budget `json:"budgets,omitempty"`
	// breaker withdraws unattended running when too much of what ran turned out wrong.
	// +optional
	Breaker *Breaker `json:"breaker,omitempty"`
	// baseline says what the silence of this Guardrail's rules means in other namespaces, where it is the operator's:
	// with RequireAllow, a tenant's allow is not enough.
	// +optional
	Baseline Baseline `json:"baseline,omitempty"`
}

// Baseline is what an operator's silence means.
// +kubebuilder:validation:Enum=RequireAllow
type Baseline string

// RequireAllow says: where the operator's rules are silent, people are asked, whatever the tenant's rules allow.
const RequireAllow Baseline = "RequireAllow"

// GuardrailLookup is a read made before the rules are asked. One that fails is Unknown, and the rules that need it answer
// on the safe side.
type GuardrailLookup struct {
	// name is the lookup's name in conditions: lookups.<name>.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// lookup is the read operation, as connector/operation, of a connector in the Guardrail's namespace.
	// +kubebuilder:validation:Pattern=`^[a-z0-9][a-z0-9.-]*/[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=128
	// +required
	Lookup string `json:"lookup,omitempty"`
	// input is the operation's input; strings may hold ${ CEL } over case, severity, operation, target, input and requester.
	// +optional
	Input *apiextensionsv1.JSON `json:"input,omitempty"`
}

// Budget bounds operations in a sliding time.
type Budget struct {
	// name identifies the budget in verdicts.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// operations narrows what is counted, as connector/operation; all that the Guardrail covers if left out.
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=128
	// +optional
	Operations []string `json:"operations,omitempty"`
	// max is how many actions may begin within the time.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	// +required
	Max *int32 `json:"max,omitempty"`
	// per is the time, at most 24 hours.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="per must be between 1m and 24h, for example 1h"
	// +required
	Per metav1.Duration `json:"per,omitzero"`
}

// Breaker withdraws unattended running. What is wrong is an action that failed, is unknown, or was taken back.
type Breaker struct {
	// wrongPercent is how much of the newest actions may be wrong, in percent.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +required
	WrongPercent *int32 `json:"wrongPercent,omitempty"`
	// outOf is how many of the newest actions are looked at.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +required
	OutOf int32 `json:"outOf,omitempty"`
}

// GuardrailRule answers allow, ask or deny when its condition holds. A condition that cannot be decided answers on the
// safe side: an allow rule does not allow, an ask rule asks, a deny rule denies unattended running.
// +kubebuilder:validation:ExactlyOneOf=allow;ask;deny
type GuardrailRule struct {
	// name identifies the rule in verdicts.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// if is a CEL condition over case, severity, operation, target, input, requester and lookups; always if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	If string `json:"if,omitempty"`
	// allow lets the operation run unattended; the text says why.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Allow string `json:"allow,omitempty"`
	// ask wants people to approve.
	// +optional
	Ask *Ask `json:"ask,omitempty"`
	// deny forbids the operation; the text says why and what to do instead.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Deny string `json:"deny,omitempty"`
}

// Excluded names people who may not approve. The requester never may.
// +kubebuilder:validation:Enum=Requester;PlaybookAuthor
type Excluded string

// Those who may be excluded from approving.
const (
	ExcludedRequester      Excluded = "Requester"
	ExcludedPlaybookAuthor Excluded = "PlaybookAuthor"
)

// Ask says who must approve, and for how long the question stands.
type Ask struct {
	// verb is the RBAC verb on the case that an approver needs; approve if left out.
	// +kubebuilder:validation:Pattern=`^approve(-[a-z0-9]+)*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Verb string `json:"verb,omitempty"`
	// count is how many different people must approve; one if left out.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	// +optional
	Count int32 `json:"count,omitempty"`
	// groups narrows the approvers to members of one of these groups.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Groups []string `json:"groups,omitempty"`
	// distinctFrom excludes people beside the requester.
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	// +optional
	DistinctFrom []Excluded `json:"distinctFrom,omitempty"`
	// validFor is how long the question stands and an approval may be used; one hour if left out.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="validFor must be between 1m and 24h, for example 1h"
	// +optional
	ValidFor *metav1.Duration `json:"validFor,omitempty"`
	// because says why a person is asked.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Because string `json:"because,omitempty"`
}

// GuardrailStatus is what the controller found.
type GuardrailStatus struct {
	StatusHead `json:",inline"`
	// covers names the operations it covers in one line, as many as fit, for kubectl get.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Covers string `json:"covers,omitempty"`
}

// GuardrailList is a list of Guardrail objects.
// +kubebuilder:object:root=true
type GuardrailList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Guardrail `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *Guardrail) Head() *StatusHead { return &o.Status.StatusHead }
