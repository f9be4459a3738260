// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// head is heads/<uid>: the last sealed entry of an object, and where it is. A nil pointer in a map is none that is known.
type head struct {
	tag string // of the object in the bucket; empty when there is none

	Sequence     int64  `json:"sequence"`
	Index        int64  `json:"index"`
	CaseUID      string `json:"caseUID"`
	CaseSequence int64  `json:"caseSequence"`
	Namespace    string `json:"namespace"`
	Hash         string `json:"hash"`
}

// caseHead is cases/<namespace>/<uid>/head.json: the last sealed entry of a case, and where all its entries are in the
// log, which the entries themselves cannot say.
type caseHead struct {
	tag string

	CaseSequence int64   `json:"caseSequence"`
	Hash         string  `json:"hash"`
	Indexes      []int64 `json:"indexes"`
}

func (h *head) exists() bool     { return h.Hash != "" }
func (c *caseHead) exists() bool { return c.Hash != "" }

// next returns the place of the next entry of the case.
func (c *caseHead) next() (caseSequence int64, previous string) { return int64(len(c.Indexes)), c.Hash }

const (
	maxHead     = 4 << 10
	maxCaseHead = 32 << 20
	maxHeads    = 10_000 // kept in memory
)

func headKey(uid string) string             { return "heads/" + uid }
func caseHeadKey(ns, caseUID string) string { return "cases/" + ns + "/" + caseUID + "/head.json" }
func entryKey(ns, caseUID string, caseSequence int64) string {
	return fmt.Sprintf("cases/%s/%s/entries/%06d.json", ns, caseUID, caseSequence)
}

// readJSON reads an object into a value and returns its ETag, empty if there is none.
func readJSON(ctx context.Context, bucket blob.Bucket, key string, limit int64, into any) (tag string, err error) {
	got, err := bucket.Get(ctx, key, limit)
	if errors.Is(err, blob.ErrNotFound) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	if err := json.Unmarshal(got.Data, into); err != nil {
		return "", fmt.Errorf("%w: %s cannot be read: %w", ErrForked, key, err)
	}
	return got.ETag, nil
}

// head returns how far an object is sealed, verified.
func (l *Log) head(ctx context.Context, uid string) (*head, error) {
	if h := l.heads[uid]; h != nil {
		return h, nil
	}
	h := &head{}
	var err error
	if h.tag, err = readJSON(ctx, l.opts.Bucket, headKey(uid), maxHead, h); err != nil {
		return nil, err
	}
	if h.exists() {
		e, err := l.sealed(ctx, h.Namespace, h.CaseUID, h.CaseSequence, h.Index, h.Hash)
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", headKey(uid), err)
		}
		if e.Object.UID != uid || e.Sequence != h.Sequence {
			return nil, fmt.Errorf("%w: %s points to entry %d of %s", ErrForked, headKey(uid), e.Sequence, e.Object.UID)
		}
	}
	if len(l.heads) >= maxHeads {
		clear(l.heads)
	}
	l.heads[uid] = h
	return h, nil
}

// caseHead returns how far a case is sealed, verified.
func (l *Log) caseHead(ctx context.Context, ns, uid string) (*caseHead, error) {
	key := caseHeadKey(ns, uid)
	if c := l.cases[key]; c != nil {
		return c, nil
	}
	c := &caseHead{}
	var err error
	if c.tag, err = readJSON(ctx, l.opts.Bucket, key, maxCaseHead, c); err != nil {
		return nil, err
	}
	if c.exists() || len(c.Indexes) > 0 {
		if int64(len(c.Indexes)) != c.CaseSequence+1 {
			return nil, fmt.Errorf("%w: %s counts %d entries up to %d", ErrForked, key, len(c.Indexes), c.CaseSequence)
		}
		if _, err := l.sealed(ctx, ns, uid, c.CaseSequence, c.Indexes[c.CaseSequence], c.Hash); err != nil {
			return nil, fmt.Errorf("verify %s: %w", key, err)
		}
	}
	if len(l.cases) >= maxHeads {
		clear(l.cases)
	}
	l.cases[key] = c
	return c, nil
}

// sealed reads an entry that a head points to and verifies that it is in the log.
func (l *Log) sealed(ctx context.Context, ns, caseUID string, caseSequence, index int64, hash string) (evidence.Entry, error) {
	key := entryKey(ns, caseUID, caseSequence)
	got, err := l.opts.Bucket.Get(ctx, key, evidence.MaxEntry)
	if err != nil {
		return evidence.Entry{}, err
	}
	c := evidence.Commit(got.Data)
	if c.String() != hash || index < 0 || index >= l.at.Size {
		return evidence.Entry{}, fmt.Errorf("%w: %s is not the entry at %d in the log", ErrForked, key, index)
	}
	if err := inLog(l.reader(ctx), index, c); err != nil {
		return evidence.Entry{}, err
	}
	return evidence.ParseEntry(got.Data)
}

// settle writes the heads that a sealed batch moved, and only forward.
func (l *Log) settle(ctx context.Context, b *batch) error {
	last := map[string]int{} // by uid
	byCase := map[string][]int{}
	for i, e := range b.entries {
		last[e.Object.UID] = i
		key := caseHeadKey(e.Object.Namespace, e.Case.UID)
		byCase[key] = append(byCase[key], i)
	}
	for i, e := range b.entries {
		if last[e.Object.UID] != i {
			continue
		}
		if err := l.moveHead(ctx, b, i); err != nil {
			return err
		}
		if key := caseHeadKey(e.Object.Namespace, e.Case.UID); byCase[key] != nil {
			if err := l.moveCaseHead(ctx, b, byCase[key]); err != nil {
				return err
			}
			delete(byCase, key)
		}
	}
	return nil
}

func (l *Log) moveHead(ctx context.Context, b *batch, i int) error {
	e := b.entries[i]
	h, err := l.head(ctx, e.Object.UID)
	if err != nil {
		return err
	}
	if h.exists() && h.Sequence >= e.Sequence {
		return nil
	}
	moved := &head{Sequence: e.Sequence, Index: b.start + int64(i), CaseUID: e.Case.UID, CaseSequence: e.CaseSequence,
		Namespace: e.Object.Namespace, Hash: b.commitments[i].String()}
	if moved.tag, err = l.writeHead(ctx, headKey(e.Object.UID), moved, h.tag); err != nil {
		return err
	}
	l.heads[e.Object.UID] = moved
	return nil
}

func (l *Log) moveCaseHead(ctx context.Context, b *batch, of []int) error {
	last := of[len(of)-1]
	e := b.entries[last]
	c, err := l.caseHead(ctx, e.Object.Namespace, e.Case.UID)
	if err != nil {
		return err
	}
	moved := &caseHead{CaseSequence: e.CaseSequence, Hash: b.commitments[last].String(), Indexes: append([]int64(nil), c.Indexes...)}
	for _, i := range of {
		if b.entries[i].CaseSequence >= int64(len(moved.Indexes)) {
			moved.Indexes = append(moved.Indexes, b.start+int64(i))
		}
	}
	if len(moved.Indexes) == len(c.Indexes) {
		return nil
	}
	key := caseHeadKey(e.Object.Namespace, e.Case.UID)
	if moved.tag, err = l.writeHead(ctx, key, moved, c.tag); err != nil {
		return err
	}
	l.cases[key] = moved
	return nil
}

// writeHead writes a head over the one that was read. A refusal means that it moved: by this writer, whose answer got
// lost, or by another that has taken over.
func (l *Log) writeHead(ctx context.Context, key string, value any, tag string) (string, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	written := cell{key: key, limit: maxCaseHead, tag: tag}
	if err := written.put(ctx, l.opts.Bucket, data); errors.Is(err, errRival) {
		return "", l.rival(ctx, key)
	} else if err != nil {
		return "", err
	}
	return written.tag, nil
}
