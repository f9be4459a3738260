// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/blobtest"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// TestIndependentVerifier reads the bucket with code of others that knows C2SP formats and RFC 6962 and nothing of this
// package: checkpoint, leaves, root, inclusion, consistency.
func TestIndependentVerifier(t *testing.T) {
	bucket := &blobtest.Memory{}
	l := open(t, bucket)
	var drafts []evidence.Draft
	for i := range int64(300) {
		drafts = append(drafts, draft(t, caseRef(1), "Case", "", i))
	}
	mustAppend(t, l, drafts[:123]...)
	earlier := foreignCheckpoint(t, bucket)
	mustAppend(t, l, drafts[123:]...)
	now := foreignCheckpoint(t, bucket)

	ranges := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	tree := ranges.NewEmptyRange(0)
	var leaves [][]byte
	for n, path := range []string{"tile/entries/000", "tile/entries/001.p/44"} {
		got, err := bucket.Get(t.Context(), path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for data := got.Data; len(data) > 0; {
			size := int(data[0])<<8 | int(data[1])
			leaf := rfc6962.DefaultHasher.HashLeaf(data[2 : 2+size])
			leaves, data = append(leaves, leaf), data[2+size:]
			if err := tree.Append(leaf, nil); err != nil {
				t.Fatal(err)
			}
		}
		if want := min(256*(n+1), 300); len(leaves) != want {
			t.Fatalf("%d leaves in the bundles up to %s, want %d", len(leaves), path, want)
		}
	}
	root, err := tree.GetRootHash(nil)
	if err != nil || string(root) != string(now.Hash) || now.Size != 300 {
		t.Fatalf("root of the leaves %x, %v; of the checkpoint %x at size %d", root, err, now.Hash, now.Size)
	}
	checkIndependentProofs(t, bucket, leaves, earlier, now)
}

func checkIndependentProofs(t *testing.T, bucket blob.Bucket, leaves [][]byte, earlier, now log.Checkpoint) {
	t.Helper()
	b, err := bundleOf(t.Context(), bucket, caseRef(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range b.Proofs {
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Index), now.Size, leaves[i], hashes(p.Hashes), now.Hash); err != nil {
			t.Errorf("inclusion of entry %d: %v", i, err)
		}
	}
	root := tlog.Hash(now.Hash)
	grown, err := tlog.ProveTree(int64(now.Size), int64(earlier.Size), hashesOf(t.Context(), bucket, evidence.Checkpoint{Size: int64(now.Size), Root: root}, map[string][]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, earlier.Size, now.Size, hashes(grown), earlier.Hash, now.Hash); err != nil {
		t.Errorf("the log did not grow from size %d to %d: %v", earlier.Size, now.Size, err)
	}
}

func hashes[L ~[]tlog.Hash](l L) [][]byte {
	var out [][]byte
	for _, h := range l {
		out = append(out, h[:])
	}
	return out
}

func foreignCheckpoint(t *testing.T, bucket blob.Bucket) log.Checkpoint {
	t.Helper()
	got, err := bucket.Get(t.Context(), "checkpoint", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	_, vkey := key(t)
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	c, rest, _, err := log.ParseCheckpoint(got.Data, origin, verifier)
	if err != nil || !strings.HasPrefix(string(rest), "time ") {
		t.Fatal(fmt.Errorf("checkpoint of others: %q, %w", rest, err))
	}
	return *c
}
