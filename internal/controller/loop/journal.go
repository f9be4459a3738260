// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/evidence"
)

var errJournalFull = errors.New("the evidence log must drain it first: see kubectl get evidencelogs")

const (
	// maxEntries is the schema's bound of a journal.
	maxEntries = 200
	// configEntries is how many entries the journal of a configuration object keeps.
	configEntries = 20
	// maxBytes is half the size of the smallest object that carries a long journal.
	maxBytes = 32 << 10
)

// JournalFull tells whether the journal of an object is so near its bound that nothing with an effect may be done: its
// evidence would have no room.
func JournalFull(obj Object) bool {
	journal := obj.Head().Journal
	return len(journal) >= maxEntries-8 || journalBytes(journal) >= maxBytes
}

func journalBytes(journal []v1alpha1.JournalEntry) (size int) {
	for _, entry := range journal {
		size += len(entry.Patch) + 200 // the rest of an entry is short
	}
	return size
}

// trim drops entries that the evidence log has sealed, once the journal has passed half its bound. The newest stays, so
// that the next sequence is known. The journal of a configuration object is not sealed: it keeps what is newest.
func (l *Loop[T, W, C]) trim(ctx context.Context, obj T) {
	head := obj.Head()
	if !l.Record {
		head.Journal = head.Journal[max(0, len(head.Journal)-configEntries):]
		return
	}
	if l.Heads == nil || len(head.Journal) < maxEntries/2 && journalBytes(head.Journal) < maxBytes/2 {
		return
	}
	sealed, known := l.Heads.Head(ctx, obj.GetUID())
	if !known {
		return
	}
	kept := head.Journal[:0:0]
	for i, entry := range head.Journal {
		if entry.Sequence > sealed || i == len(head.Journal)-1 {
			kept = append(kept, entry)
		}
	}
	head.Journal = kept
}

// Record writes the status of after over the version that before is, if it differs, and with it the journal entry: time,
// actor and reason are as given, sequence and patch are set here. It is the only way that a status is written.
func Record(ctx context.Context, c client.Client, before, after Object, entry v1alpha1.JournalEntry) error {
	patch, changed, err := change(before, after)
	if err != nil || !changed {
		return err
	}
	if len(after.Head().Journal) >= maxEntries {
		return fmt.Errorf("record the change of %s: its journal holds %d entries: %w", client.ObjectKeyFromObject(after), maxEntries, errJournalFull)
	}
	entry.Patch = patch
	appendEntry(after.Head(), entry)
	return c.Status().Update(ctx, after)
}

func appendEntry(head *v1alpha1.StatusHead, entry v1alpha1.JournalEntry) {
	entry.Sequence = 1
	if n := len(head.Journal); n > 0 {
		entry.Sequence = head.Journal[n-1].Sequence + 1
	}
	head.Journal = append(head.Journal, entry)
}

// change is the RFC 6902 patch between two statuses without their journals, as canonical JSON, and whether they differ.
func change(before, after Object) (patch string, changed bool, err error) {
	was, err := document(before)
	if err != nil {
		return "", false, err
	}
	is, err := document(after)
	if err != nil || bytes.Equal(was, is) {
		return "", false, err
	}
	patch, err = evidence.Diff(was, is)
	return patch, true, err
}

// document is the status without its journal, as canonical JSON: what entries are patches of.
func document(obj Object) ([]byte, error) {
	raw, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("read the status of %s: %w", obj.GetName(), err)
	}
	return evidence.Status(raw)
}
