// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/normalize"
)

// valid says what the API server would refuse in a signal.
func valid(s v1alpha1.NormalizedSignal) error {
	var wrong []error
	text := func(name, value string, least, most int) {
		if n := utf8.RuneCountInString(value); n < least || n > most || !utf8.ValidString(value) {
			wrong = append(wrong, fmt.Errorf("%s has %d characters, not %d to %d: %q", name, n, least, most, value))
		}
	}
	count := func(name string, n, most int) {
		if n > most {
			wrong = append(wrong, fmt.Errorf("%s has %d elements, more than %d", name, n, most))
		}
	}
	if !slices.Contains([]v1alpha1.Activity{"Create", "Update", "Resolve", "Suppress"}, s.Activity) || s.Severity.Rank() == 0 || s.Category == "" || s.ObservedTimeFrom == "" || s.ObservedTime.IsZero() {
		wrong = append(wrong, fmt.Errorf("a required field is missing or wrong: %+v", s))
	}
	if !slices.Contains([]v1alpha1.Outcome{"", "Success", "Failure", "Unknown"}, s.Outcome) {
		wrong = append(wrong, fmt.Errorf("outcome %q is none", s.Outcome))
	}
	text("title", s.Title, 1, 512)
	if strings.ContainsAny(s.Title, "\n\r\t\x00\x1b\u2028") {
		wrong = append(wrong, fmt.Errorf("the title %q is not one line", s.Title))
	}
	text("severityOriginal", s.SeverityOriginal, 0, 128)
	text("description", s.Description, 0, 4096)
	text("sourceURL", s.SourceURL, 0, 2048)
	text("ruleId", s.RuleID, 0, 512)
	text("eventId", s.EventID, 0, 512)
	if !regexp.MustCompile("^[0-9a-f]{64}$").MatchString(s.Fingerprint) {
		wrong = append(wrong, fmt.Errorf("fingerprint %q", s.Fingerprint))
	}
	for name, list := range map[string][]v1alpha1.Entity{"users": s.Users, "hosts": s.Hosts, "assets": s.Assets} {
		count(name, len(list), 64)
		for _, e := range list {
			text(name+".name", e.Name, 1, 512)
			text(name+".type", e.Type, 0, 64)
			text(name+".namespace", e.Namespace, 0, 63)
			text(name+".cluster", e.Cluster, 0, 253)
			text(name+".uid", e.UID, 0, 512)
			text(name+".displayName", e.DisplayName, 0, 512)
		}
	}
	count("indicators", len(s.Indicators), 100)
	for _, in := range s.Indicators {
		text("indicators.value", in.Value, 1, 2048)
		if again, ok := normalize.Canonical(in); !ok || again != in {
			wrong = append(wrong, fmt.Errorf("the indicator %v is not canonical", in))
		}
	}
	count("techniques", len(s.Techniques), 32)
	count("explanation", len(s.Explanation), 32)
	for _, e := range s.Explanation {
		text("explanation.expression", e.Expression, 1, 1024)
		text("explanation.path", e.Path, 0, 512)
		text("explanation.value", e.Value, 1, 256)
	}
	count("gaps", len(s.Gaps), 32)
	count("warnings", len(s.Warnings), 32)
	for _, w := range s.Warnings {
		text("warnings", w, 1, 512)
	}
	if size, err := json.Marshal(s); err != nil || len(size) > 256<<10 {
		wrong = append(wrong, fmt.Errorf("it is %d bytes as JSON, %w", len(size), err))
	}
	return errors.Join(wrong...)
}

// arbitrary is any JSON, often with the fields that the Mapping reads.
func arbitrary() *rapid.Generator[any] {
	keys := rapid.OneOf(rapid.SampledFrom([]string{
		"title", "severity", "confidence", "text", "time", "activity", "outcome", "users", "hosts", "assets", "indicators", "techniques", "url", "rule", "id",
		"name", "type", "value", "namespace", "uid",
	}), rapid.StringN(0, 4, -1))
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Float64(), func(f float64) any { return f }), rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]string{"ana", "ipv4", "10.0.0.1", "url", "http://a.example/\u202e", "High", "T1059", "\a\n", strings.Repeat("x", 5000), "2026-11-24T09:00:00Z"}), func(s string) any { return s }),
	)
	tree := leaf
	for range 3 {
		below := tree
		tree = rapid.OneOf(
			leaf,
			rapid.Map(rapid.SliceOfN(below, 0, 6), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(keys, below, 0, 8), func(m map[string]any) any { return m }),
		)
	}
	return tree
}

func TestSignalsProperties(t *testing.T) {
	m := compile(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		payload, err := json.Marshal(arbitrary().Draw(t, "payload"))
		if err != nil {
			t.Fatal(err)
		}
		first, err := m.Signals(t.Context(), payload, received)
		if err != nil {
			t.Fatal(err)
		}
		second, err := m.Signals(t.Context(), payload, received)
		if diff := cmp.Diff(first, second); err != nil || diff != "" {
			t.Fatalf("the second time it differs (%v):\n%s", err, diff)
		}
		if len(first.Signals) == 0 && len(first.Skipped) == 0 {
			t.Fatal("the payload is lost")
		}
		for _, s := range first.Signals {
			if err := valid(s); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzMapping feeds any bytes to the Mapping that is shipped for Falco.
func FuzzMapping(f *testing.F) {
	const library = "../../config/library/falco"
	content, err := os.ReadFile(filepath.Join(library, "mapping.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	object := &v1alpha1.Mapping{}
	if err := yaml.UnmarshalStrict(content, object); err != nil {
		f.Fatal(err)
	}
	m, err := normalize.Compile(object)
	if err != nil {
		f.Fatal(err)
	}
	seeds, err := filepath.Glob(filepath.Join(library, "testdata", "*.json"))
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, seed := range seeds {
		payload, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Add([]byte("\xef\xbb\xbf[{\"rule\":[],\"priority\":1e400,\"output_fields\":\"x\",\"tags\":{\"T1059\":1}}]"))
	f.Add([]byte(`{"output_fields":{"fd.name":"[::1]:1->[2001:db8::1]:2","fd.rip":{},"user.name":[null]},"time":-1,"hostname":1}`))
	f.Add([]byte("12:18:18.691725165: Notice A shell"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		result, err := m.Signals(t.Context(), payload, received)
		if wrong, ok := errors.AsType[*normalize.DecodeError](err); ok {
			if wrong.Offset < 0 || wrong.Offset > int64(len(payload)) || wrong.Path == "" || wrong.Reason == "" {
				t.Errorf("%+v", wrong)
			}
			if err := valid(normalize.Generic(m.Product(), payload, received, wrong.Error())); err != nil {
				t.Error(err)
			}
			return
		}
		if err != nil || len(result.Signals) == 0 && len(result.Skipped) == 0 {
			t.Fatalf("the payload is lost: %v", err)
		}
		for _, s := range result.Signals {
			if err := valid(s); err != nil {
				t.Error(err)
			}
		}
	})
}
