// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// starter is a CasePlaybook, compiled.
type starter struct {
	v1alpha1.CasePlaybook

	forEach, when *expr.Program
	inputs        *expr.Template
}

// Start is a playbook that a case's type wants to run, once.
type Start struct {
	// Playbook names the Playbook.
	Playbook string
	// Item tells runs of one playbook for one case apart; empty without forEach.
	Item string
	// Inputs are the values of the playbook's inputs.
	Inputs *apiextensionsv1.JSON
	// Message says why no run can be started; empty where it is to be started now.
	Message string
}
