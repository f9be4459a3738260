// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/casebook-dev/casebook/internal/fault"
)

func TestFaultKeepsItsMeaningThroughWrapping(t *testing.T) {
	terminal := fault.Terminalf("CredentialsRejected", "could not read user %q: %w: renew the secret", "ana", io.EOF)
	wait := fault.Waitf("RateLimited", time.Minute, "could not ask %s: %w: it will be asked again", "idp", io.ErrNoProgress)
	tests := map[string]struct {
		err      error
		terminal string
		wait     string
		after    time.Duration
		cause    error
		message  string
	}{
		"a terminal error says its message and keeps its cause": {
			err: terminal, terminal: "CredentialsRejected", cause: io.EOF,
			message: `could not read user "ana": EOF: renew the secret`,
		},
		"a terminal error wrapped twice is still terminal": {
			err:      fmt.Errorf("a: %w", fmt.Errorf("b: %w", terminal)),
			terminal: "CredentialsRejected", cause: io.EOF,
			message: `a: b: could not read user "ana": EOF: renew the secret`,
		},
		"a terminal error joined with another is still terminal": {
			err: errors.Join(io.ErrClosedPipe, terminal), terminal: "CredentialsRejected", cause: io.ErrClosedPipe,
			message: "io: read/write on closed pipe\n" + `could not read user "ana": EOF: renew the secret`,
		},
		"a wait keeps how long": {
			err: fmt.Errorf("lookup: %w", wait), wait: "RateLimited", after: time.Minute, cause: io.ErrNoProgress,
			message: "lookup: could not ask idp: multiple Read calls return no data or error: it will be asked again",
		},
		"a wait without a time is a wait for an event": {
			err: fault.Waitf("Approval", 0, "nobody has answered"), wait: "Approval", message: "nobody has answered",
		},
		"a negative wait is a wait for an event": {
			err: fault.Waitf("Approval", -time.Second, "nobody has answered"), wait: "Approval", message: "nobody has answered",
		},
		"a wait inside a terminal error is both, and callers ask for terminal first": {
			err: fault.Terminalf("Outer", "gave up: %w", wait), terminal: "Outer", wait: "RateLimited", after: time.Minute,
			cause:   io.ErrNoProgress,
			message: "gave up: could not ask idp: multiple Read calls return no data or error: it will be asked again",
		},
		"several causes are all reachable": {
			err: fault.Terminalf("Both", "%w and %w", io.EOF, io.ErrNoProgress), terminal: "Both", cause: io.ErrNoProgress,
			message: "EOF and multiple Read calls return no data or error",
		},
		"a plain error is neither": {err: io.EOF, cause: io.EOF, message: "EOF"},
		"a literal with only a reason prints it": {
			err: &fault.Terminal{Reason: "Bare"}, terminal: "Bare", message: "Bare",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var gotTerminal, gotWait string
			var after time.Duration
			if f, ok := errors.AsType[*fault.Terminal](tc.err); ok {
				gotTerminal = f.Reason
			}
			if f, ok := errors.AsType[*fault.Wait](tc.err); ok {
				gotWait, after = f.Reason, f.After
			}
			if gotTerminal != tc.terminal || gotWait != tc.wait || after != tc.after {
				t.Errorf("got terminal %q, wait %q after %v; want %q, %q after %v", gotTerminal, gotWait, after, tc.terminal, tc.wait, tc.after)
			}
			if tc.cause != nil && !errors.Is(tc.err, tc.cause) {
				t.Errorf("%v does not wrap %v", tc.err, tc.cause)
			}
			if tc.err.Error() != tc.message {
				t.Errorf("got message %q, want %q", tc.err.Error(), tc.message)
			}
		})
	}
}
