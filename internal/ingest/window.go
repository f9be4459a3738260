// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import "time"

// Window is the number of the window of a length in which a receipt time falls,
// counted from the Unix epoch. Signals with one fingerprint in one window are
// repeats of the first. A length that is not positive counts as one hour, the
// documented default of a Source's repeatWindow.
func Window(received time.Time, length time.Duration) int64 {
	if length <= 0 {
		length = time.Hour
	}
	seconds, rest := received.Unix(), int64(received.Nanosecond())
	if whole := int64(length / time.Second); length%time.Second == 0 {
		return floorDiv(seconds, whole)
	}
	return floorDiv(seconds*int64(time.Second)+rest, int64(length))
}

func floorDiv(a, b int64) int64 {
	if a%b < 0 {
		return a/b - 1
	}
	return a / b
}
