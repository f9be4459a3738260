// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the Casebook API: seven configuration kinds that people and GitOps write (Source, Mapping,
// Connector, Guardrail, CaseType, Playbook, EvidenceLog) and five kinds of record (Signal, Case, PlaybookRun, Action,
// Decision). A record's spec never changes after creation; its status carries the journal from which it can be replayed.
//
// +kubebuilder:object:generate=true
// +groupName=casebook.dev
package v1alpha1
