// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// A bug that no longer fits the code would be tried no more: every edit still has its place.
func TestEveryBugHasItsPlace(t *testing.T) {
	root, err := root()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, b := range bugs {
		if _, err := b.edit(root); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		if b.from == b.to || names[b.name] || len(b.suites) == 0 {
			t.Errorf("%s: it changes nothing, is there twice, or no suite is to find it", b.name)
		}
		names[b.name] = true
	}
	if len(bugs) < 12 {
		t.Errorf("there are %d bugs", len(bugs))
	}
}
