// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The kind of the entries that close a case's evidence, and its format.
const (
	SealKind   = "Seal"
	SealFormat = "casebook.dev/seal/v1"
	// SealedReason is the reason of a seal.
	SealedReason = "Sealed"
)

// Seal says what belongs to a case once it is closed and all its records are drained: with it, nothing can be cut off
// the end. A case that was reopened and closed again has another one.
type Seal struct {
	Case Case `json:"case"`
	// Entries is the number of the case's entries before the seal.
	Entries int64 `json:"entries"`
	// Records lists every record of the case in the order of their first entries.
	Records []SealedRecord `json:"records"`
	// Payloads lists the digests ("sha256:" and hexadecimal) of the payloads that the case's signals name, sorted.
	Payloads []string `json:"payloads"`
}

// SealedRecord is one record and how far it is sealed.
type SealedRecord struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	UID  string `json:"uid"`
	// Sequence is that of the record's last entry.
	Sequence int64 `json:"sequence"`
}

// NewSeal returns the seal of a case with exactly these entries, which are all of the case from the first on.
func NewSeal(entries []Entry) (Seal, error) {
	if len(entries) == 0 {
		return Seal{}, fmt.Errorf("seal a case: it has no entries")
	}
	s := Seal{Case: entries[0].Case, Entries: int64(len(entries)), Records: []SealedRecord{}}
	at := map[string]int{}
	for _, e := range entries {
		if e.Object.Kind == SealKind {
			continue
		}
		i, known := at[e.Object.UID]
		if !known {
			i = len(s.Records)
			at[e.Object.UID] = i
			s.Records = append(s.Records, SealedRecord{Kind: e.Object.Kind, Name: e.Object.Name, UID: e.Object.UID})
		}
		s.Records[i].Sequence = e.Sequence
	}
	var err error
	s.Payloads, err = Payloads(entries)
	return s, err
}

// Draft returns the seal as the draft of an entry of its own object, named for the place it takes in the case, so that
// the same seal is never appended twice.
func (s Seal) Draft(namespace string, actor Actor, at MicroTime) (Draft, error) {
	object := Object{APIVersion: SealFormat, Kind: SealKind, Namespace: namespace, Name: s.Case.Name, UID: fmt.Sprintf("%s-seal-%d", s.Case.UID, s.Entries)}
	content, err := json.Marshal(s)
	if err != nil {
		return Draft{}, err
	}
	spec, err := encode(record{APIVersion: object.APIVersion, Kind: object.Kind,
		Metadata: metadata{Name: object.Name, Namespace: namespace, UID: object.UID}, Spec: content})
	if err != nil {
		return Draft{}, fmt.Errorf("seal case %s: %w", s.Case.Name, err)
	}
	return Draft{Object: object, Case: s.Case, Time: at, Actor: actor, Reason: SealedReason, Spec: spec}, nil
}

// parseSeal reads the seal from its entry.
func parseSeal(e Entry) (Seal, error) {
	r, err := parseRecord(e.Spec)
	if err != nil {
		return Seal{}, err
	}
	var s Seal
	if err := decode(r.Spec, &s); err != nil {
		return Seal{}, fmt.Errorf("read the seal of case %s: %w", e.Case.Name, err)
	}
	return s, nil
}

const digestPrefix = "sha256:"

// Payloads returns the digests of the payloads that the signals among the entries name (spec.raw.digest), sorted.
func Payloads(entries []Entry) ([]string, error) {
	digests := []string{}
	for _, e := range entries {
		if e.Object.Kind != "Signal" || e.Sequence != 0 {
			continue
		}
		var signal struct {
			Spec struct {
				Raw struct {
					Digest string `json:"digest"`
				} `json:"raw"`
			} `json:"spec"`
		}
		if err := json.Unmarshal(e.Spec, &signal); err != nil {
			return nil, fmt.Errorf("read the payload's digest of signal %s: %w", e.Object.Name, err)
		}
		digest := signal.Spec.Raw.Digest
		if digest == "" {
			continue
		}
		if !strings.HasPrefix(digest, digestPrefix) || !isHash(strings.TrimPrefix(digest, digestPrefix)) {
			return nil, fmt.Errorf("read the payload's digest of signal %s: %q is not sha256: and 64 lower-case hexadecimal digits", e.Object.Name, digest)
		}
		digests = append(digests, digest)
	}
	slices.Sort(digests)
	return slices.Compact(digests), nil
}
