// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every Casebook kind.
const GroupName = "casebook.dev"

// SchemeGroupVersion is the group and version of the kinds in this package.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion,
		&Source{}, &SourceList{}, &Mapping{}, &MappingList{}, &Connector{}, &ConnectorList{}, &Guardrail{}, &GuardrailList{},
		&CaseType{}, &CaseTypeList{}, &Playbook{}, &PlaybookList{}, &EvidenceLog{}, &EvidenceLogList{},
		&Signal{}, &SignalList{}, &Case{}, &CaseList{}, &PlaybookRun{}, &PlaybookRunList{}, &Action{}, &ActionList{},
		&Decision{}, &DecisionList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}

// Labels hold only what is fixed when a record is created.
const (
	// CaseLabel names the Case that a record belongs to.
	CaseLabel = "casebook.dev/case"
	// TypeLabel names the CaseType of a Case.
	TypeLabel = "casebook.dev/type"
	// SourceLabel names the Source of a Signal.
	SourceLabel = "casebook.dev/source"
)

const (
	// RequestedAtAnnotation asks the controller of a configuration object for a pass now; its value is any new text.
	RequestedAtAnnotation = "casebook.dev/requested-at"
	// ChangedByAnnotation is the user who last changed a configuration object, stamped at admission.
	ChangedByAnnotation = "casebook.dev/changed-by"
	// SealFinalizer keeps a Case until its records are sealed in the evidence log.
	SealFinalizer = "casebook.dev/seal"
)
