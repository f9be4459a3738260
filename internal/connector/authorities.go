// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Authorities reads the certificates of a caBundle: PEM (RFC 7468), with whatever text before each block. One that cannot
// be read is an error, and so is whatever else is there, for an authority that is left out in silence shows only when
// something it has signed is met. One that has expired is not: TLS says so.
func Authorities(bundle string) (*x509.CertPool, error) {
	pool, rest := x509.NewCertPool(), []byte(bundle)
	for number := 1; ; number++ {
		block, after := pem.Decode(rest)
		if block == nil {
			return pool, leftOver(rest, number)
		}
		before := rest[:len(rest)-len(after)]
		before = before[:bytes.LastIndex(before, []byte("-----BEGIN "))]
		if mentionsPEM(before) { // the package pem goes on to the next block that it can read
			return nil, unreadable(number)
		}
		certificate, err := authority(block)
		if err != nil {
			return nil, fmt.Errorf("block %d %w", number, err)
		}
		pool.AddCert(certificate)
		rest = after
	}
}

// authority reads one block.
func authority(block *pem.Block) (*x509.Certificate, error) {
	switch {
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, fmt.Errorf("is of type %q: take it out, and make a new key: whoever reads the Connector has this one", block.Type)
	case block.Type != "CERTIFICATE":
		return nil, fmt.Errorf("is of type %q: take it out: only CERTIFICATE may stand there", block.Type)
	case len(block.Headers) > 0:
		return nil, errors.New("has headers: take out the lines between its BEGIN and its base64")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("is no certificate that can be read: %w: take it out, or put it there anew", err)
	}
	return certificate, nil
}

// leftOver judges what stands after the last block, which would have had the given number were it one.
func leftOver(text []byte, number int) error {
	switch {
	case mentionsPEM(text):
		return unreadable(number)
	case number == 1:
		return errors.New("it holds no certificate: put the PEM of the authorities there, each from BEGIN CERTIFICATE to END CERTIFICATE")
	}
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return fmt.Errorf("the text after block %d is no certificate: take it out, or begin its lines with #", number-1)
		}
	}
	return nil
}

func unreadable(number int) error {
	return fmt.Errorf("block %d is no PEM that can be read: put it there from its BEGIN line to its END line, with no space before any", number)
}

// mentionsPEM tells whether a text between blocks has what belongs to one: a line that begins or ends it, or a full line
// of base64.
func mentionsPEM(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("-----BEGIN")) || bytes.HasPrefix(line, []byte("-----END")) {
			return true
		}
		if _, err := base64.StdEncoding.DecodeString(string(line)); err == nil && len(line) == 64 { // RFC 7468, section 2
			return true
		}
	}
	return false
}
