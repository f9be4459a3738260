// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// seen is a signal that names addresses, observed in that minute; below zero, the tool did not say when.
func seen(name string, minute int, addresses ...string) v1alpha1.Signal {
	return signal(name, 9, func(s *v1alpha1.NormalizedSignal) {
		s.Indicators, s.ObservedTime = []v1alpha1.Indicator{{Type: "domain", Value: "example.com"}}, metav1.MicroTime{}
		if minute >= 0 {
			s.ObservedTime = at(minute)
		}
		for _, a := range addresses {
			kind := v1alpha1.IndicatorType("ipv4")
			if strings.Contains(a, ":") {
				kind = "ipv6"
			}
			s.Indicators = append(s.Indicators, v1alpha1.Indicator{Type: kind, Value: a})
		}
	})
}

// ended is a signal whose tool says how what it speaks of ended.
func ended(outcome v1alpha1.Outcome, s v1alpha1.Signal) v1alpha1.Signal {
	s.Spec.Outcome = outcome
	return s
}

func TestFoldKeepsSightings(t *testing.T) {
	tests := map[string]struct {
		signals []v1alpha1.Signal
		want    []string // minute, address, signal
	}{
		"what is no address is no sighting":            {signals: []v1alpha1.Signal{seen("a", 1)}},
		"they are in the order of time":                {signals: []v1alpha1.Signal{seen("a", 3, "192.0.2.1"), seen("b", 1, "2001:db8::1")}, want: []string{"1 2001:db8::1 b", "3 192.0.2.1 a"}},
		"of one moment in the order of address":        {signals: []v1alpha1.Signal{seen("a", 1, "192.0.2.2", "192.0.2.1")}, want: []string{"1 192.0.2.1 a", "1 192.0.2.2 a"}},
		"of one address in the order of signal":        {signals: []v1alpha1.Signal{seen("b", 1, "192.0.2.1"), seen("a", 1, "192.0.2.1")}, want: []string{"1 192.0.2.1 a", "1 192.0.2.1 b"}},
		"an address that is named twice is seen once":  {signals: []v1alpha1.Signal{seen("a", 1, "192.0.2.1", "192.0.2.1")}, want: []string{"1 192.0.2.1 a"}},
		"else it was seen when it was received":        {signals: []v1alpha1.Signal{seen("a", -1, "192.0.2.1")}, want: []string{"9 192.0.2.1 a"}},
		"what the schema would not take is left out":   {signals: []v1alpha1.Signal{seen("a", 1, strings.Repeat("1", 46), "1")}},
		"a signal of another case is none of this one": {signals: []v1alpha1.Signal{seen("a", 1, "192.0.2.1"), func() v1alpha1.Signal { s := seen("b", 1, "192.0.2.1"); s.Spec.CaseRef.Name = "x"; return s }()}, want: []string{"1 192.0.2.1 a"}},
		"what succeeded is a sighting":                 {signals: []v1alpha1.Signal{ended("Success", seen("a", 1, "192.0.2.1"))}, want: []string{"1 192.0.2.1 a"}},
		"what failed is none":                          {signals: []v1alpha1.Signal{ended("Failure", seen("a", 1, "192.0.2.1")), seen("b", 2, "192.0.2.1")}, want: []string{"2 192.0.2.1 b"}},
		"nor is an attempt whose end is not known":     {signals: []v1alpha1.Signal{ended("Unknown", seen("a", 1, "192.0.2.1"))}},
		"an outcome of a later version is a sighting":  {signals: []v1alpha1.Signal{ended("Partial", seen("a", 1, "192.0.2.1"))}, want: []string{"1 192.0.2.1 a"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := world(t, func(w *casefile.World) { w.Signals = tc.signals })
			var got []string
			for _, s := range casefile.Fold(t.Context(), w, opened).Status.Sightings {
				got = append(got, fmt.Sprint(int(s.Time.Sub(opened)/time.Minute), " ", s.IP, " ", s.Signal))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFoldKeepsTheFirstAndTheNewestSightings(t *testing.T) {
	var signals []v1alpha1.Signal
	for i := range 70 {
		signals = append(signals, seen(fmt.Sprintf("s%02d", i), i, "192.0.2.1"))
	}
	got := casefile.Fold(t.Context(), world(t, func(w *casefile.World) { w.Signals = signals }), opened).Status.Sightings
	if len(got) != 64 || got[0].Signal != "s00" || got[1].Signal != "s07" || got[63].Signal != "s69" {
		t.Errorf("got %d: %v … %v", len(got), got[:2], got[len(got)-1])
	}
}

func TestSightingsInExpressions(t *testing.T) {
	w := world(t, func(w *casefile.World) {
		w.Signals = []v1alpha1.Signal{seen("a", 1, "192.0.2.1"), seen("b", 2, "192.0.2.1")}
		w.Type = compile(t, starting(v1alpha1.CasePlaybook{Name: "p", ForEach: "case.sightings", When: "timestamp(item.time) > case.openedTime && item.signal == 'b'"}))
	})
	w.Case.Status = casefile.Fold(t.Context(), w, opened).Status
	got := casefile.Fold(t.Context(), w, opened).Starts
	at := opened.Add(2 * time.Minute).Format("2006-01-02T15:04:05.000000Z07:00")
	if len(got) != 1 || got[0].Item != "192.0.2.1 at "+at || string(got[0].Inputs.Raw) != fmt.Sprintf(`{"item":{"ip":"192.0.2.1","signal":"b","time":%q}}`, at) {
		t.Errorf("got %+v, with %s", got, got[0].Inputs.Raw)
	}
}

func TestImpossibleTravel(t *testing.T) {
	w := world(t, func(w *casefile.World) {
		w.Signals = []v1alpha1.Signal{seen("a", 1, "198.51.100.4"), seen("b", 42, "203.0.113.7")}
		w.Type = compile(t, caseType("travel", func(s *v1alpha1.CaseTypeSpec) {
			s.Enrich = []v1alpha1.Enrichment{{Name: "places", ForEach: "case.sightings", Lookup: "geo/locate", Input: raw(`{"ip":"${item.ip}","time":"${item.time}"}`)}}
			s.Severity = []v1alpha1.SeverityFactor{factor("speed(enrichment.places) > 900.0", 1, "faster than any flight: ${speed(enrichment.places)} km/h")}
		}))
	})
	sketch := w.Case.DeepCopy()
	sketch.Status = casefile.Fold(t.Context(), w, opened).Status
	if because := sketch.Status.SeverityTrace[1].Because; !strings.Contains(because, "lookup places was not made yet for 198.51.100.4 at ") {
		t.Errorf("before the lookups: %s", because)
	}
	places := w.Type.Enrichments()[0]
	items, err := places.Items(t.Context(), casefile.Vars(sketch))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range casefile.ItemNames(items) {
		input, err := places.Input(t.Context(), casefile.Vars(sketch), items[i])
		if err != nil {
			t.Fatal(err)
		}
		where := [2]string{`"latitude":52.52,"longitude":13.4`, `"latitude":-23.55,"longitude":-46.63`}[i]
		w.Enrichments = append(w.Enrichments, v1alpha1.EnrichmentRecord{
			Name: "places", Lookup: "geo/locate", Item: name, Input: raw(fmt.Sprintf(`{"ip":%q}`, input["ip"])),
			Result: raw(fmt.Sprintf(`{"found":true,"ip":%q,"time":%q,%s,"radiusKm":0}`, input["ip"], input["time"], where)),
		})
	}
	got := casefile.Fold(t.Context(), w, opened).Status
	if row := got.SeverityTrace[1]; row.Because != "faster than any flight: 15003 km/h" || got.Severity != "Critical" {
		t.Errorf("got %s, %+v", got.Severity, row)
	}
}
