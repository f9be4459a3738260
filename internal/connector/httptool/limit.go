// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// maxRetryAfter bounds how long a target can keep us away.
const maxRetryAfter = time.Hour

// limits bound what is asked of one endpoint by everybody together. Waiting ends
// with the context at the latest, and ends at once where the context would end first.
type limits struct {
	clock     clock.PassiveClock
	host      string
	perMinute int32
	rate      *rate.Limiter
	slots     *semaphore.Weighted

	mu        sync.Mutex
	heldUntil time.Time // the target asked to be left alone until then
}

func newLimits(host string, spec v1alpha1.HTTPLimits, clock clock.PassiveClock) *limits {
	limit, burst := pace(spec)
	return &limits{
		clock: clock, host: host, perMinute: spec.RequestsPerMinute,
		rate: rate.NewLimiter(limit, burst), slots: semaphore.NewWeighted(int64(spec.Concurrent)),
	}
}

// pace is how fast requests are let go so that no minute sees more than
// requestsPerMinute of them: a burst of at most a tenth of it and of concurrent,
// and the rest spread evenly.
func pace(spec v1alpha1.HTTPLimits) (rate.Limit, int) {
	burst := min(spec.Concurrent, (spec.RequestsPerMinute+9)/10)
	return rate.Limit(float64(spec.RequestsPerMinute-burst+1) / time.Minute.Seconds()), int(burst)
}

// enter waits until a request may be sent. Leave must be called when it is over.
func (l *limits) enter(ctx context.Context) (leave func(), failure *exchangeError) {
	if failure := l.awaitHold(ctx); failure != nil {
		return nil, failure
	}
	now := l.clock.Now()
	turn := l.rate.ReserveN(now, 1)
	if wait := turn.DelayFrom(now); !sleep(ctx, wait) {
		turn.CancelAt(now) // the turn is for whoever can wait for it
		return nil, l.limited(wait, fmt.Sprintf("the limit of %d requests a minute is used up", l.perMinute))
	}
	if err := l.slots.Acquire(ctx, 1); err != nil {
		return nil, l.limited(0, "all requests that may be under way at once are")
	}
	if failure := l.awaitHold(ctx); failure != nil { // what was under way may have been told to wait
		l.slots.Release(1)
		return nil, failure
	}
	return func() { l.slots.Release(1) }, nil
}

// awaitHold waits as long as the target has asked for.
func (l *limits) awaitHold(ctx context.Context) *exchangeError {
	for {
		l.mu.Lock()
		wait := l.heldUntil.Sub(l.clock.Now())
		l.mu.Unlock()
		if wait <= 0 {
			return nil
		}
		if !sleep(ctx, wait) {
			return l.limited(wait, "it asked to be left alone for a while (Retry-After)")
		}
	}
}

// hold keeps requests back for a while, at most an hour, because the target asked for it.
func (l *limits) hold(wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := l.clock.Now().Add(min(wait, maxRetryAfter)); until.After(l.heldUntil) {
		l.heldUntil = until
	}
}

func (l *limits) limited(wait time.Duration, why string) *exchangeError {
	return &exchangeError{
		Outcome: v1alpha1.OutcomeNotSent, Reason: connector.RateLimitedReason, RetryAfter: wait,
		Message: fmt.Sprintf("could not ask %s within the deadline: %s: it is tried again later", l.host, why),
	}
}

// sleep waits, and reports whether it did: it does not begin what the context
// would end first.
func sleep(ctx context.Context, wait time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	if wait <= 0 {
		return true
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
