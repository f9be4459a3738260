// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// sightings is since when this process sees actions as they stand, and when it decided on the attempts that it announced:
// waiting is measured by it, and how long an attempt may still be sent. Two wall clocks, and one at two times, may differ
// by anything, so these are times since the process began, by a clock that only goes forward.
type sightings struct {
	elapsed func() time.Duration

	mu   sync.Mutex
	last map[types.UID]sighting
}

type sighting struct {
	state  v1alpha1.ActionState
	number int32
	since  time.Duration
	looked time.Duration // when the pass began that is under way, or was last
	own    []announcement
}

// announcement is an attempt that this process decided to announce. Its write may have been lost, and another decided on
// in its place: which one is stored is told by its start.
type announcement struct {
	start time.Time
	at    time.Duration
}

// mostAnnounced is how many announcements of an action are remembered; of one that is forgotten nothing is sent.
const mostAnnounced = 16

// sightingsFromNow begins with the process.
func sightingsFromNow() *sightings {
	begun := time.Now()
	return &sightings{elapsed: func() time.Duration { return time.Since(begun) }, last: map[types.UID]sighting{}}
}

// since is how long an action has been seen in its state, with its last attempt.
func (s *sightings) since(a *v1alpha1.Action) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.elapsed()
	known, ok := s.last[a.UID]
	seen := sighting{state: a.Status.State, since: now, looked: now, own: known.own}
	if n := len(a.Status.Attempts); n > 0 {
		seen.number = a.Status.Attempts[n-1].Number
	}
	if ok && known.state == seen.state && known.number == seen.number {
		seen.since = known.since
	}
	s.last[a.UID] = seen
	return now - seen.since
}

// announce notes that the pass that is under way decided on the last attempt.
func (s *sightings) announce(a *v1alpha1.Action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.last[a.UID]
	own := append(slices.Clone(seen.own), announcement{start: stored(lastAttempt(a).StartTime), at: seen.looked})
	seen.own = own[max(0, len(own)-mostAnnounced):]
	s.last[a.UID] = seen
}

// left is how long the last attempt, which this process announced, may still take.
func (s *sightings) left(a *v1alpha1.Action) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	attempt := lastAttempt(a)
	for _, known := range s.last[a.UID].own {
		if known.start.Equal(stored(attempt.StartTime)) {
			return attempt.DeadlineTime.Sub(attempt.StartTime.Time) - (s.elapsed() - known.at)
		}
	}
	return 0
}

func (s *sightings) forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, uid)
}

// stored is a time as the API server gives it back.
func stored(t metav1.MicroTime) time.Time { return t.Truncate(time.Microsecond) }

func lastAttempt(a *v1alpha1.Action) *v1alpha1.Attempt {
	return &a.Status.Attempts[len(a.Status.Attempts)-1]
}
