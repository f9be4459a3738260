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
