// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// rules are what a variant leaves out; none is left out of the protocol.
type rules struct {
	noPrecondition     bool
	noFence            bool
	sendsUnread        bool
	sendsFirst         bool
	nothingSettles     bool
	ownersDoNotWait    bool
	lateIsIgnored      bool
	sameName           bool
	outcomesAreDropped bool
	timeoutIsFailure   bool
	retryWhatever      bool
	keyOfAttempt       bool
	keysForever        bool
	retryAndRollback   bool
}

// searches are what may happen in each: not everything in one, or there would be no end.
var searches = map[string]bounds{
	"two crashes, two losses": {crashes: 2, losses: 2, attempts: [2]uint8{3, 2}},
	"a rollback":              {crashes: 1, losses: 2, attempts: [2]uint8{3, 2}, rollback: true},
	"people, and a refusal":   {crashes: 1, losses: 2, refusals: 1, decisions: 2, attempts: [2]uint8{3, 2}},
	"a stop, and a freeze":    {crashes: 1, losses: 1, stop: true, freeze: true, attempts: [2]uint8{2, 2}},
	"a rival, and a refusal":  {crashes: 1, losses: 2, refusals: 1, rivals: 1, attempts: [2]uint8{3, 2}},
	"a rollback, and people":  {crashes: 1, losses: 1, decisions: 2, attempts: [2]uint8{2, 2}, rollback: true},
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
				got := newModel(tt.semantics, tt.verifiable, b, rules{}).search()
				t.Logf("%d states, %d statuses, %d beyond the bounds, %s", got.states, got.statuses, got.cut, got.took)
				if got.violation != none {
					t.Errorf("%s:\n%s", violations[got.violation], strings.Join(got.trace, "\n"))
				}
			})
		}
	}
}
