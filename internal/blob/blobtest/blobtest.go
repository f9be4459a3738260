// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package blobtest holds the implementations of blob.Bucket to their contract.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/internal/blob"
)

const (
	limit   = 1 << 20
	writers = 8
	rounds  = 20
)

// Run holds buckets to the contract of blob.Bucket. Each call of open must return an empty bucket of its own.
func Run(t *testing.T, open func(t *testing.T) blob.Bucket) {
	for name, check := range map[string]func(*testing.T, blob.Bucket){
		"what is created is read back":                          created,
		"create leaves what exists":                             createExisting,
		"replace needs the ETag of what is there":               replace,
		"an ETag stands for the content":                        etags,
		"what does not exist is not found":                      missing,
		"what is deleted is gone and its key free":              deleted,
		"a read is bounded":                                     bounded,
		"big and empty values are kept whole":                   sizes,
		"list yields the keys of a prefix in order":             list,
		"a list may be left early":                              listEarly,
		"a malformed key is refused by every method":            keys,
		"a done context is answered by every method":            canceled,
		"of several creators exactly one wins":                  createRace,
		"of several replacers exactly one wins":                 replaceRace,
		"a reader never sees a part of an object being changed": torn,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

func created(t *testing.T, b blob.Bucket) {
	etag := mustCreate(t, b, "cases/soc/a.json", "one")
	got, err := b.Get(t.Context(), "cases/soc/a.json", limit)
	want := blob.Object{Info: blob.Info{Key: "cases/soc/a.json", Size: 3, ETag: etag}, Data: []byte("one")}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Get: %v\n%s", err, diff)
	}
	info, err := b.Stat(t.Context(), "cases/soc/a.json")
	if diff := cmp.Diff(want.Info, info); err != nil || diff != "" {
		t.Errorf("Stat: %v\n%s", err, diff)
	}
}

func createExisting(t *testing.T, b blob.Bucket) {
	mustCreate(t, b, "a", "one")
	for _, data := range []string{"two", "one"} {
		if _, err := b.Create(t.Context(), "a", []byte(data)); !errors.Is(err, blob.ErrExists) {
			t.Errorf("Create(%s) over one: %v, want ErrExists", data, err)
		}
	}
	wantData(t, b, "a", "one")
}

func replace(t *testing.T, b blob.Bucket) {
	first := mustCreate(t, b, "a", "one")
	second, err := b.Replace(t.Context(), "a", []byte("two"), first)
	if err != nil {
		t.Fatal(err)
	}
	for _, stale := range []string{first, "", "no such tag"} {
		if _, err := b.Replace(t.Context(), "a", []byte("three"), stale); !errors.Is(err, blob.ErrChanged) {
			t.Errorf("Replace with the ETag %q: %v, want ErrChanged", stale, err)
		}
	}
	wantData(t, b, "a", "two")
	if _, err := b.Replace(t.Context(), "a", []byte("three"), second); err != nil {
		t.Error(err)
	}
	wantData(t, b, "a", "three")
}

func etags(t *testing.T, b blob.Bucket) {
	first := mustCreate(t, b, "a", "one")
	second, err := b.Replace(t.Context(), "a", []byte("two"), first)
	if err != nil {
		t.Fatal(err)
	}
	if first == "" || second == "" || first == second {
		t.Errorf("ETags %q and %q, want two that differ", first, second)
	}
}

func missing(t *testing.T, b blob.Bucket) {
	mustCreate(t, b, "a/b", "one")
	for _, key := range []string{"x", "a", "a/x", "x/y/z", "a/b/c"} {
		for method, err := range each(t.Context(), b, key, "etag") {
			if method != "Create" && method != "List" && !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("%s(%s): %v, want ErrNotFound", method, key, err)
			}
		}
		_ = b.Delete(t.Context(), key) // each may have created it
	}
	wantData(t, b, "a/b", "one")
}

func deleted(t *testing.T, b blob.Bucket) {
	etag := mustCreate(t, b, "a/b", "one")
	if err := b.Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "a/b", limit); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get after Delete: %v, want ErrNotFound", err)
	}
	if _, err := b.Replace(t.Context(), "a/b", []byte("two"), etag); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Replace after Delete: %v, want ErrNotFound", err)
	}
	mustCreate(t, b, "a/b", "two")
	wantData(t, b, "a/b", "two")
}

func bounded(t *testing.T, b blob.Bucket) {
	mustCreate(t, b, "a", "12345")
	if _, err := b.Get(t.Context(), "a", 5); err != nil {
		t.Errorf("Get within the bound: %v", err)
	}
	if _, err := b.Get(t.Context(), "a", 4); !errors.Is(err, blob.ErrTooLarge) {
		t.Errorf("Get past the bound: %v, want ErrTooLarge", err)
	}
}

func sizes(t *testing.T, b blob.Bucket) {
	for name, size := range map[string]int{"empty": 0, "one": 1, "big": 9 << 20} {
		data := bytes.Repeat([]byte{0, 1, 2, '\n', 0xff, '\r', 7}, size/7+1)[:size]
		if _, err := b.Create(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		got, err := b.Get(t.Context(), name, 16<<20)
		if err != nil || !bytes.Equal(got.Data, data) || got.Size != int64(size) {
			t.Errorf("%s: read %d bytes of size %d (%v), want the %d written", name, len(got.Data), got.Size, err, size)
		}
	}
}

func list(t *testing.T, b blob.Bucket) {
	for _, key := range []string{"tile/0/001", "tile/0/000", "tile/0/000.p/7", "heads/b", "heads/a", "tilex"} {
		mustCreate(t, b, key, key)
	}
	for prefix, want := range map[string][]string{
		"":           {"heads/a", "heads/b", "tile/0/000", "tile/0/000.p/7", "tile/0/001", "tilex"},
		"tile":       {"tile/0/000", "tile/0/000.p/7", "tile/0/001", "tilex"},
		"tile/":      {"tile/0/000", "tile/0/000.p/7", "tile/0/001"},
		"tile/0/000": {"tile/0/000", "tile/0/000.p/7"},
		"heads/b":    {"heads/b"},
		"no/such":    nil,
	} {
		var got []string
		for info, err := range b.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			if info.Size != int64(len(info.Key)) {
				t.Errorf("List(%q): size %d of %s, want %d", prefix, info.Size, info.Key, len(info.Key))
			}
			got = append(got, info.Key)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("List(%q):\n%s", prefix, diff)
		}
	}
}

func listEarly(t *testing.T, b blob.Bucket) {
	mustCreate(t, b, "a", "one")
	mustCreate(t, b, "b", "two")
	for info, err := range b.List(t.Context(), "") {
		if err != nil || info.Key != "a" {
			t.Errorf("first is %q, %v, want a", info.Key, err)
		}
		break
	}
}

func keys(t *testing.T, b blob.Bucket) {
	mustCreate(t, b, "a", "one")
	for _, key := range []string{"", "..", "../a", "a/../a", "/a", "a/", "./a", ".lock", ".tmp/a", "a//b", `..\a`, "a\x00", strings.Repeat("a", 2000)} {
		for method, err := range each(t.Context(), b, key, "etag") {
			if method != "List" && !errors.Is(err, blob.ErrKey) {
				t.Errorf("%s(%.20q): %v, want ErrKey", method, key, err)
			}
		}
	}
	for _, prefix := range []string{"..", "../", "/", ".lock"} {
		for info, err := range b.List(t.Context(), prefix) {
			if !errors.Is(err, blob.ErrKey) {
				t.Errorf("List(%q) yields %q, %v, want ErrKey or nothing", prefix, info.Key, err)
			}
		}
	}
}

func canceled(t *testing.T, b blob.Bucket) {
	etag := mustCreate(t, b, "a", "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for method, err := range each(ctx, b, "a", etag) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", method, err)
		}
	}
	wantData(t, b, "a", "one")
}

func createRace(t *testing.T, b blob.Bucket) {
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		winner := race(t, blob.ErrExists, func(data string) error {
			_, err := b.Create(t.Context(), key, []byte(data))
			return err
		})
		wantData(t, b, key, winner)
	}
}

func replaceRace(t *testing.T, b blob.Bucket) {
	etag := mustCreate(t, b, "race", "start")
	for range rounds {
		winner := race(t, blob.ErrChanged, func(data string) error {
			_, err := b.Replace(t.Context(), "race", []byte(data+etag), etag)
			return err
		})
		wantData(t, b, "race", winner+etag)
		info, err := b.Stat(t.Context(), "race")
		if err != nil {
			t.Fatal(err)
		}
		etag = info.ETag
	}
}

func torn(t *testing.T, b blob.Bucket) {
	size := 1 << 18
	etag := mustCreate(t, b, "a", strings.Repeat("0", size))
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := b.Get(t.Context(), "a", limit)
				if err != nil || len(got.Data) != size || len(bytes.Trim(got.Data, string(got.Data[:1]))) != 0 {
					t.Errorf("read %d bytes, %v, want one whole version", len(got.Data), err)
					return
				}
			}
		})
	}
	for i := range rounds {
		var err error
		if etag, err = b.Replace(t.Context(), "a", bytes.Repeat([]byte{byte('1' + i%2)}, size), etag); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	readers.Wait()
}

// race runs write by several writers at once, wants one to succeed and the rest to lose with the given error, and
// returns what the winner wrote.
func race(t *testing.T, lost error, write func(data string) error) string {
	t.Helper()
	results := make([]error, writers)
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range writers {
		all.Go(func() {
			<-start
			results[i] = write(fmt.Sprint("writer ", i))
		})
	}
	close(start)
	all.Wait()
	winner := slices.Index(results, nil)
	for i, err := range results {
		if i != winner && !errors.Is(err, lost) {
			t.Errorf("writer %d: %v, want %v because writer %d won", i, err, lost, winner)
		}
	}
	if winner < 0 {
		t.Fatalf("no writer won: %v", results)
	}
	return fmt.Sprint("writer ", winner)
}

// each calls every method on one key and returns their errors.
func each(ctx context.Context, b blob.Bucket, key, etag string) map[string]error {
	errs := map[string]error{}
	_, errs["Replace"] = b.Replace(ctx, key, []byte("new"), etag)
	_, errs["Get"] = b.Get(ctx, key, limit)
	_, errs["Stat"] = b.Stat(ctx, key)
	errs["Delete"] = b.Delete(ctx, key)
	_, errs["Create"] = b.Create(ctx, key, []byte("new"))
	for _, err := range b.List(ctx, "") {
		errs["List"] = err
		break
	}
	return errs
}

func mustCreate(t *testing.T, b blob.Bucket, key, data string) string {
	t.Helper()
	etag, err := b.Create(t.Context(), key, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return etag
}

func wantData(t *testing.T, b blob.Bucket, key, want string) {
	t.Helper()
	got, err := b.Get(t.Context(), key, limit)
	if err != nil || string(got.Data) != want {
		t.Errorf("Get(%s) = %q, %v, want %q", key, got.Data, err, want)
	}
}
