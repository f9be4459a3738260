// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package library_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/config/library"
	"github.com/casebook-dev/casebook/internal/normalize"
)

var update = flag.Bool("update", false, "write the golden files")

// samples are other people's payloads, read where they are and never copied.
const samples = "../../../shared/samples"

var received = time.Date(2026, 11, 24, 10, 0, 5, 0, time.UTC)

func compiled(t *testing.T) map[string]*normalize.Mapping {
	t.Helper()
	objects, err := library.Mappings()
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) == 0 {
		t.Fatal("the library is empty")
	}
	out := map[string]*normalize.Mapping{}
	for _, object := range objects {
		mapping, err := normalize.Compile(object)
		if err != nil {
			t.Fatalf("could not compile the Mapping %s: %v", object.Name, err)
		}
		out[object.Name] = mapping
	}
	return out
}

// TestFixturesNormalize compares what each product's fixtures give with its golden file.
func TestFixturesNormalize(t *testing.T) {
	for product, mapping := range compiled(t) {
		files, err := filepath.Glob(filepath.Join(product, "testdata", "*.*"))
		files = slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, ".golden") })
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no fixtures: %v", product, err)
		}
		for _, file := range files {
			t.Run(file, func(t *testing.T) {
				payload, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				found, err := normalize.Find(t.Context(), []*normalize.Mapping{mapping}, payload)
				if err != nil || found != mapping {
					t.Errorf("the Mapping does not find its own payload: %v", err)
				}
				compare(t, strings.TrimSuffix(file, filepath.Ext(file))+".golden", normalized(t, mapping, payload))
			})
		}
	}
}

func normalized(t *testing.T, mapping *normalize.Mapping, payload []byte) []byte {
	t.Helper()
	result, err := mapping.Signals(t.Context(), payload, received)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(result); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func compare(t *testing.T, golden string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./config/library -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), after a change that is meant: go test ./config/library -update\n%s", golden, diff)
	}
}

// sampleFiles gives the samples of all products.
func sampleFiles(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(samples, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Dir(path) == samples || strings.HasPrefix(path, samples+"/LICENSES/") {
			return err
		}
		out[strings.TrimPrefix(path, samples+"/")], err = os.ReadFile(path)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		t.Logf("%s is absent: other people's payloads were not tried", samples)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// product is the folder of a sample.
func product(file string) string {
	name, _, _ := strings.Cut(file, "/")
	return name
}

// TestMappingsFitTheirOwnToolsAlone tries every sample with every Mapping.
func TestMappingsFitTheirOwnToolsAlone(t *testing.T) {
	mappings := compiled(t)
	for file, payload := range sampleFiles(t) {
		for name, mapping := range mappings {
			found, err := normalize.Find(t.Context(), []*normalize.Mapping{mapping}, payload)
			if _, undecodable := errors.AsType[*normalize.DecodeError](err); undecodable {
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if fits := found != nil; fits != (name == product(file)) {
				t.Errorf("the Mapping %s says %v to %s (%v)", name, fits, file, err)
			}
		}
	}
}

// TestEveryPayloadBecomesSignals has every Mapping read every tool's samples: a
// payload that does not fit is still not lost.
func TestEveryPayloadBecomesSignals(t *testing.T) {
	mappings := compiled(t)
	for file, payload := range sampleFiles(t) {
		for name, mapping := range mappings {
			result, err := mapping.Signals(t.Context(), payload, received)
			if _, undecodable := errors.AsType[*normalize.DecodeError](err); undecodable {
				continue
			}
			if err != nil || len(result.Signals) == 0 && len(result.Skipped) == 0 {
				t.Errorf("%s lost %s: %v", name, file, err)
			}
		}
	}
}

func TestFalcoSamples(t *testing.T) {
	mapping := compiled(t)["falco"]
	files := sampleFiles(t)
	if files == nil {
		return
	}
	binary, err := mapping.Signals(t.Context(), files["falco/write_below_binary_dir.json"], received)
	if err != nil || len(binary.Signals) != 1 {
		t.Fatalf("got %d signals, %v", len(binary.Signals), err)
	}
	s := binary.Signals[0]
	got := []string{string(s.Severity), s.SeverityOriginal, s.Title, s.ObservedTime.UTC().Format(time.RFC3339Nano), s.Users[0].Name, s.Hosts[0].Name}
	want := []string{"High", "Error", "Write below binary dir", "2019-05-17T15:31:56.746609Z", "root", "localhost"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("signal (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]v1alpha1.Indicator{{Type: "file", Value: "/bin/hack"}}, s.Indicators); diff != "" {
		t.Errorf("indicators (-want +got):\n%s", diff)
	}
	drop, err := mapping.Signals(t.Context(), files["falco/syscall_event_drop.json"], received)
	if err != nil || len(drop.Signals) != 0 || drop.Skipped["internal message of the tool"] != 1 {
		t.Errorf("got %+v, %v", drop, err)
	}
}

// TestFalcoTextIsNoJSON: Falco without json_output sends lines of text.
func TestFalcoTextIsNoJSON(t *testing.T) {
	_, err := compiled(t)["falco"].Signals(context.Background(), []byte("12:18:18.691725165: Notice A shell was spawned in a container"), received)
	if wrong, ok := errors.AsType[*normalize.DecodeError](err); !ok || wrong.Offset != 2 {
		t.Errorf("got %v, want a DecodeError at byte 2", err)
	}
}
