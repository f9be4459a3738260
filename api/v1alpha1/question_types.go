// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// QuestionKind tells approvals from questions of a playbook.
// +kubebuilder:validation:Enum=Approval;Choice
type QuestionKind string

// The kinds of question.
const (
	QuestionApproval QuestionKind = "Approval"
	QuestionChoice   QuestionKind = "Choice"
)

// CaseQuestion is an open question, as the case shows it.
type CaseQuestion struct {
	// handle is what people call the question within its case: case/handle.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Handle string `json:"handle,omitempty"`
	// actionRef names the Action that waits for an approval.
	// +optional
	ActionRef *RecordRef `json:"actionRef,omitempty"`
	// runRef names the PlaybookRun that waits for a choice.
	// +optional
	RunRef   *RecordRef `json:"runRef,omitempty"`
	Question `json:",inline"`
}

// Question is something that people are asked.
type Question struct {
	// kind tells an approval from a choice.
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
	// digest binds an answer to exactly what was asked: SHA-256 in lower-case hex.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +required
	Digest string `json:"digest,omitempty"`
	// because says why people are asked.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Because string `json:"because,omitempty"`
	// askedTime is when it was asked.
	// +required
	AskedTime metav1.MicroTime `json:"askedTime,omitzero"`
	// dueTime is when it is too late to answer.
	// +required
	DueTime metav1.MicroTime `json:"dueTime,omitzero"`
}
