// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Keeper is the log of an EvidenceLog, as its controller writes it.
type Keeper struct {
	*Log
	verifier string
}

// Keep opens the log of an EvidenceLog in its bucket, with its signing key as the Secret has it. What a person must mend is
// a Terminal error: a key that is none, and a bucket that does not continue the checkpoint kept in the status, for that was
// rolled back.
func Keep(ctx context.Context, of *v1alpha1.EvidenceLog, bucket blob.Bucket, signingKey string, clock func() time.Time) (*Keeper, error) {
	signingKey = strings.TrimSpace(signingKey) // a Secret made from a file ends in a newline
	signer, err := note.NewSigner(signingKey)
	if err != nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "the signing key in secret %s is not a note key (PRIVATE+KEY+...): %w", of.Spec.SigningKeyRef.Name, err)
	}
	verifier, err := evidence.VerifierKey(signingKey)
	if err != nil {
		return nil, err
	}
	options := Options{Bucket: bucket, Signer: signer, Origin: of.Spec.Origin, Clock: clock, Salt: salt}
	if of.Status.Checkpoint != "" {
		if options.AtLeast, err = evidence.VerifyCheckpoint([]byte(of.Status.Checkpoint), verifier); err != nil {
			return nil, fault.Terminalf(v1alpha1.BucketForkedReason, "the checkpoint in status was not signed by this key: %w", err)
		}
	}
	log, err := Open(ctx, options)
	if errors.Is(err, ErrForked) {
		return nil, fault.Terminalf(v1alpha1.BucketForkedReason, "nothing more is sealed until a person finds out what happened to the bucket: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return &Keeper{log, verifier}, nil
}

func salt() []byte {
	out := make([]byte, evidence.SaltSize)
	_, _ = rand.Read(out) // never fails (crypto/rand)
	return out
}

// VerifierKey is the log's public key.
func (k *Keeper) VerifierKey() string { return k.verifier }

// Append seals drafts.
func (k *Keeper) Append(ctx context.Context, drafts []evidence.Draft) error {
	_, err := k.Log.Append(ctx, drafts)
	return err
}

// Seal closes a case's evidence.
func (k *Keeper) Seal(ctx context.Context, of evidence.CaseRef, drained []evidence.SealedRecord, actor evidence.Actor) error {
	_, err := k.Log.Seal(ctx, of, drained, actor)
	return err
}

// Payload stores a payload, if it has the digest it is said to have.
func (k *Keeper) Payload(ctx context.Context, payload []byte, digest string) error {
	stored, err := k.PutPayload(ctx, payload)
	if err == nil && stored != digest {
		err = fmt.Errorf("store a payload: it has the digest %s, not %s", stored, digest)
	}
	return err
}

// Checkpoint is the newest signed checkpoint, and the tree size it is of.
func (k *Keeper) Checkpoint() (signed string, size int64) {
	checkpoint, text := k.Log.Checkpoint()
	return string(text), checkpoint.Size
}
