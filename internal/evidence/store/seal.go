// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/casebook-dev/casebook/internal/evidence"
)

// Seal closes the evidence of a case with an entry that lists all there is (evidence.Seal). Drained are the records of
// the case as the caller sees them, with the sequence of the last entry in each journal: each must be sealed that far,
// else *evidence.NotDrainedError. A case whose last entry is a seal is left as it is.
func (l *Log) Seal(ctx context.Context, ref evidence.CaseRef, drained []evidence.SealedRecord, actor evidence.Actor) (Sealed, error) {
	var sealed []Sealed
	err := l.do(ctx, func() error {
		c, err := l.caseHead(ctx, ref.Namespace, ref.UID)
		if err != nil {
			return err
		}
		entries, err := entriesOf(ctx, l.opts.Bucket, ref, len(c.Indexes))
		if err != nil {
			return err
		}
		if n := len(entries); n > 0 && entries[n-1].Object.Kind == evidence.SealKind {
			sealed = []Sealed{{entries[n-1].Object.UID, 0, c.Indexes[n-1]}}
			return nil
		}
		seal, err := evidence.NewSeal(entries)
		if err != nil {
			return err
		}
		if err := covers(seal, ref, drained); err != nil {
			return err
		}
		draft, err := seal.Draft(ref.Namespace, actor, evidence.MicroTime{Time: l.opts.Clock()})
		if err != nil {
			return err
		}
		sealed, err = l.appendBatch(ctx, []evidence.Draft{draft})
		return err
	})
	if err != nil {
		return Sealed{}, fmt.Errorf("seal case %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	return sealed[0], nil
}

// covers says whether every record is sealed as far as its journal goes.
func covers(seal evidence.Seal, ref evidence.CaseRef, drained []evidence.SealedRecord) error {
	at := map[string]int64{}
	for _, r := range seal.Records {
		at[r.UID] = r.Sequence
	}
	for _, r := range drained {
		sequence, ok := at[r.UID]
		if !ok {
			sequence = -1
		}
		if sequence < r.Sequence {
			return &evidence.NotDrainedError{Sequence: sequence,
				Object: evidence.Object{Kind: r.Kind, Namespace: ref.Namespace, Name: r.Name, UID: r.UID}}
		}
	}
	return nil
}
