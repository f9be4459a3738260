// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo runs two use cases on a real control plane. A Falco alert becomes a case, a pod is isolated under a
// guardrail, people decide with kubectl, and the evidence is verified offline. Somebody signs in from two places at once:
// sessions end, an account is suspended through SCIM and given back, people are told by mail. It exits 0 only if everything held, and
// leaves nothing running unless KEEP=1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/casebook-dev/casebook/test/fixture/controlplane"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\n✗ the demo did not hold: %v\n", err)
		os.Exit(1) //nolint:gocritic // stop is for signals alone
	}
}

func demo(ctx context.Context) (err error) {
	root, err := controlplane.Root()
	if err != nil {
		return err
	}
	began := time.Now()
	fmt.Println("Starting etcd and kube-apiserver (the first start on this machine prepares them) …")
	plane, err := controlplane.Start(controlplane.Options{Root: root, Manifests: site.Manifests()})
	if err != nil {
		return err
	}
	at, err := site.New(plane, root, filepath.Join(root, "bin", "demo"))
	if err != nil {
		return errors.Join(err, plane.Stop())
	}
	s := &stage{Site: at}
	defer func() { err = errors.Join(err, s.end()) }()
	fmt.Printf("Control plane ready after %.1f s.\n", time.Since(began).Seconds())
	if err := s.prepare(ctx); err != nil {
		return err
	}
	fmt.Printf("Operator ready after %.1f s.\n", time.Since(began).Seconds())
	story := time.Now()
	if err := s.tell(ctx); err != nil {
		return s.WithLog(err)
	}
	fmt.Printf("\n✓ From the first byte to verified evidence: %.1f s. Everything held.\n", time.Since(story).Seconds())
	story = time.Now()
	if err := s.tellTravel(ctx); err != nil {
		return s.WithLog(err)
	}
	fmt.Printf("\n✓ The second story: %.1f s. Everything held.\n", time.Since(story).Seconds())
	if os.Getenv("KEEP") == "" {
		return nil
	}
	s.explain()
	<-ctx.Done()
	return nil
}
