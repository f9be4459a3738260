// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
)

// unasked is what net/http logs, word for word, of a target that speaks before it is asked.
const unasked = "Unsolicited response received"

// discreet writes what libraries log through package log, but for what a target said unasked: it may repeat a secret, and
// nothing on that way cuts it out.
type discreet struct{ to io.Writer }

func (d discreet) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(unasked)) {
		return len(line), nil
	}
	return d.to.Write(line)
}
