// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// firstToVerified is the line in which the demo says how long its story took.
var firstToVerified = regexp.MustCompile(`From the first byte to verified evidence: ([0-9.]+) s`)

// demo runs the demo and reads its own figure.
func (b *bench) demo(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "casebook-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "demo")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./test/demo")
	build.Dir = b.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the demo: %w\n%s", err, out)
	}
	command := exec.CommandContext(ctx, binary)
	command.Dir, command.Env = b.root, append(os.Environ(), "KEEP=")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // it then stops what it started
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		return fmt.Errorf("run the demo: %w\n%s", err, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	said := firstToVerified.FindStringSubmatch(out.String())
	if said == nil {
		return fmt.Errorf("run the demo: it does not say how long it took, in the words %q", firstToVerified)
	}
	seconds, err := strconv.ParseFloat(said[1], 64)
	if err != nil {
		return err
	}
	b.report.add(figureDemo, seconds)
	return nil
}
