// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Conditions that every configuration kind shares (kstatus), and those of records.
const (
	// ReadyCondition is True when a configuration object is understood and in use.
	ReadyCondition = "Ready"
	// ReconcilingCondition is present, and True, while a configuration object waits or is retried.
	ReconcilingCondition = "Reconciling"
	// StalledCondition is present, and True, when nothing moves until a person changes something.
	StalledCondition = "Stalled"

	// EnrichedCondition is the milestone of a Case: its first lookups have answered.
	EnrichedCondition = "Enriched"
	// CompleteCondition is the milestone of a PlaybookRun: it has ended.
	CompleteCondition = "Complete"
	// ExecutedCondition is the milestone of an Action: its outcome is known.
	ExecutedCondition = "Executed"
)

// Reasons of every kind.
const (
	// RetryingReason: the last pass failed for a reason that may pass; it is tried again.
	RetryingReason = "Retrying"
	// ReadyReason: nothing stands in the way.
	ReadyReason = "Ready"
	// InvalidExpressionReason: a CEL expression does not compile; the message has field and column.
	InvalidExpressionReason = "InvalidExpression"
	// InvalidSpecReason: the spec contradicts itself; the message has the field.
	InvalidSpecReason = "InvalidSpec"
	// ReferenceNotFoundReason: the spec names an object that does not exist.
	ReferenceNotFoundReason = "ReferenceNotFound"
	// SecretForbiddenReason: the operator may not read a Secret that the spec names.
	SecretForbiddenReason = "SecretForbidden"
	// SecretNotFoundReason: a Secret, or its key, does not exist.
	SecretNotFoundReason = "SecretNotFound"
	// ConfigMapForbiddenReason: the operator may not read a ConfigMap that the spec names.
	ConfigMapForbiddenReason = "ConfigMapForbidden"
	// ConfigMapNotFoundReason: a ConfigMap, or its key, does not exist.
	ConfigMapNotFoundReason = "ConfigMapNotFound"
	// JournalFullReason: the journal waits for the evidence log, so nothing with an effect is done.
	JournalFullReason = "JournalFull"
)

// Reasons of Enriched, on a Case.
const (
	// LookupsAnsweredReason: every lookup of the type answered.
	LookupsAnsweredReason = "LookupsAnswered"
	// LookupsFailedReason: some lookups failed; the record says which and why.
	LookupsFailedReason = "LookupsFailed"
	// TypeMissingReason: the CaseType of the case does not exist.
	TypeMissingReason = "TypeMissing"
)

// Reasons of Complete, on a PlaybookRun.
const (
	// StepsDoneReason: the run reached its end.
	StepsDoneReason = "StepsDone"
	// StepFailedReason: a step failed and the playbook does not go on after it.
	StepFailedReason = "StepFailed"
	// CaseClosedReason: the case closed while the run was going.
	CaseClosedReason = "CaseClosed"
	// RevisionMissingReason: the pinned revision cannot be read.
	RevisionMissingReason = "RevisionMissing"
)

// Reasons of Executed, on an Action.
const (
	// VerifiedReason: the target was read back and is as desired.
	VerifiedReason = "Verified"
	// AcknowledgedReason: the target said it was done; there is nothing to read back.
	AcknowledgedReason = "Acknowledged"
	// AlreadySoReason: the target was as desired before anything was sent.
	AlreadySoReason = "AlreadySo"
	// ApprovalRequiredReason: a guardrail, or the lack of one, asks a person.
	ApprovalRequiredReason = "ApprovalRequired"
	// DeniedByGuardrailReason: a guardrail denies the operation.
	DeniedByGuardrailReason = "DeniedByGuardrail"
	// DeniedByPersonReason: a person denied the operation.
	DeniedByPersonReason = "DeniedByPerson"
	// ApprovalExpiredReason: nobody entitled answered in time.
	ApprovalExpiredReason = "ApprovalExpired"
	// RefusedReason: the target refused the request.
	RefusedReason = "Refused"
	// TargetForbiddenReason: the tenant's ServiceAccount may not do this.
	TargetForbiddenReason = "TargetForbidden"
	// TargetReplacedReason: the target is gone, or another object has its name.
	TargetReplacedReason = "TargetReplaced"
	// TargetChangedReason: the target is no longer as the action to be rolled back left it.
	TargetChangedReason = "TargetChanged"
	// NotAsDesiredReason: the target was read back and is not as desired.
	NotAsDesiredReason = "NotAsDesired"
	// OutcomeUnknownReason: whether the operation happened cannot be known without a person.
	OutcomeUnknownReason = "OutcomeUnknown"
	// ResolvedByPersonReason: a person said what became of an action whose outcome was unknown.
	ResolvedByPersonReason = "ResolvedByPerson"
	// DeadlinePassedReason: the action could not be done before its deadline.
	DeadlinePassedReason = "DeadlinePassed"
)

// Reasons of Void, on a Decision.
const (
	// CountedReason: the decision counts.
	CountedReason = "Counted"
	// NotEntitledReason: the actor lacks the verb, is excluded, or is not in the groups asked.
	NotEntitledReason = "NotEntitled"
	// StaleReason: what was decided on is no longer what would run.
	StaleReason = "Stale"
	// LateReason: the question was answered, or its time was over.
	LateReason = "Late"
	// SubjectMissingReason: the case, question, action, playbook or freeze that the decision is about does not exist.
	SubjectMissingReason = "SubjectMissing"
	// CaseFullReason: the case takes no more of what the decision adds to it.
	CaseFullReason = "CaseFull"
)

// Reasons of Ready, on an EvidenceLog.
const (
	// CheckpointStoredReason: the newest checkpoint is in the bucket.
	CheckpointStoredReason = "CheckpointStored"
	// BucketUnavailableReason: the bucket cannot be read or written; entries wait in the records' journals.
	BucketUnavailableReason = "BucketUnavailable"
	// BucketForkedReason: the bucket does not continue the log that was signed.
	BucketForkedReason = "BucketForked"
)
