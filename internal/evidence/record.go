// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/json"
	"fmt"
)

// record is what evidence keeps of a record: no managed fields, no resource version, nothing that the API server
// writes for itself.
type record struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   metadata        `json:"metadata"`
	Spec       json.RawMessage `json:"spec,omitempty"`
	Status     json.RawMessage `json:"status,omitempty"`
}

type metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	CreationTimestamp string            `json:"creationTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
}

// Creation returns of an object, given as the JSON the API server serves, what the spec of its first entry is:
// apiVersion, kind, metadata (name, namespace, uid, creationTimestamp, labels) and spec, as canonical JSON.
func Creation(object []byte) (json.RawMessage, error) {
	r, err := parseRecord(object)
	if err != nil {
		return nil, err
	}
	r.Status = nil
	return encode(r)
}

// Status returns of an object {"status": ...} without the journal, or {} if nothing is left, as canonical JSON: the
// document whose changes are journaled.
func Status(object []byte) ([]byte, error) {
	r, err := parseRecord(object)
	if err != nil {
		return nil, err
	}
	return encode(statusDocument{r.Status})
}

type statusDocument struct {
	Status json.RawMessage `json:"status,omitempty"`
}

// Record returns of an object what evidence keeps of it, Creation and Status together, as canonical JSON: what Replay
// makes of its entries.
func Record(object []byte) (json.RawMessage, error) {
	r, err := parseRecord(object)
	if err != nil {
		return nil, err
	}
	return encode(r)
}

func parseRecord(object []byte) (record, error) {
	var r record
	if err := json.Unmarshal(object, &r); err != nil {
		return record{}, fmt.Errorf("read a record: %w", err)
	}
	var err error
	if r.Status, err = withoutJournal(r.Status); err != nil {
		return record{}, fmt.Errorf("read the status of %s %s: %w", r.Kind, r.Metadata.Name, err)
	}
	if string(r.Spec) == "null" {
		r.Spec = nil
	}
	return r, nil
}

// withoutJournal drops the journal, and a status that is empty without it: a status that was never written and one
// that says nothing are the same.
func withoutJournal(status json.RawMessage) (json.RawMessage, error) {
	if len(status) == 0 {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(status, &fields); err != nil {
		return nil, err
	}
	delete(fields, "journal")
	if len(fields) == 0 {
		return nil, nil
	}
	return encode(fields)
}

func objectOf(data []byte) (Object, error) {
	r, err := parseRecord(data)
	if err != nil {
		return Object{}, err
	}
	return Object{APIVersion: r.APIVersion, Kind: r.Kind, Namespace: r.Metadata.Namespace, Name: r.Metadata.Name, UID: r.Metadata.UID}, nil
}

// Replay makes of all entries of one object, in order, the record as the last of them left it: as Record returns it.
func Replay(entries []Entry) (json.RawMessage, error) {
	if len(entries) == 0 {
		return nil, fmt.Errorf("replay a record: it has no entries")
	}
	first := entries[0]
	patches := make([]string, 0, len(entries))
	for i, e := range entries {
		if e.Object != first.Object || e.Sequence != int64(i) {
			return nil, fmt.Errorf("replay %s %s: entry %d of %s %s (uid %s) stands where its entry %d belongs", first.Object.Kind, first.Object.Name,
				e.Sequence, e.Object.Kind, e.Object.Name, e.Object.UID, i)
		}
		if i > 0 {
			patches = append(patches, e.Patch)
		}
	}
	status, err := applyAll(patches)
	if err != nil {
		return nil, fmt.Errorf("replay %s %s: %w", first.Object.Kind, first.Object.Name, err)
	}
	replayed, err := withStatus(first.Spec, status)
	if err != nil {
		return nil, fmt.Errorf("replay %s %s: %w", first.Object.Kind, first.Object.Name, err)
	}
	return replayed, nil
}

// applyAll applies patches to an empty document: as one patch, which reads the document once, and one by one only to
// tell which of them does not apply.
func applyAll(patches []string) ([]byte, error) {
	empty := []byte("{}")
	operations := make([]json.RawMessage, 0, len(patches))
	for i, patch := range patches {
		var more []json.RawMessage
		if err := json.Unmarshal([]byte(patch), &more); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		operations = append(operations, more...)
	}
	joined, err := json.Marshal(operations)
	if err != nil {
		return nil, err
	}
	doc, whole := apply(empty, string(joined))
	if whole == nil {
		return doc, nil
	}
	doc = empty
	for i, patch := range patches {
		if doc, err = apply(doc, patch); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	return doc, nil
}

// withStatus puts a status document together with what an object was created as.
func withStatus(created, document []byte) (json.RawMessage, error) {
	r, err := parseRecord(created)
	if err != nil {
		return nil, err
	}
	document, err = Canonical(document)
	if err != nil {
		return nil, err
	}
	var d statusDocument
	if err := decode(document, &d); err != nil {
		return nil, fmt.Errorf("a patch changes more than the status: %w", err)
	}
	if r.Status, err = withoutJournal(d.Status); err != nil {
		return nil, err
	}
	return encode(r)
}
