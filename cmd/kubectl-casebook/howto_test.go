// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// shown is a file that a page shows: its name, and its content in the block below.
var shown = regexp.MustCompile("(?m)^`([a-z.]+)`:\n\n```[a-z]+\n((?s:.*?))```$")

// What the how-to pages show is what they say: put into one folder, it passes its tests.
func TestHowToPagesPassTheirTests(t *testing.T) {
	pages, err := filepath.Glob("../../docs/howto/*.md")
	if err != nil || len(pages) != 4 {
		t.Fatalf("the pages are %v (%v)", pages, err)
	}
	files := map[string]string{}
	for _, page := range pages {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range shown.FindAllStringSubmatch(string(raw), -1) {
			files[file[1]] = file[2]
		}
	}
	if len(files) != 9 {
		t.Fatalf("the pages show %d files, not 9", len(files))
	}
	for _, sample := range []string{"lookups.yaml", "mail.yaml"} { // a table of people and a mail server, as the sample has them
		raw, err := os.ReadFile(filepath.Join("../../config/samples/impossible-travel", sample))
		if err != nil {
			t.Fatal(err)
		}
		files[sample] = string(raw)
	}
	dir := beside(t, files)
	command(t, "", "test", dir).want(t, exitDone, "✓ mapping acme-door:", "✓ connector doors:", "✓ guardrail badges:",
		"✓ playbook block-badge: every lookup fails", "11 tests passed")
	command(t, "", "normalize", filepath.Join(dir, "alert.json"), "--mapping", filepath.Join(dir, "mapping.yaml")).want(t, exitDone, "ana@example.com")
}
