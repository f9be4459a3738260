// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/normalize"
)

func TestItemsOfItems(t *testing.T) {
	mapping, err := normalize.Compile(&v1alpha1.Mapping{Spec: v1alpha1.MappingSpec{
		Product: "batches", Decode: v1alpha1.FormatNDJSON, Items: "payload.map(p, p.?events.orValue([p]))",
		Signal: v1alpha1.SignalMapping{Category: "'Identity'", Title: "item.t", Severity: "Low", Users: "[item.?user]"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	payload := `{"events": [{"t": "a", "user": "Ana@Example.com"}, {"t": "b", "user": "Ana Silva <ana@example.com>"}]}
{"t": "c", "user": "EXAMPLE\\Ana"}
{"events": []}`
	result, err := mapping.Signals(t.Context(), []byte(payload), time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range result.Signals {
		got = append(got, s.Title+" "+s.Users[0].Name)
	}
	want := []string{"a ana@example.com", "b Ana Silva <ana@example.com>", `c EXAMPLE\Ana`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("signals (-want +got):\n%s", diff)
	}
}

func TestItemsOfALargePayload(t *testing.T) {
	for name, tt := range map[string]struct {
		items   string
		signals int
		warning string
	}{
		"work that grows with the events": {"payload.events.map(e, {'t': [e.t].filter(t, t != '').map(t, t + '!').join()})", 5000, ""},
		"work that grows beyond bounds":   {"payload.events.filter(e, payload.text.matches('none'))", 1, "cost limit"},
	} {
		t.Run(name, func(t *testing.T) {
			mapping, err := normalize.Compile(&v1alpha1.Mapping{Spec: v1alpha1.MappingSpec{
				Product: "pages", Items: tt.items, Signal: v1alpha1.SignalMapping{Category: "'Identity'", Title: "first(item.?t, 'none')", Severity: "Low"},
			}})
			if err != nil {
				t.Fatal(err)
			}
			payload := `{"text": "` + strings.Repeat("x", 1<<20) + `", "events": [{"t": "a"}` + strings.Repeat(`, {"t": "b"}`, 4999) + `]}`
			result, err := mapping.Signals(t.Context(), []byte(payload), time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			warnings := strings.Join(result.Signals[0].Warnings, "\n")
			if len(result.Signals) != tt.signals || !strings.Contains(warnings, tt.warning) || tt.warning == "" && strings.Contains(warnings, "items") {
				t.Errorf("got %d signals, want %d; warnings %q", len(result.Signals), tt.signals, warnings)
			}
		})
	}
}
