// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

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
	"github.com/casebook-dev/casebook/internal/blob/dir"
	"github.com/casebook-dev/casebook/internal/controller"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/evidence/store"
	"github.com/casebook-dev/casebook/internal/fault"
)

// openLog opens the log of an EvidenceLog. A bucket that does not continue the checkpoint kept in its status was rolled
// back.
func openLog(ctx context.Context, of *v1alpha1.EvidenceLog, signingKey string) (controller.Log, error) {
	signingKey = strings.TrimSpace(signingKey) // a Secret made from a file ends in a newline
	signer, err := note.NewSigner(signingKey)
	if err != nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "the signing key in secret %s is not a note key (PRIVATE+KEY+...): %w", of.Spec.SigningKeyRef.Name, err)
	}
	bucket, err := openBucket(of.Spec.Bucket)
	if err != nil {
		return nil, err
	}
	verifier, err := evidence.VerifierKey(signingKey)
	if err != nil {
		return nil, err
	}
	options := store.Options{Bucket: bucket, Signer: signer, Origin: of.Spec.Origin, Clock: time.Now, Salt: salt}
	if of.Status.Checkpoint != "" {
		if options.AtLeast, err = evidence.VerifyCheckpoint([]byte(of.Status.Checkpoint), verifier); err != nil {
			return nil, fault.Terminalf(v1alpha1.BucketForkedReason, "the checkpoint in status was not signed by this key: %w", err)
		}
	}
	log, err := store.Open(ctx, options)
	if errors.Is(err, store.ErrForked) {
		return nil, fault.Terminalf(v1alpha1.BucketForkedReason, "nothing more is sealed until a person finds out what happened to the bucket: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return sealedLog{log, verifier}, nil
}

func openBucket(spec v1alpha1.BucketSpec) (blob.Bucket, error) {
	if spec.Dir == nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "spec.bucket names no bucket that this operator knows: set spec.bucket.dir")
	}
	return dir.Open(spec.Dir.Path)
}

func salt() []byte {
	out := make([]byte, evidence.SaltSize)
	_, _ = rand.Read(out) // never fails (crypto/rand)
	return out
}

// sealedLog is a store.Log as the controllers see it.
type sealedLog struct {
	*store.Log
	verifier string
}

// VerifierKey is the log's public key.
func (l sealedLog) VerifierKey() string { return l.verifier }

// Append seals drafts.
func (l sealedLog) Append(ctx context.Context, drafts []evidence.Draft) error {
	_, err := l.Log.Append(ctx, drafts)
	return err
}

// Seal closes a case's evidence.
func (l sealedLog) Seal(ctx context.Context, of evidence.CaseRef, drained []evidence.SealedRecord, actor evidence.Actor) error {
	_, err := l.Log.Seal(ctx, of, drained, actor)
	return err
}

// Payload stores a payload, if it has the digest it is said to have.
func (l sealedLog) Payload(ctx context.Context, payload []byte, digest string) error {
	stored, err := l.PutPayload(ctx, payload)
	if err == nil && stored != digest {
		err = fmt.Errorf("store a payload: it has the digest %s, not %s", stored, digest)
	}
	return err
}

// Checkpoint is the newest checkpoint.
func (l sealedLog) Checkpoint() (string, int64) {
	checkpoint, signed := l.Log.Checkpoint()
	return string(signed), checkpoint.Size
}
