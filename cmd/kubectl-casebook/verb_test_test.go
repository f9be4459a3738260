// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSamplesPassTheirTests runs every file of tests beside what is shipped.
func TestSamplesPassTheirTests(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none")) // no cluster is needed
	for folder, kinds := range map[string][]string{
		"impossible-travel": {"✓ playbook impossible-travel: every lookup fails", "✓ mapping okta:", "✓ guardrail identity-containment:", "✓ connector directory:", "✓ connector idp:"},
		"runtime-threat":    {"✓ playbook isolate-pod: every lookup fails", "✓ mapping falco:", "✓ guardrail runtime-containment:"},
	} {
		t.Run(folder, func(t *testing.T) {
			command(t, "", "test", filepath.Join("../../config/samples", folder)).want(t, exitDone, append(kinds, "tests passed")...)
		})
	}
}

// beside writes files into a folder, each under its name.
func beside(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const falcoTest = `mapping: falco
tests:
- name: a shell
  given: {payload: alert.json}
  expect: {signals: [{severity: Critical, assets: [shop/web]}]}
`

const falcoAlert = `{"rule": "Shell", "priority": "Notice", "output": "x", "output_fields": {"k8s.ns.name": "shop", "k8s.pod.name": "web"}}`

func TestTestSaysWhatFailed(t *testing.T) {
	dir := beside(t, map[string]string{"a.test.yaml": falcoTest, "alert.json": falcoAlert})
	command(t, "", "test", dir).want(t, exitRefused, "✗ mapping falco: a shell", "a.test.yaml",
		`signals[0].severity: expected "Critical", came "Low"`, "signal  Low Shell: Shell", "1 of 1 tests failed")
	if err := os.WriteFile(filepath.Join(dir, "a.test.yaml"), []byte(strings.Replace(falcoTest, "Critical", "Low", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "", "test", filepath.Join(dir, "a.test.yaml")).want(t, exitDone, "✓ mapping falco: a shell\n1 test passed")
}

func TestTestCannotRead(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a folder without tests":        {nil, "there is no file *.test.yaml in it"},
		"an unknown field":              {map[string]string{"a.test.yaml": strings.Replace(falcoTest, "payload", "paylod", 1)}, "line 4: field paylod is not known here"},
		"an object that does not parse": {map[string]string{"a.test.yaml": falcoTest, "b.yaml": "apiVersion: casebook.dev/v1alpha1\nkind: Playbook\nspec: {stepps: []}\n"}, `b.yaml: Playbook: error unmarshaling JSON: while decoding JSON: json: unknown field "stepps"`},
	} {
		t.Run(name, func(t *testing.T) { command(t, "", "test", beside(t, tt.files)).want(t, exitUsage, tt.want) })
	}
	command(t, "", "test").want(t, exitUsage, "DIR|FILE is missing")
	command(t, "", "test", "/nope").want(t, exitUsage, "no such file")
}

// TestTestShowsNothingForeignRaw: what a payload says does not drive the terminal.
func TestTestShowsNothingForeignRaw(t *testing.T) {
	alert := strings.Replace(falcoAlert, "Shell", `\u001b[31mred\u202e`, 1)
	got := command(t, "", "test", beside(t, map[string]string{"a.test.yaml": falcoTest, "alert.json": alert}))
	got.want(t, exitRefused, "✗ mapping falco")
	if text := got.out + got.err; strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("raw control characters in %q", text)
	}
}
