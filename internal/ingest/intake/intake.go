// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package intake makes Signals and Cases of the payloads on the stream, and puts
// the payloads themselves into the archive.
//
// A payload is acknowledged only when every object that it asks for is known to
// exist, so a kill at any moment loses nothing; names are derived and each Signal
// carries the number of the payload that made it, so doing it again doubles
// nothing. A finding that was seen before within its Source's window is a repeat:
// repeats are counted in memory and written at most once in five seconds for each
// Signal, with the highest number counted, before they are acknowledged.
//
// What can be decoded becomes a Signal whatever is wrong with its Source or
// Mapping: a generic one that says so, with the payload kept by digest. What
// cannot become one at all is set aside with the reason. While the API server
// refuses, payloads wait on the stream; those of one Source stay in order, which
// counting relies on.
package intake

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest"
)

// SequenceAnnotation is the number on the stream of the payload that made a Signal.
const SequenceAnnotation = "casebook.dev/sequence"

// RepeatsCountedReason is the reason of the journal entry for a Signal's repeats.
const RepeatsCountedReason = "RepeatsCounted"

// DefaultFlushEvery is how long repeats of one Signal are gathered.
const DefaultFlushEvery = 5 * time.Second

const (
	workers      = 4
	queued       = 16 // payloads that wait for one worker
	mapTimeout   = 20 * time.Second
	resubscribe  = time.Second
	longestDelay = 30 * time.Second
)

// Stream gives what was kept, and takes what nothing can be made of.
type Stream interface {
	Subscribe(ctx context.Context, consumer ingest.Consumer) (ingest.Deliveries, error)
	SetAside(ctx context.Context, d ingest.Delivery, reason string) error
}

// Options are what an Intake needs. All are required unless they say otherwise.
type Options struct {
	// Stream is where payloads wait.
	Stream Stream
	// Client reads from a cache (Sources, Mappings, CaseTypes, EvidenceLogs, Signals, Cases)
	// and creates Signals and Cases.
	Client client.Client
	// Live reads from the API server what a decision to create rests on.
	Live client.Reader
	// Record writes a Signal's status, as after has it, over the version that before is, with
	// the journal entry that says so under the reason. A conflict is an error.
	Record func(ctx context.Context, before, after *v1alpha1.Signal, reason string) error
	// Archive stores a payload under its digest ("sha256:<hex>") for a namespace. Storing it
	// again is a no-op.
	Archive func(ctx context.Context, namespace string, payload []byte, digest string) error
	// Skipped counts events that are no finding; optional. An event counts again when its payload
	// is tried again.
	Skipped func(namespace, source, reason string, count int)
	// FlushEvery is how long repeats are gathered; DefaultFlushEvery if zero.
	FlushEvery time.Duration
	// Log tells what waits and what was set aside; nothing if left out.
	Log logr.Logger
}

// Intake consumes the stream. It is a controller-runtime Runnable that runs on
// the elected leader only.
type Intake struct {
	Options
	repeats  *repeats
	compiled compiled
}

// New makes an Intake.
func New(options Options) *Intake {
	if options.FlushEvery == 0 {
		options.FlushEvery = DefaultFlushEvery
	}
	if options.Skipped == nil {
		options.Skipped = func(string, string, string, int) {}
	}
	return &Intake{Options: options, repeats: newRepeats()}
}

// NeedLeaderElection says that one process at a time consumes.
func (*Intake) NeedLeaderElection() bool { return true }

// Start consumes until ctx ends. It returns an error for nothing else: a stream
// that is away is waited for.
func (i *Intake) Start(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { i.consume(ctx, ingest.Intake, i.makeRecords); return nil })
	g.Go(func() error { i.consume(ctx, ingest.Archive, i.archive); return nil })
	g.Go(func() error { i.flushRepeats(ctx); return nil })
	return g.Wait()
}

// handler deals with one delivery for good: it acknowledges it, asks for it again
// later, or sets it aside. The turns are the worker's own.
type handler func(ctx context.Context, turns *turns, d ingest.Delivery)

// consume subscribes again whenever a subscription ends before ctx does.
func (i *Intake) consume(ctx context.Context, consumer ingest.Consumer, handle handler) {
	for ctx.Err() == nil {
		deliveries, err := i.Stream.Subscribe(ctx, consumer)
		if err == nil {
			err = i.deal(ctx, deliveries, handle)
			deliveries.Stop()
		}
		if ctx.Err() == nil {
			i.Log.Error(err, "the stream is not read; subscribing again", "consumer", consumer)
			pause(ctx, resubscribe)
		}
	}
}

// deal gives each delivery to the worker of its Source, so that what comes from
// one Source is dealt with in order. A worker is not waited for longer than its
// queue: then the stream waits.
func (i *Intake) deal(ctx context.Context, deliveries ingest.Deliveries, handle handler) error {
	var g errgroup.Group
	var queues [workers]chan ingest.Delivery
	for n := range queues {
		queues[n] = make(chan ingest.Delivery, queued)
		g.Go(func() error {
			var turns turns
			for d := range queues[n] {
				if ctx.Err() == nil {
					handle(ctx, &turns, d)
				}
			}
			return nil
		})
	}
	var err error
	for err == nil {
		var d ingest.Delivery
		if d, err = deliveries.Next(ctx); err == nil {
			queues[workerOf(d)] <- d
		}
	}
	for _, queue := range queues {
		close(queue)
	}
	return errors.Join(err, g.Wait())
}

func workerOf(d ingest.Delivery) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(d.Subject())) // a hash never errs
	return h.Sum32() % workers
}

// delay before the next attempt grows with the attempts.
func delay(attempt uint64) time.Duration {
	return min(time.Second<<min(attempt, 10)/2, longestDelay)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
