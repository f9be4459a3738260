// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

func TestVerifyClosedCase(t *testing.T) {
	s := closedSample(t)
	report, err := Verify(s.files().fs(), s.vkey)
	if err != nil {
		t.Fatal(err)
	}
	want := `✓ 12 entries, in order, none missing
✓ replayed: case, 2 signals, 1 run, 2 actions, 1 decision match their records
✓ all 12 included in the log at size 31
✓ 2 payloads as received
✓ checkpoint signed by soc-evidence, 2026-11-24T10:12:00Z
✓ closed and sealed: nothing is cut off
rt-0q9wd is what happened.
`
	if diff := cmp.Diff(want, report.String()); diff != "" {
		t.Error(diff)
	}
}

func TestVerifyOpenCase(t *testing.T) {
	s := newSample(t)
	s.investigate()
	report, err := Verify(s.files().fs(), s.vkey)
	if err != nil {
		t.Fatal(err)
	}
	if want := "open case: complete up to entry 9 of the log at size 20\n"; report.Sealed || !strings.HasSuffix(report.String(), want) {
		t.Errorf("report of an open case:\n%s\nwant it to end with %s", report, want)
	}
}

func TestVerifyReopenedCase(t *testing.T) {
	s := closedSample(t)
	s.change("Case", sampleCase.Name, `{"status":{"state":"Closed"}}`, `{"status":{"state":"Triage"}}`)
	report, err := Verify(s.files().fs(), s.vkey)
	if err != nil || report.Sealed {
		t.Fatalf("a reopened case is open again: %+v, %v", report, err)
	}
	s.change("Case", sampleCase.Name, `{"status":{"state":"Triage"}}`, `{"status":{"state":"Closed"}}`)
	if _, err := Verify(s.files().fs(), s.vkey); err == nil {
		t.Error("closed again with the seal of the first closure alone, it verified")
	}
	s.seal()
	if report, err = Verify(s.files().fs(), s.vkey); err != nil || !report.Sealed {
		t.Errorf("closed and sealed again: %+v, %v", report, err)
	}
}

// TestFlippedByte changes bytes of every file, so that a letter becomes another, changes case or becomes a space.
func TestFlippedByte(t *testing.T) {
	s := closedSample(t)
	whole := s.files()
	tried := 0
	for path, data := range whole {
		step := 37
		if path == checkpointFile || path == manifestFile {
			step = 1
		}
		for i, mask := range []byte{0x01, 0x20, 0x80} {
			for at := i % step; at < len(data); at += step {
				changed := slices.Clone(data)
				changed[at] ^= mask
				whole[path] = changed
				if _, err := Verify(whole.fs(), s.vkey); err == nil {
					t.Errorf("byte %d of %s changed from %q to %q, and the bundle verified", at, path, data[at], changed[at])
				}
				tried++
			}
		}
		whole[path] = data
	}
	if _, err := Verify(whole.fs(), s.vkey); err != nil || tried < 1000 {
		t.Errorf("%d flips tried; unchanged: %v", tried, err)
	}
}

// TestSpaceInJSON adds a space, a new line and nothing else to every file.
func TestSpaceInJSON(t *testing.T) {
	s := closedSample(t)
	whole := s.files()
	for path, data := range whole {
		for name, changed := range map[string]string{"at the end": string(data) + "\n", "at the start": " " + string(data), "cut short": string(data[:len(data)-1]),
			"after a colon": strings.Replace(string(data), ":", ": ", 1), "empty": ""} {
			if changed == string(data) {
				continue
			}
			whole[path] = []byte(changed)
			_, err := Verify(whole.fs(), s.vkey)
			if bundleError, ok := errors.AsType[*BundleError](err); !ok || bundleError.File != path && !strings.HasPrefix(path, "proofs") {
				t.Errorf("%s changed (%s): %v, want an error that names it", path, name, err)
			}
		}
		whole[path] = data
	}
}

func TestEveryFileIsNeeded(t *testing.T) {
	s := closedSample(t)
	for path := range s.files() {
		lacking := s.files()
		delete(lacking, path)
		_, err := Verify(lacking.fs(), s.vkey)
		if got, ok := errors.AsType[*BundleError](err); !ok || got.File != path || got.Problem != Missing {
			t.Errorf("without %s: %v, want that it is missing", path, err)
		}
	}
}

// TestAttacks forges bundles as someone would who can write the folder and knows the format, but lacks the key.
func TestAttacks(t *testing.T) {
	s := closedSample(t)
	payloads := slices.Sorted(maps.Keys(s.payload))
	early := newSample(t)
	early.investigate()
	for name, tt := range map[string]struct {
		forge   func(t *testing.T, f files)
		file    string
		problem Problem
	}{
		"two entries swapped": {func(_ *testing.T, f files) {
			f[entryPath(3)], f[entryPath(4)] = f[entryPath(4)], f[entryPath(3)]
		}, entryPath(3), OutOfOrder},
		"an entry dropped and the rest moved up": {func(_ *testing.T, f files) {
			for i := 3; i < 11; i++ {
				f[entryPath(i)] = f[entryPath(i+1)]
			}
			delete(f, entryPath(11))
		}, entryPath(3), OutOfOrder},
		"an entry dropped and the rest chained anew": {func(t *testing.T, f files) {
			rechain(t, f, slices.Delete(slices.Clone(s.entries), 2, 3))
		}, entryPath(2), Wrong},
		"an entry inserted and the rest chained anew": {func(t *testing.T, f files) {
			d := s.entries[9].Draft
			d.Object.UID, d.Object.Name = "uid-forged", "forged"
			d.Spec = []byte(strings.ReplaceAll(strings.ReplaceAll(string(d.Spec), s.entries[9].Object.UID, "uid-forged"), s.entries[9].Object.Name, "forged"))
			rechain(t, f, slices.Insert(slices.Clone(s.entries), 4, Entry{Draft: d}))
		}, entryPath(4), Wrong},
		"the first entry dropped": {func(_ *testing.T, f files) { delete(f, entryPath(0)) }, entryPath(0), Missing},
		"an entry twice":          {func(_ *testing.T, f files) { f[entryPath(12)] = f[entryPath(11)] }, entryPath(12), OutOfOrder},
		"an actor replaced": {func(t *testing.T, f files) {
			f.edit(t, entryPath(2), func(e map[string]any) { e["actor"] = map[string]any{"type": "Person", "name": "eve"} })
		}, entryPath(2), Wrong},
		"a field added": {func(t *testing.T, f files) {
			f.edit(t, entryPath(2), func(e map[string]any) { e["note"] = "trust me" })
		}, entryPath(2), Wrong},
		"a record dropped with its entries": {func(t *testing.T, f files) {
			delete(f, recordPath(s.entries[9].Object))
			rechain(t, f, slices.Delete(slices.Clone(s.entries), 9, 10))
		}, entryPath(9), Wrong},
		"a record dropped with its entries, which leave holes": {func(_ *testing.T, f files) {
			delete(f, recordPath(s.entries[9].Object))
			delete(f, entryPath(9))
		}, entryPath(9), Missing},
		"a record changed": {func(t *testing.T, f files) {
			f.edit(t, recordPath(s.entries[5].Object), func(r map[string]any) { r["status"] = map[string]any{"state": "Failed"} })
		}, recordPath(s.entries[5].Object), Wrong},
		"a record added": {func(_ *testing.T, f files) { f["records/action-x.json"] = []byte("{}") }, "records/action-x.json", Unknown},
		"a file added":   {func(_ *testing.T, f files) { f["README"] = []byte("all is well") }, "README", Unknown},
		"a hidden file":  {func(_ *testing.T, f files) { f["entries/.x"] = nil }, "entries/.x", Unknown},
		"two payloads swapped": {func(_ *testing.T, f files) {
			a, b := PayloadPath(payloads[0]), PayloadPath(payloads[1])
			f[a], f[b] = f[b], f[a]
		}, "", Wrong},
		"a payload added": {func(_ *testing.T, f files) { f[PayloadPath("sha256:00")] = nil }, "payloads/00", Unknown},
		"two proofs swapped": {func(t *testing.T, f files) {
			f.edit(t, proofsFile, func(p map[string]any) {
				l, ok := p["proofs"].([]any)
				if !ok {
					t.Fatal("no proofs")
				}
				l[0], l[1] = l[1], l[0]
			})
		}, entryPath(0), Wrong},
		"a forged size": {func(_ *testing.T, f files) {
			f[checkpointFile] = []byte(strings.Replace(string(f[checkpointFile]), "\n31\n", "\n32\n", 1))
		}, checkpointFile, Wrong},
		"a checkpoint signed by another key of the same name": {func(t *testing.T, f files) {
			f[checkpointFile] = s.checkpoint(otherSigner(t))
		}, checkpointFile, Wrong},
		"a second signature": {func(t *testing.T, f files) {
			opened, err := note.Open(f[checkpointFile], note.VerifierList(verifierOf(t, s.vkey)))
			if err != nil {
				t.Fatal(err)
			}
			if f[checkpointFile], err = note.Sign(opened, otherSigner(t)); err != nil {
				t.Fatal(err)
			}
		}, checkpointFile, Wrong},
		"an earlier checkpoint of the log": {func(_ *testing.T, f files) {
			f[checkpointFile] = early.checkpoint(early.signer)
		}, manifestFile, Wrong},
		"an earlier checkpoint of the log, and the manifest to it": {func(t *testing.T, f files) {
			f[checkpointFile] = early.checkpoint(early.signer)
			f.edit(t, manifestFile, func(m map[string]any) { m["treeSize"] = early.size })
		}, entryPath(0), Wrong},
		"the seal cut off": {func(t *testing.T, f files) { truncate(t, f, 11) }, entryPath(11), Missing},
		"another case's name": {func(t *testing.T, f files) {
			f.edit(t, manifestFile, func(m map[string]any) {
				m["case"] = map[string]any{"namespace": "soc", "name": "other", "uid": sampleCase.UID}
			})
		}, entryPath(0), Wrong},
		"another format": {func(t *testing.T, f files) {
			f.edit(t, manifestFile, func(m map[string]any) { m["format"] = "casebook.dev/bundle/v2" })
		}, manifestFile, Wrong},
	} {
		t.Run(name, func(t *testing.T) {
			f := s.files()
			tt.forge(t, f)
			_, err := Verify(f.fs(), s.vkey)
			got, ok := errors.AsType[*BundleError](err)
			if !ok || got.Problem != tt.problem || got.File != tt.file && tt.file != "" {
				t.Errorf("%v\nwant that %s is %s", err, tt.file, tt.problem)
			}
		})
	}
}

func TestVerifyWithAnotherKey(t *testing.T) {
	s := closedSample(t)
	_, vkey, err := GenerateKey(seed(9), sampleOrigin)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"another key of the name": vkey, "no key": "", "not a key": "soc-evidence"} {
		if _, err := Verify(s.files().fs(), key); err == nil {
			t.Errorf("verified with %s", name)
		}
	}
}

// TestTailTruncation cuts the closure off too. Nothing in the folder can show that; the report must not call it complete.
func TestTailTruncation(t *testing.T) {
	s := closedSample(t)
	f := s.files()
	truncate(t, f, 10)
	f[recordPath(s.entries[0].Object)] = replayed(t, s.entries[:10], sampleCase.UID)
	report, err := Verify(f.fs(), s.vkey)
	if err != nil {
		t.Fatal(err)
	}
	if report.Sealed || !strings.Contains(report.String(), "open case: complete up to entry 9 ") || strings.Contains(report.String(), "nothing is cut off") {
		t.Errorf("a case without its end is reported as\n%s", report)
	}
}

func TestSealThatListsLess(t *testing.T) {
	s := newSample(t)
	s.investigate()
	s.change("Case", sampleCase.Name, `{"status":{}}`, `{"status":{"state":"Closed"}}`)
	all := s.entries
	s.entries = slices.Delete(slices.Clone(all), 9, 10) // what a seal would say if the decision were left out
	seal, err := NewSeal(s.entries)
	if err != nil {
		t.Fatal(err)
	}
	s.entries = all
	d, err := seal.Draft("soc", Actor{Type: Automation, Name: "evidence"}, MicroTime{s.now})
	if err != nil {
		t.Fatal(err)
	}
	s.add(d)
	_, err = Verify(s.files().fs(), s.vkey)
	if got, ok := errors.AsType[*BundleError](err); !ok || got.File != entryPath(11) || got.Problem != Wrong {
		t.Errorf("%v, want that the seal is wrong", err)
	}
}

func TestLinksAreRefused(t *testing.T) {
	s := closedSample(t)
	m := s.files().fs()
	m["checkpoint"] = &fstest.MapFile{Data: []byte("elsewhere"), Mode: fs.ModeSymlink}
	_, err := Verify(m, s.vkey)
	if got, ok := errors.AsType[*BundleError](err); !ok || got.File != "checkpoint" {
		t.Errorf("%v, want that the link is refused", err)
	}
}

func otherSigner(t *testing.T) note.Signer {
	t.Helper()
	skey, _, err := GenerateKey(seed(2), sampleOrigin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func verifierOf(t *testing.T, vkey string) note.Verifier {
	t.Helper()
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// rechain replaces the entries of a bundle by others that are chained correctly.
func rechain(t *testing.T, f files, entries []Entry) {
	t.Helper()
	for path := range f {
		if strings.HasPrefix(path, entriesFolder+"/") {
			delete(f, path)
		}
	}
	previous := ""
	for i, e := range entries {
		chained, err := NewEntry(e.Draft, []byte(strings.Repeat("s", SaltSize)), int64(i), previous)
		if err != nil {
			t.Fatal(err)
		}
		if i < len(entries) && e.Salt != "" && e.CaseSequence == int64(i) && e.Previous == previous {
			chained = e // unchanged so far
		}
		data, err := chained.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		f[entryPath(i)] = data
		previous = Commit(data).String()
	}
}

// truncate cuts a bundle down to its first n entries.
func truncate(t *testing.T, f files, n int) {
	t.Helper()
	for i := n; i < 12; i++ {
		delete(f, entryPath(i))
	}
	f.edit(t, proofsFile, func(p map[string]any) {
		l, ok := p["proofs"].([]any)
		if !ok {
			t.Fatal("no proofs")
		}
		p["proofs"] = l[:n]
	})
}

func replayed(t *testing.T, entries []Entry, uid string) []byte {
	t.Helper()
	var own []Entry
	for _, e := range entries {
		if e.Object.UID == uid {
			own = append(own, e)
		}
	}
	data, err := Replay(own)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func BenchmarkVerify200Entries(b *testing.B) {
	s := newSample(b)
	s.create("Case", sampleCase.Name, `{"type":"runtime-threat"}`)
	status := func(n int) string {
		var items strings.Builder
		for i := range n {
			fmt.Fprintf(&items, `,{"name":"item %d","state":"Done","message":"what happened, in about as many words as people use"}`, i)
		}
		return fmt.Sprintf(`{"status":{"state":"Triage","items":[%s]}}`, strings.TrimPrefix(items.String(), ","))
	}
	before := `{}`
	for i := range 199 {
		s.change("Case", sampleCase.Name, before, status(i))
		before = status(i)
	}
	bundle := s.files().fs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := Verify(bundle, s.vkey); err != nil {
			b.Fatal(err)
		}
	}
}
