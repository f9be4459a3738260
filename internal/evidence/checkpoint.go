// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxCheckpoint is the length of the longest signed checkpoint in bytes.
const MaxCheckpoint = 16 << 10

// Checkpoint is the state of a log at one time (C2SP tlog-checkpoint). The time stands in an extension line, which
// other readers ignore; it is what makes a heartbeat of a log that did not grow.
type Checkpoint struct {
	// Origin is the name of the log and of its key.
	Origin string
	Size   int64
	Root   tlog.Hash
	// Time is when the checkpoint was signed, in whole seconds.
	Time time.Time
}

const timeExtension = "time "

// Text returns what is signed: a line each for origin, size, root in base64, and time.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n%s%s\n", c.Origin, c.Size, c.Root, timeExtension, c.Time.UTC().Format(time.RFC3339))
}

// ParseCheckpoint reads what is signed. It says nothing about who signed it.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[4] != "" || lines[0] == "" {
		return Checkpoint{}, fmt.Errorf("read a checkpoint: it has %d lines; it has four, for origin, size, root and time", len(lines)-1)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return Checkpoint{}, fmt.Errorf("read a checkpoint: its size is %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read a checkpoint: its root %q is no hash", lines[2])
	}
	signed, err := time.Parse(time.RFC3339, strings.TrimPrefix(lines[3], timeExtension))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read a checkpoint: its line 4 is %q; it is %q and a time", lines[3], timeExtension)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root, Time: signed.UTC()}
	if c.Text() != text {
		return Checkpoint{}, errors.New("read a checkpoint: it is not written as its content is written")
	}
	return c, nil
}

// VerifyCheckpoint reads a signed checkpoint and verifies that the key, whose name must be the origin, and no other
// signed it. Foreign signatures are refused because without their keys a change to them could not be seen.
func VerifyCheckpoint(signed []byte, vkey string) (Checkpoint, error) {
	verifier, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read the public key: %w; it looks like name+1a2b3c4d+base64", err)
	}
	if len(signed) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("it has %d bytes, more than %d", len(signed), MaxCheckpoint)
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("it is not signed by %s: %w", verifier.Name(), err)
	}
	c, err := ParseCheckpoint(opened.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != verifier.Name() {
		return Checkpoint{}, fmt.Errorf("it is of the log %q, the key is of %q", c.Origin, verifier.Name())
	}
	signature := opened.Sigs[0]
	raw, err := base64.StdEncoding.DecodeString(signature.Base64) // lenient about the last bits
	if err != nil || base64.StdEncoding.EncodeToString(raw) != signature.Base64 {
		return Checkpoint{}, errors.New("its signature is not written in canonical base64")
	}
	if want := fmt.Sprintf("%s\n— %s %s\n", opened.Text, signature.Name, signature.Base64); string(signed) != want {
		return Checkpoint{}, fmt.Errorf("it holds more than the text and one signature by %s", verifier.Name())
	}
	return c, nil
}

// GenerateKey makes a key pair for the log of that origin: a signer key, which is secret, and the verifier key that
// auditors hold. An origin is a name without spaces and plus signs, best a domain and path.
func GenerateKey(rand io.Reader, origin string) (signerKey, verifierKey string, err error) {
	if signerKey, verifierKey, err = note.GenerateKey(rand, origin); err != nil {
		return "", "", fmt.Errorf("make a key for the log %q: %w", origin, err)
	}
	if _, err := note.NewSigner(signerKey); err != nil {
		return "", "", fmt.Errorf("make a key for the log %q: %w; give a name without spaces and plus signs", origin, err)
	}
	return signerKey, verifierKey, nil
}

// VerifierKey returns the verifier key that belongs to a signer key.
func VerifierKey(signerKey string) (string, error) {
	signerKey = strings.TrimSpace(signerKey)
	signer, err := note.NewSigner(signerKey) // checks form, algorithm and key hash
	if err != nil {
		return "", fmt.Errorf("read the signer key: %w; it looks like PRIVATE+KEY+name+1a2b3c4d+base64", err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.SplitN(signerKey, "+", 5)[4])
	if err != nil {
		return "", errors.New("read the signer key: it is no base64")
	}
	public, ok := ed25519.NewKeyFromSeed(secret[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("read the signer key: it is not of Ed25519")
	}
	return note.NewEd25519VerifierKey(signer.Name(), public)
}
