// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/blobtest"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// TestCrash breaks the n-th operation on the bucket for every n, before and after it took effect: once only, with the
// same log used on, or from there on, with the log opened again. In the end every entry must be sealed once.
func TestCrash(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  ending
		reopen bool
	}{
		"an operation fails, the log is used on":                  {failsBefore, false},
		"an operation succeeds unanswered, the log is used on":    {failsAfter, false},
		"the writer dies before an operation, another takes over": {failsBefore, true},
		"the writer dies after an operation, another takes over":  {failsAfter, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := 1
			for ; crash(t, n, tt.fault, tt.reopen); n++ {
				if n > 1000 {
					t.Fatal("the writer never gets through")
				}
			}
			if n < 40 {
				t.Errorf("only %d operations were broken", n-1)
			}
		})
	}
}

// crash seals the story in two calls on a bucket that breaks at the n-th operation, and says whether it broke.
func crash(t *testing.T, n int, how ending, reopen bool) (broke bool) {
	t.Helper()
	bucket := &blobtest.Memory{}
	broken := &faulty{Bucket: bucket, breaks: func(i int) ending {
		switch {
		case i == n:
			broke = true
			return how
		case i > n && reopen:
			return failsBefore
		default:
			return works
		}
	}}
	drafts := story(t)
	l, err := Open(t.Context(), options(t, broken))
	for _, part := range [][]evidence.Draft{drafts[:7], drafts[7:]} {
		if err == nil {
			_, err = l.Append(t.Context(), part)
		}
	}
	if err != nil && (l == nil || reopen) {
		l = open(t, bucket)
	}
	sealed, err := l.Append(t.Context(), drafts)
	if err != nil || len(sealed) != len(drafts) {
		t.Fatalf("operation %d broken: %d of %d sealed afterwards: %v", n, len(sealed), len(drafts), err)
	}
	checkLog(t, bucket, drafts, fmt.Sprint("operation ", n, " broken"))
	return broke
}

// checkLog says whether the log holds exactly the drafts, each once, verifies, and has the right heads. It opens the
// log anew.
func checkLog(t *testing.T, bucket blob.Bucket, drafts []evidence.Draft, when string) {
	t.Helper()
	l := open(t, bucket)
	if l.at.Size != int64(len(drafts)) {
		t.Errorf("%s: the log has size %d, want %d", when, l.at.Size, len(drafts))
	}
	heads := map[string]int64{}
	perCase := map[evidence.CaseRef]int{}
	for _, d := range drafts {
		heads[d.Object.UID] = max(heads[d.Object.UID], d.Sequence)
		perCase[evidence.CaseRef{Namespace: d.Object.Namespace, Name: d.Case.Name, UID: d.Case.UID}]++
	}
	for uid, want := range heads {
		if got, ok, err := l.Head(t.Context(), uid); got != want || !ok || err != nil {
			t.Errorf("%s: head of %s is %d, %v, %v, want %d", when, uid, got, ok, err, want)
		}
	}
	for ref, want := range perCase {
		if got := verifiedExport(t, bucket, ref).Entries; got != want {
			t.Errorf("%s: the bundle of %s has %d entries, want %d", when, ref.Name, got, want)
		}
	}
	if root, err := tlog.TreeHash(l.at.Size, l.reader(t.Context())); err != nil || root != l.at.Root {
		t.Errorf("%s: the tiles have root %s, %v, the checkpoint %s", when, root, err, l.at.Root)
	}
}

// TestOvertaken lets another writer seal entries right before the n-th operation of this one, for every n: opening,
// reading heads and appending may then succeed or find that another has taken over, and nothing else.
func TestOvertaken(t *testing.T) {
	drafts := story(t)
	n := 1
	for ; overtake(t, n, drafts); n++ {
		if n > 1000 {
			t.Fatal("the writer never gets through")
		}
	}
	if n < 20 {
		t.Errorf("overtaken in only %d operations", n-1)
	}
}

func overtake(t *testing.T, n int, drafts []evidence.Draft) (did bool) {
	t.Helper()
	bucket := &blobtest.Memory{}
	mustAppend(t, open(t, bucket), drafts[:6]...)
	watched := &faulty{Bucket: bucket, breaks: func(i int) ending {
		if i == n {
			did = true
			other := open(t, bucket)
			mustAppend(t, other, drafts[:8]...)
			mustAppend(t, other, drafts[:10]...)
		}
		return works
	}}
	l, err := Open(t.Context(), options(t, watched))
	if err == nil {
		_, _, err = l.Head(t.Context(), drafts[8].Object.UID)
	}
	if err == nil {
		_, err = l.Append(t.Context(), drafts[:9])
	}
	if err == nil {
		err = l.Heartbeat(t.Context())
	}
	if err != nil && !errors.Is(err, ErrDeposed) {
		t.Errorf("overtaken before operation %d: %v, want ErrDeposed", n, err)
	}
	mustAppend(t, open(t, bucket), drafts...)
	checkLog(t, bucket, drafts, fmt.Sprint("overtaken before operation ", n))
	return did
}
