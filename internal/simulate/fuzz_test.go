// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/casebook-dev/casebook/internal/simulate"
)

// FuzzSuite reads any text as tests and runs what it can: whatever people write ends in a result, never in a panic.
func FuzzSuite(f *testing.F) {
	files, err := filepath.Glob("../../config/samples/*/*.test.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add("playbook: block\ntests:" + badDay)
	f.Add("guardrail: blocks\ntests: [{name: a, given: {operation: firewall/block, target: {type: 1}, ran: [{ago: x, times: -1}]}, expect: {answer: Ask}}]")
	f.Add("connector: firewall\ntests: [{given: {operation: block, input: {address: [a]}, answers: [{body: {1: 2}}]}, expect: {output: {a: [1]}}}]")
	f.Fuzz(func(t *testing.T, text string) {
		suites, err := simulate.Parse("fuzz.test.yaml", []byte(text))
		if err != nil {
			return
		}
		for _, s := range suites {
			for _, r := range s.Run(t.Context(), catalog(t), open) {
				if r.Subject == "" || r.Name == "" {
					t.Errorf("a result that says nothing: %+v", r)
				}
			}
		}
	})
}
