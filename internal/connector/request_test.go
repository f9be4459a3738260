// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

func TestCheckRefusesARequestThatMeansSomethingElse(t *testing.T) {
	pod := v1alpha1.Target{Type: "Pod", Namespace: "shop", Name: "web-1", UID: "u1"}
	other := pod
	other.UID = "u2"
	for name, tt := range map[string]struct {
		request connector.Request
		want    string // part of the message; empty: no error
	}{
		"its own target, and a mark": {request: connector.Request{Operation: "isolatePod", Target: pod, Mark: "a1"}},
		"another of the same name": {
			request: connector.Request{Operation: "isolatePod", Target: other, Mark: "a1"},
			want:    `its target is Pod "shop/web-1" with uid "u2", but its input means Pod "shop/web-1" with uid "u1": plan the action again`,
		},
		"no mark": {request: connector.Request{Operation: "isolatePod", Target: pod}, want: "the request has no mark"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.request.Check(pod)
			terminal, ok := errors.AsType[*fault.Terminal](err)
			if tt.want == "" && err != nil || tt.want != "" && (!ok || terminal.Reason != connector.InvalidInputReason || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Check = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNotBegun(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	terminal := fault.Terminalf(v1alpha1.TargetForbiddenReason, "ask for a grant")
	for name, tt := range map[string]struct {
		ctx  context.Context
		err  error
		want connector.Result
	}{
		"what trying again cannot mend is refused": {
			t.Context(), terminal, connector.Result{Outcome: v1alpha1.OutcomeRefused, Reason: v1alpha1.TargetForbiddenReason, Message: "ask for a grant"},
		},
		"but not when the time was over": {
			over, terminal, connector.Result{Outcome: v1alpha1.OutcomeNotSent, Reason: v1alpha1.DeadlinePassedReason, Message: "nothing was sent: ask for a grant"},
		},
		"who asks to be left alone is": {
			t.Context(), fault.Waitf(connector.RateLimitedReason, time.Minute, "too many"),
			connector.Result{Outcome: v1alpha1.OutcomeNotSent, Reason: connector.RateLimitedReason, Message: "too many", RetryAfter: time.Minute},
		},
		"anything else may pass": {
			t.Context(), errors.New("no route"), connector.Result{Outcome: v1alpha1.OutcomeNotSent, Reason: connector.UnreachableReason, Message: "nothing was sent: no route"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, connector.NotBegun(tt.ctx, tt.err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
