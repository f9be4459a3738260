// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/blobtest"
	"github.com/casebook-dev/casebook/internal/blob/dir"
	"github.com/casebook-dev/casebook/internal/evidence"
)

func mustAppend(t testing.TB, l *Log, drafts ...evidence.Draft) []Sealed {
	t.Helper()
	sealed, err := l.Append(t.Context(), drafts)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestAppend(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	one := caseRef(1)
	got := mustAppend(t, l, draft(t, one, "Case", "", 0), draft(t, one, "Action", "act", 0), draft(t, one, "Case", "", 1))
	want := []Sealed{{one.UID, 0, 0}, {"uid-rt-1-act", 0, 1}, {one.UID, 1, 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again := mustAppend(t, l, draft(t, one, "Case", "", 0), draft(t, one, "Case", "", 1), draft(t, one, "Case", "", 2))
	if diff := cmp.Diff([]Sealed{{one.UID, 0, -1}, {one.UID, 1, 2}, {one.UID, 2, 3}}, again); diff != "" {
		t.Errorf("what is sealed is not sealed again:\n%s", diff)
	}
	if got, err := l.Append(t.Context(), nil); err != nil || got != nil {
		t.Errorf("Append of nothing = %v, %v", got, err)
	}
	if c, _ := l.Checkpoint(); c.Size != 4 {
		t.Errorf("size %d, want 4", c.Size)
	}
}

func TestAppendAcrossTiles(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	one, two := caseRef(1), caseRef(2)
	var drafts []evidence.Draft
	for i := range int64(400) {
		drafts = append(drafts, draft(t, one, "Case", "", i), draft(t, two, "Case", "", i))
	}
	mustAppend(t, l, drafts[:300]...)
	l = open(t, bucket) // and from the tiles alone
	mustAppend(t, l, drafts[300:301]...)
	mustAppend(t, l, drafts[301:512]...) // to the end of a tile
	mustAppend(t, l, drafts[512:513]...)
	mustAppend(t, l, drafts[513:]...)
	checkLog(t, bucket, drafts, "in batches across tiles")
}

func TestAppendPrefix(t *testing.T) {
	one := caseRef(1)
	broken := draft(t, one, "Action", "act", 0)
	broken.Reason = ""
	moved := draft(t, one, "Case", "", 1)
	moved.Object.Kind, moved.Case.UID, moved.Case.Name = "PlaybookRun", "another", "another"
	for name, tt := range map[string]struct {
		draft evidence.Draft
		want  error
	}{
		"a gap":                                 {draft(t, one, "Case", "", 2), ErrGap},
		"the second entry of an unknown object": {draft(t, one, "Action", "act", 1), ErrGap},
		"a draft that is no entry":              {broken, nil},
		"an object in another case":             {moved, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := &blobtest.Memory{}
			l := open(t, bucket)
			good := []evidence.Draft{draft(t, one, "Case", "", 0), draft(t, one, "PlaybookRun", "run", 0)}
			sealed, err := l.Append(t.Context(), append(good, tt.draft, draft(t, one, "Decision", "dec", 0)))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || len(sealed) != 2 {
				t.Errorf("Append = %v, %v, want the two before it and an error", sealed, err)
			}
			checkLog(t, bucket, good, "after the refusal")
			mustAppend(t, l, draft(t, one, "Case", "", 1))
		})
	}
}

func TestHead(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	one := caseRef(1)
	if _, ok, err := l.Head(t.Context(), one.UID); ok || err != nil {
		t.Errorf("head of what is not sealed: %v, %v", ok, err)
	}
	mustAppend(t, l, draft(t, one, "Case", "", 0), draft(t, one, "Case", "", 1))
	for _, l := range []*Log{l, open(t, bucket)} {
		if got, ok, err := l.Head(t.Context(), one.UID); got != 1 || !ok || err != nil {
			t.Errorf("head = %d, %v, %v, want 1", got, ok, err)
		}
	}
	if _, _, err := l.Head(t.Context(), "../checkpoint"); !errors.Is(err, blob.ErrKey) {
		t.Errorf("head of a uid that leads elsewhere: %v", err)
	}
}

func TestHeartbeat(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	mustAppend(t, l, draft(t, caseRef(1), "Case", "", 0))
	before, signed := l.Checkpoint()
	if err := l.Heartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, again := l.Checkpoint()
	_, vkey := key(t)
	got, err := evidence.VerifyCheckpoint(again, vkey)
	if err != nil || got != after || !after.Time.After(before.Time) || after.Size != before.Size || string(signed) == string(again) {
		t.Errorf("heartbeat made %+v of %+v: %v", after, before, err)
	}
	stored, err := bucket.Get(t.Context(), "checkpoint", 1000)
	if err != nil || string(stored.Data) != string(again) {
		t.Errorf("the bucket holds %s, %v", stored.Data, err)
	}
}

func TestSeal(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	one := caseRef(1)
	actor := evidence.Actor{Type: evidence.Automation, Name: "evidence"}
	closing := draft(t, one, "Case", "", 1)
	closing.Patch = `[{"op":"add","path":"/status","value":{"state":"Closed"}}]`
	mustAppend(t, l, draft(t, one, "Case", "", 0), draft(t, one, "Action", "act", 0), closing)

	drained := []evidence.SealedRecord{{Kind: "Case", Name: one.Name, UID: one.UID, Sequence: 1}, {Kind: "Action", Name: "act", UID: "uid-rt-1-act", Sequence: 1}}
	_, err := l.Seal(t.Context(), one, drained, actor)
	if undrained, ok := errors.AsType[*evidence.NotDrainedError](err); !ok || undrained.Object.Name != "act" || undrained.Sequence != 0 {
		t.Errorf("Seal before the action is drained: %v", err)
	}
	drained[1].Sequence = 0
	first, err := l.Seal(t.Context(), one, drained, actor)
	if err != nil || first.Index != 3 {
		t.Fatalf("Seal = %+v, %v", first, err)
	}
	if second, err := l.Seal(t.Context(), one, drained, actor); err != nil || second != first {
		t.Errorf("Seal again = %+v, %v, want %+v", second, err, first)
	}
	if report := verifiedExport(t, bucket, one); !report.Sealed || report.Entries != 4 {
		t.Errorf("the sealed case is %+v", report)
	}
}

func TestExport(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	one := caseRef(1)
	payload := []byte(`{"rule":"Terminal shell in container"}`)
	digest, err := l.PutPayload(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := l.PutPayload(t.Context(), payload); err != nil || again != digest {
		t.Errorf("PutPayload again = %s, %v", again, err)
	}
	signal := draft(t, one, "Signal", "falco-1", 0)
	signal.Spec = []byte(strings.Replace(string(signal.Spec), `"a":1`, `"raw":{"digest":"`+digest+`"}`, 1))
	mustAppend(t, l, draft(t, one, "Case", "", 0), signal, draft(t, caseRef(2), "Case", "", 0), draft(t, one, "Case", "", 1))

	record := []byte(`{"apiVersion":"casebook.dev/v1alpha1","kind":"Case","metadata":{"name":"rt-1","namespace":"soc","uid":"uid-case-1","resourceVersion":"5"},
		"spec":{"a":1},"status":{"state":"State1","journal":[{}]}}`)
	files := export(t, bucket, one, record)
	_, vkey := key(t)
	report, err := evidence.Verify(files, vkey)
	if err != nil || report.Entries != 3 || report.Payloads != 1 || report.TreeSize != 4 {
		t.Errorf("%+v, %v", report, err)
	}
	ahead := []byte(strings.Replace(string(record), "State1", "State2", 1))
	err = Export(t.Context(), bucket, one, []json.RawMessage{ahead}, nil)
	if undrained, ok := errors.AsType[*evidence.NotDrainedError](err); !ok || undrained.Object.UID != one.UID {
		t.Errorf("Export of a record ahead of the log: %v", err)
	}
	if err := Export(t.Context(), bucket, caseRef(9), nil, nil); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Export of a case that is not there: %v", err)
	}
	if err := bucket.Delete(t.Context(), payloadKey(digest)); err != nil {
		t.Fatal(err)
	}
	err = Export(t.Context(), bucket, one, nil, func(string, []byte) error { return nil })
	if !errors.Is(err, blob.ErrNotFound) || !strings.Contains(err.Error(), "payload") {
		t.Errorf("Export without a payload: %v", err)
	}
}

// TestHeartbeatUnanswered loses the answer to a heartbeat: the writer must not take its own checkpoint for a rival's.
func TestHeartbeatUnanswered(t *testing.T) {
	for name, how := range map[string]ending{"not written": failsBefore, "written": failsAfter} {
		t.Run(name, func(t *testing.T) {
			bucket := &blobtest.Memory{}
			broken := &faulty{Bucket: bucket, breaks: func(int) ending { return works }}
			l, err := Open(t.Context(), options(t, broken))
			if err != nil {
				t.Fatal(err)
			}
			drafts := story(t)
			mustAppend(t, l, drafts[:4]...)
			broken.breaks = func(int) ending { return how }
			if err := l.Heartbeat(t.Context()); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			broken.breaks = func(int) ending { return works }
			if err := l.Heartbeat(t.Context()); err != nil {
				t.Error(err)
			}
			mustAppend(t, l, drafts[4:]...)
			checkLog(t, bucket, drafts, "after a heartbeat without answer")
		})
	}
}

// TestLostAnswer has storage that takes a write, loses the answer, asks again by itself and refuses what is its own.
func TestLostAnswer(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, &stutterer{bucket})
	drafts := story(t)
	mustAppend(t, l, drafts[:4]...)
	mustAppend(t, l, drafts[4:]...)
	if err := l.Heartbeat(t.Context()); err != nil {
		t.Error(err)
	}
	checkLog(t, bucket, drafts, "after every answer was lost once")
}

// stutterer does every write twice and answers with the second.
type stutterer struct{ blob.Bucket }

func (s *stutterer) Create(ctx context.Context, key string, data []byte) (string, error) {
	_, _ = s.Bucket.Create(ctx, key, data)
	return s.Bucket.Create(ctx, key, data)
}

func (s *stutterer) Replace(ctx context.Context, key string, data []byte, etag string) (string, error) {
	_, _ = s.Bucket.Replace(ctx, key, data, etag)
	return s.Bucket.Replace(ctx, key, data, etag)
}

// TestExportWhileUnsettled exports after the checkpoint and before the heads are written: the end must not be missing.
func TestExportWhileUnsettled(t *testing.T) {
	bucket := &blobtest.Memory{}
	one := caseRef(1)
	mustAppend(t, open(t, bucket), draft(t, one, "Case", "", 0))
	stop := false
	broken := &faulty{Bucket: bucket, breaks: func(int) ending {
		if stop {
			return failsBefore
		}
		return works
	}}
	opts := options(t, broken)
	clock := opts.Clock
	l, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	l.opts.Clock = func() time.Time { // read right before the checkpoint is written
		broken.breaks = func() func(int) ending {
			put := false
			return func(int) ending {
				if put {
					return failsBefore
				}
				put = true
				return works
			}
		}()
		return clock()
	}
	if _, err := l.Append(t.Context(), []evidence.Draft{draft(t, one, "Case", "", 1)}); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	err = Export(t.Context(), bucket, one, nil, func(string, []byte) error { return nil })
	if !errors.Is(err, ErrUnsettled) {
		t.Errorf("Export: %v, want ErrUnsettled", err)
	}
	open(t, bucket)
	if got := verifiedExport(t, bucket, one).Entries; got != 2 {
		t.Errorf("%d entries once it is settled, want 2", got)
	}
}

// TestTwoWriters has two writers append the same story to a folder at once, each opening the log again when deposed.
func TestTwoWriters(t *testing.T) {
	bucket, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var drafts []evidence.Draft
	for i := range int64(15) {
		drafts = append(drafts, draft(t, caseRef(1), "Case", "", i), draft(t, caseRef(2), "Case", "", i))
	}
	var writers sync.WaitGroup
	for range 2 {
		opts := options(t, bucket)
		writers.Go(func() {
			var l *Log
			for next := 0; next < len(drafts); {
				var err error
				if l == nil {
					l, err = Open(context.WithoutCancel(t.Context()), opts)
				}
				if err == nil {
					_, err = l.Append(t.Context(), drafts[next:next+1])
				}
				switch {
				case err == nil:
					next++
				case errors.Is(err, ErrDeposed):
					l = nil
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	checkLog(t, bucket, drafts, "two writers")
}

func TestOpenWithTheKeyOfAnotherLog(t *testing.T) {
	opts := options(t, &blobtest.Memory{})
	opts.Origin = "another"
	if _, err := Open(t.Context(), opts); err == nil {
		t.Error("opened")
	}
}
