// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize_test

import (
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
