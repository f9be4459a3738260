// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"
	"testing"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// rules are what a variant leaves out; none is left out of the protocol.
type rules struct {
	noPrecondition     bool // a write asks for no resourceVersion
	noFence            bool // nothing is read live before the first byte
	sendsUnread        bool // an announcement is not read back before it is sent
	sendsFirst         bool // the status is written after the call
	nothingSettles     bool // a doubt is settled at once
	ownersDoNotWait    bool // an attempt of another process is taken over at once
	lateIsIgnored      bool // an attempt is sent although its deadline has passed
	sameName           bool // a process that starts again has the name that it had
	outcomesAreDropped bool // what was sent is forgotten when the write that tells it fails
	timeoutIsFailure   bool // no answer is a refusal
	retryWhatever      bool // everything is tried again as if it were Idempotent
	keyOfAttempt       bool // the idempotency key is the attempt's, not the action's
	keysForever        bool // keys are taken to be remembered for ever
	retryAndRollback   bool // a person may have tried again what another has taken back
	decisionsCrowd     bool // a decision counts while another waits to be applied
	absenceIsBelieved  bool // what is not to be read is taken not to be there, however soon
}

// Each rule of the protocol, and each thing that it takes for granted, is needed: without it the search finds harm.
//
//	without                                  what happens
//	writing the status before the call       an effect that nobody announced
//	reading the announcement back            an effect that nobody announced
//	resourceVersion as a precondition        an attempt is sent twice
//	the live read before the first byte      Denied although it is done
//	the deadline, by a clock that is steady  a second effect, by what left too late
//	waiting out another's attempt            a second effect; a rollback that a late request undoes
//	settling                                 a second effect; a rollback that a late request undoes
//	a name for each start of a process       an attempt is sent twice
//	keeping an outcome until it is stored    an attempt is sent twice
//	telling doubt from failure               Failed although it is done
//	heeding the semantics                    a second effect
//	one key for all attempts                 a second effect
//	the retention of keys                    a second effect
func TestEachRuleIsNeeded(t *testing.T) {
	const (
		idempotent = v1alpha1.Idempotent
		keyed      = v1alpha1.Keyed
		readBack   = v1alpha1.ReadBack
		atMostOnce = v1alpha1.AtMostOnce
	)
	alone := bounds{crashes: 1, losses: 2, attempts: [2]uint8{3, 2}}
	undo := bounds{crashes: 1, losses: 2, attempts: [2]uint8{3, 2}, rollback: true}
	aging := bounds{crashes: 1, losses: 2, attempts: [2]uint8{3, 2}, aging: true}
	stops := bounds{crashes: 1, losses: 2, attempts: [2]uint8{3, 2}, stop: true}
	asked := bounds{crashes: 1, losses: 2, decisions: 2, attempts: [2]uint8{3, 2}}
	late := bounds{crashes: 1, losses: 2, attempts: [2]uint8{3, 2}, showsLate: true}
	both := bounds{crashes: 1, losses: 1, decisions: 1, attempts: [2]uint8{2, 2}, rollback: true}
	for name, tt := range map[string]struct {
		rules
		bounds
		semantics v1alpha1.Semantics
		blind     bool // it cannot be read back
		want      violation
	}{
		"write the status before the call":                      {rules{sendsFirst: true}, alone, idempotent, false, unannounced},
		"read the announcement back before sending":             {rules{sendsUnread: true}, alone, keyed, false, unannounced},
		"write only over what was read":                         {rules{noPrecondition: true}, alone, atMostOnce, true, resent},
		"read live what guards the first byte":                  {rules{noFence: true}, stops, idempotent, false, denies},
		"send nothing after the deadline":                       {rules{lateIsIgnored: true}, alone, readBack, false, twice},
		"send nothing after the deadline, before a rollback":    {rules{lateIsIgnored: true}, undo, idempotent, false, undone},
		"wait out the attempt of another process":               {rules{ownersDoNotWait: true}, alone, readBack, false, twice},
		"wait out that attempt, before a rollback":              {rules{ownersDoNotWait: true}, undo, idempotent, false, undone},
		"settle before reading back":                            {rules{nothingSettles: true}, alone, readBack, false, twice},
		"settle before a rollback":                              {rules{nothingSettles: true}, undo, idempotent, false, undone},
		"name each start of a process differently":              {rules{sameName: true}, alone, atMostOnce, true, resent},
		"keep an outcome until the write that tells it is done": {rules{outcomesAreDropped: true}, alone, atMostOnce, true, resent},
		"take a timeout for doubt, not failure":                 {rules{timeoutIsFailure: true}, alone, idempotent, false, denies},
		"ask a person what became of what may run once":         {rules{retryWhatever: true}, alone, atMostOnce, true, twice},
		"read back what has no key":                             {rules{retryWhatever: true}, alone, readBack, true, twice},
		"send the same key with every attempt":                  {rules{keyOfAttempt: true}, alone, keyed, true, twice},
		"send no key that may be forgotten":                     {rules{keysForever: true}, aging, keyed, true, twice},
		"try nothing again that is being taken back":            {rules{retryAndRollback: true}, both, readBack, false, undone},
		"apply a decision before the next counts":               {rules{decisionsCrowd: true}, asked, readBack, false, denies},
		"read again while the target may not show it yet":       {rules{absenceIsBelieved: true}, late, readBack, false, twice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newModel(tt.semantics, !tt.blind, tt.bounds, tt.rules)
			got := m.search()
			t.Logf("%s after %d states in %s:\n%s", violations[got.violation], got.states, got.took.Round(time.Millisecond), strings.Join(got.trace, "\n"))
			if got.violation != tt.want {
				t.Errorf("the search finds %q without this rule, want %q", violations[got.violation], violations[tt.want])
			}
		})
	}
}
