// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/casebook-dev/casebook/internal/normalize"
)

// mapping runs a test of a Mapping: what one payload becomes.
func (c *checker) mapping(ctx context.Context, catalog *Catalog, open Open, name string, t mappingTest) {
	found, err := named("Mapping", catalog.Mappings, name)
	if c.failed(err) {
		return
	}
	compiled, err := normalize.Compile(found)
	if c.failed(err) {
		return
	}
	payload, err := open(t.Given.Payload)
	if c.failed(err) {
		return
	}
	result, err := compiled.Signals(ctx, payload, at(t.Given.Time))
	if c.failed(err) {
		return
	}
	for _, s := range result.Signals {
		c.trace("signal  %s %s: %s", s.Severity, s.RuleID, s.Title)
		for _, warning := range s.Warnings {
			c.trace("        warning: %s", warning)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(result.Skipped)) {
		c.trace("skipped %d: %s", result.Skipped[reason], reason)
	}
	if t.Expect.Fits != nil && *t.Expect.Fits != (result.Drift == "") {
		c.fail("fits: expected %v, came %v %s", *t.Expect.Fits, result.Drift == "", result.Drift)
	}
	if t.Expect.Skipped != nil && !maps.Equal(t.Expect.Skipped, result.Skipped) {
		c.fail("skipped: expected %s, came %s", compact(t.Expect.Skipped), compact(result.Skipped))
	}
	if c.number(t, len(result.Signals)) || t.Expect.Signals == nil {
		return
	}
	for i, fields := range *t.Expect.Signals {
		want, err := plain(fields)
		if c.failed(err) {
			continue
		}
		for _, d := range differences("", want, object(result.Signals[i])) {
			c.fail("signals[%d].%s", i, d)
		}
	}
}

// number compares how many signals came, and reports whether that is wrong.
func (c *checker) number(t mappingTest, came int) (wrong bool) {
	listed := 0
	if t.Expect.Signals != nil {
		listed = len(*t.Expect.Signals)
	}
	switch want := t.Expect.Count; {
	case want != nil && (*want != came || listed > came):
		c.fail("count: expected %d, came %d", *want, came)
	case want == nil && t.Expect.Signals != nil && listed != came:
		c.fail("signals: expected %d, came %d", listed, came)
	default:
		return false
	}
	return true
}

// at is the time at which a test begins.
func at(given *time.Time) time.Time {
	if given == nil {
		return start
	}
	return given.UTC()
}
