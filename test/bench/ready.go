// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/casebook-dev/casebook/test/fixture/controlplane"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

// ready measures how soon a control plane is ready that starts from the prepared copy.
func (b *bench) ready(ctx context.Context) error {
	const starts = 3
	options := controlplane.Options{Root: b.root, Manifests: site.Manifests()}
	var took []time.Duration
	for range starts + 1 {
		began := time.Now()
		plane, err := controlplane.Start(options)
		if err != nil {
			return err
		}
		took = append(took, time.Since(began))
		if err := errors.Join(plane.Stop(), ctx.Err()); err != nil {
			return err
		}
	}
	b.report.add(figurePlaneReady, median(took[1:]).Seconds()) // the first may have made the copy
	return nil
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
