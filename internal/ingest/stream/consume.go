// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// Headers of what was set aside, beside those of its envelope.
const (
	reasonHeader   = "Casebook-Reason"
	originalHeader = "Casebook-Sequence"
)

const (
	maxReason   = 1024
	pulledAhead = 32       // messages
	pulledBytes = 64 << 20 // above one message of the largest size
)

// deliveries is a running subscription.
type deliveries struct {
	stream   *Stream
	messages jetstream.MessagesContext
}

// Subscribe starts to consume from the oldest envelope that the consumer has not
// acknowledged, in order: also what was delivered to a process that died. One
// process at a time may subscribe as a consumer.
func (s *Stream) Subscribe(ctx context.Context, consumer ingest.Consumer) (ingest.Deliveries, error) {
	if _, err := s.js.ResetConsumer(ctx, Name, string(consumer)); err != nil {
		return nil, fmt.Errorf("could not set consumer %s of stream %s to what it has acknowledged: %w; an external NATS server must be 2.14 or later", consumer, Name, err)
	}
	c, err := s.js.Consumer(ctx, Name, string(consumer))
	if err != nil {
		return nil, fmt.Errorf("could not subscribe as consumer %s of stream %s: %w", consumer, Name, err)
	}
	messages, err := c.Messages(jetstream.PullMaxMessagesWithBytesLimit(pulledAhead, pulledBytes))
	if err != nil {
		return nil, fmt.Errorf("could not subscribe as consumer %s of stream %s: %w", consumer, Name, err)
	}
	return &deliveries{stream: s, messages: messages}, nil
}

// Stop ends the subscription.
func (d *deliveries) Stop() { d.messages.Stop() }

// Next waits for the next envelope. A message that is none is set aside.
func (d *deliveries) Next(ctx context.Context) (ingest.Delivery, error) {
	for {
		msg, err := d.messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return ingest.Delivery{}, fmt.Errorf("could not get the next payload of stream %s: %w", Name, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return ingest.Delivery{}, fmt.Errorf("could not read what stream %s says of a payload: %w", Name, err)
		}
		envelope, err := ingest.OpenEnvelope(msg.Subject(), msg.Headers().Get, msg.Data())
		delivery := ingest.Delivery{
			Envelope: envelope, Sequence: meta.Sequence.Stream, Attempt: meta.NumDelivered,
			Ack: func() error { return once(msg.Ack()) }, Retry: func(after time.Duration) error { return once(msg.NakWithDelay(after)) },
		}
		if err == nil {
			return delivery, nil
		}
		if err := d.discard(ctx, delivery, err); err != nil {
			return ingest.Delivery{}, err
		}
	}
}

// once lets an answer be given twice; the first counts.
func once(err error) error {
	if errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return nil
	}
	return err
}

func (d *deliveries) discard(ctx context.Context, delivery ingest.Delivery, cause error) error {
	if err := d.stream.SetAside(ctx, delivery, cause.Error()); err != nil {
		d.stream.log.Error(err, "a message waits to be set aside", "sequence", delivery.Sequence)
		return delivery.Retry(time.Minute)
	}
	return nil
}

// SetAside puts a payload that nothing can be made of into the dead-letter
// stream with the reason, and then acknowledges it. Setting one aside again is
// a no-op. When the dead-letter stream is full it errs and the payload stays.
func (s *Stream) SetAside(ctx context.Context, d ingest.Delivery, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	header := d.Header()
	header[reasonHeader] = oneLine(reason)
	header[originalHeader] = strconv.FormatUint(d.Sequence, 10)
	subject := deadPrefix + d.Namespace + "." + d.Source
	if d.Namespace == "" || d.Source == "" {
		subject = deadPrefix + "unknown.unknown"
	}
	if _, err := s.publish(ctx, DeadName, subject, header[originalHeader], header, d.Body); err != nil {
		return fmt.Errorf("could not set payload %d of Source %s/%s aside: %w; remove or replay what stream %s holds", d.Sequence, d.Namespace, d.Source, err, DeadName)
	}
	return d.Ack()
}

func oneLine(reason string) string {
	reason = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(reason, "?"))
	return strings.TrimSpace(strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""))
}
