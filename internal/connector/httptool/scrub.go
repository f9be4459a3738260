// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
)

const (
	// scrubbed stands where a secret was.
	scrubbed = "[secret]"
	// minSecret is the length in bytes from which a secret can be cut out of text: a shorter one stands in it by chance.
	minSecret = 4
	// minPart is the length from which a part of an encoded secret is told from chance.
	minPart = 8
)

// scrubber replaces secrets by their value, wherever they stand and however they
// are written: as they are, in base64 (standard or URL, padded or not, also as a
// part of something longer), in hex, and any of these percent-encoded, encoded
// as a form, or escaped in JSON. Its zero value replaces nothing. It may be used
// by several goroutines once every secret is added.
type scrubber struct {
	forms   [][]byte
	longest int
	spaces  bool // some form has a space, which a form writes as a plus
}

// add has the secret replaced from now on. One shorter than minSecret is not:
// whoever reads secrets refuses those.
func (s *scrubber) add(secret []byte) {
	if len(secret) < minSecret {
		return
	}
	for _, form := range forms(secret) {
		if slices.ContainsFunc(s.forms, func(have []byte) bool { return bytes.Equal(have, form) }) {
			continue
		}
		s.forms = append(s.forms, form)
		s.longest = max(s.longest, len(form))
		s.spaces = s.spaces || bytes.ContainsRune(form, ' ')
	}
}

// forms are the ways to write a secret down that change all of it at once.
// Escapes, which change single characters, are undone in the text instead.
func forms(secret []byte) [][]byte {
	lower := []byte(hex.EncodeToString(secret))
	out := [][]byte{bytes.Clone(secret), lower, bytes.ToUpper(lower)}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		out = append(out, []byte(encoding.EncodeToString(secret)))
		for before := range 3 { // bytes of something else before it, in its first group of three
			whole := []byte(encoding.EncodeToString(append(make([]byte, before), secret...)))
			whole = whole[[3]int{0, 2, 3}[before]:] // without the characters that hold bits of what comes before
			if len(whole) >= minPart {
				out = append(out, whole) // where it ends there
			}
			if (before+len(secret))%3 != 0 {
				whole = whole[:len(whole)-1] // the last character holds bits of what comes after
			}
			if len(whole) >= minPart {
				out = append(out, whole)
			}
		}
	}
	return out
}

// text is bytes for a string.
func (s *scrubber) text(text string) string { return string(s.bytes([]byte(text))) }

// bytes returns the text with every secret replaced by "[secret]"; the text
// itself is left alone. It takes time in proportion to the text.
func (s *scrubber) bytes(text []byte) []byte {
	if len(s.forms) == 0 || len(text) == 0 {
		return text
	}
	spans := s.find(text)
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []byte
	for i, done := 0, 0; i < len(spans); {
		from, to := spans[i].from, spans[i].to
		for i++; i < len(spans) && spans[i].from <= to; i++ { // what overlaps is one secret to the reader
			to = max(to, spans[i].to)
		}
		out = append(append(out, text[done:from]...), scrubbed...)
		done = to
		if i == len(spans) {
			out = append(out, text[done:]...)
		}
	}
	return out
}

// header returns a copy of the header with every secret replaced, in names too.
func (s *scrubber) header(header http.Header) http.Header {
	out := make(http.Header, len(header))
	for name, values := range header {
		name = s.text(name)
		for _, value := range values {
			out[name] = append(out[name], s.text(value))
		}
	}
	return out
}

// span is where a secret stands in a text.
type span struct{ from, to int }

func (s *scrubber) find(text []byte) []span {
	var out []span
	for _, form := range s.forms {
		for at := 0; ; {
			i := bytes.Index(text[at:], form)
			if i < 0 {
				break
			}
			out = append(out, span{at + i, at + i + len(form)})
			at += i + len(form)
		}
	}
	percent, plus, backslash := bytes.IndexByte(text, '%') >= 0, s.spaces && bytes.IndexByte(text, '+') >= 0, bytes.IndexByte(text, '\\') >= 0
	for _, view := range []struct {
		needed bool
		undo   unescape
	}{
		{percent, percentUnescape},
		{plus, formUnescape},
		{backslash, jsonUnescape},
		{backslash && (percent || bytes.Contains(text, []byte(`\u0025`))), jsonPercentUnescape},
	} {
		if view.needed {
			out = append(out, s.findEscaped(text, view.undo)...)
		}
	}
	return out
}

// window is how many bytes of unescaped text are searched at a time, so that a
// long text is not held once more as a whole.
const window = 64 << 10

// findEscaped finds the secrets in the text as it reads without its escapes.
func (s *scrubber) findEscaped(text []byte, undo unescape) []span {
	var out []span
	var plain []byte // the text without escapes
	var where []span // where each byte of plain stands in the text
	for at := 0; at < len(text); {
		for at < len(text) && len(plain) < window+s.longest {
			more, next := undo(plain, text, at)
			for range len(more) - len(plain) {
				where = append(where, span{at, next})
			}
			plain, at = more, next
		}
		for _, form := range s.forms {
			for from := 0; ; {
				i := bytes.Index(plain[from:], form)
				if i < 0 {
					break
				}
				from += i + len(form)
				out = append(out, span{where[from-len(form)].from, where[from-1].to})
			}
		}
		keep := min(len(plain), s.longest-1) // a secret may go on beyond what was searched
		plain = plain[:copy(plain, plain[len(plain)-keep:])]
		where = where[:copy(where, where[len(where)-keep:])]
	}
	return out
}
