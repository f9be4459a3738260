// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"
	"testing"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// searches are what may happen in each: not everything in one, or there would be no end.
var searches = map[string]bounds{
	"crashes and losses":     {crashes: 2, losses: 2, attempts: [2]uint8{3, 2}, aging: true},
	"a rollback":             {crashes: 2, losses: 2, attempts: [2]uint8{3, 2}, rollback: true},
	"people":                 {crashes: 1, losses: 2, refusals: 1, decisions: 2, attempts: [2]uint8{3, 2}, aging: true},
	"a rollback, and people": {crashes: 1, losses: 1, decisions: 1, attempts: [2]uint8{2, 2}, rollback: true},
	"a stop":                 {crashes: 1, losses: 1, stop: true, freeze: true, attempts: [2]uint8{2, 2}, aging: true},
	"late reads":             {crashes: 1, losses: 2, refusals: 1, attempts: [2]uint8{3, 2}, showsLate: true},
	"a rival":                {crashes: 1, losses: 2, refusals: 1, rivals: 1, attempts: [2]uint8{3, 2}, aging: true},
}

func newModel(semantics v1alpha1.Semantics, verifiable bool, b bounds, r rules) *model {
	return &model{protocol: newProtocol(semantics, verifiable, r), bounds: b, rules: r, semantics: semantics, strict: r == rules{}, symmetric: r == rules{}}
}

func TestProtocolHolds(t *testing.T) {
	for name, tt := range map[string]struct {
		semantics  v1alpha1.Semantics
		verifiable bool
	}{
		"Idempotent":        {v1alpha1.Idempotent, true},
		"Idempotent, blind": {v1alpha1.Idempotent, false},
		"Keyed":             {v1alpha1.Keyed, true},
		"Keyed, blind":      {v1alpha1.Keyed, false},
		"ReadBack":          {v1alpha1.ReadBack, true},
		"AtMostOnce":        {v1alpha1.AtMostOnce, true},
		"AtMostOnce, blind": {v1alpha1.AtMostOnce, false},
	} {
		for search, b := range searches {
			if !tt.verifiable && b.rollback {
				continue
			}
			t.Run(name+"/"+search, func(t *testing.T) {
				t.Parallel()
				m := newModel(tt.semantics, tt.verifiable, b, rules{})
				got := m.search()
				t.Logf("%d states of %d statuses in %s, %d end where the bounds are", got.states, got.statuses, got.took.Round(time.Millisecond), got.cut)
				if got.violation != none {
					m.symmetric = false // so that each process keeps its name
					t.Errorf("%s:\n%s", violations[got.violation], strings.Join(m.search().trace, "\n"))
				}
			})
		}
	}
}
