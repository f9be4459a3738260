// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// EntryFormat names the form of entries. An entry is never converted: a change of form is a new name beside this one.
const EntryFormat = "casebook.dev/entry/v1"

const (
	// SaltSize is the length of an entry's salt in bytes.
	SaltSize = 32
	// MaxEntry is the length of the longest entry in bytes. The largest record has 128 KiB; its patch, a string in
	// JSON, can take twice that.
	MaxEntry = 1 << 20
)

// Object names the record whose change an entry is.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// Case names the case that an entry belongs to, in the namespace of the object.
type Case struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// ActorType says what kind of actor made a change.
type ActorType string

// The types of actors.
const (
	Person     ActorType = "Person"     // stamped by the API server from the request
	Automation ActorType = "Automation" // a controller, for a playbook where revision and step say so
)

// Actor is who made a change. Name is the user name of a person, the controller of an automation.
type Actor struct {
	Type     ActorType `json:"type"`
	Name     string    `json:"name"`
	UID      string    `json:"uid,omitempty"`
	Groups   []string  `json:"groups,omitempty"`
	Revision string    `json:"revision,omitempty"`
	Step     string    `json:"step,omitempty"`
}

// MicroTime is a time that is written in UTC with microseconds, as Kubernetes writes its MicroTime.
type MicroTime struct{ time.Time }

const microFormat = "2006-01-02T15:04:05.000000Z07:00"

// MarshalJSON implements json.Marshaler.
func (t MicroTime) MarshalJSON() ([]byte, error) {
	if year := t.UTC().Year(); year < 0 || year > 9999 {
		return nil, fmt.Errorf("the year %d is not within RFC 3339", year)
	}
	return json.Marshal(t.UTC().Format(microFormat))
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *MicroTime) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := time.Parse(microFormat, text)
	t.Time = parsed.UTC()
	return err
}

// Draft is an entry before it has its place in a case and a log: what a journal says.
type Draft struct {
	Object Object `json:"object"`
	Case   Case   `json:"case"`
	// Sequence numbers the entries of one object (by uid) from 0.
	Sequence int64     `json:"sequence"`
	Time     MicroTime `json:"time"`
	Actor    Actor     `json:"actor"`
	// Reason is one word in CamelCase, such as Opened.
	Reason string `json:"reason"`
	// Spec is the record as it was created, for sequence 0 only: what Creation returns.
	Spec json.RawMessage `json:"spec,omitempty"`
	// Patch is the change of what Status returns, for every later sequence: what Diff returns.
	Patch string `json:"patch,omitempty"`
}

// Entry is a draft with its place in its case.
type Entry struct {
	Format string `json:"format"`
	// Salt is 32 random bytes in hexadecimal. Without them a commitment could be tried against guessed contents.
	Salt string `json:"salt"`
	Draft
	// CaseSequence numbers the entries of the case from 0, in the order in which they were sealed.
	CaseSequence int64 `json:"caseSequence"`
	// Previous is the commitment to the entry before this one in the case, in hexadecimal; empty for the first.
	Previous string `json:"previous"`
}

// NewEntry gives a draft its place: salt has SaltSize random bytes, previous is the commitment to the case's entry
// before it in hexadecimal, empty for the first. Spec and patch are brought into canonical form.
func NewEntry(d Draft, salt []byte, caseSequence int64, previous string) (Entry, error) {
	e := Entry{Format: EntryFormat, Salt: hex.EncodeToString(salt), Draft: d, CaseSequence: caseSequence, Previous: previous}
	e.Time.Time = e.Time.UTC().Truncate(time.Microsecond)
	var err error
	if len(d.Spec) > 0 {
		if e.Spec, err = Canonical(d.Spec); err != nil {
			return Entry{}, e.refused(err)
		}
	}
	if d.Patch != "" {
		patch, err := Canonical([]byte(d.Patch))
		if err != nil {
			return Entry{}, e.refused(err)
		}
		e.Patch = string(patch)
	}
	if err := e.check(); err != nil {
		return Entry{}, e.refused(err)
	}
	if _, err := e.Bytes(); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// ParseEntry reads an entry from its canonical bytes.
func ParseEntry(data []byte) (Entry, error) {
	var e Entry
	if len(data) > MaxEntry {
		return Entry{}, fmt.Errorf("read an entry: it has %d bytes, more than %d", len(data), MaxEntry)
	}
	if err := decode(data, &e); err != nil {
		return Entry{}, fmt.Errorf("read an entry: %w", err)
	}
	if err := e.check(); err != nil {
		return Entry{}, fmt.Errorf("read an entry: %w", err)
	}
	return e, nil
}

// Bytes returns the canonical bytes of the entry, which its commitment is of.
func (e Entry) Bytes() ([]byte, error) {
	data, err := encode(e)
	if err != nil {
		return nil, e.refused(err)
	}
	if len(data) > MaxEntry {
		return nil, e.refused(fmt.Errorf("it has %d bytes, more than %d; keep what is large as a payload", len(data), MaxEntry))
	}
	return data, nil
}

// Commit returns the commitment to an entry's canonical bytes, which is a leaf's data in the log.
func Commit(entry []byte) Commitment { return sha256.Sum256(entry) }

// Commitment is the SHA-256 of an entry's canonical bytes.
type Commitment [sha256.Size]byte

// String returns the commitment in hexadecimal, as the next entry names it.
func (c Commitment) String() string { return hex.EncodeToString(c[:]) }

func (e Entry) refused(err error) error {
	return fmt.Errorf("make entry %d of %s %s/%s: %w", e.Sequence, e.Object.Kind, e.Object.Namespace, e.Object.Name, err)
}

// check says what is wrong with an entry by itself.
func (e Entry) check() error {
	o := e.Object
	switch {
	case e.Format != EntryFormat:
		return fmt.Errorf("its format is %q; this version reads %q", e.Format, EntryFormat)
	case !isHash(e.Salt):
		return fmt.Errorf("its salt is not %d bytes in lower-case hexadecimal", SaltSize)
	case o.APIVersion == "" || !isName(o.Kind) || !isName(o.Namespace) || !isName(o.Name) || !isName(o.UID):
		return errors.New("its object lacks one of apiVersion, kind, namespace, name, uid, or one is no name")
	case !isName(e.Case.Name) || !isName(e.Case.UID):
		return errors.New("its case lacks name or uid, or one is no name")
	case o.Kind == "Case" && (o.Name != e.Case.Name || o.UID != e.Case.UID):
		return fmt.Errorf("it is of case %s but filed under case %s", o.Name, e.Case.Name)
	case e.Sequence < 0 || e.CaseSequence < e.Sequence:
		return fmt.Errorf("sequence %d at caseSequence %d: a sequence is not negative and not beyond that of its case", e.Sequence, e.CaseSequence)
	case (e.CaseSequence == 0) != (e.Previous == "") || e.Previous != "" && !isHash(e.Previous):
		return errors.New("previous is not the SHA-256 of the entry before in lower-case hexadecimal, empty for the first entry of a case")
	case e.Actor.Type != Person && e.Actor.Type != Automation:
		return fmt.Errorf("its actor has type %q; it is %s or %s", e.Actor.Type, Person, Automation)
	case e.Actor.Name == "" || e.Reason == "" || e.Time.IsZero():
		return errors.New("it lacks the actor's name, the reason or the time")
	}
	return e.checkContent()
}

func (e Entry) checkContent() error {
	if e.Sequence > 0 {
		if len(e.Spec) > 0 || e.Patch == "" {
			return errors.New("every entry of an object but the first has a patch and no spec")
		}
		if canonical, err := Canonical([]byte(e.Patch)); err != nil || !slices.Equal(canonical, []byte(e.Patch)) {
			return errors.New("its patch is not canonical JSON")
		}
		if _, err := parsePatch(e.Patch); err != nil {
			return fmt.Errorf("its patch cannot be read: %w", err)
		}
		return nil
	}
	if len(e.Spec) == 0 || e.Patch != "" {
		return errors.New("the first entry of an object has a spec and no patch")
	}
	created, err := Creation(e.Spec)
	if err != nil {
		return fmt.Errorf("its spec cannot be read: %w", err)
	}
	if !bytes.Equal(created, e.Spec) {
		return errors.New("its spec holds more than apiVersion, kind, metadata (name, namespace, uid, creationTimestamp, labels) and spec")
	}
	if object, err := objectOf(e.Spec); err != nil || object != e.Object {
		return fmt.Errorf("its spec is of %s %s/%s (uid %s), not of its object", object.Kind, object.Namespace, object.Name, object.UID)
	}
	return nil
}

// isName says whether text can be a name or uid of Kubernetes, and so a part of a path that leads nowhere else.
func isName(text string) bool {
	return text != "" && len(text) <= 253 && text[0] != '.' && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}

// isHash says whether text is 32 bytes in lower-case hexadecimal.
func isHash(text string) bool {
	data, err := hex.DecodeString(text)
	return err == nil && len(data) == sha256.Size && hex.EncodeToString(data) == text
}
