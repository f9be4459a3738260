// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/casebook-dev/casebook/test/fixture/controlplane"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

//go:embed testdata
var testdata embed.FS

// rig is the site that measurements share, and what only they do with one.
type rig struct{ *site.Site }

// shop is where the workload of the sample runs.
const shop = "shop"

// open returns the site, which it starts if no measurement did.
func (b *bench) open(ctx context.Context) (*rig, error) {
	if b.site != nil {
		return b.site, nil
	}
	plane, err := controlplane.Start(controlplane.Options{Root: b.root, Manifests: site.Manifests()})
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(plane.Dir(), "bench")
	s, err := site.New(plane, b.root, dir)
	if err != nil {
		return nil, errors.Join(err, plane.Stop())
	}
	b.site = &rig{s}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{s.AddTenant, b.site.start, s.AwaitReady} {
		if err := step(ctx); err != nil {
			return nil, s.WithLog(err)
		}
	}
	return b.site, nil
}

func (s *rig) start(ctx context.Context) error { return s.StartOperator(ctx) }

// apply applies one file of testdata.
func (s *rig) apply(ctx context.Context, name string) error {
	text, err := testdata.ReadFile("testdata/" + name)
	if err != nil {
		return err
	}
	return s.Kubectl(ctx, text, []string{"apply", "-f", "-"})
}

// quiet waits until nothing but leases has been written for some seconds, and returns the counts then.
func (s *rig) quiet(ctx context.Context, seconds int) (counts, error) {
	const patience = 60
	last, err := countWrites(ctx, s.Plane)
	if err != nil {
		return nil, err
	}
	still := 0
	for range patience {
		if err := site.Pause(ctx, time.Second); err != nil {
			return nil, err
		}
		now, err := countWrites(ctx, s.Plane)
		if err != nil {
			return nil, err
		}
		still++
		if now.minus(last).sum(func(w write) bool { return !w.lease() }) > 0 {
			still = 0
		}
		if last = now; still == seconds {
			return now, nil
		}
	}
	return nil, errors.New("wait for the operator to be done: something was written every few seconds for a minute")
}

// end stops what was started. There may be no site.
func (s *rig) end() error {
	if s == nil {
		return nil
	}
	return s.End()
}
