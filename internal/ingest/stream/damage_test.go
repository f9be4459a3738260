// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// A store of ten payloads is damaged while it is closed, then opened again.
func TestADamagedStoreRecoversOrSaysSo(t *testing.T) {
	for name, tt := range map[string]struct {
		damage func(t *testing.T, dir string)
		says   string // the error of Open; empty: it recovers with all ten
	}{
		"a torn write behind the last payload is cut": {damage: editBlock(func(b []byte) []byte {
			return append(b, b[:len(b)/20]...)
		})},
		"garbage behind the last payload is cut": {damage: editBlock(func(b []byte) []byte {
			return append(b, bytes.Repeat([]byte{0xab}, 100)...)
		})},
		"a lost index is rebuilt": {damage: func(t *testing.T, dir string) {
			t.Helper()
			for _, file := range files(t, dir, "index.db") {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
		}},
		"a damaged index is rebuilt": {damage: func(t *testing.T, dir string) {
			t.Helper()
			for _, file := range files(t, dir, "index.db") {
				edit(t, file, func(b []byte) []byte { return bytes.Repeat([]byte{0xab}, len(b)) })
			}
		}},
		"a flipped bit in a kept payload is told": {damage: editBlock(func(b []byte) []byte {
			b[len(b)/2] ^= 1
			return b
		}), says: "is damaged"},
		"a damaged length within is told": {damage: editBlock(func(b []byte) []byte {
			b[3] ^= 0x7f
			return b
		}), says: "is damaged"},
		"lost bytes within are told": {damage: editBlock(func(b []byte) []byte {
			return append(b[:len(b)/3], b[len(b)/2:]...)
		}), says: "is damaged"},
		"a stream whose description is gone is not begun anew": {damage: func(t *testing.T, dir string) {
			t.Helper()
			edit(t, filepath.Join(dir, "jetstream", "$G", "streams", Name, "meta.inf"), func([]byte) []byte { return []byte("{") })
		}, says: "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, Options{Dir: dir})
			for n := range 10 {
				publish(t, s, payload(n))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			tt.damage(t, dir)
			blocks := content(t, dir)
			s, err := Open(t.Context(), Options{Dir: dir})
			if tt.says != "" && !bytes.Equal(blocks, content(t, dir)) {
				t.Error("what is damaged was changed")
			}
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "move it aside") {
					t.Fatalf("Open answered %v, want an error that says %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			d := subscribe(t, s, ingest.Intake)
			for n := range 10 {
				if got := next(t, d); got.Digest != payload(n).Digest {
					t.Fatalf("payload %d is %s", n, got.Body)
				}
			}
			publish(t, s, payload(10))
		})
	}
}

func content(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	for _, path := range files(t, dir, ".blk") {
		block, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, block...)
	}
	return all
}

// What the server writes in all its ways must be read as whole: else a store that
// is sound could not be opened.
func TestASoundStoreOpensWhateverWasDoneToIt(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		s := open(t, Options{Dir: dir})
		for n := range 40 {
			publish(t, s, payload(n))
			publish(t, s, ingest.Seal("soc", "okta", received, "", "", bytes.Repeat([]byte("x"), 600<<10)))
		}
		for _, consumer := range []ingest.Consumer{ingest.Intake, ingest.Archive} {
			d := subscribe(t, s, consumer)
			for n := range 60 {
				got := next(t, d)
				if n%7 == 0 && consumer == ingest.Intake { // leaves holes
					if err := s.SetAside(t.Context(), got, "odd"); err != nil {
						t.Fatal(err)
					}
				} else if n%5 != round {
					ack(t, got)
				}
			}
			d.Stop()
		}
		for letter, err := range s.DeadLetters(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if letter.Sequence%2 == 0 {
				if err := s.Remove(t.Context(), letter.Sequence); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, dir, suffix string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, suffix) && strings.Contains(path, string(filepath.Separator)+Name+string(filepath.Separator)) {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("found %v under %s: %v", found, dir, err)
	}
	return found
}

func editBlock(change func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		for _, index := range files(t, dir, "index.db") {
			if err := os.Remove(index); err != nil { // else the cut is noticed by its date alone
				t.Fatal(err)
			}
		}
		edit(t, files(t, dir, ".blk")[0], change)
	}
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
