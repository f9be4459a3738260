// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

// write is a sort of API request that writes.
type write struct {
	verb, group, resource, subresource string
}

func (w write) String() string {
	if w.subresource != "" {
		return w.verb + " " + w.resource + "/" + w.subresource
	}
	return w.verb + " " + w.resource
}

// record tells whether a write is of one of the kinds that a case consists of.
func (w write) record() bool {
	if w.group != v1alpha1.GroupName {
		return false
	}
	switch w.resource {
	case "signals", "cases", "playbookruns", "actions", "decisions":
		return true
	}
	return false
}

func (w write) event() bool { return w.resource == "events" }
func (w write) lease() bool { return w.resource == "leases" }

// counts are how often each write succeeded, by the API server's own metrics.
type counts map[write]float64

// minus is what came since an earlier count.
func (c counts) minus(earlier counts) counts {
	out := counts{}
	for w, n := range c {
		if more := n - earlier[w]; more != 0 {
			out[w] = more
		}
	}
	return out
}

// sum adds up the writes that are asked for.
func (c counts) sum(wanted func(write) bool) float64 {
	total := 0.0
	for w, n := range c {
		if wanted(w) {
			total += n
		}
	}
	return total
}

// named is the counts that are asked for, each divided, by name.
func (c counts) named(by float64, wanted func(write) bool) map[string]float64 {
	out := map[string]float64{}
	for w, n := range c {
		if wanted(w) {
			out[w.String()] += n / by
		}
	}
	return out
}

func countWrites(ctx context.Context, plane *controlplane.Plane) (counts, error) {
	text, err := plane.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	return parseWrites(text)
}

// parseWrites reads the successful writes out of metrics in Prometheus' text format.
func parseWrites(text string) (counts, error) {
	out := counts{}
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "apiserver_request_total{")
		if !ok {
			continue
		}
		labels, value, ok := strings.Cut(rest, "} ")
		if !ok {
			return nil, fmt.Errorf("read the API server's metrics: no value in %q", line)
		}
		of := labelsOf(labels)
		w := write{verb: of["verb"], group: of["group"], resource: of["resource"], subresource: of["subresource"]}
		if !w.kept() || of["dry_run"] != "" || !strings.HasPrefix(of["code"], "2") {
			continue
		}
		count, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return nil, fmt.Errorf("read the API server's metrics: %w", err)
		}
		out[w] += count
	}
	if len(out) == 0 {
		return nil, errors.New("read the API server's metrics: there is no write in apiserver_request_total, so it is not what it was")
	}
	return out, nil
}

// kept tells whether something is stored by such a request: reads are not, nor are questions to the authorizer.
func (w write) kept() bool {
	switch w.verb {
	case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		return w.group != "authorization.k8s.io" && w.group != "authentication.k8s.io" && w.subresource != "token"
	}
	return false
}

func labelsOf(text string) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		out[name] = strings.Trim(value, `"`)
	}
	return out
}
