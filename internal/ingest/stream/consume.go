// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// Headers of what was set aside, beside those of its envelope.
const (
	reasonHeader   = "Casebook-Reason"
	originalHeader = "Casebook-Sequence"
)

const (
	maxReason    = 1024
	pulledAhead  = 16 // messages, each of at most maxPayload
	pullFor      = 30 * time.Second
	pullBeat     = 10 * time.Second
	pullPatience = 25 * time.Second // without a message or a heartbeat
)

// deliveries is a running subscription. It asks for messages in batches, and for
// the next batch when it has given the last of one: the client's own iterators
// drop a message when their buffer is full, or leave a request behind that
// swallows some, and those come again only late and out of order.
type deliveries struct {
	stream      *Stream
	inbox       *nats.Subscription
	pullSubject string
	outstanding int // messages of the batch that did not come yet
}

// Subscribe starts to consume from the oldest envelope that the consumer has not
// acknowledged, in order: also what was delivered to a process that died. One
// process at a time may subscribe as a consumer.
func (s *Stream) Subscribe(ctx context.Context, consumer ingest.Consumer) (ingest.Deliveries, error) {
	if _, err := s.js.ResetConsumer(ctx, Name, string(consumer)); err != nil {
		return nil, fmt.Errorf("could not set consumer %s of stream %s to what it has acknowledged: %w; an external NATS server must be 2.14 or later", consumer, Name, err)
	}
	inbox, err := s.conn.SubscribeSync(s.conn.NewInbox())
	if err == nil {
		err = inbox.SetPendingLimits(-1, -1) // the batch bounds it
	}
	if err != nil {
		return nil, fmt.Errorf("could not subscribe as consumer %s of stream %s: %w", consumer, Name, err)
	}
	return &deliveries{stream: s, inbox: inbox, pullSubject: "$JS.API.CONSUMER.MSG.NEXT." + Name + "." + string(consumer)}, nil
}

// Stop ends the subscription.
func (d *deliveries) Stop() { _ = d.inbox.Unsubscribe() } // errs only when the connection has ended too

// message waits for the next message.
func (d *deliveries) message(ctx context.Context) (*nats.Msg, error) {
	for {
		if d.outstanding <= 0 {
			if err := d.pull(); err != nil {
				return nil, err
			}
		}
		bounded, cancel := context.WithTimeout(ctx, pullPatience)
		msg, err := d.inbox.NextMsgWithContext(bounded)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			d.outstanding = 0 // the request was lost: ask again
			continue
		case err != nil:
			return nil, err
		}
		switch status := msg.Header.Get("Status"); status {
		case "": // a message
			d.outstanding--
			return msg, nil
		case "100": // a heartbeat
		case "404", "408": // the batch ends for want of messages
			d.outstanding = 0
		default: // the consumer is gone, moved, or nobody listens
			d.outstanding = 0
			return nil, fmt.Errorf("the server answers %s %s", status, msg.Header.Get("Description"))
		}
	}
}

// pull asks for a batch.
func (d *deliveries) pull() error {
	request, err := json.Marshal(struct {
		Batch     int           `json:"batch"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{pulledAhead, pullFor, pullBeat})
	if err != nil {
		return err
	}
	d.outstanding = pulledAhead
	return d.stream.conn.PublishRequest(d.pullSubject, d.inbox.Subject, request)
}

// Next waits for the next envelope. A message that is none is set aside.
func (d *deliveries) Next(ctx context.Context) (ingest.Delivery, error) {
	for {
		msg, err := d.message(ctx)
		if err != nil {
			return ingest.Delivery{}, fmt.Errorf("could not get the next payload of stream %s: %w", Name, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return ingest.Delivery{}, fmt.Errorf("could not read what stream %s says of a payload: %w", Name, err)
		}
		envelope, err := ingest.OpenEnvelope(msg.Subject, msg.Header.Get, msg.Data)
		delivery := ingest.Delivery{
			Envelope: envelope, Sequence: meta.Sequence.Stream, Attempt: meta.NumDelivered,
			Ack: func() error { return d.stream.conn.Publish(msg.Reply, []byte("+ACK")) },
			Retry: func(after time.Duration) error {
				return d.stream.conn.Publish(msg.Reply, fmt.Appendf(nil, `-NAK {"delay": %d}`, after.Nanoseconds()))
			},
		}
		if err == nil {
			return delivery, nil
		}
		if err := d.discard(ctx, delivery, err); err != nil {
			return ingest.Delivery{}, err
		}
	}
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
