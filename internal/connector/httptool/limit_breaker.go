// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

const (
	// breakAfter is how many exchanges in a row get no answer before the endpoint is taken for dead.
	breakAfter = 5
	// breakFor is how long it is then left alone before one request tries it.
	breakFor = 15 * time.Second
)

// signOfLife is what an exchange says about its endpoint.
type signOfLife int

const (
	noSign signOfLife = iota // nothing: our own refusal, or the caller gave up
	alive                    // it answered, whatever it said
	dead                     // no connection, or no answer in time
)

// breaker spares everybody the wait for an endpoint that is down or hangs:
// without it, each exchange would hold a worker until its deadline.
type breaker struct {
	clock clock.PassiveClock
	host  string

	mu       sync.Mutex
	failures int
	last     string    // what the last failure was
	until    time.Time // nothing is sent before
	trying   bool      // one request is finding out
}

// blocked says without further ado that the endpoint is taken for dead; nil if it is not.
func (b *breaker) blocked() *exchangeError {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blockedLocked()
}

func (b *breaker) blockedLocked() *exchangeError {
	if b.failures < breakAfter {
		return nil
	}
	wait := b.until.Sub(b.clock.Now())
	if wait <= 0 && !b.trying {
		return nil
	}
	return &exchangeError{
		Outcome: v1alpha1.OutcomeNotSent, Reason: connector.UnreachableReason, RetryAfter: max(wait, time.Second),
		Message: connector.Clip(fmt.Sprintf("nothing was sent to %s: %d exchanges in a row had no answer, and it is tried again every %s: %s",
			b.host, breakAfter, breakFor, b.last)),
	}
}

// admit lets a request through. Done must then be called with what came of it,
// and the message of a failure, without secrets.
func (b *breaker) admit() (done func(signOfLife, string), failure *exchangeError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if failure := b.blockedLocked(); failure != nil {
		return nil, failure
	}
	trial := b.failures >= breakAfter
	b.trying = b.trying || trial
	return func(sign signOfLife, message string) { b.record(sign, message, trial) }, nil
}

func (b *breaker) record(sign signOfLife, message string, trial bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if trial {
		b.trying = false
	}
	switch sign {
	case alive:
		b.failures = 0
	case dead:
		b.failures, b.last = b.failures+1, message
		if b.failures >= breakAfter {
			b.until = b.clock.Now().Add(breakFor)
		}
	case noSign:
	}
}
