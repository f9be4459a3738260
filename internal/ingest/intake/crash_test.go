// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest"
	"github.com/casebook-dev/casebook/internal/ingest/intake"
)

var errCut = errors.New("the process is dead")

// wire counts the calls of one intake to the world. At one of them it cuts the
// intake off, as if the process had been killed: from then on nothing gets
// through. Or it fails that call alone.
type wire struct {
	mu    sync.Mutex
	calls int
	at    int // the call it is about; none if zero
	how   failure
	isCut bool
}

type failure string

const (
	killed  failure = "killed before"
	refused failure = "refused"
	lost    failure = "carried out, and the answer lost"
)

// pass decides whether a call is carried out, and whether its answer arrives.
func (w *wire) pass(call func() error) error {
	w.mu.Lock()
	w.calls++
	now := w.calls == w.at
	w.isCut = w.isCut || now && w.how == killed
	dead := w.isCut
	w.mu.Unlock()
	switch {
	case dead:
		return errCut
	case now && w.how == refused:
		return apierrors.NewInternalError(errors.New("etcd is electing a leader"))
	}
	err := call()
	if now && w.how == lost {
		return apierrors.NewTimeoutError("the request timed out", 0)
	}
	return err
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

func (w *wire) dead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.isCut
}

func (w *wire) client() client.Client {
	return interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			return w.pass(func() error { return c.Get(ctx, key, o, opts...) })
		},
		List: func(ctx context.Context, c client.WithWatch, o client.ObjectList, opts ...client.ListOption) error {
			return w.pass(func() error { return c.List(ctx, o, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return w.pass(func() error { return c.Create(ctx, o, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			return w.pass(func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
		},
	})
}

// cutStream is a stream whose acknowledgements pass through the wire too.
type cutStream struct {
	intake.Stream
	wire *wire
}

func (c cutStream) Subscribe(ctx context.Context, consumer ingest.Consumer) (ingest.Deliveries, error) {
	deliveries, err := c.Stream.Subscribe(ctx, consumer)
	return cutDeliveries{deliveries, c.wire}, err
}

type cutDeliveries struct {
	ingest.Deliveries
	wire *wire
}

func (c cutDeliveries) Next(ctx context.Context) (ingest.Delivery, error) {
	d, err := c.Deliveries.Next(ctx)
	ack, retry := d.Ack, d.Retry
	d.Ack = func() error { return c.wire.pass(ack) }
	d.Retry = func(after time.Duration) error {
		if c.wire.dead() {
			return errCut
		}
		return retry(after)
	}
	return d, err
}

func (w *world) cutOptions(wire *wire) intake.Options {
	options := w.options(wire.client())
	options.Stream = cutStream{w.stream, wire}
	archive := options.Archive
	options.Archive = func(ctx context.Context, namespace string, payload []byte, digest string) error {
		return wire.pass(func() error { return archive(ctx, namespace, payload, digest) })
	}
	return options
}

// storm is what comes in: a first finding, its repeat, another of the same case, a
// payload of two findings of which one is a repeat, and one that fits nothing.
func (w *world) storm() {
	one := event("Shell in container", "Critical", "web-1")
	w.publish("falco", one, at)
	w.publish("falco", one, at.Add(time.Second))
	w.publish("falco", event("Outbound connection", "Critical", "web-1"), at)
	w.publish("falco", fmt.Sprintf(`{"events":[%s,%s]}`, one, event("Shell in container", "Critical", "web-2")), at.Add(2*time.Second))
	w.publish("unmapped", `{"x":1}`, at)
}

// outcome is what must be there in the end, whatever happened on the way.
type outcome struct {
	Counts   map[string]int64
	Cases    map[string]int // signals by the title of their case
	Archived int
	Dead     int
}

var want = outcome{
	Counts: map[string]int64{
		"Shell in container web-1": 3, "Shell in container web-2": 1, "Outbound connection web-1": 1,
		"unmapped sent a payload that could not be read": 1,
	},
	Cases:    map[string]int{"runtime-threat web-1": 2, "runtime-threat web-2": 1, "unclassified": 1},
	Archived: 4, // a repeat has the digest of the first
}

func (w *world) outcome() outcome {
	w.t.Helper()
	out := outcome{Counts: map[string]int64{}, Cases: map[string]int{}, Archived: len(w.archived), Dead: len(w.dead())}
	cases := map[string]string{}
	for _, s := range w.signals() {
		name, pod := s.Spec.Title, ""
		for _, asset := range s.Spec.Assets {
			pod = " " + asset.Name
		}
		out.Counts[name+pod] += max(s.Status.Count, 1)
		cases[s.Spec.CaseRef.Name] = pod
	}
	for _, c := range w.cases() {
		for _, s := range w.signals() {
			if s.Spec.CaseRef.Name == c.Name {
				out.Cases[c.Spec.TypeRef.Name+cases[c.Name]]++
			}
		}
		if _, used := cases[c.Name]; !used {
			out.Cases["without a signal: "+c.Name]++
		}
	}
	return out
}

func TestCrash(t *testing.T) {
	smooth := newWorld(t)
	smooth.storm()
	counting := &wire{}
	stop := smooth.start(smooth.cutOptions(counting))
	smooth.await("rest", func() bool { return smooth.waiting() == 0 })
	stop()
	if diff := gocmp.Diff(want, smooth.outcome()); diff != "" {
		t.Fatalf("without a crash already:\n%s", diff)
	}
	for at := 1; at <= counting.count(); at++ {
		t.Run(fmt.Sprintf("before call %d", at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.storm()
			cut := &wire{at: at, how: killed}
			stop := w.start(w.cutOptions(cut))
			w.await("the crash", func() bool { return cut.dead() || w.waiting() == 0 })
			stop()
			w.must(w.stream.Close()) // the stream dies with the process
			w.openStream()
			w.rest()
			if diff := gocmp.Diff(want, w.outcome()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestACallThatFailsIsMadeAgain(t *testing.T) {
	for _, how := range []failure{refused, lost} {
		for at := 1; at <= 30; at += 2 {
			t.Run(fmt.Sprintf("call %d %s", at, how), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.storm()
				stop := w.start(w.cutOptions(&wire{at: at, how: how}))
				w.await("rest", func() bool { return w.waiting() == 0 })
				stop()
				if diff := gocmp.Diff(want, w.outcome()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestALostAnswerCountsNothingTwice(t *testing.T) {
	w := newWorld(t)
	w.storm()
	var once sync.Once
	options := w.options(api)
	record := options.Record
	options.Record = func(ctx context.Context, before, after *v1alpha1.Signal, reason string) error {
		mine := false
		once.Do(func() { mine = true })
		if err := record(ctx, before, after, reason); err != nil || !mine {
			return err
		}
		return apierrors.NewTimeoutError("the write was done, its answer was lost", 0)
	}
	stop := w.start(options)
	w.await("rest", func() bool { return w.waiting() == 0 })
	stop()
	if diff := gocmp.Diff(want, w.outcome()); diff != "" {
		t.Error(diff)
	}
}
