// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package standin

import (
	"sync"
	"time"
)

// Limit bounds how often a stand-in can be asked: Max requests in each window of length Per, which begins with the first
// request after the one before it ended. The zero Limit bounds nothing.
type Limit struct {
	Max int
	Per time.Duration
}

// Meter counts requests against a Limit.
type Meter struct {
	mu     sync.Mutex
	limit  Limit
	taken  int
	resets time.Time
}

// NewMeter returns a Meter that has counted nothing.
func NewMeter(limit Limit) *Meter { return &Meter{limit: limit} }

// Reading is what a Meter says to one request.
type Reading struct {
	// Limited says that there is a limit; without one, only OK is set.
	Limited bool
	// OK says that the request is within it.
	OK bool
	// Limit and Remaining are requests of the window, Remaining after this one.
	Limit, Remaining int
	// Resets is when the window ends.
	Resets time.Time
}

// RetryAfter is how long to wait, in whole seconds and at least one.
func (r Reading) RetryAfter(now time.Time) int {
	return max(1, int((r.Resets.Sub(now)+time.Second-1)/time.Second))
}

// Set replaces the limit and begins a new window.
func (m *Meter) Set(limit Limit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit, m.taken, m.resets = limit, 0, time.Time{}
}

// Take counts one request.
func (m *Meter) Take(now time.Time) Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limit.Max == 0 {
		return Reading{OK: true}
	}
	if !now.Before(m.resets) {
		m.taken, m.resets = 0, now.Add(m.limit.Per)
	}
	reading := Reading{Limited: true, OK: m.taken < m.limit.Max, Limit: m.limit.Max, Resets: m.resets}
	if reading.OK {
		m.taken++
	}
	reading.Remaining = m.limit.Max - m.taken
	return reading
}
