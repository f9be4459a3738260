// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/internal/evidence"
)

func TestWriteNewOverwritesNoKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := writeNew(path, "first", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(path, "second", 0o600); err == nil || !strings.Contains(err.Error(), "cannot write the key") {
		t.Errorf("error %v", err)
	}
	kept, err := os.ReadFile(path)
	if err != nil || string(kept) != "first\n" {
		t.Errorf("%q %v: the first key must stay", kept, err)
	}
}

func TestKeygenMakesAPairThatFits(t *testing.T) {
	dir := t.TempDir()
	private, public := filepath.Join(dir, "signer"), filepath.Join(dir, "log.vkey")
	args := []string{"evidence", "keygen", "casebook.example.com/soc", "--private", private, "--public", public}
	command(t, "", args...).want(t, exitDone, "Made:")
	command(t, "", args...).want(t, exitRefused, "cannot write the key", "Name a file that does not exist yet.")
	signer, err := os.ReadFile(private)
	if err != nil {
		t.Fatal(err)
	}
	want, err := evidence.VerifierKey(strings.TrimSpace(string(signer)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(public); err != nil || strings.TrimSpace(string(got)) != want {
		t.Errorf("the public key is %q, want %q (%v)", got, want, err)
	}
}
