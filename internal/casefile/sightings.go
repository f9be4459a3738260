// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// What the schema of a sighting takes, in bytes: the longest address is an IPv6 one that ends in an IPv4 one.
const (
	minAddress = 2
	maxAddress = 45
)

// sightings are the addresses that the signals name, in the order of time, each once for a signal and a moment. A case
// keeps 64: the first, for it says how the case began, and the newest, which say where it is now. An attempt is no
// sighting: anybody may try somebody's name anywhere, and that says nothing of where the user is.
func sightings(signals []v1alpha1.Signal) []v1alpha1.Sighting {
	var out []v1alpha1.Sighting
	for _, s := range signals {
		if s.Spec.Outcome == v1alpha1.OutcomeFailure || s.Spec.Outcome == v1alpha1.OutcomeUnknown {
			continue
		}
		when := s.Spec.ObservedTime
		if when.IsZero() {
			when = s.Spec.ReceivedTime
		}
		for _, i := range s.Spec.Indicators {
			if (i.Type == "ipv4" || i.Type == "ipv6") && len(i.Value) >= minAddress && len(i.Value) <= maxAddress {
				out = append(out, v1alpha1.Sighting{IP: i.Value, Time: when, Signal: s.Name})
			}
		}
	}
	slices.SortFunc(out, compareSightings)
	out = slices.CompactFunc(out, func(a, b v1alpha1.Sighting) bool { return compareSightings(a, b) == 0 })
	if beyond := len(out) - maxSightings; beyond > 0 {
		out = slices.Delete(out, 1, 1+beyond)
	}
	return out
}

func compareSightings(a, b v1alpha1.Sighting) int {
	return cmp.Or(a.Time.Compare(b.Time.Time), strings.Compare(a.IP, b.IP), strings.Compare(a.Signal, b.Signal))
}
