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
	if err := pause(ctx, idleFor); err != nil {
		return err
	}
	after, err := countWrites(ctx, s.plane)
	if err != nil {
		return err
	}
	resident, err := residentBytes(s.operator.Process.Pid)
	if err != nil {
		return err
	}
	b.report.add(figureIdleMemory, float64(resident)/1e6)
	since := after.minus(before)
	b.report.add(figureIdleWrites, since.sum(func(w write) bool { return !w.lease() }))
	b.report.detail("API writes while idle, the API server's own lease included", since.named(1, func(write) bool { return true }))
	return nil
}

// residentBytes is VmRSS of a process (proc_pid_status(5)).
func residentBytes(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the operator's memory: %w; this needs Linux, and an operator that runs", err)
	}
	return parseResident(string(raw))
}

func parseResident(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			number, found := strings.CutSuffix(strings.TrimSpace(rest), " kB")
			kib, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
			if err != nil || !found {
				return 0, fmt.Errorf("read the operator's memory: %q is no number of kB", rest)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read the operator's memory: its status has no VmRSS: it has ended")
}
