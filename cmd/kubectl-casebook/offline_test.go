// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none")) // none of these needs a cluster
	tests := map[string]struct {
		args []string
		want string
	}{
		"an unknown command":              {[]string{"forget"}, `kubectl casebook has no such command`},
		"an unknown flag":                 {[]string{"queue", "--nope"}, "unknown flag: --nope"},
		"an unknown format":               {[]string{"queue", "-o", "xml"}, "Use -o json or -o yaml"},
		"a missing case":                  {[]string{"case"}, "CASE is missing"},
		"an argument too many":            {[]string{"case", "a", "b"}, `"b" is one argument too many`},
		"a handle where a case is meant":  {[]string{"timeline", "rt-1/keep"}, "it has a handle"},
		"a handle with two slashes":       {[]string{"approve", "rt-1/a/b", "-m", "x"}, "as a case and a handle"},
		"approve without a reason":        {[]string{"approve", "rt-1"}, `add -m "…"`},
		"deny with a blank reason":        {[]string{"deny", "rt-1", "-m", "  "}, "there is no reason given"},
		"close without a reason":          {[]string{"close", "rt-1", "--classification", "Test"}, "there is no reason given"},
		"close without a classification":  {[]string{"close", "rt-1", "-m", "x"}, "--classification TruePositive|"},
		"reopen without a reason":         {[]string{"reopen", "rt-1"}, "there is no reason given"},
		"rollback without a reason":       {[]string{"rollback", "rt-1/isolate"}, "there is no reason given"},
		"comment without a text":          {[]string{"comment", "rt-1"}, "there is no reason given"},
		"answer without an option":        {[]string{"answer", "rt-1/keep"}, "OPTION is missing"},
		"assign to nobody":                {[]string{"assign", "rt-1"}, "Add --owner USER, --queue QUEUE or both."},
		"submit without a gateway":        {[]string{"submit", "falco", "-"}, "Name it with --gateway"},
		"submit to a path":                {[]string{"submit", "falco", "-", "--gateway", "/x"}, "that is no URL"},
		"a payload that is not there":     {[]string{"normalize", "/nope.json"}, "there is no such file"},
		"a mapping that is not there":     {[]string{"normalize", "--mapping", "/nope", "-"}, "there is no such file"},
		"verify without a key":            {[]string{"evidence", "verify", "."}, "Name the file with the log's public key"},
		"verify with a key that is none":  {[]string{"evidence", "verify", ".", "--key", "/nope"}, "cannot read the key"},
		"verify what is no folder":        {[]string{"evidence", "verify", "/nope", "--key", "/dev/null"}, "there is no such folder"},
		"export without a folder":         {[]string{"evidence", "export", "rt-1"}, "-o DIR"},
		"export by uid without a bucket":  {[]string{"evidence", "export", "rt-1", "-o", "/tmp/x", "--uid", "u"}, "--bucket DIR"},
		"a payload that no mapping reads": {[]string{"normalize", "-"}, "Built in: Auth0, Microsoft Entra ID, Falco"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { command(t, "{}", tt.args...).want(t, exitUsage, tt.want) })
	}
}

func TestNoClusterIsRefused(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	command(t, "", "queue", "--server", "http://127.0.0.1:1").want(t, exitRefused, "error: cannot ")
	command(t, "", "queue", "--kubeconfig", "/nope").want(t, exitRefused, "--kubeconfig")
}

func TestHelpFits(t *testing.T) {
	root := newRoot(newOptions(noStreams()))
	for _, cmd := range root.Commands() {
		got := command(t, "", cmd.Name(), "--help")
		got.want(t, exitDone, cmd.Name())
	}
	command(t, "").want(t, exitDone, "approve", "evidence", "Exit codes:")
	command(t, "", "version").want(t, exitDone, "kubectl casebook (devel), go")
	command(t, "", "version", "-o", "json").want(t, exitDone, `"version": "(devel)"`)
	command(t, "", "completion").want(t, exitDone, "kubectl_complete-casebook")
}

const falco = "../../config/library/falco"

func TestNormalize(t *testing.T) {
	payload := filepath.Join(falco, "testdata", "terminal_shell.json")
	for name, args := range map[string][]string{
		"the built-in mapping":  {"normalize", payload},
		"a mapping by folder":   {"normalize", "--mapping", falco, payload},
		"a mapping by its file": {"normalize", "--mapping", filepath.Join(falco, "mapping.yaml"), payload},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, "", args...)
			if got.code != exitDone {
				t.Fatalf("exit code %d: %s", got.code, got.err)
			}
			var printed struct {
				Mapping string         `json:"mapping"`
				Skipped map[string]int `json:"skipped"`
				Signals []struct {
					Title       string           `json:"title"`
					Users       []any            `json:"users"`
					Explanation []map[string]any `json:"explanation"`
				} `json:"signals"`
			}
			if err := json.Unmarshal([]byte(got.out), &printed); err != nil {
				t.Fatalf("%v: %s", err, got.out)
			}
			if printed.Mapping != "falco" || len(printed.Signals) != 1 || printed.Signals[0].Title != "Terminal shell in container" || len(printed.Signals[0].Explanation) == 0 {
				t.Errorf("printed %+v", printed)
			}
		})
	}
}

func TestNormalizeWhatCannotBeDecoded(t *testing.T) {
	command(t, `{"rule": [1, `, "normalize", "--mapping", falco, "-").want(t, exitUsage, "it cannot be decoded at byte 13, in payload")
	command(t, "", "normalize", "--mapping", falco, "-").want(t, exitUsage, "it is empty")
}

func TestNormalizeHidesNothing(t *testing.T) {
	payload := `{"rule":"a\u202eb","priority":"Error","output":"\u001b[2J","time":"2026-11-24T10:00:00Z","output_fields":{}}`
	got := command(t, payload, "normalize", "-")
	if got.code != exitDone || strings.ContainsAny(got.out, "\x1b\u202e") || !strings.Contains(got.out, `\u202e`) {
		t.Errorf("exit code %d, output %q", got.code, got.out)
	}
}

func TestNormalizeWithAMappingThatIsWrong(t *testing.T) {
	const head = "apiVersion: casebook.dev/v1alpha1\nkind: Mapping\nmetadata: {name: x}\nspec:\n  product: X\n"
	tests := map[string]struct{ manifest, want string }{
		"an expression does not compile": {head + "  signal: {category: \"'Runtime'\", title: item., severity: Low}\n", "spec.signal.title"},
		"a field is not known":           {head + "  sginal: {}\n", "sginal"},
		"there is no Mapping":            {"kind: Source\n", "no document of it is of kind Mapping"},
		"there are two":                  {head + "---\n" + head, "it holds more than one"},
		"it is no YAML":                  {"a: [", "cannot read the mapping"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mapping.yaml")
			if err := os.WriteFile(path, []byte(tt.manifest), 0o600); err != nil {
				t.Fatal(err)
			}
			command(t, "{}", "normalize", "--mapping", path, "-").want(t, exitUsage, tt.want)
		})
	}
}
