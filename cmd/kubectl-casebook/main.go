// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-casebook is the kubectl plugin of Casebook: kubectl casebook.
//
// It reads records through the Kubernetes API as the person who runs it, and
// writes Decisions, nothing else: what a person decides is judged by the
// controllers, and recorded under the name that the API server authenticated.
//
// Exit codes: 0 it was done; 1 it was refused, failed or did not verify; 2 the
// command or its input cannot be understood; 3 it was sent, and what came of it
// was not known in time.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// version is set by the linker.
var version = "(devel)"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	code := run(ctx, streams, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, streams genericiooptions.IOStreams, args []string) int {
	o := newOptions(streams)
	root := newRoot(o)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		o.report(err)
		return codeOf(err)
	}
	return exitDone
}
