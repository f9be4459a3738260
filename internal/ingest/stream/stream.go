// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// Names on the server.
const (
	// Name is the stream of payloads.
	Name = "INTAKE"
	// DeadName is the stream of what was set aside.
	DeadName = "INTAKE_DEAD"

	deadPrefix = "intake-dead."
)

// Defaults of Options.
const (
	DefaultMaxBytes        int64 = 1 << 30
	DefaultMaxDeadBytes    int64 = 256 << 20
	DefaultDuplicateWindow       = 10 * time.Minute
)

const (
	maxPayload    = 32 << 20 // the largest body that a Source may allow is 25 MiB
	maxAckPending = 10_000
	ackWait       = 2 * time.Minute
	callTimeout   = 10 * time.Second
	// queueLen is how many messages a subscription holds, of which it asks for pulledAhead: the default of 64 Ki takes
	// half a MiB each.
	queueLen = 1024
)

// Options say where the stream is. Exactly one of Dir and URL is set.
type Options struct {
	// Dir is the storage directory of an embedded server; it is made if absent.
	Dir string
	// URL names an external server, or several separated by commas, of NATS 2.14 or later
	// with JetStream, max_payload of at least 26 MiB, and sync_interval: always.
	URL string
	// Connect are further options of the connection to URL: credentials, TLS.
	Connect []nats.Option
	// Replicas is how many servers of an external cluster hold each message; 1 if zero.
	Replicas int
	// MaxBytes bounds what waits; DefaultMaxBytes if zero.
	MaxBytes int64
	// MaxDeadBytes bounds what is set aside; DefaultMaxDeadBytes if zero.
	MaxDeadBytes int64
	// DuplicateWindow is how long a delivery id is remembered; DefaultDuplicateWindow if zero.
	DuplicateWindow time.Duration
	// Log tells what the server warns of; nothing if left out.
	Log logr.Logger
}

// Stream is an open stream. Its methods may be called from several goroutines.
type Stream struct {
	embedded *embedded // nil for an external server
	conn     *nats.Conn
	js       jetstream.JetStream
	log      logr.Logger
}

// Open starts or joins the server and makes what is missing on it: both streams,
// then both consumers. The caller must Close it. It errs rather than begin anew
// where the storage holds a stream that cannot be read.
func Open(ctx context.Context, options Options) (*Stream, error) {
	if (options.Dir == "") == (options.URL == "") {
		return nil, errors.New("could not open the stream: give either a storage directory or the URL of a NATS server, not both and not neither")
	}
	options.MaxBytes = cmp.Or(options.MaxBytes, DefaultMaxBytes)
	options.MaxDeadBytes = cmp.Or(options.MaxDeadBytes, DefaultMaxDeadBytes)
	options.DuplicateWindow = cmp.Or(options.DuplicateWindow, DefaultDuplicateWindow)
	options.Replicas = cmp.Or(options.Replicas, 1)
	s := &Stream{log: options.Log}
	if err := s.open(ctx, options); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stream) open(ctx context.Context, options Options) error {
	url := options.URL
	connect := append([]nats.Option{nats.Name("casebook"), nats.MaxReconnects(-1), nats.SyncQueueLen(queueLen)}, options.Connect...)
	if options.Dir != "" {
		var err error
		if s.embedded, err = startEmbedded(options); err != nil {
			return err
		}
		connect = append(connect, nats.InProcessServer(s.embedded.server))
	}
	var err error
	if s.conn, err = nats.Connect(url, connect...); err != nil {
		return fmt.Errorf("could not connect to the stream at %s: %w; check that the NATS server runs and --stream-url names it", options.place(), err)
	}
	if s.js, err = jetstream.New(s.conn, jetstream.WithDefaultTimeout(callTimeout)); err != nil {
		return fmt.Errorf("could not use JetStream at %s: %w", options.place(), err)
	}
	if limit := s.conn.MaxPayload(); limit < 26<<20 {
		return fmt.Errorf("the NATS server at %s takes messages of at most %d bytes; set its max_payload to %d", options.place(), limit, maxPayload)
	}
	return s.prepare(ctx, options)
}

func (o Options) place() string {
	if o.Dir != "" {
		return o.Dir
	}
	return "the given URL" // which may hold a password
}

// prepare makes the streams, then the consumers. Until both consumers exist
// nothing may be published: interest retention keeps nothing that nobody waits for.
func (s *Stream) prepare(ctx context.Context, options Options) error {
	work := jetstream.StreamConfig{
		Name: Name, Subjects: []string{ingest.SubjectPrefix + ">"}, Description: "payloads that wait for Casebook's controllers",
		Retention: jetstream.InterestPolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage,
		MaxBytes: options.MaxBytes, Duplicates: options.DuplicateWindow, Replicas: options.Replicas,
	}
	dead := jetstream.StreamConfig{
		Name: DeadName, Subjects: []string{deadPrefix + ">"}, Description: "payloads that Casebook could make nothing of",
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage,
		MaxBytes: options.MaxDeadBytes, Duplicates: options.DuplicateWindow, Replicas: options.Replicas,
	}
	for _, config := range []jetstream.StreamConfig{work, dead} {
		if err := s.ensureStream(ctx, config, options); err != nil {
			return err
		}
	}
	for _, consumer := range []ingest.Consumer{ingest.Intake, ingest.Archive} {
		_, err := s.js.CreateOrUpdateConsumer(ctx, Name, jetstream.ConsumerConfig{
			Durable: string(consumer), DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: ackWait, MaxDeliver: -1, MaxAckPending: maxAckPending,
		})
		if err != nil {
			return fmt.Errorf("could not make the consumer %s of stream %s at %s: %w", consumer, Name, options.place(), err)
		}
	}
	return nil
}

func (s *Stream) ensureStream(ctx context.Context, config jetstream.StreamConfig, options Options) error {
	current, err := s.js.Stream(ctx, config.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if s.embedded != nil && s.embedded.had(config.Name) {
			return fmt.Errorf("the storage of stream %s in %s cannot be read; it may hold payloads that were answered as kept. Restore the directory, or move it aside to begin with an empty stream", config.Name, options.Dir)
		}
		// A stream that replaces a lost one continues above its numbers: repeats are counted
		// once by remembering the highest.
		config.FirstSeq = uint64(time.Now().UnixMicro())
		_, err = s.js.CreateStream(ctx, config)
	} else if err == nil {
		config.FirstSeq = current.CachedInfo().Config.FirstSeq
		_, err = s.js.UpdateStream(ctx, config)
	}
	if err != nil {
		return fmt.Errorf("could not make the stream %s at %s: %w", config.Name, options.place(), err)
	}
	return nil
}

// Publish keeps an envelope. Once it has answered, the envelope is on stable
// storage. It gives up after ten seconds, or with ctx; then whether it was kept is
// not known, and the sender should send again. A full stream is [ingest.ErrFull].
func (s *Stream) Publish(ctx context.Context, e ingest.Envelope) (ingest.Kept, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ack, err := s.publish(ctx, Name, e.Subject(), e.MessageID(), e.Header(), e.Body)
	if err != nil {
		return ingest.Kept{}, fmt.Errorf("could not keep a payload of Source %s/%s: %w", e.Namespace, e.Source, err)
	}
	return ingest.Kept{Sequence: ack.Sequence, Duplicate: ack.Duplicate}, nil
}

func (s *Stream) publish(ctx context.Context, stream, subject, id string, header map[string]string, body []byte) (*jetstream.PubAck, error) {
	msg := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: body}
	for name, value := range header {
		msg.Header.Set(name, value)
	}
	opts := []jetstream.PublishOpt{jetstream.WithExpectStream(stream)}
	if id != "" {
		opts = append(opts, jetstream.WithMsgID(id))
	}
	ack, err := s.js.PublishMsg(ctx, msg, opts...)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && (api.ErrorCode == codeStoreFailed || api.ErrorCode == codeNoResources) {
		return nil, fmt.Errorf("%w: %s", ingest.ErrFull, api.Description)
	}
	return ack, err
}

// Error codes of the server that the client has no name for.
const (
	codeNoResources = jetstream.ErrorCode(10023) // JSInsufficientResourcesErr
	codeStoreFailed = jetstream.ErrorCode(10077) // JSStreamStoreFailedErrF: over a limit; a disk that fails does not answer
)

// Ready reports whether the stream can keep a payload, as far as is known
// without trying.
func (s *Stream) Ready(ctx context.Context) error {
	if s.embedded != nil {
		if err := s.embedded.healthy(); err != nil {
			return err
		}
	}
	if _, err := s.js.Stream(ctx, Name); err != nil {
		return fmt.Errorf("could not ask for the stream %s: %w", Name, err)
	}
	return nil
}

// Waiting is how many payloads one of the consumers is not done with.
func (s *Stream) Waiting(ctx context.Context) (uint64, error) {
	stream, err := s.js.Stream(ctx, Name)
	if err != nil {
		return 0, fmt.Errorf("could not ask for the stream %s: %w", Name, err)
	}
	return stream.CachedInfo().State.Msgs, nil
}

// Close disconnects, stops an embedded server and waits for it.
func (s *Stream) Close() error {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.embedded != nil {
		return s.embedded.stop()
	}
	return nil
}
