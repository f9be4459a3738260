// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// readEntries reads the entries in order and checks of each that it is the one that belongs there and is in the log.
func (v *verifier) readEntries() error {
	count := max(len(v.proofs), v.highestEntry()+1)
	if count == 0 {
		return bad(entryPath(0), Missing, "a case has at least one entry")
	}
	next := map[string]int64{} // by object
	previous := ""
	for i := range count {
		path := entryPath(i)
		data, err := v.read(path, MaxEntry, fmt.Sprintf("the chain of %d entries has one there", count))
		if err != nil {
			return err
		}
		e, err := ParseEntry(data)
		if err != nil {
			return bad(path, Wrong, "%w", err)
		}
		if err := v.checkPlace(path, i, e, previous, next[e.Object.UID]); err != nil {
			return err
		}
		if err := v.checkInclusion(path, i, Commit(data)); err != nil {
			return err
		}
		next[e.Object.UID]++
		previous = Commit(data).String()
		v.entries = append(v.entries, e)
	}
	v.report.Entries = count
	return nil
}

// highestEntry returns the number of the last entry file, -1 if there is none.
func (v *verifier) highestEntry() int {
	highest := -1
	for path := range v.unused {
		var n int
		if !strings.HasPrefix(path, entriesFolder+"/") {
			continue
		}
		if _, err := fmt.Sscanf(path, entriesFolder+"/%06d.json", &n); err == nil && entryPath(n) == path {
			highest = max(highest, n)
		}
	}
	return highest
}

func (v *verifier) checkPlace(path string, i int, e Entry, previous string, sequence int64) error {
	of := v.about.Case
	switch {
	case e.Case.UID != of.UID || e.Case.Name != of.Name || e.Object.Namespace != of.Namespace:
		return bad(path, Wrong, "it is of case %s/%s (uid %s), the bundle of %s/%s (uid %s)",
			e.Object.Namespace, e.Case.Name, e.Case.UID, of.Namespace, of.Name, of.UID)
	case e.CaseSequence != int64(i):
		return bad(path, OutOfOrder, "it is entry %d of the case; entry %d belongs there", e.CaseSequence, i)
	case e.Previous != previous:
		return bad(path, OutOfOrder, "it follows the entry with hash %s; the one before it has %s", orNone(e.Previous), orNone(previous))
	case e.Sequence != sequence:
		return bad(path, OutOfOrder, "it is entry %d of %s %s; entry %d of it comes next", e.Sequence, e.Object.Kind, e.Object.Name, sequence)
	}
	return nil
}

func orNone(hash string) string {
	if hash == "" {
		return "(none)"
	}
	return hash
}

func (v *verifier) checkInclusion(path string, i int, c Commitment) error {
	if i >= len(v.proofs) {
		return bad(proofsFile, Wrong, "it has %d proofs and none for %s", len(v.proofs), path)
	}
	p := v.proofs[i]
	if i > 0 && p.Index <= v.proofs[i-1].Index {
		return bad(proofsFile, Wrong, "it puts %s at %d in the log, not after the entry before it at %d", path, p.Index, v.proofs[i-1].Index)
	}
	if p.Index < 0 || p.Index >= v.checkpoint.Size {
		return bad(proofsFile, Wrong, "it puts %s at %d, outside the log of size %d", path, p.Index, v.checkpoint.Size)
	}
	if err := tlog.CheckRecord(p.Hashes, v.checkpoint.Size, v.checkpoint.Root, p.Index, LeafHash(c)); err != nil {
		return bad(path, Wrong, "it is not what was sealed at %d in the log of size %d: its bytes or its proof in %s were changed (%w)",
			p.Index, v.checkpoint.Size, proofsFile, err)
	}
	return nil
}

// checkRecords replays every record and compares it with its file.
func (v *verifier) checkRecords() error {
	for _, entries := range byObject(v.entries) {
		o := entries[0].Object
		path := recordPath(o)
		data, err := v.read(path, MaxEntry, fmt.Sprintf("%s %s has %d entries", o.Kind, o.Name, len(entries)))
		if err != nil {
			return err
		}
		replayed, err := Replay(entries)
		if err != nil {
			return bad(path, Wrong, "%w", err)
		}
		if string(data) != string(replayed) {
			return bad(path, Wrong, "its %d entries, replayed, make another record than it holds", len(entries))
		}
		v.report.count(o.Kind)
		if o.UID == v.about.Case.UID {
			v.state = stateOf(replayed)
		}
	}
	if v.report.Records["Case"] != 1 {
		return bad(recordsFolder, Missing, "the record of the case itself is not among the entries")
	}
	return nil
}

func stateOf(record json.RawMessage) string {
	var r struct {
		Status struct {
			State string `json:"state"`
		} `json:"status"`
	}
	if err := json.Unmarshal(record, &r); err != nil {
		return ""
	}
	return r.Status.State
}

// closed says whether a case in that state needs a seal.
func closed(state string) bool { return state == "Closed" || state == "Merged" }

// checkSeals compares every seal with the entries before it, and demands one at the end of a closed case.
func (v *verifier) checkSeals() error {
	last := len(v.entries) - 1
	for i, e := range v.entries {
		if e.Object.Kind != SealKind {
			continue
		}
		got, err := parseSeal(e)
		if err != nil {
			return bad(entryPath(i), Wrong, "%w", err)
		}
		seal, err := NewSeal(v.entries[:i])
		if err != nil {
			return bad(entryPath(i), Wrong, "%w", err)
		}
		want, err := seal.Draft(e.Object.Namespace, e.Actor, e.Time)
		if err != nil {
			return bad(entryPath(i), Wrong, "%w", err)
		}
		if want.Object != e.Object || string(want.Spec) != string(e.Spec) {
			return bad(entryPath(i), Wrong, "the seal lists %d entries, %d records, %d payloads; before it are %d, %d, %d, or others",
				got.Entries, len(got.Records), len(got.Payloads), seal.Entries, len(seal.Records), len(seal.Payloads))
		}
	}
	v.report.Sealed = closed(v.state) && v.entries[last].Object.Kind == SealKind
	if closed(v.state) && !v.report.Sealed {
		return bad(entryPath(last+1), Missing, "the case is %s, so its last entry must be the seal that lists all its records", v.state)
	}
	return nil
}
