// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// Bounds of a payload's JSON.
const (
	// MaxDepth is how deeply objects and arrays may be nested.
	MaxDepth = 64
	// MaxKeys is the most keys that all objects of one document may have together.
	MaxKeys = 10_000
	// MaxNumber is the most bytes a number may be written with.
	MaxNumber = 1_000
)

// CheckJSON decides whether a body can be decoded: one JSON document (RFC 8259),
// or several, each on lines of its own (NDJSON), within the bounds above. A key
// that occurs twice in one object is refused, for readers differ in which they
// take; so is a number beyond what a float64 holds. Bytes in strings that are not
// UTF-8 are let through: decoders replace them.
//
// The error is a [*Refusal]: Empty, or Malformed with the byte offset. It reads
// the body once and decodes nothing.
func CheckJSON(body []byte) error {
	s := scanner{data: body}
	s.space()
	if s.pos == len(body) {
		return &Refusal{Verdict: Empty, message: "the body is empty; send the finding as JSON"}
	}
	for {
		s.keys = 0
		if r := s.value(0); r != nil {
			return r
		}
		end := s.pos
		s.space()
		if s.pos == len(body) {
			return nil
		}
		if !bytes.ContainsRune(body[end:s.pos], '\n') {
			return refuseMalformed(s.pos, "there is more after the end of the JSON document; several documents need a line each")
		}
	}
}

type scanner struct {
	data []byte
	pos  int
	keys int
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// next is the next byte that is not space, without taking it; 0 at the end.
func (s *scanner) next() byte {
	s.space()
	if s.pos == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

func (s *scanner) unexpected(wanted string) *Refusal {
	if s.pos >= len(s.data) {
		return refuseMalformed(len(s.data), "it ends where %s should be", wanted)
	}
	return refuseMalformed(s.pos, "there is %q where %s should be", rune(s.data[s.pos]), wanted)
}

func (s *scanner) value(depth int) *Refusal {
	switch c := s.next(); {
	case c == '{' || c == '[':
		if depth == MaxDepth {
			return refuseMalformed(s.pos, "objects and arrays are nested more than %d deep", MaxDepth)
		}
		if c == '{' {
			return s.object(depth + 1)
		}
		return s.array(depth + 1)
	case c == '"':
		_, r := s.text()
		return r
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.unexpected("a JSON value")
}

func (s *scanner) word(word string) *Refusal {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
		return s.unexpected("a JSON value")
	}
	s.pos += len(word)
	return nil
}

func (s *scanner) array(depth int) *Refusal {
	s.pos++
	if s.next() == ']' {
		s.pos++
		return nil
	}
	for {
		if r := s.value(depth); r != nil {
			return r
		}
		switch s.next() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.unexpected("a comma or ]")
		}
	}
}

func (s *scanner) object(depth int) *Refusal {
	s.pos++
	if s.next() == '}' {
		s.pos++
		return nil
	}
	seen := map[string]struct{}{}
	for {
		if r := s.key(seen); r != nil {
			return r
		}
		if s.next() != ':' {
			return s.unexpected("a colon")
		}
		s.pos++
		if r := s.value(depth); r != nil {
			return r
		}
		switch s.next() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.unexpected("a comma or }")
		}
	}
}

func (s *scanner) key(seen map[string]struct{}) *Refusal {
	if s.next() != '"' {
		return s.unexpected("a key in double quotes")
	}
	at := s.pos
	raw, r := s.text()
	if r != nil {
		return r
	}
	if s.keys++; s.keys > MaxKeys {
		return refuseMalformed(at, "it has more than %d keys; send fewer findings at once", MaxKeys)
	}
	key := string(raw[1 : len(raw)-1])
	if bytes.IndexByte(raw, '\\') >= 0 || !utf8.Valid(raw) {
		if err := json.Unmarshal(raw, &key); err != nil { // written differently, the same key
			return refuseMalformed(at, "the key cannot be read")
		}
	}
	if _, twice := seen[key]; twice {
		return refuseMalformed(at, "the key %s occurs twice in one object", clip(key))
	}
	seen[key] = struct{}{}
	return nil
}

// text takes a string and returns it with its quotes.
func (s *scanner) text() ([]byte, *Refusal) {
	start := s.pos
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start:s.pos], nil
		case c < 0x20:
			return nil, refuseMalformed(s.pos, "a string holds the control character %#02x; write it as an escape", c)
		case c == '\\':
			if r := s.escape(); r != nil {
				return nil, r
			}
		}
	}
	return nil, refuseMalformed(len(s.data), "it ends within the string that begins at byte %d", start)
}

// escape steps from a backslash to the last byte of its escape.
func (s *scanner) escape() *Refusal {
	at := s.pos
	s.pos++
	if s.pos == len(s.data) {
		return refuseMalformed(at, "it ends within an escape")
	}
	switch s.data[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			s.pos++
			if s.pos == len(s.data) || !hexDigit(s.data[s.pos]) {
				return refuseMalformed(at, `\u needs four hexadecimal digits`)
			}
		}
		return nil
	}
	return refuseMalformed(at, `\%c is no escape of JSON`, rune(s.data[s.pos]))
}

func hexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (s *scanner) number() *Refusal {
	start := s.pos
	if s.data[s.pos] == '-' {
		s.pos++
	}
	first := s.pos
	if s.digits() == 0 {
		return s.unexpected("a digit")
	}
	if s.data[first] == '0' && s.pos > first+1 {
		return refuseMalformed(first, "a number begins with a zero too many")
	}
	if s.at('.') {
		s.pos++
		if s.digits() == 0 {
			return s.unexpected("a digit")
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		if s.digits() == 0 {
			return s.unexpected("a digit")
		}
	}
	literal := s.data[start:s.pos]
	if len(literal) > MaxNumber {
		return refuseMalformed(start, "a number is written with more than %d bytes", MaxNumber)
	}
	if f, err := strconv.ParseFloat(string(literal), 64); err != nil || math.IsInf(f, 0) {
		return refuseMalformed(start, "the number %s is beyond what a number can hold", clip(string(literal)))
	}
	return nil
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

func (s *scanner) digits() int {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}

func clip(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.QuoteToASCII(s)
}
