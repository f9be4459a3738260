// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures what Casebook promises of rates and sizes, each against its bound in bounds.go: real binaries,
// a real control plane, and the API server's own metrics. It prints a line per figure and exits 1 if one is beyond its
// bound, 2 if one could not be measured. It is a command rather than a test so that no test is timed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

func main() {
	asJSON := flag.Bool("json", false, "print one JSON object instead of lines")
	only := flag.String("only", "", "measure only these, with commas: "+strings.Join(names(), ", "))
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	report, err := measure(ctx, *only)
	stop()
	if err == nil {
		err = report.print(os.Stdout, *asJSON)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(2)
	}
	if broken := report.broken(); len(broken) > 0 {
		fmt.Fprintf(os.Stderr, "bench: beyond the bound: %s\n", strings.Join(broken, ", "))
		os.Exit(1)
	}
}

// bench is what the measurements share.
type bench struct {
	root   string
	report report
	site   *rig // once a measurement needed it
}

// measurements by name, in the order they are made.
var measurements = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"ready", (*bench).ready}, {"verify", (*bench).verify}, {"demo", (*bench).demo},
	{"idle", (*bench).idle}, {"cases", (*bench).cases}, {"rate", (*bench).rate}, // these three share a site, which would slow the others
}

func names() []string {
	out := make([]string, len(measurements))
	for i, m := range measurements {
		out[i] = m.name
	}
	return out
}

func measure(ctx context.Context, only string) (_ *report, err error) {
	root, err := controlplane.Root()
	if err != nil {
		return nil, err
	}
	chosen := names()
	if only != "" {
		chosen = strings.Split(only, ",")
	}
	for _, name := range chosen {
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("-only: there is nothing called %q; choose of %s", name, strings.Join(names(), ", "))
		}
	}
	b := &bench{root: root, report: report{Machine: thisMachine()}}
	defer func() { err = errors.Join(err, b.site.end()) }()
	for _, m := range measurements {
		if !slices.Contains(chosen, m.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring: %s …\n", m.name)
		if err := m.run(b, ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("measure %s: %w", m.name, err), ctx.Err())
		}
	}
	return &b.report, nil
}
