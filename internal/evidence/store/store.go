// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store keeps the evidence log in object storage. One writer at a time gives entries their places, writes them
// and the tiles of the Merkle tree create-only, and signs a checkpoint by compare-and-set. Anyone may read: Export needs
// the bucket and no key.
//
// The objects of a log:
//
//	checkpoint                                      the signed state of the log (C2SP tlog-checkpoint)
//	tile/<level>/<n>[.p/<width>]                    hash tiles (C2SP tlog-tiles), immutable
//	tile/entries/<n>[.p/<width>]                    bundles of commitments, the leaves' data, immutable
//	pending                                         the batch that is being, or was last, sealed; signed
//	heads/<uid>                                     how far an object is sealed
//	cases/<namespace>/<case uid>/entries/<n>.json   the entries of a case by caseSequence, immutable
//	cases/<namespace>/<case uid>/head.json          how far a case is sealed, and where its entries are in the log
//	payloads/<sha256>                               raw payloads, immutable
//
// A batch is sealed in this order: pending, entries, tiles, checkpoint, heads. Whoever opens the log after a crash
// finds in pending what was under way and completes it with the same bytes, so nothing is ever overwritten, lost or
// sealed twice. Checkpoint and pending are replaced only by whoever read them last: a writer that was deposed learns it
// before it can do harm. What is read back is verified against the signed checkpoint before it is built on.
package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// Errors that a Log wraps; match them with errors.Is.
var (
	// ErrForked says that the bucket does not continue what this log has signed: an older copy was restored, or
	// objects were changed. Nothing more is appended; a person must find out what happened.
	ErrForked = errors.New("the bucket does not continue what was signed")
	// ErrDeposed says that another writer has taken over. Open the log again when this process is the writer again.
	ErrDeposed = errors.New("another writer has taken over the log")
	// ErrGap says that the entry before a draft is neither sealed nor in the same call.
	ErrGap = errors.New("an earlier entry is missing")
)

// Options say where a log is and what it takes to write it. All but AtLeast are required.
type Options struct {
	Bucket blob.Bucket
	// Signer signs checkpoints with Ed25519; its name is the origin.
	Signer note.Signer
	Origin string
	Clock  func() time.Time
	// Salt returns evidence.SaltSize random bytes.
	Salt func() []byte
	// AtLeast is the last checkpoint known from elsewhere (size and root count); zero for none. A bucket that is
	// behind it or does not continue it is ErrForked.
	AtLeast evidence.Checkpoint
}

// Log is an evidence log that this process writes. It is safe for concurrent use. After an error that says nothing
// else it may be used again: what was under way is completed first.
type Log struct {
	opts Options
	turn chan struct{} // holds a token while no method is under way

	checkpoint, pending cell
	at                  evidence.Checkpoint // what checkpoint says
	ready               bool                // what follows is as in the bucket
	dead                error               // ErrForked or ErrDeposed, once it is so
	tiles               map[string][]byte
	lastBundle          []byte // the partial bundle at the end of the log, verified
	heads               map[string]*head
	cases               map[string]*caseHead
}

// Open opens the log in a bucket, or starts one in an empty bucket, and completes what an earlier writer left under way.
func Open(ctx context.Context, opts Options) (*Log, error) {
	if opts.Signer.Name() != opts.Origin {
		return nil, fmt.Errorf("open the log %q: the key is of %q; give the key of this log", opts.Origin, opts.Signer.Name())
	}
	l := &Log{opts: opts, turn: make(chan struct{}, 1),
		checkpoint: cell{key: "checkpoint", limit: evidence.MaxCheckpoint}, pending: cell{key: "pending", limit: maxPending}}
	l.turn <- struct{}{}
	if err := l.do(ctx, func() error { return nil }); err != nil {
		return nil, fmt.Errorf("open the log %q: %w", opts.Origin, err)
	}
	return l, nil
}

// do runs one method at a time on a log that is ready.
func (l *Log) do(ctx context.Context, method func() error) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	if l.dead != nil {
		return l.dead
	}
	err := l.resume(ctx)
	if err == nil {
		err = method()
	}
	if errors.Is(err, ErrForked) && l.overtaken(ctx) {
		err = fmt.Errorf("%w while this one was reading; open the log again to go on", ErrDeposed)
	}
	if errors.Is(err, ErrForked) || errors.Is(err, ErrDeposed) {
		l.dead = err
	}
	return err
}

// Head says up to which sequence the object with that uid is sealed: what is sealed may be trimmed from its journal.
// The answer is verified against the signed tree and the entry itself. Not ok means that nothing of it is sealed.
func (l *Log) Head(ctx context.Context, uid string) (sequence int64, ok bool, err error) {
	err = l.do(ctx, func() error {
		h, err := l.head(ctx, uid)
		if h != nil && h.exists() {
			sequence, ok = h.Sequence, true
		}
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("read how far %s is sealed: %w", uid, err)
	}
	return sequence, ok, nil
}

// Checkpoint returns the last checkpoint that this log knows to be in the bucket, and its signed form.
func (l *Log) Checkpoint() (evidence.Checkpoint, []byte) {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	return l.at, bytes.Clone(l.checkpoint.data)
}

// Heartbeat signs the checkpoint again with the time of now: the log is alive and has not grown.
func (l *Log) Heartbeat(ctx context.Context) error {
	if err := l.do(ctx, func() error { return l.sign(ctx, l.at) }); err != nil {
		return fmt.Errorf("sign the checkpoint of the log %q again: %w", l.opts.Origin, err)
	}
	return nil
}

// PutPayload keeps a raw payload and returns its digest, "sha256:" and hexadecimal. Putting it again is a no-op.
func (l *Log) PutPayload(ctx context.Context, data []byte) (digest string, err error) {
	return PutPayload(ctx, l.opts.Bucket, data)
}

// PutPayload keeps a raw payload in the bucket of a log that another process may be writing.
func PutPayload(ctx context.Context, bucket blob.Bucket, data []byte) (digest string, err error) {
	if len(data) > evidence.MaxPayload {
		return "", fmt.Errorf("keep a payload: it has %d bytes, more than %d; bound it at intake", len(data), evidence.MaxPayload)
	}
	sum := sha256.Sum256(data)
	digest = "sha256:" + hex.EncodeToString(sum[:])
	if err := ensure(ctx, bucket, payloadKey(digest), data); err != nil {
		return "", fmt.Errorf("keep a payload: %w", err)
	}
	return digest, nil
}

func payloadKey(digest string) string { return "payloads/" + strings.TrimPrefix(digest, "sha256:") }

// sign puts a checkpoint of the given tree, signed with the time of now.
func (l *Log) sign(ctx context.Context, c evidence.Checkpoint) error {
	c.Origin, c.Time = l.opts.Origin, l.opts.Clock().UTC().Truncate(time.Second)
	signed, err := note.Sign(&note.Note{Text: c.Text()}, l.opts.Signer)
	if err != nil {
		return err
	}
	if bytes.Equal(signed, l.checkpoint.data) {
		return nil // a heartbeat within the same second
	}
	if err := l.put(ctx, &l.checkpoint, signed); err != nil {
		return err
	}
	l.at = c
	return nil
}

// opened returns the text of a note if this log's key signed exactly these bytes. Ed25519 signatures are deterministic
// (RFC 8032), so signing the text again tells, and a log needs no public key of its own.
func (l *Log) opened(signed []byte) (text string, ok bool, err error) {
	text, _, _ = strings.Cut(string(signed), "\n\n")
	text += "\n"
	again, err := note.Sign(&note.Note{Text: text}, l.opts.Signer)
	if err != nil {
		return "", false, err
	}
	return text, bytes.Equal(signed, again), nil
}
