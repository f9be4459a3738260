// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// However attempts fail and in whatever order what failed comes again, each
// Source's payloads get through once and in order.
func TestTurnsKeepTheOrderOfEachSource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var turns turns
		var coming []ingest.Delivery
		for n := range rapid.IntRange(1, 20).Draw(t, "payloads") {
			source := rapid.SampledFrom([]string{"falco", "okta"}).Draw(t, "source")
			coming = append(coming, ingest.Delivery{Envelope: ingest.Envelope{Namespace: "soc", Source: source}, Sequence: uint64(n + 1)})
		}
		total, passed := len(coming), map[string][]uint64{}
		again := []ingest.Delivery{} // what waits for another attempt
		for attempts := 0; len(coming)+len(again) > 0; attempts++ {
			if attempts > 100_000 {
				t.Fatalf("no end: %v waits", again)
			}
			var d ingest.Delivery
			if len(coming) > 0 && (len(again) == 0 || rapid.Bool().Draw(t, "new")) {
				d, coming = coming[0], coming[1:]
			} else {
				at := rapid.IntRange(0, len(again)-1).Draw(t, "at")
				d = again[at]
				again = slices.Delete(again, at, at+1)
			}
			if !turns.mayPass(d) || attempts < 200 && rapid.Bool().Draw(t, "fails") {
				turns.wait(d)
				again = append(again, d)
				continue
			}
			passed[d.Source] = append(passed[d.Source], d.Sequence)
		}
		for source, sequences := range passed {
			total -= len(sequences)
			if !slices.IsSorted(sequences) {
				t.Fatalf("%s: they passed as %v", source, sequences)
			}
		}
		if total != 0 || len(turns.waiting) != 0 {
			t.Fatalf("%d did not pass, %v waits", total, turns.waiting)
		}
	})
}
