// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// writes are the API server's own counts of successful writes, by verb and kind.
func (s *stage) writes(ctx context.Context) (map[string]float64, error) {
	text, err := s.Plane.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "apiserver_request_total{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(rest, "} ")
		of := labelsOf(labels)
		ours := of["group"] == v1alpha1.GroupName || of["resource"] == "events"
		if verb := of["verb"]; !ours || verb == "GET" || verb == "LIST" || verb == "WATCH" || !strings.HasPrefix(of["code"], "2") {
			continue
		}
		count, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return nil, fmt.Errorf("read the API server's metrics: %w", err)
		}
		resource := of["resource"]
		if of["subresource"] != "" {
			resource += "/" + of["subresource"]
		}
		out[of["verb"]+" "+resource] += count
	}
	return out, nil
}

func labelsOf(text string) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		out[name] = strings.Trim(value, `"`)
	}
	return out
}

// cost prints what the story took, by the API server's own metrics.
func (s *stage) cost(ctx context.Context, _ string) error {
	chapter("What it cost: API writes by verb and kind")
	after, err := s.writes(ctx)
	if err != nil {
		return err
	}
	var keys []string
	total := 0.0
	for key, count := range after {
		if count > s.before[key] {
			keys = append(keys, key)
			total += count - s.before[key]
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Printf("  %4.0f  %s\n", after[key]-s.before[key], key)
	}
	fmt.Printf("  %4.0f  in all\n", total)
	return nil
}
