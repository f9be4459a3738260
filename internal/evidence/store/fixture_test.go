// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/evidence"
)

const origin = "soc-evidence"

// key returns the key pair of the log; the same each time.
func key(t testing.TB) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := evidence.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{1}, 64)), origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, vkey
}

// options returns options with a clock that moves a second each time it is read.
func options(t testing.TB, bucket blob.Bucket) Options {
	t.Helper()
	signer, _ := key(t)
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	return Options{Bucket: bucket, Signer: signer, Origin: origin,
		Clock: func() time.Time { now = now.Add(time.Second); return now },
		Salt: func() []byte {
			salt := make([]byte, evidence.SaltSize)
			_, _ = rand.Read(salt) // never fails
			return salt
		}}
}

func open(t testing.TB, bucket blob.Bucket) *Log {
	t.Helper()
	l, err := Open(t.Context(), options(t, bucket))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func caseRef(n int) evidence.CaseRef {
	return evidence.CaseRef{Namespace: "soc", Name: fmt.Sprintf("rt-%d", n), UID: fmt.Sprintf("uid-case-%d", n)}
}

// draft returns entry sequence of a record of a case; with sequence 0 the record is created.
func draft(t testing.TB, of evidence.CaseRef, kind, name string, sequence int64) evidence.Draft {
	t.Helper()
	uid := "uid-" + of.Name + "-" + name
	if kind == "Case" {
		uid, name = of.UID, of.Name
	}
	d := evidence.Draft{
		Object:   evidence.Object{APIVersion: "casebook.dev/v1alpha1", Kind: kind, Namespace: of.Namespace, Name: name, UID: uid},
		Case:     evidence.Case{Name: of.Name, UID: of.UID},
		Sequence: sequence, Reason: "Changed", Time: evidence.MicroTime{Time: time.Date(2026, 11, 24, 9, 0, int(sequence), 0, time.UTC)},
		Actor: evidence.Actor{Type: evidence.Automation, Name: "test"},
	}
	var err error
	if sequence == 0 {
		d.Spec, err = evidence.Creation(fmt.Appendf(nil, `{"apiVersion":"casebook.dev/v1alpha1","kind":%q,"metadata":{"name":%q,"namespace":%q,"uid":%q},"spec":{"a":1}}`,
			kind, name, of.Namespace, uid))
	} else {
		d.Patch, err = evidence.Diff(status(sequence-1), status(sequence))
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// status is that of a record after so many changes.
func status(changes int64) []byte {
	if changes == 0 {
		return []byte("{}")
	}
	return fmt.Appendf(nil, `{"status":{"state":"State%d"}}`, changes)
}

// story is two cases whose entries interleave.
func story(t testing.TB) []evidence.Draft {
	t.Helper()
	one, two := caseRef(1), caseRef(2)
	return []evidence.Draft{
		draft(t, one, "Case", "", 0), draft(t, two, "Case", "", 0), draft(t, one, "PlaybookRun", "run", 0), draft(t, one, "Case", "", 1),
		draft(t, one, "PlaybookRun", "run", 1), draft(t, two, "Case", "", 1), draft(t, one, "Action", "act", 0), draft(t, one, "Action", "act", 1),
		draft(t, one, "Action", "act", 2), draft(t, one, "PlaybookRun", "run", 2), draft(t, one, "Case", "", 2), draft(t, two, "Case", "", 2),
	}
}

// export exports a case and returns its bundle.
func export(t testing.TB, bucket blob.Bucket, ref evidence.CaseRef, records ...json.RawMessage) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := Export(context.WithoutCancel(t.Context()), bucket, ref, records, func(path string, data []byte) error {
		files[path] = &fstest.MapFile{Data: data}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// verified exports a case, verifies it and returns the report.
func verifiedExport(t testing.TB, bucket blob.Bucket, ref evidence.CaseRef) evidence.Report {
	t.Helper()
	_, vkey := key(t)
	report, err := evidence.Verify(export(t, bucket, ref), vkey)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// faulty is a bucket that breaks.
type faulty struct {
	blob.Bucket
	// breaks is asked before each operation, counted from 1; after it breaks, the operation is done or not, and fails.
	breaks func(n int) ending
	n      int
}

// ending says how an operation ends.
type ending int

const (
	works ending = iota
	failsBefore
	failsAfter
)

var errBroken = errors.New("the bucket is broken")

func (f *faulty) do(op func() error) error {
	f.n++
	switch f.breaks(f.n) {
	case failsBefore:
		return errBroken
	case failsAfter:
		_ = op()
		return errBroken
	default:
		return op()
	}
}

func (f *faulty) Create(ctx context.Context, key string, data []byte) (tag string, err error) {
	err = f.do(func() (err error) { tag, err = f.Bucket.Create(ctx, key, data); return })
	return tag, err
}

func (f *faulty) Replace(ctx context.Context, key string, data []byte, etag string) (tag string, err error) {
	err = f.do(func() (err error) { tag, err = f.Bucket.Replace(ctx, key, data, etag); return })
	return tag, err
}

func (f *faulty) Get(ctx context.Context, key string, limit int64) (o blob.Object, err error) {
	err = f.do(func() (err error) { o, err = f.Bucket.Get(ctx, key, limit); return })
	if err != nil {
		return blob.Object{}, err
	}
	return o, nil
}

func (f *faulty) List(context.Context, string) iter.Seq2[blob.Info, error] {
	panic("the log must not depend on lists, which may lag")
}
