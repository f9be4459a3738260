// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Open reads a file that a test names, relative to the file of tests.
type Open func(name string) ([]byte, error)

// Result is what came of one test.
type Result struct {
	// File is the file of tests, Subject what is tested, such as playbook impossible-travel, and Name the test's name.
	File, Subject, Name string
	// Failures say what was expected and what came, one each; none if the test passed.
	Failures []string
	// Trace says what happened, a line each.
	Trace []string
}

// Passed tells whether everything was as expected.
func (r Result) Passed() bool { return len(r.Failures) == 0 }

// start is the time at which a test begins that does not say.
var start = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// suiteRule is why a suite of a playbook needs a test in which nothing can be looked up.
const suiteRule = "every suite of a playbook must have a test in which every lookup fails, for that is how it runs on a bad day; " +
	`add one with given: {lookups: {"*": Unavailable}} that says what is asked and done then`

// Run runs every test of the suite. The order of results is that of the tests.
func (s *Suite) Run(ctx context.Context, catalog *Catalog, open Open) []Result {
	var out []Result
	add := func(name string, test func(*checker)) {
		r := Result{File: s.File, Subject: s.Kind + " " + s.Name, Name: name}
		if strings.TrimSpace(name) == "" {
			r.Name = fmt.Sprintf("test %d", len(out)+1)
			r.Failures = append(r.Failures, "it has no name; write a sentence under name:")
		}
		test(&checker{result: &r})
		out = append(out, r)
	}
	for _, t := range s.mappings {
		add(t.Name, func(c *checker) { c.mapping(ctx, catalog, open, s.Name, t) })
	}
	for _, t := range s.guardrails {
		add(t.Name, func(c *checker) { c.guardrail(ctx, catalog, s.Name, t) })
	}
	for _, t := range s.connectors {
		add(t.Name, func(c *checker) { c.connector(ctx, catalog, s.Name, t) })
	}
	badDay := s.Kind != KindPlaybook
	for _, t := range s.playbooks {
		badDay = badDay || t.Given.Lookups.allFail()
		add(t.Name, func(c *checker) { c.playbook(ctx, catalog, open, s.Name, t) })
	}
	if !badDay {
		add("every lookup fails", func(c *checker) { c.fail("%s", suiteRule) })
	}
	return out
}

// checker collects what is not as expected.
type checker struct {
	result *Result
}

func (c *checker) fail(format string, args ...any) {
	c.result.Failures = append(c.result.Failures, fmt.Sprintf(format, args...))
}

func (c *checker) trace(format string, args ...any) {
	c.result.Trace = append(c.result.Trace, fmt.Sprintf(format, args...))
}

// failed notes an error, if there is one.
func (c *checker) failed(err error) bool {
	if err != nil {
		c.fail("%v", err)
	}
	return err != nil
}

// text compares what a test may leave out.
func text[T ~string](c *checker, what string, want *string, got T) {
	if want != nil && *want != string(got) {
		c.fail("%s: expected %s, came %s", what, shown(*want), shown(string(got)))
	}
}

func shown(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}
