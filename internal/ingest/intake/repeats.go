// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest"
)

// manyOpen is how many unacknowledged payloads make a flush due at once.
const manyOpen = 2_000

// repeats gathers what is to be counted, until it is written.
type repeats struct {
	mu      sync.Mutex
	folds   map[types.NamespacedName]fold
	tickets map[uint64]*ticket
	due     chan struct{}
}

// fold is what is to be counted on one Signal: by payload, so that one that is
// delivered again is there once.
type fold map[uint64]occurrence

type occurrence struct {
	count    int64
	received time.Time
}

// ticket is a payload that is acknowledged when all its repeats are written.
type ticket struct {
	ingest.Delivery
	open map[types.NamespacedName]struct{}
}

func newRepeats() *repeats {
	return &repeats{folds: map[types.NamespacedName]fold{}, tickets: map[uint64]*ticket{}, due: make(chan struct{}, 1)}
}

// add takes over a delivery: it is acknowledged once everything is counted.
func (r *repeats) add(d ingest.Delivery, counted map[types.NamespacedName]int64) {
	if len(counted) == 0 {
		_ = d.Ack() // else it comes again and finds everything there
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &ticket{Delivery: d, open: map[types.NamespacedName]struct{}{}}
	r.tickets[d.Sequence] = t
	for key, n := range counted {
		if r.folds[key] == nil {
			r.folds[key] = fold{}
		}
		r.folds[key][d.Sequence] = occurrence{count: n, received: d.Received}
		t.open[key] = struct{}{}
	}
	if len(r.tickets) >= manyOpen {
		select {
		case r.due <- struct{}{}:
		default:
		}
	}
}

// take is a copy of what is to be written.
func (r *repeats) take() map[types.NamespacedName]fold {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[types.NamespacedName]fold, len(r.folds))
	for key, f := range r.folds {
		out[key] = fold{}
		for sequence, o := range f {
			out[key][sequence] = o
		}
	}
	return out
}

// settle forgets what was written, and gives each payload with nothing left to done.
func (r *repeats) settle(key types.NamespacedName, written fold, done func(ingest.Delivery)) {
	r.mu.Lock()
	var settled []ingest.Delivery
	for sequence := range written {
		delete(r.folds[key], sequence)
		t := r.tickets[sequence]
		if t == nil {
			continue
		}
		if delete(t.open, key); len(t.open) == 0 {
			delete(r.tickets, sequence)
			settled = append(settled, t.Delivery)
		}
	}
	if len(r.folds[key]) == 0 {
		delete(r.folds, key)
	}
	r.mu.Unlock()
	for _, d := range settled {
		done(d)
	}
}

// flushRepeats writes what was gathered, until ctx ends. What is not written then
// was not acknowledged, and comes again.
func (i *Intake) flushRepeats(ctx context.Context) {
	ticker := time.NewTicker(i.FlushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-i.repeats.due:
		}
		for key, f := range i.repeats.take() {
			if err := i.flush(ctx, key, f); err != nil && ctx.Err() == nil {
				i.Log.Error(err, "repeats wait to be counted", "signal", key.String())
			}
		}
	}
}

// flush counts the repeats of one Signal in one write. A Signal that is gone takes
// none: its payloads come again, and make another.
func (i *Intake) flush(ctx context.Context, key types.NamespacedName, f fold) error {
	var before v1alpha1.Signal
	err := i.Live.Get(ctx, key, &before)
	if apierrors.IsNotFound(err) {
		i.repeats.settle(key, f, i.again)
		return nil
	}
	if err != nil {
		return fmt.Errorf("could not read the Signal whose repeats are counted: %w", err)
	}
	if after := count(&before, f); after != nil {
		if err := i.Record(ctx, &before, after, RepeatsCountedReason); err != nil {
			return fmt.Errorf("could not count repeats: %w", err)
		}
	}
	i.repeats.settle(key, f, func(d ingest.Delivery) { _ = d.Ack() }) // else it comes again and counts nothing
	return nil
}

// count is the Signal with its repeats; nil if all of them are counted already.
func count(before *v1alpha1.Signal, f fold) *v1alpha1.Signal {
	after := before.DeepCopy()
	status := &after.Status
	var newest time.Time
	var added int64
	for sequence, o := range f {
		if int64(sequence) <= before.Status.CountedSequence {
			continue
		}
		added += o.count
		status.CountedSequence = max(status.CountedSequence, int64(sequence))
		if o.received.After(newest) {
			newest = o.received
		}
	}
	if added == 0 {
		return nil
	}
	status.Count = max(status.Count, 1) + added
	if status.LastSeenTime == nil || newest.After(status.LastSeenTime.Time) {
		status.LastSeenTime = &metav1.MicroTime{Time: newest}
	}
	return after
}
