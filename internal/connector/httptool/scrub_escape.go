// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"strconv"
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

var jsonEscapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// jsonUnescape undoes the escapes of a JSON string (RFC 8259, section 7).
func jsonUnescape(dst, text []byte, at int) ([]byte, int) {
	if text[at] != '\\' || at+1 == len(text) {
		return append(dst, text[at]), at + 1
	}
	if plain, ok := jsonEscapes[text[at+1]]; ok {
		return append(dst, plain), at + 2
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
	if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
		return 0, false
	}
	value, ok := unhex(text[at+2 : at+6])
	return rune(value), ok
}

// jsonPercentUnescape undoes percent-encoding within the string of JSON.
func jsonPercentUnescape(dst, text []byte, at int) ([]byte, int) {
	plain, next := jsonUnescape(nil, text, at)
	if string(plain) != "%" {
		return append(dst, plain...), next
	}
	digits, end := []byte{}, next
	for len(digits) < 2 && end < len(text) {
		digits, end = jsonUnescape(digits, text, end)
	}
	if value, ok := unhex(digits); ok && len(digits) == 2 {
		return append(dst, byte(value)), end
	}
	return append(dst, plain...), next
}

// unhex reads hexadecimal digits, without a sign.
func unhex(digits []byte) (uint64, bool) {
	value, err := strconv.ParseUint(string(digits), 16, 16)
	return value, err == nil
}
