// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connector says what a target system offers to Casebook and what an
// implementation promises. It knows no client: each child package implements
// [Connector] against one kind of system, and conntest holds every child to the
// promises made here.
//
// An operation is a read or a mutation. A mutation is asked for in four calls,
// by a caller that has announced the attempt durably before the third:
// Target (what would it change?), Before (how does that stand?), Do (change
// it), Verify (did it?). Only Do changes anything.
package connector

import (
	"context"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// MaxMessage is the length in bytes that no message of a [Result] or an
// [Observation] exceeds, because an Action's status holds no more. See [Clip].
const MaxMessage = 1024

// Reasons of the faults and refusals of every connector, beside those of
// api/v1alpha1 (TargetForbidden, TargetReplaced, TargetChanged, Refused).
const (
	// InvalidInputReason: the input is not what the operation declares.
	InvalidInputReason = "InvalidInput"
	// UnknownOperationReason: the connector has no such operation.
	UnknownOperationReason = "UnknownOperation"
	// InvalidDataReason: the data that the connector reads is not what it must be, or does not decide.
	InvalidDataReason = "InvalidData"
	// OtherClusterReason: the target is in a cluster that the connector does not reach.
	OtherClusterReason = "OtherCluster"
	// CredentialsRejectedReason: the target does not accept the connector's credentials.
	CredentialsRejectedReason = "CredentialsRejected"
	// ImpersonationForbiddenReason: the operator may not act as the tenant's ServiceAccount.
	ImpersonationForbiddenReason = "ImpersonationForbidden"
	// RateLimitedReason: the target asks to be left alone for a while.
	RateLimitedReason = "RateLimited"
	// UnreachableReason: no connection to the target could be made.
	UnreachableReason = "Unreachable"
	// AddressRefusedReason: the target's address is one that the operator may not dial.
	AddressRefusedReason = "AddressRefused"
	// SecretUnusableReason: the value of a Secret cannot be sent as what it is for.
	SecretUnusableReason = "SecretUnusable"
	// TooLargeReason: the answer is larger than spec.http.maxBytes.
	TooLargeReason = "TooLarge"
)

// Operation declares one thing that a connector can do. A declaration is a
// promise that conntest checks; [CheckOperations] checks that it is whole.
type Operation struct {
	// Name is unique within the connector: a camelCase verb and object, such as isolatePod.
	Name string
	// Effect says what it does to its target. A Read changes nothing and has
	// none of the four fields below.
	Effect v1alpha1.Effect
	// Semantics says what may be done after an attempt in doubt. Empty means
	// AtMostOnce; see [Operation.EffectiveSemantics].
	Semantics v1alpha1.Semantics
	// Rollback is the operation of the same connector, with the same input unless
	// RollbackTakesOther, that takes this one back. Set exactly when Effect is Reversible.
	Rollback string
	// RollbackTakesOther says that the rollback takes another input than this operation. The connector is then a
	// RollbackPlanner.
	RollbackTakesOther bool
	// NotPossible says to people why it cannot be taken back. Set exactly when
	// Effect is Irreversible.
	NotPossible string
	// TargetType is the Type of every Target of this operation, for example Pod.
	TargetType string
	// AcknowledgedOnly says that there is nothing to read back: Verify is never asked, and success is what the target
	// acknowledged.
	AcknowledgedOnly bool
	// VerifyWithin is how long the target may take to show what it acknowledged; zero means the protocol's default.
	VerifyWithin time.Duration
	// KeyRetention is how long the target knows an idempotency key; set exactly when Semantics is Keyed. A key that is
	// older may not be sent again.
	KeyRetention time.Duration
	// Inputs are all the inputs it takes. Any other is an error.
	Inputs []Input
}

// EffectiveSemantics is what the operation declares, or AtMostOnce if it
// declares nothing.
func (o Operation) EffectiveSemantics() v1alpha1.Semantics {
	if o.Semantics == "" {
		return v1alpha1.AtMostOnce
	}
	return o.Semantics
}

// Request is one mutation, the same in Before, Do and Verify of one attempt.
type Request struct {
	// Operation is the name of a mutating operation of the connector.
	Operation string
	// Input is the operation's input, as planned and approved.
	Input map[string]any
	// Target is what Target returned for this operation and input when the
	// Action was planned. A connector refuses a request whose target is not
	// what the input says.
	Target v1alpha1.Target
	// Key is the idempotency key of the announced attempt: the same for every
	// attempt of one Action. An operation that is Keyed sends it.
	Key string
	// Mark is what the effect carries at the target, so that it can be told from
	// anyone else's: the name of the forward Action. It is the Action's own name,
	// and for a rollback that of the Action that is rolled back.
	Mark string
	// Forward is the operation that this one takes back; empty unless the action is a rollback.
	Forward string
	// Left is what was read back after the action that is taken back, as its record has it; nil if nothing was, or if
	// the action is no rollback.
	Left any
	// Deadline is when the exchange is over, whatever became of it. All of Do,
	// its reads included, ends by then. Zero means the connector's own timeout from now.
	Deadline time.Time
}

// Observation is how a target stands, by a read.
type Observation struct {
	// Desired says that the target is as the operation would leave it. In Before
	// there is then nothing to do; in Verify it is done.
	Desired bool
	// AsLeft says that taking back what the mark stands for would take back
	// nothing of anyone else's. Only the Before of a rollback is judged by it.
	AsLeft bool
	// Gone says that the pinned target does not exist, or that another thing has
	// its name, so that there is nothing the operation could be done to. An
	// operation that still has something of its own to clear away does not say so.
	Gone bool
	// State is what was read, for the record: a JSON value of maps, slices,
	// strings, booleans, int64 and nil, of at most a few KiB.
	State any
	// Message says to people what stands there. Never empty unless Desired or
	// plainly to be done; at most MaxMessage bytes.
	Message string
}

// Result is what is known of a Do: one of three things, and whether it was sent.
//
//   - Acknowledged: the target said that it did all of it.
//   - Refused: it did not happen, and sending it again would not help: the
//     target said so, or the connector itself saw before the first byte that
//     sending could not be right.
//   - NotSent: no byte of a mutation reached the target, or the target said that
//     it looked at none of it. It may be tried again.
//   - InDoubt: anything else. A lost or unreadable answer, a 5xx, an operation of
//     several writes of which some were acknowledged and the rest were not.
type Result struct {
	// Outcome is one of the outcomes above, never empty.
	Outcome v1alpha1.AttemptOutcome
	// Reason says in one CamelCase word why it was not acknowledged; empty if it was.
	Reason string
	// Message is what the target said, and what a person can do about it; at most MaxMessage bytes.
	Message string
	// RetryAfter is how long the target asks to be left alone, for an attempt that was not sent; zero if it does not say.
	RetryAfter time.Duration
}

// Connector reaches one target system with one identity. Its methods may be
// called from several goroutines.
//
// Errors follow package fault: Terminal for what trying again cannot mend
// (forbidden, rejected credentials, bad input), Wait for a rate limit, and any
// other error for what may pass.
type Connector interface {
	// Operations are the declarations, always the same and in the same order.
	Operations() []Operation

	// Target says what a mutating operation with this input would change. It
	// depends on its arguments alone and reads nothing. The error is Terminal:
	// InvalidInput names the field, UnknownOperation the operations there are.
	Target(operation string, input map[string]any) (v1alpha1.Target, error)

	// Read runs an operation whose effect is Read and returns a JSON value as
	// in Observation.State. What is not there is a value that says so, not an error.
	Read(ctx context.Context, operation string, input map[string]any) (any, error)

	// Before reads how the target of a mutation stands. It changes nothing and
	// may be called any number of times.
	Before(ctx context.Context, request Request) (Observation, error)

	// Do sends the mutation. It never sends any write twice, whatever the
	// answer, follows no redirect and returns by request.Deadline. Whether it may be called
	// again is for the caller to judge, by the outcome and the declared semantics.
	Do(ctx context.Context, request Request) Result

	// Verify reads back whether the mutation holds. It changes nothing, believes
	// no earlier answer, and may be called any number of times.
	Verify(ctx context.Context, request Request) (Observation, error)

	// Probe tells whether the target can be reached and accepts the identity. It
	// changes nothing.
	Probe(ctx context.Context) error
}

// RollbackPlanner is a Connector whose rollbacks may take another input than the operation they take back.
type RollbackPlanner interface {
	// RollbackInput is the input of the operation's rollback, for an action that was done with this input. It reads
	// nothing. The error is Terminal.
	RollbackInput(operation string, input map[string]any) (map[string]any, error)
}

// Opener makes Connectors of the kinds it knows.
type Opener interface {
	// Open returns a Connector for the object's spec, acting for the object's
	// namespace. It sends nothing; a spec that cannot work is a Terminal error.
	// It is cheap enough to call for every use, which is how a changed spec is noticed.
	Open(object *v1alpha1.Connector) (Connector, error)
}
