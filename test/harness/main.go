// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Command harness asks whether the tests would find the bugs they are there for. It puts one bug at a time into the code
// (by go's -overlay, so that no file changes), runs the suites that should find it, and wants one of them to fail. It
// prints which test found each bug, and the catch rate; it exits 1 if a bug was not found, 2 if it could not be tried.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bug is one mistake, as an edit of one file.
type bug struct {
	// name says what is wrong, as a sentence without its end.
	name string
	// file is relative to the module's root. from occurs in it exactly once and becomes to.
	file, from, to string
	// suites are what should find it, as arguments of go test; the first that fails will do.
	suites []string
}

// limit is how long one suite may take with a bug in it: a bug may also hang it, which is found, too.
const limit = 5 * time.Minute

func main() {
	only := flag.String("only", "", "try only the bugs whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	missed, err := try(ctx, *only)
	stop()
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "harness: %v\n", err)
		os.Exit(2)
	case missed > 0:
		os.Exit(1)
	}
}

func try(ctx context.Context, only string) (missed int, err error) {
	root, err := root()
	if err != nil {
		return 0, err
	}
	chosen := slices.DeleteFunc(slices.Clone(bugs), func(b bug) bool { return !strings.Contains(b.name, only) })
	if len(chosen) == 0 {
		return 0, fmt.Errorf("-only: no bug is called %q", only)
	}
	if err := clean(ctx, root, chosen); err != nil {
		return 0, err
	}
	for _, b := range chosen {
		began := time.Now()
		by, err := b.plant(ctx, root)
		if err != nil {
			return missed, fmt.Errorf("%s: %w", b.name, err)
		}
		mark := "✓"
		if by == "" {
			mark, by, missed = "✗", "nothing", missed+1
		}
		fmt.Printf("%s %-62s found by %s (%.0f s)\n", mark, b.name, by, time.Since(began).Seconds())
	}
	fmt.Printf("%d of %d bugs found\n", len(chosen)-missed, len(chosen))
	return missed, nil
}

// clean wants every suite to pass without a bug: a suite that fails anyway finds nothing.
func clean(ctx context.Context, root string, chosen []bug) error {
	var suites []string
	for _, b := range chosen {
		for _, s := range b.suites {
			if !slices.Contains(suites, s) {
				suites = append(suites, s)
			}
		}
	}
	for _, s := range suites {
		if out, err := run(ctx, root, s); err != nil {
			return fmt.Errorf("the suite %q fails without a bug: %w\n%s", s, err, tail(out))
		}
	}
	fmt.Printf("%d suites pass without a bug\n", len(suites))
	return nil
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// plant puts the bug in and returns the test that found it; empty if none did.
func (b bug) plant(ctx context.Context, root string) (by string, err error) {
	overlay, remove, err := b.overlay(root)
	if err != nil {
		return "", err
	}
	defer remove()
	for _, s := range b.suites {
		out, err := run(ctx, root, s, "-overlay", overlay)
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err == nil:
			continue
		case strings.Contains(out, "[build failed]"), strings.Contains(out, "[setup failed]"):
			return "", fmt.Errorf("it does not compile:\n%s", tail(out))
		}
		if match := failed.FindStringSubmatch(out); match != nil {
			return match[1], nil
		}
		return strings.Fields(s)[0] + ", which did not end well", nil
	}
	return "", nil
}

// overlay writes the changed file and the JSON that has go read it in place of the file.
func (b bug) overlay(root string) (path string, remove func(), err error) {
	changed, err := b.edit(root)
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "casebook-bug-")
	if err != nil {
		return "", nil, err
	}
	with := filepath.Join(dir, filepath.Base(b.file))
	raw, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, b.file): with}})
	path = filepath.Join(dir, "overlay.json")
	if err := errors.Join(err, os.WriteFile(with, []byte(changed), 0o600), os.WriteFile(path, raw, 0o600)); err != nil {
		return "", nil, err
	}
	return path, func() { _ = os.RemoveAll(dir) }, nil
}

// edit is the file with the bug in it.
func (b bug) edit(root string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(root, b.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(raw), b.from); n != 1 {
		return "", fmt.Errorf("%s: what it changes occurs %d times, not once: bring the bug up to date\n%s", b.file, n, b.from)
	}
	return strings.Replace(string(raw), b.from, b.to, 1), nil
}

func run(ctx context.Context, root, suite string, flags ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := append([]string{"test", "-count=1", "-failfast"}, flags...)
	command := exec.CommandContext(ctx, "go", append(args, strings.Fields(suite)...)...)
	command.Dir = root
	command.WaitDelay = 10 * time.Second
	out, err := command.CombinedOutput()
	return string(out), err
}

func tail(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// root is the module's root folder.
func root() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
