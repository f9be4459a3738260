// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// The formats of a bundle and of its proofs.
const (
	BundleFormat = "casebook.dev/bundle/v1"
	ProofsFormat = "casebook.dev/proofs/v1"
)

// The files and folders of a bundle.
const (
	manifestFile   = "bundle.json"
	proofsFile     = "proofs.json"
	checkpointFile = "checkpoint"
	entriesFolder  = "entries"
	recordsFolder  = "records"
	payloadsFolder = "payloads"
)

// MaxEntries is the largest number of entries of one case: their files have six digits.
const MaxEntries = 1_000_000

// CaseRef names a case.
type CaseRef struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// Proof says where in the log an entry is, and the hashes that lead from its leaf to the root (RFC 6962).
type Proof struct {
	Index  int64            `json:"index"`
	Hashes tlog.RecordProof `json:"hashes"`
}

// Bundle is the evidence of one case as of one checkpoint: what a stranger needs to verify it offline.
type Bundle struct {
	Case CaseRef
	// Checkpoint is the signed checkpoint that the proofs lead to.
	Checkpoint []byte
	// Entries are all entries of the case in the order of caseSequence, Proofs theirs.
	Entries []Entry
	Proofs  []Proof
	// Records are the case's records as they stood when the bundle was made, as the API server served them. Records of
	// the case that are not given, because they left the cluster, are replayed.
	Records []json.RawMessage
}

// manifest is bundle.json.
type manifest struct {
	Format   string  `json:"format"`
	Origin   string  `json:"origin"`
	Case     CaseRef `json:"case"`
	TreeSize int64   `json:"treeSize"`
	// Exported is the time of the checkpoint, as of which the bundle speaks: it is signed, a time of writing would not be.
	Exported string `json:"exported"`
}

type proofs struct {
	Format string  `json:"format"`
	Proofs []Proof `json:"proofs"`
}

// Files returns the files of the bundle by path, but for the payloads, which Payloads names and PayloadPath places. It
// refuses a record that its entries do not explain (NotDrainedError): its journal is not sealed yet.
func (b Bundle) Files() (map[string][]byte, error) {
	text, _, _ := strings.Cut(string(b.Checkpoint), "\n\n")
	checkpoint, err := ParseCheckpoint(text + "\n")
	if err != nil {
		return nil, err
	}
	if len(b.Entries) == 0 || len(b.Entries) != len(b.Proofs) || len(b.Entries) > MaxEntries {
		return nil, fmt.Errorf("make the bundle of case %s: %d entries and %d proofs; it takes one each, 1 to %d", b.Case.Name, len(b.Entries), len(b.Proofs), MaxEntries)
	}
	files, err := b.recordFiles()
	if err != nil {
		return nil, err
	}
	for i, e := range b.Entries {
		if files[entryPath(i)], err = e.Bytes(); err != nil {
			return nil, err
		}
	}
	files[checkpointFile] = b.Checkpoint
	if files[proofsFile], err = encode(proofs{ProofsFormat, b.Proofs}); err != nil {
		return nil, err
	}
	files[manifestFile], err = encode(manifestOf(b.Case, checkpoint))
	return files, err
}

func manifestOf(ref CaseRef, c Checkpoint) manifest {
	return manifest{Format: BundleFormat, Origin: c.Origin, Case: ref, TreeSize: c.Size, Exported: c.Time.UTC().Format("2006-01-02T15:04:05Z07:00")}
}

// recordFiles returns the files of the records, each compared with the replay of its entries.
func (b Bundle) recordFiles() (map[string][]byte, error) {
	given := map[string]json.RawMessage{}
	for _, object := range b.Records {
		o, err := objectOf(object)
		if err != nil {
			return nil, err
		}
		if given[o.UID], err = Record(object); err != nil {
			return nil, err
		}
	}
	files := map[string][]byte{}
	for _, entries := range byObject(b.Entries) {
		o := entries[0].Object
		replayed, err := Replay(entries)
		if err != nil {
			return nil, err
		}
		if stood, ok := given[o.UID]; ok && string(stood) != string(replayed) {
			return nil, &NotDrainedError{Object: o, Sequence: int64(len(entries)) - 1}
		}
		delete(given, o.UID)
		path := recordPath(o)
		if _, taken := files[path]; taken {
			return nil, fmt.Errorf("make the bundle of case %s: two records are called %s %s", b.Case.Name, o.Kind, o.Name)
		}
		files[path] = replayed
	}
	for _, object := range given {
		o, err := objectOf(object)
		if err != nil {
			return nil, err
		}
		return nil, &NotDrainedError{Object: o, Sequence: -1}
	}
	return files, nil
}

// NotDrainedError says that a record is ahead of its sealed entries.
type NotDrainedError struct {
	Object Object
	// Sequence is that of its last sealed entry, -1 for none in this case.
	Sequence int64
}

// Error implements error.
func (e *NotDrainedError) Error() string {
	sealed := "no entry of it is sealed in this case"
	if e.Sequence >= 0 {
		sealed = fmt.Sprintf("it is not what its entries up to %d say", e.Sequence)
	}
	return fmt.Sprintf("%s %s/%s (uid %s) is ahead of the log: %s; wait until its journal is sealed and try again",
		e.Object.Kind, e.Object.Namespace, e.Object.Name, e.Object.UID, sealed)
}

// byObject groups entries by object, in the order of their first entries, without seals, which are no records.
func byObject(entries []Entry) [][]Entry {
	var groups [][]Entry
	at := map[string]int{}
	for _, e := range entries {
		if e.Object.Kind == SealKind {
			continue
		}
		i, known := at[e.Object.UID]
		if !known {
			i = len(groups)
			at[e.Object.UID] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], e)
	}
	return groups
}

func entryPath(i int) string { return fmt.Sprintf("%s/%06d.json", entriesFolder, i) }

// PayloadPath returns the path in a bundle of the payload with a digest ("sha256:" and hexadecimal).
func PayloadPath(digest string) string {
	return payloadsFolder + "/" + strings.TrimPrefix(digest, digestPrefix)
}

// longestName is how much of a record's name its file name holds; file systems take 255 bytes in all.
const longestName = 150

// recordPath returns the path of a record: kind and name, the latter cut and told apart by a hash where it is long.
func recordPath(o Object) string {
	name := o.Name
	if len(name) > longestName {
		sum := sha256.Sum256([]byte(name))
		name = name[:longestName] + "." + hex.EncodeToString(sum[:8])
	}
	return fmt.Sprintf("%s/%s-%s.json", recordsFolder, strings.ToLower(o.Kind), name)
}
