// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
)

// sentAttempts is this process's memory of what it sent: an attempt is sent at most once by the process that announced
// it, and its outcome is kept until the write that tells it is stored.
type sentAttempts struct {
	mu   sync.Mutex
	last map[types.UID]sentAttempt
}

type sentAttempt struct {
	number int32
	begun  time.Time
	sent   *action.Sent // nil while it is under way
}

// begin claims an attempt; false when it was claimed before.
func (s *sentAttempts) begin(uid types.UID, number int32, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[types.UID]sentAttempt{}
	}
	if s.last[uid].number >= number {
		return false
	}
	s.last[uid] = sentAttempt{number: number, begun: now}
	return true
}

func (s *sentAttempts) keep(uid types.UID, number int32, sent *action.Sent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[uid] = sentAttempt{number: number, sent: sent}
}

// of is what is known of an attempt that this process sent; nil if it did not. A sending that never came to an end, for
// example because it panicked, is in doubt.
func (s *sentAttempts) of(uid types.UID, number int32) *action.Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.last[uid]
	if !ok || known.number != number {
		return nil
	}
	if known.sent == nil {
		return &action.Sent{Outcome: v1alpha1.OutcomeInDoubt, Message: "the sending was interrupted", Time: known.begun}
	}
	return known.sent
}

// forget drops what is known of an action that is gone.
func (s *sentAttempts) forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, uid)
}

// sightings is since when this process sees actions as they stand: waiting is measured by it, for two clocks, and one
// clock at two times, may differ by anything.
type sightings struct {
	mu   sync.Mutex
	last map[types.UID]sighting
}

type sighting struct {
	state  v1alpha1.ActionState
	number int32
	since  time.Time
}

// since is how long an action has been seen in its state, with its last attempt.
func (s *sightings) since(a *v1alpha1.Action, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[types.UID]sighting{}
	}
	seen := sighting{state: a.Status.State, since: now}
	if n := len(a.Status.Attempts); n > 0 {
		seen.number = a.Status.Attempts[n-1].Number
	}
	if known, ok := s.last[a.UID]; ok && known.state == seen.state && known.number == seen.number {
		return now.Sub(known.since) // monotonic, for both are of this process
	}
	s.last[a.UID] = seen
	return 0
}

func (s *sightings) forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, uid)
}
