// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// sample is a log in memory with one case in it, among leaves of others.
type sample struct {
	t       testing.TB
	signer  note.Signer
	vkey    string
	hashes  memory
	size    int64
	entries []Entry
	indexes []int64
	next    map[string]int64 // sequence by uid
	payload map[string][]byte
	now     time.Time
}

type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = m[index]
	}
	return hashes, nil
}

const sampleOrigin = "soc-evidence"

var sampleCase = CaseRef{Namespace: "soc", Name: "rt-0q9wd", UID: "6f1c7a5e-0000-4000-8000-00000000000c"}

// seed is a source of keys that differ by its one byte.
func seed(b byte) *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{b}, 64)) }

func newSample(t testing.TB) *sample {
	t.Helper()
	skey, vkey, err := GenerateKey(seed(1), sampleOrigin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &sample{t: t, signer: signer, vkey: vkey, next: map[string]int64{}, payload: map[string][]byte{},
		now: time.Date(2026, 11, 24, 10, 12, 0, 123456789, time.UTC)}
}

// leaf appends a leaf to the log.
func (s *sample) leaf(c Commitment) int64 {
	s.t.Helper()
	hashes, err := tlog.StoredHashesForRecordHash(s.size, LeafHash(c), s.hashes)
	if err != nil {
		s.t.Fatal(err)
	}
	s.hashes = append(s.hashes, hashes...)
	s.size++
	return s.size - 1
}

// add seals a draft, after the leaf of another case.
func (s *sample) add(d Draft) {
	s.t.Helper()
	s.leaf(sha256.Sum256(fmt.Append(nil, "another case ", s.size)))
	previous := ""
	if n := len(s.entries); n > 0 {
		previous = s.commit(s.entries[n-1]).String()
	}
	salt := sha256.Sum256(fmt.Append(nil, "salt ", s.size))
	e, err := NewEntry(d, salt[:], int64(len(s.entries)), previous)
	if err != nil {
		s.t.Fatal(err)
	}
	s.entries = append(s.entries, e)
	s.indexes = append(s.indexes, s.leaf(s.commit(e)))
}

func (s *sample) commit(e Entry) Commitment {
	s.t.Helper()
	data, err := e.Bytes()
	if err != nil {
		s.t.Fatal(err)
	}
	return Commit(data)
}

func (s *sample) draft(kind, name, reason string) Draft {
	uid := fmt.Sprintf("uid-%s-%s", kind, name)
	if kind == "Case" {
		uid = sampleCase.UID
	}
	d := Draft{
		Object:   Object{APIVersion: "casebook.dev/v1alpha1", Kind: kind, Namespace: sampleCase.Namespace, Name: name, UID: uid},
		Case:     Case{Name: sampleCase.Name, UID: sampleCase.UID},
		Sequence: s.next[uid], Reason: reason, Time: MicroTime{s.now},
		Actor: Actor{Type: Automation, Name: "case", Revision: "isolate@4", Step: "isolate"},
	}
	s.next[uid]++
	return d
}

// create adds the first entry of a record.
func (s *sample) create(kind, name, spec string) {
	s.t.Helper()
	d := s.draft(kind, name, "Created")
	object := fmt.Sprintf(`{"apiVersion":"casebook.dev/v1alpha1","kind":%q,"metadata":{"name":%q,"namespace":"soc","uid":%q,
		"creationTimestamp":"2026-11-24T10:03:58Z","resourceVersion":"7","labels":{"casebook.dev/type":"runtime-threat"}},"spec":%s}`,
		kind, name, d.Object.UID, spec)
	var err error
	if d.Spec, err = Creation([]byte(object)); err != nil {
		s.t.Fatal(err)
	}
	s.add(d)
}

// change adds an entry that makes one status from another.
func (s *sample) change(kind, name, before, after string) {
	s.t.Helper()
	d := s.draft(kind, name, "Changed")
	d.Actor = Actor{Type: Person, Name: "mia@example.com", UID: "u1", Groups: []string{"soc-managers", "soc"}}
	var err error
	if d.Patch, err = Diff([]byte(before), []byte(after)); err != nil {
		s.t.Fatal(err)
	}
	s.add(d)
}

func (s *sample) signal(name, payload string) {
	s.t.Helper()
	sum := sha256.Sum256([]byte(payload))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	s.payload[digest] = []byte(payload)
	s.create("Signal", name, fmt.Sprintf(`{"title":"Shell in a container <é>","raw":{"digest":%q,"size":%d}}`, digest, len(payload)))
}

func (s *sample) seal() {
	s.t.Helper()
	seal, err := NewSeal(s.entries)
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := seal.Draft(sampleCase.Namespace, Actor{Type: Automation, Name: "evidence"}, MicroTime{s.now})
	if err != nil {
		s.t.Fatal(err)
	}
	s.add(d)
}

// investigate adds a case that is still open.
func (s *sample) investigate() {
	s.t.Helper()
	s.create("Case", sampleCase.Name, `{"type":"runtime-threat"}`)
	s.signal("falco-1", `{"rule":"Terminal shell in container","n":1}`)
	s.change("Case", sampleCase.Name, `{}`, `{"status":{"state":"New","entities":[{"name":"shop/web"}]}}`)
	s.create("PlaybookRun", "rt-0q9wd-isolate", `{"playbook":"isolate"}`)
	s.change("PlaybookRun", "rt-0q9wd-isolate", `{}`, `{"status":{"state":"Running"}}`)
	s.create("Action", "rt-0q9wd-isolate-1", `{"operation":"isolatePod"}`)
	s.create("Action", "rt-0q9wd-isolate-2", `{"operation":"deletePod"}`)
	s.change("Action", "rt-0q9wd-isolate-1", `{}`, `{"status":{"state":"Succeeded","a/b~":null}}`)
	s.signal("falco-2", `{"rule":"Terminal shell in container","n":2}`)
	s.create("Decision", "rt-0q9wd-keep", `{"verdict":"Approve"}`)
}

// finish closes and seals the case.
func (s *sample) finish() {
	s.t.Helper()
	s.change("Case", sampleCase.Name, `{"status":{"state":"New","entities":[{"name":"shop/web"}]}}`, `{"status":{"state":"Closed","entities":[{"name":"shop/web"},{"name":"shop/db"}]}}`)
	s.seal()
	for range 7 {
		s.leaf(sha256.Sum256(fmt.Append(nil, "a later case ", s.size)))
	}
}

// checkpoint signs the log as it is.
func (s *sample) checkpoint(signer note.Signer) []byte {
	s.t.Helper()
	root, err := tlog.TreeHash(s.size, s.hashes)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: Checkpoint{Origin: sampleOrigin, Size: s.size, Root: root, Time: s.now}.Text()}, signer)
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

func (s *sample) bundle() Bundle {
	s.t.Helper()
	b := Bundle{Case: sampleCase, Checkpoint: s.checkpoint(s.signer), Entries: s.entries}
	for _, index := range s.indexes {
		hashes, err := tlog.ProveRecord(s.size, index, s.hashes)
		if err != nil {
			s.t.Fatal(err)
		}
		b.Proofs = append(b.Proofs, Proof{Index: index, Hashes: hashes})
	}
	return b
}

// files is a bundle on its way to Verify.
type files map[string][]byte

func (s *sample) files() files {
	s.t.Helper()
	f, err := s.bundle().Files()
	if err != nil {
		s.t.Fatal(err)
	}
	for digest, data := range s.payload {
		f[PayloadPath(digest)] = data
	}
	return f
}

func (f files) fs() fstest.MapFS {
	m := fstest.MapFS{}
	for path, data := range f {
		m[path] = &fstest.MapFile{Data: data}
	}
	return m
}

// edit changes a JSON file and writes it in canonical form, as a careful forger would.
func (f files) edit(t testing.TB, path string, change func(doc map[string]any)) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(f[path], &doc); err != nil {
		t.Fatal(err)
	}
	change(doc)
	data, err := encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	f[path] = data
}

// closedSample is a closed case of 12 entries in a log of 31.
func closedSample(t testing.TB) *sample {
	t.Helper()
	s := newSample(t)
	s.investigate()
	s.finish()
	return s
}
