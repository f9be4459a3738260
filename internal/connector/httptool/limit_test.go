// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// TestPaceNeverExceedsTheLimit: whoever asks and when, no minute sees more
// requests than the limit, and over ten minutes nearly all of it can be had.
func TestPaceNeverExceedsTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := v1alpha1.HTTPLimits{RequestsPerMinute: rapid.Int32Range(1, 400).Draw(t, "perMinute"), Concurrent: rapid.Int32Range(1, 256).Draw(t, "concurrent")}
		limit, burst := pace(spec)
		limiter := rate.NewLimiter(limit, burst)
		start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		var let []time.Time
		pauses := rapid.SliceOfN(rapid.IntRange(0, 5000), 1, 20).Draw(t, "pauses")
		for i, now := 0, start; now.Before(start.Add(10 * time.Minute)); i++ {
			if limiter.AllowN(now, 1) {
				let = append(let, now)
			}
			now = now.Add(time.Duration(pauses[i%len(pauses)]+1) * time.Millisecond)
		}
		for i := range let {
			if j := i + int(spec.RequestsPerMinute); j < len(let) && let[j].Sub(let[i]) < time.Minute-time.Microsecond {
				t.Fatalf("%d requests within %s, with limits %+v", spec.RequestsPerMinute+1, let[j].Sub(let[i]), spec)
			}
		}
	})
	limit, burst := pace(v1alpha1.HTTPLimits{RequestsPerMinute: 600, Concurrent: 8})
	if burst != 8 || limit < 9.8 {
		t.Errorf("of 600 a minute, %d come at once and %v each second", burst, limit)
	}
}

// TestLimitsAreSharedByAllOpenings: what one opening used up, another does not have.
func TestLimitsAreSharedByAllOpenings(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	w := newWorld(t, server.URL)
	w.spec.Limits = &v1alpha1.HTTPLimits{RequestsPerMinute: 2, Concurrent: 2}
	w.answered(get)
	_, failure := w.exchangeWithin(within(t, 10*time.Second), get)
	if failure == nil || failure.Outcome != v1alpha1.OutcomeNotSent || failure.Reason != connector.RateLimitedReason ||
		failure.RetryAfter != 30*time.Second || !strings.Contains(failure.Message, "limit of 2 requests a minute") {
		t.Fatalf("the next exchange = %+v, want it limited for half a minute", failure)
	}
	w.clock.SetTime(w.clock.Now().Add(30 * time.Second))
	if _, failure := w.exchangeWithin(within(t, 10*time.Second), get); failure != nil {
		t.Errorf("after that time: %+v: the one that could not wait used something up", failure)
	}
	w.spec.Limits.RequestsPerMinute = 60 // a change takes effect at once
	w.answered(get)
}

func TestLimitIsWaitedForWithinTheDeadline(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	w := newWorld(t, server.URL)
	w.spec.Limits = &v1alpha1.HTTPLimits{RequestsPerMinute: 3000, Concurrent: 1}
	for range 3 { // the clock stands still, so each is a fiftieth of a second behind
		w.answered(get)
	}
}

func TestConcurrentBoundsWhatIsUnderWay(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	var under, most atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), under.Add(1)))
		arrived <- struct{}{}
		<-leave
		under.Add(-1)
	}))
	defer server.Close()
	w := newWorld(t, server.URL)
	w.spec.Limits = &v1alpha1.HTTPLimits{RequestsPerMinute: 60000, Concurrent: 2}
	e := w.endpoint()
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if _, failure := e.exchange(t.Context(), get); failure != nil {
				t.Error(failure)
			}
		})
	}
	<-arrived
	<-arrived
	_, failure := w.exchangeWithin(within(t, 50*time.Millisecond), post)
	if failure == nil || failure.Outcome != v1alpha1.OutcomeNotSent || failure.Reason != connector.RateLimitedReason {
		t.Errorf("a third exchange = %+v, want it limited", failure)
	}
	close(leave)
	all.Wait()
	all.Go(func() { <-arrived })
	if w.answered(post); most.Load() != 2 {
		t.Errorf("%d were under way at once", most.Load())
	}
	all.Wait()
}

func TestRetryAfterIsObeyedByAll(t *testing.T) {
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			requests := &seen{}
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				requests.add(r)
				rw.Header().Set("Retry-After", "90")
				status(code, canary)(rw, r)
			}))
			defer server.Close()
			w := newWorld(t, server.URL)
			if in := w.answered(post); in.Status != code || in.RetryAfter != 90*time.Second {
				t.Errorf("the answer is %d, to be tried again after %s", in.Status, in.RetryAfter)
			}
			w.clock.SetTime(w.clock.Now().Add(time.Minute))
			for _, out := range []outgoing{get, post} {
				_, failure := w.exchangeWithin(within(t, 10*time.Second), out)
				if failure == nil || failure.Outcome != v1alpha1.OutcomeNotSent || failure.Reason != connector.RateLimitedReason || failure.RetryAfter != 30*time.Second {
					t.Errorf("the next exchange = %+v, want it limited for what is left of the time", failure)
				}
			}
			if requests.count() != 1 {
				t.Errorf("%d requests arrived", requests.count())
			}
			w.clock.SetTime(w.clock.Now().Add(30 * time.Second))
			if w.answered(post); requests.count() != 2 {
				t.Errorf("after the time, %d requests arrived", requests.count())
			}
		})
	}
}

func TestHoldIsBoundedAndNotShortened(t *testing.T) {
	w := newWorld(t, "http://127.0.0.1:1")
	l := w.endpoint().limits
	l.hold(1000 * time.Hour)
	l.hold(time.Second)
	if failure := l.awaitHold(within(t, time.Minute)); failure == nil || failure.RetryAfter != time.Hour {
		t.Errorf("awaitHold = %+v, want an hour", failure)
	}
	w.clock.SetTime(w.clock.Now().Add(time.Hour))
	if failure := l.awaitHold(t.Context()); failure != nil {
		t.Errorf("after the hour: %+v", failure)
	}
	l.hold(5 * time.Millisecond) // short enough to wait for
	go w.clock.SetTime(w.clock.Now().Add(time.Second))
	if failure := l.awaitHold(within(t, time.Minute)); failure != nil {
		t.Errorf("a wait within the deadline: %+v", failure)
	}
	l.hold(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if failure := l.awaitHold(ctx); failure == nil {
		t.Error("a wait of a caller who gave up ended well")
	}
}

// TestBreaker walks through its life: five failures, silence, one trial.
func TestBreaker(t *testing.T) {
	w := newWorld(t, "http://tool.example.com")
	e := w.endpoint()
	b := e.breaker
	fail := func() {
		t.Helper()
		done, failure := b.admit()
		if failure != nil {
			t.Fatalf("it does not let a request through: %+v", failure)
		}
		done(dead, "connection refused")
	}
	for range breakAfter - 1 {
		fail()
	}
	done, _ := b.admit()
	done(alive, "")
	for range breakAfter - 1 { // they are counted in a row
		fail()
	}
	done, _ = b.admit()
	done(noSign, "") // what says nothing breaks no row
	fail()
	failure := b.blocked()
	if failure == nil || failure.Outcome != v1alpha1.OutcomeNotSent || failure.Reason != connector.UnreachableReason || failure.RetryAfter != breakFor ||
		!strings.Contains(failure.Message, "connection refused") {
		t.Fatalf("after five in a row: %+v", failure)
	}
	w.clock.SetTime(w.clock.Now().Add(breakFor))
	trial, failure := b.admit()
	if failure != nil {
		t.Fatalf("the trial is not let through: %+v", failure)
	}
	if _, failure := b.admit(); failure == nil {
		t.Error("a second trial is let through")
	}
	trial(dead, "connection refused")
	if failure := b.blocked(); failure == nil || failure.RetryAfter != breakFor {
		t.Errorf("after a trial that failed: %+v", failure)
	}
	w.clock.SetTime(w.clock.Now().Add(breakFor))
	trial, _ = b.admit()
	trial(noSign, "")
	trial, failure = b.admit()
	if failure != nil {
		t.Fatalf("after a trial that said nothing, another is not let through: %+v", failure)
	}
	trial(alive, "")
	for range breakAfter - 1 {
		fail()
	}
	if failure := b.blocked(); failure != nil {
		t.Errorf("after it came back, less than five failures block it: %+v", failure)
	}
}

// TestBreakerOfAnEndpoint: what counts as a failure, seen from outside.
func TestBreakerOfAnEndpoint(t *testing.T) {
	closed := listen(t, "127.0.0.1:0")
	_ = closed.Close()
	var patience atomic.Pointer[expiring] // of the exchange under way
	hang := func(conn net.Conn, r *http.Request) { patience.Load().hangAt(conn, r) }
	hanging, _ := rawServer(t, hang)
	resetting, _ := rawServer(t, reset)
	stalling, _ := rawServer(t, func(conn net.Conn, r *http.Request) {
		write(ok, "Content-Length: 9\r\n\r\nabc")(conn, r)
		hang(conn, r)
	})
	cutting, _ := rawServer(t, write(ok, "Content-Length: 9\r\n\r\nabc"))
	failing := httptest.NewServer(status(500, "oops"))
	defer failing.Close()
	tests := map[string]struct {
		baseURL string
		broken  bool
	}{
		"nobody listens":           {"http://" + closed.Addr().String(), true},
		"the target hangs":         {hanging, true},
		"the target resets":        {resetting, true},
		"the answer does not end":  {stalling, true},
		"the answer is cut off":    {cutting, false},
		"the target answers 500":   {failing.URL, false},
		"the answer is too large":  {tooLarge(t), false},
		"the address is not to be": {"http://localhost:1", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.baseURL)
			if strings.Contains(tc.baseURL, "localhost") {
				w.made.dependencies.Policy = connector.AddressPolicy{}
			}
			for range breakAfter {
				ctx := newExpiring(t)
				patience.Store(ctx)
				_, _ = w.exchangeWithin(ctx, get)
			}
			failure := w.endpoint().breaker.blocked()
			if (failure != nil) != tc.broken {
				t.Errorf("after %d exchanges it is blocked: %+v", breakAfter, failure)
			}
			if _, again := w.exchange(get); tc.broken && (again == nil || again.Message != failure.Message) {
				t.Errorf("the next exchange = %+v", again)
			}
		})
	}
}

func tooLarge(t *testing.T) string {
	t.Helper()
	url, _ := rawServer(t, write(ok, "\r\n", strings.Repeat("a", 64<<10+1)))
	return url
}
