// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Mapping turns one product's payloads into signals, as data: one CEL expression per field.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=map,categories={casebook,casebook-config}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Product",type=string,JSONPath=`.spec.product`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Mapping struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what people ask for.
	// +required
	Spec MappingSpec `json:"spec,omitzero"`
	// status is what the controller found.
	// +optional
	Status MappingStatus `json:"status,omitzero"`
}

// PayloadFormat is how a payload's bytes are decoded.
// +kubebuilder:validation:Enum=JSON;NDJSON
type PayloadFormat string

// The payload formats.
const (
	FormatJSON   PayloadFormat = "JSON"
	FormatNDJSON PayloadFormat = "NDJSON"
)

// MappingSpec reads a payload. Expressions see payload (the decoded payload) and item (one of its findings).
type MappingSpec struct {
	// product is the tool whose payloads these are.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Product string `json:"product,omitempty"`
	// decode is how the payload's bytes are decoded; JSON if left out.
	// +optional
	Decode PayloadFormat `json:"decode,omitempty"`
	// fits is a condition over payload: whether this Mapping is meant for it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Fits string `json:"fits,omitempty"`
	// items gives the list of findings in a payload; the payload itself if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Items string `json:"items,omitempty"`
	// finding is a condition over item: whether it is a finding at all, or a text that says why it is not one. Every
	// item if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Finding string `json:"finding,omitempty"`
	// signal has one expression for each field of the schema.
	// +required
	Signal SignalMapping `json:"signal,omitzero"`
	// fingerprint names the fields that make two signals the same finding; ruleId, outcome, users, hosts, assets and
	// indicators if left out.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	// +optional
	Fingerprint []string `json:"fingerprint,omitempty"`
}

// SignalMapping has one CEL expression for each field of the schema. A field whose expression is left out, or whose
// optional part of the payload is missing, is left empty.
type SignalMapping struct {
	// category gives one of the schema's categories.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Category string `json:"category,omitempty"`
	// title gives one line for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Title string `json:"title,omitempty"`
	// severity gives an integer constant Informational, Low, Medium, High or Critical.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Severity string `json:"severity,omitempty"`
	// severityOriginal gives the tool's own value.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	SeverityOriginal string `json:"severityOriginal,omitempty"`
	// confidence gives 0 to 100.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Confidence string `json:"confidence,omitempty"`
	// description gives the longer text.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Description string `json:"description,omitempty"`
	// observedTime gives when it happened: a timestamp, an RFC 3339 string or a Unix time.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ObservedTime string `json:"observedTime,omitempty"`
	// activity gives Create, Update, Resolve or Suppress; Create if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Activity string `json:"activity,omitempty"`
	// outcome gives Success, Failure or Unknown; nothing where the tool does not say.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Outcome string `json:"outcome,omitempty"`
	// users gives a list of users.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Users string `json:"users,omitempty"`
	// hosts gives a list of hosts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Hosts string `json:"hosts,omitempty"`
	// assets gives a list of other things: pods, repositories, cloud resources.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Assets string `json:"assets,omitempty"`
	// indicators gives a list of indicators, or of texts to find them in.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Indicators string `json:"indicators,omitempty"`
	// techniques gives a list of ATT&CK ids.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Techniques string `json:"techniques,omitempty"`
	// sourceURL gives the finding's page at the tool.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	SourceURL string `json:"sourceURL,omitempty"`
	// ruleId gives the detection rule.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	RuleID string `json:"ruleId,omitempty"`
	// eventId gives the tool's own identifier of the finding.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	EventID string `json:"eventId,omitempty"`
}

// MappingStatus is what the controller found.
type MappingStatus struct {
	StatusHead `json:",inline"`
}

// MappingList is a list of Mapping objects.
// +kubebuilder:object:root=true
type MappingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Mapping `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *Mapping) Head() *StatusHead { return &o.Status.StatusHead }
