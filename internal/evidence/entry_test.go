// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
)

func TestEntryForm(t *testing.T) {
	d := Draft{
		Object: Object{"casebook.dev/v1alpha1", "Case", "soc", "rt-1", "u-1"}, Case: Case{"rt-1", "u-1"},
		Time: MicroTime{time.Date(2026, 11, 24, 11, 0, 0, 120_000_999, time.FixedZone("CET", 3600))}, Reason: "Opened",
		Actor: Actor{Type: Automation, Name: "intake"},
		Spec:  []byte(`{"kind":"Case","apiVersion":"casebook.dev/v1alpha1","metadata":{"uid":"u-1","namespace":"soc","name":"rt-1"},"spec":{"z":1.0,"a":"<é>"}}`),
	}
	e, err := NewEntry(d, bytes.Repeat([]byte{0xab}, SaltSize), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"actor":{"name":"intake","type":"Automation"},"case":{"name":"rt-1","uid":"u-1"},"caseSequence":0,"format":"casebook.dev/entry/v1",` +
		`"object":{"apiVersion":"casebook.dev/v1alpha1","kind":"Case","name":"rt-1","namespace":"soc","uid":"u-1"},"previous":"","reason":"Opened",` +
		`"salt":"` + strings.Repeat("ab", 32) + `","sequence":0,"spec":{"apiVersion":"casebook.dev/v1alpha1","kind":"Case",` +
		`"metadata":{"name":"rt-1","namespace":"soc","uid":"u-1"},"spec":{"a":"<é>","z":1}},"time":"2026-11-24T10:00:00.120000Z"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	again, err := ParseEntry(got)
	if diff := cmp.Diff(e, again); err != nil || diff != "" {
		t.Errorf("ParseEntry: %v\n%s", err, diff)
	}
}

func TestNewEntryRefuses(t *testing.T) {
	s := closedSample(t)
	first, patched := s.entries[0], s.entries[2]
	for name, tt := range map[string]struct {
		of     Entry
		change func(e *Entry)
	}{
		"a short salt":                        {first, func(e *Entry) { e.Salt = "ab" }},
		"another format":                      {first, func(e *Entry) { e.Format = "casebook.dev/entry/v2" }},
		"no reason":                           {first, func(e *Entry) { e.Reason = "" }},
		"no time":                             {first, func(e *Entry) { e.Time = MicroTime{} }},
		"an actor of no known type":           {first, func(e *Entry) { e.Actor.Type = "Robot" }},
		"no uid":                              {first, func(e *Entry) { e.Object.UID = "" }},
		"a name that leads elsewhere":         {s.entries[1], func(e *Entry) { e.Object.Name = "../../etc/passwd" }},
		"a uid that hides":                    {s.entries[1], func(e *Entry) { e.Object.UID = ".lock" }},
		"the case of another":                 {first, func(e *Entry) { e.Case.UID = "other" }},
		"the spec of another":                 {s.entries[1], func(e *Entry) { e.Spec = s.entries[8].Spec }},
		"a spec with a status":                {first, func(e *Entry) { e.Spec = []byte(strings.TrimSuffix(string(e.Spec), "}") + `,"status":{"a":1}}`) }},
		"a first entry without spec":          {first, func(e *Entry) { e.Spec = nil }},
		"a first entry with a patch":          {first, func(e *Entry) { e.Patch = "[]" }},
		"a later entry without patch":         {patched, func(e *Entry) { e.Patch = "" }},
		"a later entry with a spec":           {patched, func(e *Entry) { e.Spec = first.Spec }},
		"a patch that is not canonical":       {patched, func(e *Entry) { e.Patch += " " }},
		"a patch that is none":                {patched, func(e *Entry) { e.Patch = `{"a":1}` }},
		"a first of the case with a previous": {first, func(e *Entry) { e.Previous = patched.Previous }},
		"a later of the case without":         {patched, func(e *Entry) { e.Previous = "" }},
		"a negative sequence":                 {first, func(e *Entry) { e.Sequence = -1 }},
		"a sequence beyond its case's":        {patched, func(e *Entry) { e.Sequence = 3 }},
	} {
		t.Run(name, func(t *testing.T) {
			e := tt.of
			if err := e.check(); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			tt.change(&e)
			if e.check() == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestEntryBound(t *testing.T) {
	s := closedSample(t)
	d := s.entries[2].Draft
	d.Patch = `[{"op":"add","path":"/status","value":"` + strings.Repeat("x", MaxEntry) + `"}]`
	if _, err := NewEntry(d, make([]byte, SaltSize), 2, s.entries[2].Previous); err == nil {
		t.Error("an entry beyond MaxEntry was made")
	}
}

func TestProjections(t *testing.T) {
	object := []byte(`{"apiVersion":"v","kind":"Case","metadata":{"name":"n","namespace":"s","uid":"u","resourceVersion":"9","managedFields":[],
		"creationTimestamp":"2026-11-24T10:00:00Z","generation":1,"labels":{"a":"b"},"finalizers":["x"]},"spec":{"b":1,"a":2},
		"status":{"state":"New","journal":[{"sequence":1}]}}`)
	head := `{"apiVersion":"v","kind":"Case","metadata":{"creationTimestamp":"2026-11-24T10:00:00Z","labels":{"a":"b"},"name":"n","namespace":"s","uid":"u"},"spec":{"a":2,"b":1}`
	for name, tt := range map[string]struct {
		project func([]byte) ([]byte, error)
		object  []byte
		want    string
	}{
		"creation has no status":                   {func(o []byte) ([]byte, error) { return Creation(o) }, object, head + "}"},
		"status has no journal":                    {Status, object, `{"status":{"state":"New"}}`},
		"record is both":                           {func(o []byte) ([]byte, error) { return Record(o) }, object, head + `,"status":{"state":"New"}}`},
		"a status of a journal alone is no status": {Status, []byte(`{"status":{"journal":[]}}`), `{}`},
		"no status":                                {Status, []byte(`{"status":null}`), `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.project(tt.object)
			if diff := cmp.Diff(tt.want, string(got)); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestReplayRefuses(t *testing.T) {
	s := closedSample(t)
	var own []Entry
	for _, e := range s.entries {
		if e.Object.Kind == "Case" {
			own = append(own, e)
		}
	}
	escape := own[1]
	escape.Patch = `[{"op":"add","path":"/spec","value":{"type":"other"}}]`
	lost := own[2]
	lost.Patch = `[{"op":"remove","path":"/status/nothing"}]`
	for name, entries := range map[string][]Entry{
		"nothing":                                nil,
		"no first entry":                         own[1:],
		"a hole":                                 {own[0], own[2]},
		"another object's":                       {own[0], s.entries[4]},
		"a patch of the spec":                    {own[0], escape, own[2]},
		"a patch that changes what is not there": {own[0], own[1], lost},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Replay(entries); err == nil {
				t.Errorf("Replay = %s", got)
			}
		})
	}
	if _, err := Replay([]Entry{own[0], own[1], lost}); err == nil || !strings.Contains(err.Error(), "entry 2") {
		t.Errorf("%v does not name entry 2", err)
	}
}

func TestFilesRefuseARecordThatIsNotDrained(t *testing.T) {
	s := closedSample(t)
	b := s.bundle()
	b.Records = append(b.Records, []byte(strings.TrimSuffix(string(s.entries[0].Spec), "}")+`,"status":{"state":"Triage"}}`))
	if _, err := b.Files(); err == nil || !strings.Contains(err.Error(), "wait until its journal is sealed") {
		t.Errorf("a record ahead of its entries: %v", err)
	}
	b.Records[0] = []byte(strings.ReplaceAll(string(s.entries[9].Spec), s.entries[9].Object.UID, "unsealed"))
	if _, err := b.Files(); err == nil || !strings.Contains(err.Error(), "no entry of it is sealed") {
		t.Errorf("a record without entries: %v", err)
	}
}

func TestTilePaths(t *testing.T) {
	for want, got := range map[string]string{
		"tile/0/x001/x234/067":      TilePath(tlog.Tile{H: 8, L: 0, N: 1234067, W: 256}),
		"tile/1/000.p/5":            TilePath(tlog.Tile{H: 8, L: 1, N: 0, W: 5}),
		"tile/entries/999":          BundlePath(999, 256),
		"tile/entries/x001/000.p/1": BundlePath(1000, 1),
	} {
		if got != want {
			t.Errorf("path %s, want %s", got, want)
		}
	}
}

func TestBundleOfEntries(t *testing.T) {
	a, b := Commit([]byte("a")), Commit([]byte("b"))
	data := AppendToBundle(AppendToBundle(nil, a), b)
	got, err := ParseBundle(data)
	if diff := cmp.Diff([]Commitment{a, b}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := ParseBundle(data[:40]); err == nil {
		t.Error("a bundle cut short was read")
	}
}

func TestVerifierKey(t *testing.T) {
	skey, vkey, err := GenerateKey(seed(7), "casebook.dev/soc")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := VerifierKey(skey + "\n"); err != nil || got != vkey {
		t.Errorf("VerifierKey = %s, %v, want %s", got, err, vkey)
	}
	for _, key := range []string{"", vkey, skey + "x"} {
		if _, err := VerifierKey(key); err == nil {
			t.Errorf("VerifierKey(%.20q...) succeeded", key)
		}
	}
	if _, _, err := GenerateKey(seed(7), "a b"); err == nil {
		t.Error("an origin with a space was accepted")
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(Checkpoint{Origin: "o", Size: 3, Time: time.Unix(0, 0)}.Text())
	f.Add("o\n-1\n\ntime \n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCheckpoint(text); err == nil && c.Text() != text {
			t.Errorf("%q reads as %q", text, c.Text())
		}
		_, _ = VerifyCheckpoint([]byte(text), "soc+00000000+AAAA") // must not panic
	})
}

func FuzzEntry(f *testing.F) {
	s := closedSample(f)
	for _, e := range s.entries {
		data, err := e.Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEntry(data)
		if err != nil {
			return
		}
		if again, err := e.Bytes(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s is written as %s (%v)", data, again, err)
		}
		_, _ = Replay([]Entry{e})
	})
}
