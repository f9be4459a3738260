// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"crypto/sha256"
	"encoding/base32"
)

// Lengths of the hashed part of a name. A case's is short because people type it; two
// keys that meet in one are told apart by [Takes]. A signal's is never typed.
const (
	caseSuffix   = 6
	signalSuffix = 16
)

// crockford is base32 without the letters i, l, o and u, which are misread.
var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// CaseName derives a case's name from its type, its key and the name of the case
// before it with that name's key (empty for the first): the type's prefix, a dash and
// six characters, for example rt-0q9wd4. Deriving it again gives the same name, so a
// repeated creation is found out.
func CaseName(t *Type, key, previous string) string {
	return t.prefix + "-" + short(caseSuffix, "case", t.Name, key, previous)
}

// SignalName derives a signal's name from its source, its fingerprint and the window
// of repeats it falls into, a number that the caller counts. It is an RFC 1123 label.
func SignalName(source, fingerprint string, window int64) string {
	return "sig-" + short(signalSuffix, "signal", source, fingerprint, window)
}

// short is the beginning of a hash, as text for names.
func short(length int, values ...any) string {
	sum := sha256.Sum256([]byte(digest(values...)))
	return crockford.EncodeToString(sum[:])[:length]
}
