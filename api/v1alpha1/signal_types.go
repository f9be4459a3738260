// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Signal is one normalised detection. It is complete when created; repeats are counted, not repeated.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=sig,categories={casebook}
// +kubebuilder:selectablefield:JSONPath=`.spec.severity`
// +kubebuilder:printcolumn:name="Severity",type=string,JSONPath=`.spec.severity`
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.sourceRef.name`
// +kubebuilder:printcolumn:name="Count",type=integer,JSONPath=`.status.count`
// +kubebuilder:printcolumn:name="Case",type=string,JSONPath=`.spec.caseRef.name`
// +kubebuilder:printcolumn:name="Title",type=string,JSONPath=`.spec.title`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Signal struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what was detected when the object was created; it never changes.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the spec of a Signal is evidence and cannot change; a corrected mapping makes another Signal"
	// +required
	Spec SignalSpec `json:"spec,omitzero"`
	// status is written by the controllers alone.
	// +optional
	Status SignalStatus `json:"status,omitzero"`
}

// Category is what a signal is about.
// +kubebuilder:validation:Enum=Identity;Malware;Phishing;Vulnerability;AppSec;Cloud;Network;Runtime;Policy;ThreatIntel;DataExposure;Availability;Other
type Category string

// Activity is what the tool says of its finding.
// +kubebuilder:validation:Enum=Create;Update;Resolve;Suppress
type Activity string

// Outcome is how what a signal speaks of ended: the event.outcome of the Elastic Common Schema.
// +kubebuilder:validation:Enum=Success;Failure;Unknown
type Outcome string

// TimeOrigin says where a signal's observed time was found.
// +kubebuilder:validation:Enum=Payload;Envelope;Receipt
type TimeOrigin string

// The values of Activity, Outcome and TimeOrigin that code names.
const (
	ActivityCreate Activity   = "Create"
	OutcomeSuccess Outcome    = "Success"
	OutcomeFailure Outcome    = "Failure"
	OutcomeUnknown Outcome    = "Unknown"
	TimePayload    TimeOrigin = "Payload"
	TimeEnvelope   TimeOrigin = "Envelope"
	TimeReceipt    TimeOrigin = "Receipt"
)

// SignalSpec is one normalised detection.
type SignalSpec struct {
	NormalizedSignal `json:",inline"`
	// sourceRef names the Source that it came from.
	// +required
	SourceRef LocalRef `json:"sourceRef,omitzero"`
	// caseRef names the Case that it opened or joined. Without a uid: the name was reserved before the Case existed.
	// +required
	CaseRef LocalRef `json:"caseRef,omitzero"`
	// mapping says which Mapping read it, as name@generation.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Mapping string `json:"mapping,omitempty"`
	// receivedTime is when the gateway kept the payload.
	// +required
	ReceivedTime metav1.MicroTime `json:"receivedTime,omitzero"`
	// groupedBecause says why the signal belongs to its case.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	GroupedBecause string `json:"groupedBecause,omitempty"`
	// raw is the payload as it was received.
	// +required
	Raw BlobRef `json:"raw,omitzero"`
}

// NormalizedSignal is what a Mapping makes of one finding: the schema of signals.
type NormalizedSignal struct {
	// category is what it is about.
	// +required
	Category Category `json:"category,omitempty"`
	// severity is on the one five-step scale.
	// +required
	Severity Severity `json:"severity,omitempty"`
	// severityOriginal is the tool's own value.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	SeverityOriginal string `json:"severityOriginal,omitempty"`
	// confidence is how sure the tool is, 0 to 100.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	Confidence *int32 `json:"confidence,omitempty"`
	// title is one line for people.
	// It holds no control characters, and none that turn the direction of reading: what lists
	// show in a terminal must not pass for something else.
	// +kubebuilder:validation:Pattern=`^[^\p{Cc}\x{061C}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2066}-\x{2069}]+$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Title string `json:"title,omitempty"`
	// description is the longer text.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Description string `json:"description,omitempty"`
	// observedTime is when it happened.
	// +required
	ObservedTime metav1.MicroTime `json:"observedTime,omitzero"`
	// observedTimeFrom says where that time was found.
	// +required
	ObservedTimeFrom TimeOrigin `json:"observedTimeFrom,omitempty"`
	// activity is what the tool says of its finding.
	// +required
	Activity Activity `json:"activity,omitempty"`
	// outcome is how what it speaks of ended, as event.outcome of the Elastic Common Schema has it. Unknown is an attempt
	// whose end is not known. Left out where the tool does not say, or where nothing was attempted.
	// +optional
	Outcome Outcome `json:"outcome,omitempty"`
	// users are the people and accounts it speaks of.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Users []Entity `json:"users,omitempty"`
	// hosts are the machines it speaks of.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Hosts []Entity `json:"hosts,omitempty"`
	// assets are the other things it speaks of.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Assets []Entity `json:"assets,omitempty"`
	// indicators are the observables in it.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Indicators []Indicator `json:"indicators,omitempty"`
	// techniques are ATT&CK ids.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=32
	// +optional
	Techniques []string `json:"techniques,omitempty"`
	// sourceURL is the finding's page at the tool.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	SourceURL string `json:"sourceURL,omitempty"`
	// ruleId is the detection rule.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	RuleID string `json:"ruleId,omitempty"`
	// eventId is the tool's own identifier of the finding.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	EventID string `json:"eventId,omitempty"`
	// fingerprint makes two signals the same finding: SHA-256 in lower-case hex.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +required
	Fingerprint string `json:"fingerprint,omitempty"`
	// explanation says for each field which expression and which part of the payload it came from.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Explanation []FieldExplanation `json:"explanation,omitempty"`
	// gaps names the fields that the payload did not fill.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=256
	// +optional
	Gaps []string `json:"gaps,omitempty"`
	// warnings says what was doubtful, and how it was read.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=512
	// +optional
	Warnings []string `json:"warnings,omitempty"`
}

// FieldExplanation says where one field came from.
type FieldExplanation struct {
	// field is the field of the schema.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Field string `json:"field,omitempty"`
	// expression is the Mapping's expression.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Expression string `json:"expression,omitempty"`
	// path is the part of the payload that was read.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Path string `json:"path,omitempty"`
	// value is what stood there, cut to 256 characters.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Value string `json:"value,omitempty"`
}

// SignalStatus counts repeats. It is empty until there is one.
type SignalStatus struct {
	StatusHead `json:",inline"`
	// count is how many times the finding was received, the first included.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Count int64 `json:"count,omitempty"`
	// lastSeenTime is when the newest repeat was received.
	// +optional
	LastSeenTime *metav1.MicroTime `json:"lastSeenTime,omitempty"`
	// countedSequence is the stream sequence of the newest repeat counted: redelivery of an older one counts nothing.
	// +kubebuilder:validation:Minimum=1
	// +optional
	CountedSequence int64 `json:"countedSequence,omitempty"`
}

// SignalList is a list of Signal objects.
// +kubebuilder:object:root=true
type SignalList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Signal `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *Signal) Head() *StatusHead { return &o.Status.StatusHead }
