// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package redact cuts secrets out of text that others wrote: what a tool echoes of the credentials that it was sent must
// not get into a status, an event or a log.
//
// Secrets are found by their value, so whoever reads one adds it, and whoever repeats what a tool said has it redacted
// first and shortened after: half a secret is not found.
package redact

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
)

const (
	// Mark stands where a secret was.
	Mark = "[secret]"
	// MinLength is the length in bytes from which a secret can be cut out of text: a shorter one stands in it by chance.
	MinLength = 4
	// minPart is the length from which a part of an encoded secret is told from chance.
	minPart = 8
)

// Redactor replaces secrets by their value, wherever they stand and however they
// are written: as they are, in base64 (standard or URL, padded or not, also as a
// part of something longer), in hex, and any of these percent-encoded, encoded
// as a form, or escaped in a string of JSON or Go. Its zero value replaces
// nothing. It may be used by several goroutines once every secret is added.
type Redactor struct {
	asIs   search
	folded search // whatever the case of letters
}

// search is what is looked for.
type search struct {
	forms   [][]byte
	longest int
	spaces  bool // some form has a space, which a form writes as a plus
	folds   bool // the forms are in small letters, and found in any
}

// Add has the secret replaced from now on. One shorter than MinLength is not:
// whoever reads secrets refuses those.
func (r *Redactor) Add(secret []byte) {
	if len(secret) < MinLength {
		return
	}
	r.folded.folds = true
	for _, form := range forms(secret) {
		r.asIs.add(form)
		r.folded.add(fold(bytes.Clone(form)))
	}
}

func (s *search) add(form []byte) {
	if slices.ContainsFunc(s.forms, func(have []byte) bool { return bytes.Equal(have, form) }) {
		return
	}
	s.forms = append(s.forms, form)
	s.longest = max(s.longest, len(form))
	s.spaces = s.spaces || bytes.ContainsRune(form, ' ')
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

// Text is Bytes for a string.
func (r *Redactor) Text(text string) string { return string(r.Bytes([]byte(text))) }

// Bytes returns the text with every secret replaced by Mark; the text itself
// is left alone. It takes time in proportion to the text.
func (r *Redactor) Bytes(text []byte) []byte {
	if len(r.asIs.forms) == 0 || len(text) == 0 {
		return text
	}
	return replace(text, r.asIs.find(text))
}

// replace puts Mark in place of what stands at the spans.
func replace(text []byte, spans []span) []byte {
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
		out = append(append(out, text[done:from]...), Mark...)
		done = to
		if i == len(spans) {
			out = append(out, text[done:]...)
		}
	}
	return out
}

// Header returns a copy of the header with every secret replaced, in names too.
// In a name a secret is found however its letters are written, for case means
// nothing there and is lost on the way (RFC 9110, section 5.1). Values whose
// names become one stand in the order of the names as they came.
func (r *Redactor) Header(header map[string][]string) map[string][]string {
	out := make(map[string][]string, len(header))
	for _, name := range slices.Sorted(maps.Keys(header)) {
		plain := r.name(name)
		for _, value := range header[name] {
			out[plain] = append(out[plain], r.Text(value))
		}
	}
	return out
}

// name redacts the name of a header.
func (r *Redactor) name(name string) string {
	return string(replace([]byte(name), r.folded.find([]byte(name))))
}

// fold makes the letters A to Z small, in place, so that every byte stays where it was.
func fold(text []byte) []byte {
	for i, b := range text {
		if 'A' <= b && b <= 'Z' {
			text[i] = b + 'a' - 'A'
		}
	}
	return text
}

// span is where a secret stands in a text.
type span struct{ from, to int }

func (s *search) find(text []byte) []span {
	var out []span
	whole := text
	if s.folds {
		whole = fold(bytes.Clone(text))
	}
	for _, form := range s.forms {
		for at := 0; ; {
			i := bytes.Index(whole[at:], form)
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
		{backslash, stringUnescape},
		{backslash && (percent || escapedPercent(text)), stringPercentUnescape},
	} {
		if view.needed {
			out = append(out, s.findEscaped(text, view.undo)...)
		}
	}
	return out
}

// escapedPercent tells whether a percent sign is written as an escape somewhere.
func escapedPercent(text []byte) bool {
	return bytes.Contains(text, []byte(`u0025`)) || bytes.Contains(text, []byte(`x25`)) || bytes.Contains(text, []byte(`U00000025`))
}

// window is how many bytes of unescaped text are searched at a time, so that a
// long text is not held once more as a whole.
const window = 64 << 10

// findEscaped finds the secrets in the text as it reads without its escapes.
func (s *search) findEscaped(text []byte, undo unescape) []span {
	var out []span
	var plain []byte // the text without escapes
	var where []span // where each byte of plain stands in the text
	for at := 0; at < len(text); {
		for at < len(text) && len(plain) < window+s.longest {
			more, next := undo(plain, text, at)
			if s.folds {
				fold(more[len(plain):])
			}
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
