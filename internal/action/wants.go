// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import "github.com/casebook-dev/casebook/api/v1alpha1"

// Reads says which reads of the target Next wants to see.
type Reads struct {
	// Before: read before announcing an attempt.
	Before bool
	// After: read back after an attempt.
	After bool
}

// Wants says which reads the next call of Next needs, for an action with this status in this world.
func Wants(status v1alpha1.ActionStatus, w World) Reads {
	p := w.Permission
	switch status.State {
	case v1alpha1.ActionVerifying:
		return Reads{After: w.Verifiable}
	case v1alpha1.ActionSettling:
		return Reads{After: w.Verifiable && w.SeenFor >= w.Settle}
	case "", v1alpha1.ActionPending, v1alpha1.ActionReady, v1alpha1.ActionAsking, v1alpha1.ActionHeld:
		return Reads{Before: permitted(p)}
	default:
		return Reads{}
	}
}

// Hears says whether the next call of Next hears what guardrails and people say of an action with this status in this
// world. Where it does not, World.Permission need not be found out.
func Hears(status v1alpha1.ActionStatus, w World) bool {
	switch status.State {
	case "", v1alpha1.ActionPending, v1alpha1.ActionReady, v1alpha1.ActionAsking, v1alpha1.ActionHeld:
		return true
	case v1alpha1.ActionExecuting:
		return last(&status).Holder == w.Holder && w.Sent == nil
	default:
		return false
	}
}

func permitted(p Permission) bool {
	return p.Verdict.Answer == v1alpha1.AnswerAllow || p.Verdict.Answer == v1alpha1.AnswerAsk && p.Approved && p.Denied == nil
}
