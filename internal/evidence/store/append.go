// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/casebook-dev/casebook/internal/evidence"
)

// Sealed says that an entry is in the log.
type Sealed struct {
	UID      string
	Sequence int64
	// Index is the entry's place in the log; -1 if an earlier call had sealed it and later entries of its object.
	Index int64
}

// Append seals drafts in the order given: each must follow the last sealed entry of its object or one before it in the
// call. A draft whose (uid, sequence) is sealed already is a no-op. It returns what is sealed, which with an error is
// a prefix of the drafts; the rest may be appended again. An error other than ErrGap, ErrForked and ErrDeposed leaves
// open whether more was sealed: the next call completes it, and finds it sealed.
func (l *Log) Append(ctx context.Context, drafts []evidence.Draft) ([]Sealed, error) {
	var all []Sealed
	for len(all) < len(drafts) {
		var some []Sealed
		err := l.do(ctx, func() (err error) {
			some, err = l.appendBatch(ctx, drafts[len(all):])
			return err
		})
		all = append(all, some...)
		if err != nil {
			return all, fmt.Errorf("append %d entries to the log %q: %w", len(drafts), l.opts.Origin, err)
		}
	}
	return all, nil
}

// appendBatch seals as many drafts as make a batch. A draft that cannot be sealed is an error after those before it.
func (l *Log) appendBatch(ctx context.Context, drafts []evidence.Draft) ([]Sealed, error) {
	p := plan{log: l, batch: &batch{start: l.at.Size}, heads: map[string]*head{}, cases: map[string]*caseHead{}}
	var refused error
	for _, d := range drafts {
		if len(p.batch.entries) == maxBatch || p.batch.size >= maxBatchBytes {
			break
		}
		if refused = p.add(ctx, d); refused != nil {
			break
		}
	}
	if len(p.batch.entries) > 0 {
		if err := l.commit(ctx, p.batch); err != nil {
			return nil, err
		}
	}
	return p.sealed, refused
}

// plan gives drafts their places, on top of what is sealed.
type plan struct {
	log    *Log
	batch  *batch
	heads  map[string]*head
	cases  map[string]*caseHead
	sealed []Sealed
}

func (p *plan) add(ctx context.Context, d evidence.Draft) error {
	h, c, err := p.find(ctx, d)
	if err != nil {
		return err
	}
	next := int64(0)
	if h.exists() {
		next = h.Sequence + 1
		if h.CaseUID != d.Case.UID || h.Namespace != d.Object.Namespace {
			return fmt.Errorf("entry %d of %s %s is of case %s/%s, its entries so far of %s/%s; an object stays with its case",
				d.Sequence, d.Object.Kind, d.Object.Name, d.Object.Namespace, d.Case.UID, h.Namespace, h.CaseUID)
		}
	}
	switch {
	case d.Sequence > next:
		return fmt.Errorf("%w: entry %d of %s %s (uid %s) comes after %d; append all from there on", ErrGap, d.Sequence, d.Object.Kind, d.Object.Name, d.Object.UID, next-1)
	case d.Sequence == next-1:
		p.sealed = append(p.sealed, Sealed{d.Object.UID, d.Sequence, h.Index})
		return nil
	case d.Sequence < next:
		p.sealed = append(p.sealed, Sealed{d.Object.UID, d.Sequence, -1})
		return nil
	}
	caseSequence, previous := c.next()
	if caseSequence >= evidence.MaxEntries {
		return fmt.Errorf("case %s has %d entries, which is the bound; close it and open another", d.Case.Name, caseSequence)
	}
	e, err := evidence.NewEntry(d, p.log.opts.Salt(), caseSequence, previous)
	if err != nil {
		return err
	}
	data, err := e.Bytes()
	if err != nil {
		return err
	}
	p.take(e, data, c)
	return nil
}

// find returns the heads that a draft follows.
func (p *plan) find(ctx context.Context, d evidence.Draft) (*head, *caseHead, error) {
	h, ok := p.heads[d.Object.UID]
	if !ok {
		var err error
		if h, err = p.log.head(ctx, d.Object.UID); err != nil {
			return nil, nil, err
		}
	}
	c, ok := p.cases[caseHeadKey(d.Object.Namespace, d.Case.UID)]
	if !ok {
		var err error
		if c, err = p.log.caseHead(ctx, d.Object.Namespace, d.Case.UID); err != nil {
			return nil, nil, err
		}
	}
	return h, c, nil
}

// take puts an entry at the end of the batch and moves the heads of the plan.
func (p *plan) take(e evidence.Entry, data []byte, c *caseHead) {
	index := p.batch.start + int64(len(p.batch.entries))
	p.batch.add(e, data)
	hash := evidence.Commit(data).String()
	p.heads[e.Object.UID] = &head{Sequence: e.Sequence, Index: index, CaseUID: e.Case.UID, Namespace: e.Object.Namespace, Hash: hash}
	p.cases[caseHeadKey(e.Object.Namespace, e.Case.UID)] = &caseHead{CaseSequence: e.CaseSequence, Hash: hash,
		Indexes: append(c.Indexes[:len(c.Indexes):len(c.Indexes)], index)}
	p.sealed = append(p.sealed, Sealed{e.Object.UID, e.Sequence, index})
}

// commit seals a batch. Once it is pending, it will be sealed: by this call, the next, or whoever opens the log.
func (l *Log) commit(ctx context.Context, b *batch) error {
	pending, err := l.formatPending(b)
	if err != nil {
		return err
	}
	l.ready = false
	if err := l.put(ctx, &l.pending, pending); err != nil {
		return err
	}
	if err := l.finish(ctx, b); err != nil {
		return err
	}
	l.ready = true
	return nil
}

// finish writes what a pending batch consists of, signs the tree with it, and moves the heads.
func (l *Log) finish(ctx context.Context, b *batch) error {
	grown, tiles, err := l.grow(ctx, b)
	if err != nil {
		return err
	}
	for i, e := range b.entries {
		if err := ensure(ctx, l.opts.Bucket, entryKey(e.Object.Namespace, e.Case.UID, e.CaseSequence), b.data[i]); err != nil {
			return err
		}
	}
	for path, data := range tiles {
		if err := ensure(ctx, l.opts.Bucket, path, data); err != nil {
			return err
		}
	}
	if err := l.sign(ctx, grown); err != nil {
		return err
	}
	l.lastBundle = tiles[evidence.BundlePath(grown.Size/evidence.TileWidth, int(grown.Size%evidence.TileWidth))] // nil if full
	return l.settle(ctx, b)
}
