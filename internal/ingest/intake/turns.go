// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"slices"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// turns keeps the payloads of each Source in order while some wait for another
// attempt: none passes one that is older. Counting repeats by the highest number
// is right only if none comes after a higher one.
type turns struct {
	waiting map[string][]uint64 // by subject, in rising order
}

// mayPass reports whether it is a delivery's turn. If so, it waits no longer.
func (t *turns) mayPass(d ingest.Delivery) bool {
	waiting := t.waiting[d.Subject()]
	if len(waiting) == 0 || d.Sequence < waiting[0] {
		return true
	}
	if d.Sequence > waiting[0] {
		return false
	}
	if len(waiting) == 1 {
		delete(t.waiting, d.Subject())
	} else {
		t.waiting[d.Subject()] = waiting[1:]
	}
	return true
}

// wait notes that a delivery will come again.
func (t *turns) wait(d ingest.Delivery) {
	waiting := t.waiting[d.Subject()]
	at, known := slices.BinarySearch(waiting, d.Sequence)
	if known {
		return
	}
	if t.waiting == nil {
		t.waiting = map[string][]uint64{}
	}
	t.waiting[d.Subject()] = slices.Insert(waiting, at, d.Sequence)
}
