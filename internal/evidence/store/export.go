// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// ErrUnsettled says that the last batch of the log is not written to its end: its writer is at work, or has stopped.
var ErrUnsettled = errors.New("the log is being written")

// attempts is how often Export reads a log that is being written before it gives up.
const attempts = 5

// Export writes the evidence of a case as a bundle (evidence.Bundle), file by file, to sink, whose path has slashes. It
// reads the bucket and needs no key: nothing is believed, for evidence.Verify will verify it all. Records are those of
// the case as the API server serves them; one that has left the cluster is replayed. A record whose journal is not
// sealed yet is an *evidence.NotDrainedError.
func Export(ctx context.Context, bucket blob.Bucket, ref evidence.CaseRef, records []json.RawMessage, sink func(path string, data []byte) error) error {
	b, err := bundleOf(ctx, bucket, ref)
	for i := 1; errors.Is(err, ErrUnsettled) && i < attempts; i++ {
		b, err = bundleOf(ctx, bucket, ref)
	}
	if err == nil {
		b.Records = records
		err = writeBundle(ctx, bucket, b, sink)
	}
	if err != nil {
		return fmt.Errorf("export case %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	return nil
}

func writeBundle(ctx context.Context, bucket blob.Bucket, b evidence.Bundle, sink func(path string, data []byte) error) error {
	files, err := b.Files()
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := sink(path, files[path]); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	digests, err := evidence.Payloads(b.Entries)
	if err != nil {
		return err
	}
	for _, digest := range digests {
		payload, err := bucket.Get(ctx, payloadKey(digest), evidence.MaxPayload)
		if err != nil {
			return fmt.Errorf("read a payload that a signal names: %w", err)
		}
		path := evidence.PayloadPath(digest)
		if err := sink(path, payload.Data); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// bundleOf reads the entries of a case and proves them in the tree of the present checkpoint.
func bundleOf(ctx context.Context, bucket blob.Bucket, ref evidence.CaseRef) (evidence.Bundle, error) {
	signed, err := bucket.Get(ctx, "checkpoint", evidence.MaxCheckpoint)
	if err != nil {
		return evidence.Bundle{}, err
	}
	text, _, _ := strings.Cut(string(signed.Data), "\n\n")
	c, err := evidence.ParseCheckpoint(text + "\n")
	if err != nil {
		return evidence.Bundle{}, err
	}
	indexes, err := indexesOf(ctx, bucket, ref, c.Size)
	if err != nil {
		return evidence.Bundle{}, err
	}
	b := evidence.Bundle{Case: ref, Checkpoint: signed.Data}
	if b.Entries, err = entriesOf(ctx, bucket, ref, len(indexes)); err != nil {
		return evidence.Bundle{}, err
	}
	hashes := hashesOf(ctx, bucket, c, map[string][]byte{})
	for _, index := range indexes {
		proof, err := tlog.ProveRecord(c.Size, index, hashes)
		if err != nil {
			return evidence.Bundle{}, fmt.Errorf("prove the entry at %d: %w", index, err)
		}
		b.Proofs = append(b.Proofs, evidence.Proof{Index: index, Hashes: proof})
	}
	return b, nil
}

// indexesOf returns the places of all entries of a case in a tree that has a checkpoint. Heads are written after the
// checkpoint, so those of the batch it ends with may lag: pending, read before the head, says which entries that has.
func indexesOf(ctx context.Context, bucket blob.Bucket, ref evidence.CaseRef, size int64) ([]int64, error) {
	var last *batch
	pending, err := bucket.Get(ctx, "pending", maxPending)
	if err == nil {
		_, last, err = readPending(pending.Data)
	}
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return nil, err
	}
	var head caseHead
	if _, err := readJSON(ctx, bucket, caseHeadKey(ref.Namespace, ref.UID), maxCaseHead, &head); err != nil {
		return nil, err
	}
	indexes := head.Indexes
	for len(indexes) > 0 && indexes[len(indexes)-1] >= size {
		indexes = indexes[:len(indexes)-1] // sealed since the checkpoint was read
	}
	if last != nil {
		for i, e := range last.entries {
			if last.start+int64(i) < size && e.Case.UID == ref.UID && e.CaseSequence >= int64(len(indexes)) {
				return nil, fmt.Errorf("%w: entry %d of the case is sealed but not settled; let the controllers run, then export again", ErrUnsettled, e.CaseSequence)
			}
		}
	}
	if len(indexes) == 0 {
		return nil, fmt.Errorf("%w: the log has no entry of a case with uid %s in namespace %s; check the bucket, or wait until it is sealed", blob.ErrNotFound, ref.UID, ref.Namespace)
	}
	return indexes, nil
}

// entriesOf reads the first n entries of a case.
func entriesOf(ctx context.Context, bucket blob.Bucket, ref evidence.CaseRef, n int) ([]evidence.Entry, error) {
	entries := make([]evidence.Entry, 0, n)
	for i := range n {
		key := entryKey(ref.Namespace, ref.UID, int64(i))
		got, err := bucket.Get(ctx, key, evidence.MaxEntry)
		if err != nil {
			return nil, err
		}
		e, err := evidence.ParseEntry(got.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}
