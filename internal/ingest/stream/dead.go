// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// DeadLetters gives what was set aside, oldest first. After an error it ends.
func (s *Stream) DeadLetters(ctx context.Context) iter.Seq2[ingest.DeadLetter, error] {
	return func(yield func(ingest.DeadLetter, error) bool) {
		stream, err := s.js.Stream(ctx, DeadName)
		if err != nil {
			yield(ingest.DeadLetter{}, fmt.Errorf("could not list stream %s: %w", DeadName, err))
			return
		}
		for next := stream.CachedInfo().State.FirstSeq; ; next++ {
			msg, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(deadPrefix+">"))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return
			}
			if err != nil {
				yield(ingest.DeadLetter{}, fmt.Errorf("could not read stream %s from number %d: %w", DeadName, next, err))
				return
			}
			if next = msg.Sequence; !yield(deadLetter(msg), nil) {
				return
			}
		}
	}
}

// deadLetter reads what SetAside wrote. The envelope is as it was, also where it
// could not be opened: its fields are then what its subject and headers say.
func deadLetter(msg *jetstream.RawStreamMsg) ingest.DeadLetter {
	subject := ingest.SubjectPrefix + strings.TrimPrefix(msg.Subject, deadPrefix)
	envelope, _ := ingest.OpenEnvelope(subject, msg.Header.Get, msg.Data) // why it did not open is its reason
	original, _ := strconv.ParseUint(msg.Header.Get(originalHeader), 10, 64)
	return ingest.DeadLetter{
		Envelope: envelope, Sequence: msg.Sequence, Original: original,
		Reason: msg.Header.Get(reasonHeader), Time: msg.Time.UTC(),
	}
}

// Replay puts a dead letter back on the stream, as a payload received when it
// was, and removes it from the dead letters. Sent twice it is kept once.
func (s *Stream) Replay(ctx context.Context, sequence uint64) error {
	msg, err := s.deadMessage(ctx, sequence)
	if err != nil {
		return err
	}
	letter := deadLetter(msg)
	envelope := ingest.Seal(letter.Namespace, letter.Source, letter.Received, letter.MediaType, "replay-"+strconv.FormatUint(sequence, 10), letter.Body)
	if letter.Received.IsZero() {
		envelope.Received = time.Unix(0, 0).UTC()
	}
	if _, err := s.Publish(ctx, envelope); err != nil {
		return err
	}
	return s.Remove(ctx, sequence)
}

// Remove deletes a dead letter for good.
func (s *Stream) Remove(ctx context.Context, sequence uint64) error {
	stream, err := s.js.Stream(ctx, DeadName)
	if err == nil {
		err = stream.DeleteMsg(ctx, sequence)
	}
	if err != nil {
		return fmt.Errorf("could not remove dead letter %d: %w", sequence, err)
	}
	return nil
}

func (s *Stream) deadMessage(ctx context.Context, sequence uint64) (*jetstream.RawStreamMsg, error) {
	stream, err := s.js.Stream(ctx, DeadName)
	if err != nil {
		return nil, fmt.Errorf("could not read dead letter %d: %w", sequence, err)
	}
	msg, err := stream.GetMsg(ctx, sequence)
	if err != nil {
		return nil, fmt.Errorf("could not read dead letter %d: %w; list them for the numbers there are", sequence, err)
	}
	return msg, nil
}
