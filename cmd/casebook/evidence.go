// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/dir"
	"github.com/casebook-dev/casebook/internal/controller"
	"github.com/casebook-dev/casebook/internal/evidence/store"
	"github.com/casebook-dev/casebook/internal/fault"
)

// openLog opens the log of an EvidenceLog in the bucket that it names.
func openLog(ctx context.Context, of *v1alpha1.EvidenceLog, signingKey string) (controller.Log, error) {
	bucket, err := openBucket(of.Spec.Bucket)
	if err != nil {
		return nil, err
	}
	return store.Keep(ctx, of, bucket, signingKey, time.Now)
}

func openBucket(spec v1alpha1.BucketSpec) (blob.Bucket, error) {
	if spec.Dir == nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "spec.bucket names no bucket that this operator knows: set spec.bucket.dir")
	}
	return dir.Open(spec.Dir.Path)
}
