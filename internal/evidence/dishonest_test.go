// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// TestDishonestLog has the holder of the key seal what does not fit together. Inclusion and signature are right; the
// rest must still be found wrong.
func TestDishonestLog(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(entries []Entry) []Entry
		file    string
		problem Problem
	}{
		"nothing is wrong": {func(e []Entry) []Entry { return e }, "", ""},
		"an entry that does not follow the one before it": {func(e []Entry) []Entry {
			e[5].Previous = e[3].Previous
			return e
		}, entryPath(5), OutOfOrder},
		"an entry left out between two": {func(e []Entry) []Entry { return slices.Delete(e, 4, 5) }, entryPath(4), OutOfOrder},
		"an entry with another number in its case": {func(e []Entry) []Entry {
			e[5].CaseSequence = 6
			return e
		}, entryPath(5), OutOfOrder},
		"a sequence of an object twice": {func(e []Entry) []Entry {
			e[10].Sequence = 1 // of the case's second change
			return e
		}, entryPath(10), OutOfOrder},
		"an entry of another case": {func(e []Entry) []Entry {
			e[6].Case.UID = "another"
			return e
		}, entryPath(6), Wrong},
		"a patch that does not apply": {func(e []Entry) []Entry {
			e[4].Patch = `[{"op":"remove","path":"/status/nothing"}]`
			return e
		}, recordPath(Object{Kind: "PlaybookRun", Name: "rt-0q9wd-isolate"}), Wrong},
	} {
		t.Run(name, func(t *testing.T) {
			honest := closedSample(t)
			f := honest.files()
			s := newSample(t)
			var proofs []Proof
			entries := tt.change(slices.Clone(honest.entries))
			for i := range entries {
				s.indexes = append(s.indexes, s.leaf(Commit(marshal(t, entries[i]))))
				if i+1 < len(entries) && entries[i+1].Previous == honest.entries[i+1].Previous && len(entries) == len(honest.entries) {
					entries[i+1].Previous = Commit(marshal(t, entries[i])).String() // the chain goes on from what was changed
				}
				f[entryPath(i)] = marshal(t, entries[i])
			}
			for i := len(entries); i < len(honest.entries); i++ {
				delete(f, entryPath(i))
			}
			for _, index := range s.indexes {
				hashes, err := tlog.ProveRecord(s.size, index, s.hashes)
				if err != nil {
					t.Fatal(err)
				}
				proofs = append(proofs, Proof{index, hashes})
			}
			f.seal(t, s, proofs)
			_, err := Verify(f.fs(), s.vkey)
			got, _ := errors.AsType[*BundleError](err)
			if tt.file == "" && err != nil || tt.file != "" && (got == nil || got.File != tt.file || got.Problem != tt.problem) {
				t.Errorf("%v, want that %s is %s", err, tt.file, tt.problem)
			}
		})
	}
}

// seal replaces checkpoint, manifest and proofs of a bundle by those of another log.
func (f files) seal(t *testing.T, s *sample, p []Proof) {
	t.Helper()
	f[checkpointFile] = s.checkpoint(s.signer)
	f.edit(t, manifestFile, func(m map[string]any) { m["treeSize"] = s.size })
	data, err := encode(proofs{ProofsFormat, p})
	if err != nil {
		t.Fatal(err)
	}
	f[proofsFile] = data
}

// marshal writes an entry as it is, right or wrong.
func marshal(t *testing.T, e Entry) []byte {
	t.Helper()
	data, err := encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEntriesOutOfTheLogsOrder(t *testing.T) {
	honest := closedSample(t)
	f := honest.files()
	s := newSample(t)
	var proofs []Proof
	order := []int{0, 1, 3, 2, 4, 5, 6, 7, 8, 9, 10, 11} // of the leaves; the chain is as it was
	at := map[int]int64{}
	for _, i := range order {
		at[i] = s.leaf(Commit(f[entryPath(i)]))
	}
	for i := range order {
		hashes, err := tlog.ProveRecord(s.size, at[i], s.hashes)
		if err != nil {
			t.Fatal(err)
		}
		proofs = append(proofs, Proof{at[i], hashes})
	}
	f.seal(t, s, proofs)
	_, err := Verify(f.fs(), s.vkey)
	if got, ok := errors.AsType[*BundleError](err); !ok || got.File != proofsFile {
		t.Errorf("%v, want that the proofs are out of order", err)
	}
}

func TestVerifyCheckpointOfAnotherOrigin(t *testing.T) {
	s := newSample(t)
	signed, err := note.Sign(&note.Note{Text: Checkpoint{Origin: "another", Time: s.now}.Text()}, s.signer)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := VerifyCheckpoint(signed, s.vkey); err == nil {
		t.Errorf("a checkpoint of %s verified with the key of %s", c.Origin, sampleOrigin)
	}
}
