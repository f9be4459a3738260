// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// cell is an object that only the writer replaces: it knows what it read or wrote last, and what it tried to write when
// an error left that open.
type cell struct {
	key         string
	limit       int64
	known       bool
	tag         string // empty when there is no object
	data, tried []byte
}

// errRival says that a cell holds what this writer did not write.
var errRival = errors.New("someone else wrote it")

// load reads the cell again. A missing object is no data.
func (c *cell) load(ctx context.Context, bucket blob.Bucket) error {
	got, err := bucket.Get(ctx, c.key, c.limit)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	if c.known && !bytes.Equal(got.Data, c.data) && (c.tried == nil || !bytes.Equal(got.Data, c.tried)) {
		return errRival
	}
	c.known, c.tag, c.data, c.tried = true, got.ETag, got.Data, nil
	return nil
}

// put writes the cell if it is still what was read. A refusal is looked at: the storage may have taken the write and
// lost its answer, and asked again refuse its own.
func (c *cell) put(ctx context.Context, bucket blob.Bucket, data []byte) error {
	c.tried = data
	tag, err := write(ctx, bucket, c.key, data, c.tag)
	if refused(err) {
		got, err := bucket.Get(ctx, c.key, c.limit)
		if errors.Is(err, blob.ErrNotFound) || err == nil && !bytes.Equal(got.Data, data) {
			return errRival
		} else if err != nil {
			return err
		}
		tag = got.ETag
	} else if err != nil {
		return err
	}
	c.tag, c.data, c.tried = tag, data, nil
	return nil
}

// write creates an object where tag is empty, else replaces the one with that tag.
func write(ctx context.Context, bucket blob.Bucket, key string, data []byte, tag string) (string, error) {
	if tag == "" {
		return bucket.Create(ctx, key, data)
	}
	return bucket.Replace(ctx, key, data, tag)
}

func refused(err error) bool {
	return errors.Is(err, blob.ErrExists) || errors.Is(err, blob.ErrChanged) || errors.Is(err, blob.ErrNotFound)
}

// ensure creates an immutable object, or finds it there with the same content.
func ensure(ctx context.Context, bucket blob.Bucket, key string, data []byte) error {
	_, err := bucket.Create(ctx, key, data)
	if !errors.Is(err, blob.ErrExists) {
		return err
	}
	got, err := bucket.Get(ctx, key, int64(len(data)))
	if err != nil && !errors.Is(err, blob.ErrTooLarge) {
		return err
	}
	if err != nil || !bytes.Equal(got.Data, data) {
		return fmt.Errorf("%w: %s is there with other content; it is never overwritten", ErrForked, key)
	}
	return nil
}

// put writes a cell of the log and says, if a rival wrote it, whether that was a writer or an older copy.
func (l *Log) put(ctx context.Context, c *cell, data []byte) error {
	err := c.put(ctx, l.opts.Bucket, data)
	if err != nil {
		l.ready = false // what the bucket holds is open
	}
	if errors.Is(err, errRival) {
		return l.rival(ctx, c.key)
	}
	return err
}

// rival tells a writer that took over, whose checkpoint goes on from the last one seen, from a bucket that went back.
func (l *Log) rival(ctx context.Context, key string) error {
	got, err := l.opts.Bucket.Get(ctx, l.checkpoint.key, l.checkpoint.limit)
	if errors.Is(err, blob.ErrNotFound) && l.at.Size > 0 {
		return fmt.Errorf("%w: its checkpoint is gone; the last one had size %d", ErrForked, l.at.Size)
	} else if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	if c, ok := l.signedHere(got.Data); ok && !l.goesOn(c) {
		return fmt.Errorf("%w: its checkpoint went back from size %d to %d", ErrForked, l.at.Size, c.Size)
	}
	return fmt.Errorf("%w: %s was replaced; open the log again to go on", ErrDeposed, key)
}

// overtaken says whether another writer has moved the log on since this one read its checkpoint. Then what this one
// reads of it may be newer than the tree it knows, and looks wrong without being so.
func (l *Log) overtaken(ctx context.Context) bool {
	got, err := l.opts.Bucket.Get(ctx, l.checkpoint.key, l.checkpoint.limit)
	if err != nil || bytes.Equal(got.Data, l.checkpoint.data) || bytes.Equal(got.Data, l.checkpoint.tried) {
		return false
	}
	c, ok := l.signedHere(got.Data)
	return ok && l.goesOn(c)
}

// signedHere reads a checkpoint that the key of this log signed.
func (l *Log) signedHere(signed []byte) (evidence.Checkpoint, bool) {
	text, ok, err := l.opened(signed)
	if err != nil || !ok {
		return evidence.Checkpoint{}, false
	}
	c, err := evidence.ParseCheckpoint(text)
	return c, err == nil
}

// goesOn says whether a checkpoint can follow the one this writer knows.
func (l *Log) goesOn(c evidence.Checkpoint) bool {
	return c.Size > l.at.Size || c.Size == l.at.Size && c.Root == l.at.Root
}
