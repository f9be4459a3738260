// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StatusHead begins every status: what people read first, and the journal of every change of this status.
type StatusHead struct {
	// conditions say how the object is, in the terms of kstatus; a record has at most one milestone beside Stalled.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status answers.
	// +kubebuilder:validation:Minimum=1
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// journal holds the newest entries of the object's audit trail; older ones are in the evidence log. Each entry was
	// written in the same update as the change it records.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	// +optional
	Journal []JournalEntry `json:"journal,omitempty"`
}

// JournalEntry records one change of a status. The object's immutable spec counts as entry 0; sequences then rise by
// one without gaps.
type JournalEntry struct {
	// sequence numbers the entries of one object from 1.
	// +kubebuilder:validation:Minimum=1
	// +required
	Sequence int64 `json:"sequence,omitempty"`
	// time is when the change was decided, by the controller's clock.
	// +required
	Time metav1.MicroTime `json:"time,omitzero"`
	// actor is who or what caused the change.
	// +required
	Actor JournalActor `json:"actor,omitzero"`
	// reason says in one CamelCase word what happened.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Reason string `json:"reason,omitempty"`
	// patch is the change of the object's status without its journal: an RFC 6902 patch as canonical JSON (RFC 8785),
	// kept as a string because the API server would rewrite an object.
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=65536
	// +required
	Patch string `json:"patch,omitempty"`
}

// ActorType tells people from automation.
// +kubebuilder:validation:Enum=Person;Automation
type ActorType string

// The types of actor.
const (
	ActorPerson     ActorType = "Person"
	ActorAutomation ActorType = "Automation"
)

// JournalActor is who or what caused a change: a person as the API server authenticated them, or automation with the
// playbook revision and step it followed.
type JournalActor struct {
	// type tells a person from automation.
	// +required
	Type ActorType `json:"type,omitempty"`
	// name is the username, or the name of the controller.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// uid is the person's uid as the API server knows it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	UID string `json:"uid,omitempty"`
	// groups are the person's groups at that moment, all of them: identity providers put up to 200 into a token.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Groups []string `json:"groups,omitempty"`
	// revision is the playbook revision that automation followed.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Revision string `json:"revision,omitempty"`
	// step is the step of that revision.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Step string `json:"step,omitempty"`
}

// Actor is a person as the API server authenticated them, stamped at admission.
type Actor struct {
	// username is the authenticated name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Username string `json:"username,omitempty"`
	// uid is the authenticator's identifier of the person; many authenticators give none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	UID string `json:"uid,omitempty"`
	// groups are the authenticated groups, all of them: identity providers put up to 200 into a token.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Groups []string `json:"groups,omitempty"`
}

// LocalRef names an object of the same namespace.
type LocalRef struct {
	// name is the object's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
}

// RecordRef names one record of the same namespace, by uid too, so that a re-created object is not mistaken for it.
type RecordRef struct {
	// name is the record's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// uid is the record's uid.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	UID string `json:"uid,omitempty"`
}

// SecretKeyRef names one key of a Secret of the same namespace. The value is read at the moment of use and appears
// nowhere else.
type SecretKeyRef struct {
	// name is the Secret's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// key is the key within the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Key string `json:"key,omitempty"`
}

// BlobRef names content in the evidence bucket.
type BlobRef struct {
	// digest is "sha256:" and the content's SHA-256 in lower-case hex.
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +required
	Digest string `json:"digest,omitempty"`
	// size is the content's length in bytes.
	// +kubebuilder:validation:Minimum=0
	// +required
	Size *int64 `json:"size,omitempty"`
	// mediaType is the content's media type (RFC 6838).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=127
	// +optional
	MediaType string `json:"mediaType,omitempty"`
}

// Severity is the one five-step scale of Casebook.
// +kubebuilder:validation:Enum=Informational;Low;Medium;High;Critical
type Severity string

// The severities, in rising order.
const (
	SeverityInformational Severity = "Informational"
	SeverityLow           Severity = "Low"
	SeverityMedium        Severity = "Medium"
	SeverityHigh          Severity = "High"
	SeverityCritical      Severity = "Critical"
)

var severities = []Severity{SeverityInformational, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical}

// Rank is the severity as the integer 1 (Informational) to 5 (Critical) that expressions compare; 0 for anything else.
func (s Severity) Rank() int {
	for i, known := range severities {
		if s == known {
			return i + 1
		}
	}
	return 0
}

// SeverityOfRank is the severity of a rank; ranks beyond the scale give its nearest end.
func SeverityOfRank(rank int) Severity {
	return severities[min(max(rank, 1), len(severities))-1]
}

// Entity is a user, a host or an asset that a signal speaks of.
type Entity struct {
	// name identifies the entity: a login or address for a user, a host name, a resource's own name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Name string `json:"name,omitempty"`
	// type is the kind of thing within users, hosts or assets, for example Pod, Repository or CloudResource.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Type string `json:"type,omitempty"`
	// displayName is what people call it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// namespace is the Kubernetes namespace of a Kubernetes object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// cluster is the cluster of a Kubernetes object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// uid is the identifier that the entity's own system gave it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	UID string `json:"uid,omitempty"`
}

// IndicatorType is the type of an indicator.
// +kubebuilder:validation:Enum=ipv4;ipv6;domain;url;sha256;sha1;md5;email;cve;file
type IndicatorType string

// Indicator is one observable in canonical form.
type Indicator struct {
	// type is what the value is.
	// +required
	Type IndicatorType `json:"type,omitempty"`
	// value is the canonical, refanged value.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +required
	Value string `json:"value,omitempty"`
}
