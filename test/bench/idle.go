// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/test/fixture/site"
)

// idleFor is how long the operator is watched doing nothing.
const idleFor = 20 * time.Second

// idle measures what an operator costs that has nothing to do.
func (b *bench) idle(ctx context.Context) error {
	s, err := b.open(ctx)
	if err != nil {
		return err
	}
	before, err := s.quiet(ctx, 3)
	if err != nil {
		return err
	}
	if err := site.Pause(ctx, idleFor); err != nil {
		return err
	}
	after, err := countWrites(ctx, s.Plane)
	if err != nil {
		return err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.OperatorPID()))
	if err != nil {
		return fmt.Errorf("read the operator's memory: %w; this needs Linux, and an operator that runs", err)
	}
	inMB := map[string]float64{}
	for _, field := range []string{"VmRSS", "RssAnon", "RssFile"} {
		bytes, err := parseMemory(string(status), field)
		if err != nil {
			return err
		}
		inMB[field] = float64(bytes) / 1e6
	}
	b.report.add(figureIdleMemory, inMB["VmRSS"])
	b.report.detail("MB of the idle operator: its own (RssAnon), and its program's pages that the kernel keeps (RssFile)", inMB)
	since := after.minus(before)
	b.report.add(figureIdleWrites, since.sum(func(w write) bool { return !w.lease() }))
	b.report.detail("API writes while idle, the API server's own lease included", since.named(1, func(write) bool { return true }))
	return nil
}

// parseMemory reads an amount of memory in bytes out of a process's status (proc_pid_status(5)).
func parseMemory(status, field string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			number, found := strings.CutSuffix(strings.TrimSpace(rest), " kB")
			kib, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
			if err != nil || !found {
				return 0, fmt.Errorf("read the operator's memory: %q is no number of kB", rest)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read the operator's memory: its status has no %s: it has ended", field)
}
