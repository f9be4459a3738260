// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/internal/ingest"
)

var received = time.Date(2026, 11, 24, 12, 0, 0, 123_456_789, time.UTC)

func open(t *testing.T, options Options) *Stream {
	t.Helper()
	s, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func publish(t *testing.T, s *Stream, e ingest.Envelope) ingest.Kept {
	t.Helper()
	kept, err := s.Publish(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func payload(n int) ingest.Envelope {
	return ingest.Seal("soc", "falco.prod", received, "application/json", "", fmt.Appendf(nil, `{"n":%d}`, n))
}

func subscribe(t *testing.T, s *Stream, c ingest.Consumer) ingest.Deliveries {
	t.Helper()
	d, err := s.Subscribe(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	return d
}

func next(t *testing.T, d ingest.Deliveries) ingest.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	delivery, err := d.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return delivery
}

func ack(t *testing.T, d ingest.Delivery) {
	t.Helper()
	if err := d.Ack(); err != nil {
		t.Fatal(err)
	}
}

func waiting(t *testing.T, s *Stream) uint64 {
	t.Helper()
	stream, err := s.js.Stream(t.Context(), Name)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

// await polls a condition of the server, which removes acknowledged messages on its own time.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
	}
}

func TestAnEnvelopeIsDeliveredAsPublishedToBothConsumers(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	want := payload(1)
	kept := publish(t, s, want)
	for _, consumer := range []ingest.Consumer{ingest.Intake, ingest.Archive} {
		if waiting(t, s) != 1 {
			t.Fatalf("the stream let the payload go before %s was done", consumer)
		}
		got := next(t, subscribe(t, s, consumer))
		if diff := cmp.Diff(want, got.Envelope); diff != "" || got.Sequence != kept.Sequence || got.Attempt != 1 {
			t.Errorf("%s got number %d attempt %d, want %d and 1\n%s", consumer, got.Sequence, got.Attempt, kept.Sequence, diff)
		}
		ack(t, got)
	}
	await(t, "an empty stream after both acknowledged", func() bool { return waiting(t, s) == 0 })
}

func TestALargePayloadPasses(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	want := ingest.Seal("soc", "falco", received, "", "", bytes.Repeat([]byte("x"), 25<<20))
	publish(t, s, want)
	if got := next(t, subscribe(t, s, ingest.Intake)); got.Digest != want.Digest {
		t.Errorf("the payload changed on its way: %s, want %s", got.Digest, want.Digest)
	}
}

func TestADeliveryIDIsKeptOnce(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	first := ingest.Seal("soc", "github", received, "", "id-1", []byte("{}"))
	again := ingest.Seal("soc", "github", received.Add(time.Second), "", "id-1", []byte("{}"))
	one, two := publish(t, s, first), publish(t, s, again)
	if one.Duplicate || !two.Duplicate || one.Sequence != two.Sequence || waiting(t, s) != 1 {
		t.Errorf("kept %+v, then %+v, %d wait; want the second to be the first", one, two, waiting(t, s))
	}
	if other := publish(t, s, ingest.Seal("soc", "github", received, "", "id-1", []byte("[]"))); other.Duplicate {
		t.Error("another body under the same id was dropped")
	}
}

func TestARestartKeepsWhatWaitsAndForgetsNoDeliveryID(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	d := subscribe(t, s, ingest.Intake)
	known := ingest.Seal("soc", "github", received, "", "id-1", []byte("{}"))
	publish(t, s, known)
	for n := range 4 {
		publish(t, s, payload(n))
	}
	ack(t, next(t, d))
	first, second := next(t, d), next(t, d) // delivered, not acknowledged: as if the process died
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, Options{Dir: dir})
	if !publish(t, s, known).Duplicate {
		t.Error("the delivery id was forgotten")
	}
	d = subscribe(t, s, ingest.Intake)
	for _, want := range []uint64{first.Sequence, second.Sequence, second.Sequence + 1, second.Sequence + 2} {
		if got := next(t, d); got.Sequence != want {
			t.Fatalf("got number %d after the restart, want %d: oldest first", got.Sequence, want)
		}
	}
}

func TestANewSubscriptionBeginsWithWhatTheLastLeftOpen(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for n := range 3 {
		publish(t, s, payload(n))
	}
	old := subscribe(t, s, ingest.Intake)
	first := next(t, old)
	ack(t, next(t, old)) // out of order
	old.Stop()
	if got := next(t, subscribe(t, s, ingest.Intake)); got.Sequence != first.Sequence {
		t.Errorf("got number %d first, want %d, which was never acknowledged", got.Sequence, first.Sequence)
	}
}

func TestRetryComesAgain(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, payload(1))
	d := subscribe(t, s, ingest.Intake)
	first := next(t, d)
	if err := first.Retry(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if again := next(t, d); again.Sequence != first.Sequence || again.Attempt != 2 {
		t.Errorf("got number %d attempt %d, want %d attempt 2", again.Sequence, again.Attempt, first.Sequence)
	}
}

func TestAFullStreamRefusesAndDropsNothing(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), MaxBytes: 64 << 10})
	big := func(n int) ingest.Envelope {
		return ingest.Seal("soc", "falco", received, "", "", append(bytes.Repeat([]byte("x"), 10<<10), byte(n)))
	}
	kept := 0
	var err error
	for ; err == nil && kept < 100; kept++ {
		_, err = s.Publish(t.Context(), big(kept))
	}
	kept--
	if !errors.Is(err, ingest.ErrFull) {
		t.Fatalf("a full stream answered %v, want ErrFull", err)
	}
	if got := waiting(t, s); got != uint64(kept) {
		t.Errorf("%d wait, %d were kept", got, kept)
	}
	for _, c := range []ingest.Consumer{ingest.Intake, ingest.Archive} {
		ack(t, next(t, subscribe(t, s, c)))
	}
	await(t, "room after a payload left", func() bool { _, err := s.Publish(t.Context(), big(100)); return err == nil })
}

func TestDeadLetters(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	want := publish(t, s, payload(1))
	d := subscribe(t, s, ingest.Intake)
	delivery := next(t, d)
	for range 2 { // again, as after a crash before the acknowledgement
		if err := s.SetAside(t.Context(), delivery, "it panicked:\n\tindex out of range"); err != nil {
			t.Fatal(err)
		}
	}
	letters := dead(t, s)
	if len(letters) != 1 {
		t.Fatalf("there are %d dead letters, want 1", len(letters))
	}
	letter := letters[0]
	if diff := cmp.Diff(payload(1), letter.Envelope); diff != "" || letter.Original != want.Sequence || letter.Reason != "it panicked:  index out of range" || letter.Time.IsZero() {
		t.Errorf("the dead letter is %+v\n%s", letter, diff)
	}
	if err := s.Replay(t.Context(), letter.Sequence); err != nil {
		t.Fatal(err)
	}
	replayed := next(t, d)
	if replayed.Digest != letter.Digest || !replayed.Received.Equal(received) {
		t.Errorf("replayed %+v", replayed.Envelope)
	}
	if left := dead(t, s); len(left) != 0 {
		t.Errorf("%d dead letters are left after the replay", len(left))
	}
	if err := s.Replay(t.Context(), letter.Sequence); err == nil || !strings.Contains(err.Error(), "list them") {
		t.Errorf("replaying what is gone answered %v", err)
	}
}

func dead(t *testing.T, s *Stream) []ingest.DeadLetter {
	t.Helper()
	var out []ingest.DeadLetter
	for letter, err := range s.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, letter)
	}
	return out
}

func TestAMessageThatIsNoEnvelopeIsSetAside(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	if _, err := s.js.Publish(t.Context(), "intake.soc.falco", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	publish(t, s, payload(1))
	if got := next(t, subscribe(t, s, ingest.Intake)); got.Digest != payload(1).Digest {
		t.Errorf("got %s first", got.Body)
	}
	if letters := dead(t, s); len(letters) != 1 || !strings.Contains(letters[0].Reason, ingest.ReceivedHeader) || string(letters[0].Body) != "{}" {
		t.Errorf("the dead letters are %+v", letters)
	}
}

func TestAStreamThatReplacesALostOneContinuesAboveItsNumbers(t *testing.T) {
	before := publish(t, open(t, Options{Dir: t.TempDir()}), payload(1))
	after := publish(t, open(t, Options{Dir: t.TempDir()}), payload(1))
	if after.Sequence <= before.Sequence {
		t.Errorf("the new stream begins at %d, not above %d", after.Sequence, before.Sequence)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	held := t.TempDir()
	open(t, Options{Dir: held})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		options Options
		says    string
	}{
		"no place":                     {says: "either a storage directory or the URL"},
		"two places":                   {options: Options{Dir: "x", URL: "nats://x"}, says: "not both"},
		"a directory in use":           {options: Options{Dir: held}, says: "another process uses it"},
		"a place that is no directory": {options: Options{Dir: file}, says: "not a directory"},
		"a server that is not there":   {options: Options{URL: "nats://user:hunter2@127.0.0.1:1"}, says: "could not connect"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), tt.options)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("answered %v, want an error that says %q", err, tt.says)
			}
		})
	}
}
