// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EvidenceLog is the archive: where entries and payloads are sealed, and the key that signs their log. The one named
// default of a case's namespace is used, else the one of the operator's namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=elog,categories={casebook,casebook-config}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Size",type=integer,JSONPath=`.status.size`
// +kubebuilder:printcolumn:name="Checkpoint",type=date,JSONPath=`.status.checkpointTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type EvidenceLog struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what people ask for.
	// +required
	Spec EvidenceLogSpec `json:"spec,omitzero"`
	// status is what the controller found.
	// +optional
	Status EvidenceLogStatus `json:"status,omitzero"`
}

// DefaultEvidenceLog is the name of the EvidenceLog that seals the cases of its namespace.
const DefaultEvidenceLog = "default"

// EvidenceLogSpec is one log.
// +kubebuilder:validation:XValidation:rule="self.origin == oldSelf.origin",message="origin cannot change: it is part of every signed checkpoint; create another EvidenceLog",fieldPath=".origin"
type EvidenceLogSpec struct {
	// origin is the log's name in its checkpoints and the name of its key, for example casebook.example.com/soc.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9./-]*[a-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Origin string `json:"origin,omitempty"`
	// bucket is where entries, payloads, tiles and checkpoints are kept.
	// +required
	Bucket BucketSpec `json:"bucket,omitzero"`
	// signingKeyRef holds the signing key in the form of C2SP signed-note (PRIVATE+KEY+...).
	// +required
	SigningKeyRef SecretKeyRef `json:"signingKeyRef,omitzero"`
	// archiveAfter is how long a case stays in the API after it was closed; 24 hours if left out. It leaves only when its
	// evidence is sealed and no budget of a Guardrail counts an action of it any more.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('2160h')",message="archiveAfter must be between 1m and 2160h, for example 24h"
	// +optional
	ArchiveAfter *metav1.Duration `json:"archiveAfter,omitempty"`
}

// BucketSpec is object storage.
// +kubebuilder:validation:ExactlyOneOf=dir
type BucketSpec struct {
	// dir is a folder, usually a mounted volume.
	// +optional
	Dir *DirBucket `json:"dir,omitempty"`
}

// DirBucket is a bucket in a folder.
type DirBucket struct {
	// path is the folder's absolute path as the controllers see it.
	// +kubebuilder:validation:Pattern=`^/.+`
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Path string `json:"path,omitempty"`
}

// EvidenceLogStatus is what the controller found.
type EvidenceLogStatus struct {
	StatusHead `json:",inline"`
	// size is the number of entries in the log at the last checkpoint kept here.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Size *int64 `json:"size,omitempty"`
	// checkpoint is the last checkpoint kept here (C2SP checkpoint, a signed note). A bucket that does not continue it
	// has been rolled back.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Checkpoint string `json:"checkpoint,omitempty"`
	// checkpointTime is when that checkpoint was signed.
	// +optional
	CheckpointTime *metav1.Time `json:"checkpointTime,omitempty"`
	// verifierKey is the public key that verifies the checkpoints, in the form of C2SP signed-note.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	VerifierKey string `json:"verifierKey,omitempty"`
}

// EvidenceLogList is a list of EvidenceLog objects.
// +kubebuilder:object:root=true
type EvidenceLogList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []EvidenceLog `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *EvidenceLog) Head() *StatusHead { return &o.Status.StatusHead }
