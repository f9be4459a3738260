// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/casebook-dev/casebook/internal/evidence"
)

// resume makes the log ready: it reads the checkpoint and what was pending, verifies both, and completes the latter.
func (l *Log) resume(ctx context.Context) error {
	if l.ready {
		return nil
	}
	l.tiles, l.heads, l.cases, l.lastBundle = map[string][]byte{}, map[string]*head{}, map[string]*caseHead{}, nil
	for _, c := range []*cell{&l.checkpoint, &l.pending} {
		if err := c.load(ctx, l.opts.Bucket); errors.Is(err, errRival) {
			return l.rival(ctx, c.key)
		} else if err != nil {
			return err
		}
	}
	if err := l.readCheckpoint(ctx); err != nil {
		return err
	}
	if err := l.complete(ctx); err != nil {
		return err
	}
	l.ready = true
	return nil
}

// readCheckpoint verifies the checkpoint that was loaded and that it continues what is known of the log.
func (l *Log) readCheckpoint(ctx context.Context) error {
	if l.checkpoint.tag == "" {
		if l.opts.AtLeast.Size > 0 || l.at.Size > 0 || l.pending.tag != "" {
			return fmt.Errorf("%w: it has no checkpoint; the last one known has size %d", ErrForked, max(l.opts.AtLeast.Size, l.at.Size))
		}
		root, err := tlog.TreeHash(0, nil)
		if err != nil {
			return err
		}
		return l.sign(ctx, evidence.Checkpoint{Root: root})
	}
	text, ok, err := l.opened(l.checkpoint.data)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: the checkpoint in the bucket is not signed by the key of %s", ErrForked, l.opts.Origin)
	}
	c, err := evidence.ParseCheckpoint(text)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForked, err)
	}
	l.at = c
	return l.continues(ctx, l.opts.AtLeast)
}

// continues says whether the tree in the bucket grew out of an earlier one.
func (l *Log) continues(ctx context.Context, earlier evidence.Checkpoint) error {
	if earlier.Size == 0 {
		return nil
	}
	if l.at.Size < earlier.Size {
		return fmt.Errorf("%w: it has size %d, less than %d, which is known", ErrForked, l.at.Size, earlier.Size)
	}
	proof, err := tlog.ProveTree(l.at.Size, earlier.Size, l.reader(ctx))
	if err != nil {
		return fmt.Errorf("prove that the log grew from size %d to %d: %w", earlier.Size, l.at.Size, err)
	}
	if err := tlog.CheckTree(proof, l.at.Size, l.at.Root, earlier.Size, earlier.Root); err != nil {
		return fmt.Errorf("%w: its tree of size %d did not grow out of the known tree of size %d", ErrForked, l.at.Size, earlier.Size)
	}
	return nil
}

// complete finishes the pending batch, from wherever its writer left off.
func (l *Log) complete(ctx context.Context) error {
	if l.pending.tag == "" {
		if l.at.Size > 0 {
			return fmt.Errorf("%w: what was pending last is gone", ErrForked)
		}
		return nil
	}
	b, err := l.parsePending(l.pending.data)
	if err != nil {
		return fmt.Errorf("%w: what is pending cannot be read: %w", ErrForked, err)
	}
	switch l.at.Size {
	case b.start:
		return l.finish(ctx, b)
	case b.start + int64(len(b.entries)):
		return l.settle(ctx, b)
	default:
		return fmt.Errorf("%w: its checkpoint has size %d, what was pending last is %d to %d", ErrForked, l.at.Size, b.start, b.start+int64(len(b.entries)))
	}
}

// batch is a run of entries with their places in the log.
type batch struct {
	start       int64 // index of the first
	entries     []evidence.Entry
	data        [][]byte // their canonical bytes
	commitments []evidence.Commitment
	size        int // of data, in bytes
}

func (b *batch) add(e evidence.Entry, data []byte) {
	b.entries = append(b.entries, e)
	b.data = append(b.data, data)
	b.commitments = append(b.commitments, evidence.Commit(data))
	b.size += len(data)
}

const (
	pendingFormat = "casebook.dev/pending/v1"
	maxPending    = 32 << 20
	maxBatch      = 256     // entries
	maxBatchBytes = 4 << 20 // soft: a batch may pass it with its last entry
)

// pendingObject is the object "pending": the entries, and a note that signs what they are. Without the signature,
// whoever can write to the bucket could have entries of their own sealed.
type pendingObject struct {
	Note    string   `json:"note"`
	Entries []string `json:"entries"`
}

// text is what the note of a pending batch signs. Its first line tells it from a checkpoint, which begins with the origin.
func (b *batch) text(origin string) string {
	hash := sha256.New()
	for _, c := range b.commitments {
		hash.Write(c[:])
	}
	return fmt.Sprintf("%s\n%s\n%d\n%d\n%s\n", pendingFormat, origin, b.start, len(b.entries), base64.StdEncoding.EncodeToString(hash.Sum(nil)))
}

func (l *Log) formatPending(b *batch) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: b.text(l.opts.Origin)}, l.opts.Signer)
	if err != nil {
		return nil, err
	}
	p := pendingObject{Note: string(signed)}
	for _, data := range b.data {
		p.Entries = append(p.Entries, string(data))
	}
	return json.Marshal(p)
}

func (l *Log) parsePending(data []byte) (*batch, error) {
	p, b, err := readPending(data)
	if err != nil {
		return nil, err
	}
	text, ok, err := l.opened([]byte(p.Note))
	if err != nil {
		return nil, err
	}
	if !ok || text != b.text(l.opts.Origin) {
		return nil, fmt.Errorf("it is not signed by the key of %s", l.opts.Origin)
	}
	return b, nil
}

// readPending reads a pending batch without asking who signed it.
func readPending(data []byte) (pendingObject, *batch, error) {
	var p pendingObject
	if err := json.Unmarshal(data, &p); err != nil {
		return p, nil, err
	}
	b := &batch{}
	lines := strings.Split(p.Note, "\n")
	if len(lines) < 5 || lines[0] != pendingFormat || len(p.Entries) == 0 {
		return p, nil, errors.New("it has no entries or no note in the form " + pendingFormat)
	}
	if _, err := fmt.Sscanf(lines[2], "%d", &b.start); err != nil || b.start < 0 {
		return p, nil, fmt.Errorf("its start is %q", lines[2])
	}
	for _, text := range p.Entries {
		e, err := evidence.ParseEntry([]byte(text))
		if err != nil {
			return p, nil, err
		}
		b.add(e, []byte(text))
	}
	return p, b, nil
}
