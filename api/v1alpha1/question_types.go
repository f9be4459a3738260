// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// QuestionKind tells approvals, questions of a playbook and actions whose outcome is unknown apart.
// +kubebuilder:validation:Enum=Approval;Choice;Resolution
type QuestionKind string

// The kinds of question.
const (
	QuestionApproval QuestionKind = "Approval"
	QuestionChoice   QuestionKind = "Choice"
	// QuestionResolution asks what became of an action whose outcome is Unknown. A Decision with the verdict Resolve
	// says it, and no time is set for it: nothing else ever will.
	QuestionResolution QuestionKind = "Resolution"
)

// CaseQuestion is an open question, as the case shows it.
type CaseQuestion struct {
	// handle is what people call the question within its case: case/handle.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Handle string `json:"handle,omitempty"`
	// actionRef names the Action that waits for an approval, or whose outcome is unknown.
	// +optional
	ActionRef *RecordRef `json:"actionRef,omitempty"`
	// runRef names the PlaybookRun that waits for a choice.
	// +optional
	RunRef   *RecordRef `json:"runRef,omitempty"`
	Question `json:",inline"`
}

// Question is something that people are asked.
// +kubebuilder:validation:XValidation:rule="self.kind == 'Resolution' || has(self.digest) && has(self.dueTime)",message="a question has a digest and a dueTime, unless it asks for a Resolution"
type Question struct {
	// kind says what is asked for: an approval, a choice, or what became of an action whose outcome is unknown.
	// +required
	Kind QuestionKind `json:"kind,omitempty"`
	// prompt is what is asked.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Prompt string `json:"prompt,omitempty"`
	// options are the possible answers to a choice.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	Options []string `json:"options,omitempty"`
	// verb is the RBAC verb on the case that answering needs.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Verb string `json:"verb,omitempty"`
	// groups narrows who may answer.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Groups []string `json:"groups,omitempty"`
	// excluded are usernames that may not answer.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Excluded []string `json:"excluded,omitempty"`
	// count is how many different people must agree.
	// +kubebuilder:validation:Minimum=1
	// +required
	Count int32 `json:"count,omitempty"`
	// digest binds an answer to exactly what was asked: SHA-256 in lower-case hex. A Resolution has none: it names the
	// action.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Digest string `json:"digest,omitempty"`
	// because says why people are asked.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Because string `json:"because,omitempty"`
	// askedTime is when it was asked.
	// +required
	AskedTime metav1.MicroTime `json:"askedTime,omitzero"`
	// dueTime is when it is too late to answer; never for a Resolution.
	// +optional
	DueTime metav1.MicroTime `json:"dueTime,omitzero"` //nolint:kubeapilinter // no time is no valid one, and needs no pointer to say so
}
