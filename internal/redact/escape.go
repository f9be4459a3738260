// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape appends what stands at a place in a text, an escape or else one byte,
// and returns where the text goes on. It goes on in any case.
type unescape func(dst, text []byte, at int) ([]byte, int)

// percentUnescape undoes the percent-encoding of RFC 3986, section 2.1.
func percentUnescape(dst, text []byte, at int) ([]byte, int) {
	if text[at] == '%' && at+2 < len(text) {
		if value, ok := unhex(text[at+1 : at+3]); ok {
			return append(dst, byte(value)), at + 3
		}
	}
	return append(dst, text[at]), at + 1
}

// formUnescape undoes application/x-www-form-urlencoded.
func formUnescape(dst, text []byte, at int) ([]byte, int) {
	if text[at] == '+' {
		return append(dst, ' '), at + 1
	}
	return percentUnescape(dst, text, at)
}

var stringEscapes = map[byte]byte{
	'"': '"', '\'': '\'', '\\': '\\', '/': '/', 'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
}

// stringUnescape undoes the escapes of a JSON string (RFC 8259, section 7), and those that a string of Go has beside them:
// our own libraries quote what they cannot read.
func stringUnescape(dst, text []byte, at int) ([]byte, int) {
	if text[at] != '\\' || at+1 == len(text) {
		return append(dst, text[at]), at + 1
	}
	if plain, ok := stringEscapes[text[at+1]]; ok {
		return append(dst, plain), at + 2
	}
	if char, ok := digits(text, at, 'x', 2); ok {
		return append(dst, byte(char)), at + 4
	}
	if char, ok := digits(text, at, 'U', 8); ok && char <= unicode.MaxRune {
		return utf8.AppendRune(dst, rune(char)), at + 10
	}
	unit, ok := jsonUnit(text, at)
	if !ok {
		return append(dst, '\\'), at + 1
	}
	if low, ok := jsonUnit(text, at+6); ok && utf16.IsSurrogate(unit) {
		if char := utf16.DecodeRune(unit, low); char != utf8.RuneError {
			return utf8.AppendRune(dst, char), at + 12
		}
	}
	return utf8.AppendRune(dst, unit), at + 6
}

// jsonUnit reads the \uXXXX that stands at a place.
func jsonUnit(text []byte, at int) (rune, bool) {
	unit, ok := digits(text, at, 'u', 4)
	return rune(unit), ok
}

// digits reads the escape of a kind that stands at a place: a backslash, its letter and so many hexadecimal digits.
func digits(text []byte, at int, kind byte, count int) (uint64, bool) {
	if at+2+count > len(text) || text[at] != '\\' || text[at+1] != kind {
		return 0, false
	}
	return unhex(text[at+2 : at+2+count])
}

// stringPercentUnescape undoes percent-encoding within a string of JSON or Go.
func stringPercentUnescape(dst, text []byte, at int) ([]byte, int) {
	plain, next := stringUnescape(nil, text, at)
	if string(plain) != "%" {
		return append(dst, plain...), next
	}
	pair, end := []byte{}, next
	for len(pair) < 2 && end < len(text) {
		pair, end = stringUnescape(pair, text, end)
	}
	if value, ok := unhex(pair); ok && len(pair) == 2 {
		return append(dst, byte(value)), end
	}
	return append(dst, plain...), next
}

// unhex reads hexadecimal digits, without a sign.
func unhex(digits []byte) (uint64, bool) {
	value, err := strconv.ParseUint(string(digits), 16, 32)
	return value, err == nil
}
