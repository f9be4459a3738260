// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/blobtest"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// overwrite changes an object behind the log's back.
func overwrite(t *testing.T, b blob.Bucket, key string, change func(string) string) {
	t.Helper()
	got, err := b.Get(t.Context(), key, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	data := change(string(got.Data))
	if data == string(got.Data) {
		t.Fatalf("%s is unchanged: %s", key, data)
	}
	if _, err := b.Replace(t.Context(), key, []byte(data), got.ETag); err != nil {
		t.Fatal(err)
	}
}

func TestRollback(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	drafts := story(t)
	mustAppend(t, l, drafts[:5]...)
	backup := bucket.Copy()
	mustAppend(t, l, drafts[5:9]...)
	last, _ := l.Checkpoint()

	opts := options(t, backup)
	opts.AtLeast = last
	if _, err := Open(t.Context(), opts); !errors.Is(err, ErrForked) {
		t.Errorf("Open of an older copy: %v, want ErrForked", err)
	}
	opts.Bucket = &blobtest.Memory{}
	if _, err := Open(t.Context(), opts); !errors.Is(err, ErrForked) {
		t.Errorf("Open of an empty bucket in place of a log: %v, want ErrForked", err)
	}
	opts.Bucket = bucket
	if _, err := Open(t.Context(), opts); err != nil {
		t.Errorf("Open of the log itself: %v", err)
	}
	opts.AtLeast, _ = open(t, backup).Checkpoint()
	if _, err := Open(t.Context(), opts); err != nil {
		t.Errorf("Open of a log that grew since: %v", err)
	}
}

func TestFork(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	drafts := story(t)
	mustAppend(t, l, drafts[:5]...)
	other := bucket.Copy()
	mustAppend(t, l, drafts[5:9]...)
	here, _ := l.Checkpoint()
	fork := open(t, other)
	mustAppend(t, fork, drafts[5:]...) // other salts, so another tree
	opts := options(t, other)
	opts.AtLeast = here
	if _, err := Open(t.Context(), opts); !errors.Is(err, ErrForked) {
		t.Errorf("Open of a larger log that is another: %v, want ErrForked", err)
	}
}

// TestRollbackUnderAWriter swaps the bucket for an older copy while the log is open.
func TestRollbackUnderAWriter(t *testing.T) {
	drafts := story(t)
	for name, method := range map[string]func(l *Log) error{
		"append":    func(l *Log) error { _, err := l.Append(t.Context(), drafts[9:]); return err },
		"heartbeat": func(l *Log) error { return l.Heartbeat(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			bucket := &blobtest.Memory{}
			at := &faulty{Bucket: bucket, breaks: func(int) ending { return works }}
			l, err := Open(t.Context(), options(t, at))
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, drafts[:5]...)
			backup := bucket.Copy()
			mustAppend(t, l, drafts[5:9]...)
			at.Bucket = backup
			for range 2 { // and it stays so
				if err := method(l); !errors.Is(err, ErrForked) {
					t.Errorf("%v, want ErrForked", err)
				}
			}
		})
	}
}

func TestDeposed(t *testing.T) {
	bucket := &blobtest.Memory{}
	old := open(t, bucket)
	drafts := story(t)
	mustAppend(t, old, drafts[:5]...)
	mustAppend(t, open(t, bucket), drafts[5:9]...)
	for range 2 {
		if _, err := old.Append(t.Context(), drafts[9:]); !errors.Is(err, ErrDeposed) {
			t.Errorf("Append of a deposed writer: %v, want ErrDeposed", err)
		}
	}
	if err := old.Heartbeat(t.Context()); !errors.Is(err, ErrDeposed) {
		t.Errorf("Heartbeat of a deposed writer: %v, want ErrDeposed", err)
	}
	checkLog(t, bucket, drafts[:9], "after the deposed writer")
}

// TestTampering changes objects as someone would who can write to the bucket. The writer must not build on them.
func TestTampering(t *testing.T) {
	drafts := story(t)
	one := caseRef(1)
	for name, tamper := range map[string]func(t *testing.T, b blob.Bucket){
		"a hash tile": func(t *testing.T, b blob.Bucket) { overwrite(t, b, "tile/0/000.p/9", flip) },
		"a bundle of commitments": func(t *testing.T, b blob.Bucket) {
			overwrite(t, b, "tile/entries/000.p/9", func(s string) string { return s[:10] + flip(s[10:]) })
		},
		"the checkpoint's size": func(t *testing.T, b blob.Bucket) {
			overwrite(t, b, "checkpoint", func(s string) string { return strings.Replace(s, "\n9\n", "\n8\n", 1) })
		},
		"the last entry of a case": func(t *testing.T, b blob.Bucket) {
			overwrite(t, b, entryKey("soc", one.UID, 6), func(s string) string { return strings.Replace(s, "Automation", "Person", 1) })
		},
		"a head moved on, so that journals are trimmed too far": func(t *testing.T, b blob.Bucket) {
			overwrite(t, b, headKey("uid-rt-1-act"), func(s string) string { return strings.Replace(s, `"sequence":2`, `"sequence":9`, 1) })
		},
		"a head that points elsewhere": func(t *testing.T, b blob.Bucket) {
			overwrite(t, b, headKey("uid-rt-1-act"), func(s string) string { return strings.Replace(s, `"index":8`, `"index":7`, 1) })
		},
		"a case's head": func(t *testing.T, b blob.Bucket) {
			overwrite(t, b, caseHeadKey("soc", one.UID), func(s string) string { return strings.Replace(s, "[0,", "[0,0,", 1) })
		},
		"an entry planted where the next goes": func(t *testing.T, b blob.Bucket) {
			if _, err := b.Create(t.Context(), entryKey("soc", one.UID, 7), []byte("{}")); err != nil {
				t.Fatal(err)
			}
		},
		"pending taken away": func(t *testing.T, b blob.Bucket) {
			if err := b.Delete(t.Context(), "pending"); err != nil {
				t.Fatal(err)
			}
		},
		"the checkpoint taken away": func(t *testing.T, b blob.Bucket) {
			if err := b.Delete(t.Context(), "checkpoint"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := &blobtest.Memory{}
			mustAppend(t, open(t, bucket), drafts[:9]...)
			tamper(t, bucket)
			l, err := Open(t.Context(), options(t, bucket))
			if err == nil {
				_, err = l.Append(t.Context(), []evidence.Draft{draft(t, one, "Action", "act", 3)})
			}
			if !errors.Is(err, ErrForked) {
				t.Errorf("%v, want ErrForked", err)
			}
		})
	}
}

func flip(s string) string {
	b := []byte(s)
	b[0] ^= 1
	return string(b)
}

// TestForgedPending plants a batch for the next writer to complete and sign.
func TestForgedPending(t *testing.T) {
	drafts := story(t)
	skey, _, err := evidence.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{2}, 64)), origin)
	if err != nil {
		t.Fatal(err)
	}
	forger, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	mustAppend(t, l, drafts[:9]...)
	b := &batch{start: 9}
	p := plan{log: l, batch: b, heads: map[string]*head{}, cases: map[string]*caseHead{}}
	if err := p.add(t.Context(), drafts[9]); err != nil {
		t.Fatal(err)
	}
	genuine, err := l.formatPending(b)
	if err != nil {
		t.Fatal(err)
	}
	l.opts.Signer = forger
	forged, err := l.formatPending(b)
	if err != nil {
		t.Fatal(err)
	}
	var other pendingObject
	if err := json.Unmarshal(genuine, &other); err != nil {
		t.Fatal(err)
	}
	other.Entries[0] = strings.Replace(other.Entries[0], `"name":"test"`, `"name":"eve"`, 1)
	altered, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		pending []byte
		want    error
	}{
		"as this log signs it":  {genuine, nil},
		"signed by another key": {forged, ErrForked},
		"with another entry":    {altered, ErrForked},
		"no JSON":               {[]byte("{"), ErrForked},
	} {
		t.Run(name, func(t *testing.T) {
			b := bucket.Copy()
			overwrite(t, b, "pending", func(string) string { return string(tt.pending) })
			if _, err := Open(t.Context(), options(t, b)); !errors.Is(err, tt.want) {
				t.Errorf("Open: %v, want %v", err, tt.want)
			}
		})
	}
}
