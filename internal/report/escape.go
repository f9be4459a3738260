// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape gives s with every character that a terminal would obey or a reader
// would not see replaced by a visible escape as Go writes it: controls (ANSI
// escape sequences lose their ESC), line breaks, direction controls, zero-width
// and other invisible characters, blanks other than the space, and bytes that
// are not UTF-8. A word that mixes Latin letters with letters that only look
// Latin (Cyrillic, Greek and the like) has the latter escaped. What it returns
// is safe to print on one line.
func Escape(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsLetter(r):
			size = wordLength(s[i:])
			writeWord(&b, s[i:i+size])
		case hidden(r):
			writeEscape(&b, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// plain tells, quickly, that s is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// hidden tells whether r would be obeyed by a terminal or not be seen.
func hidden(r rune) bool {
	if !unicode.IsPrint(r) || unicode.Is(unicode.Variation_Selector, r) {
		return true
	}
	switch r {
	case '\u034f', // combining grapheme joiner
		'\u115f', '\u1160', '\u3164', '\uffa0', // Hangul fillers: letters without ink
		'\u17b4', '\u17b5', // Khmer inherent vowels: without ink
		'\u2800': // Braille pattern blank
		return true
	}
	return false
}

func writeEscape(b *strings.Builder, r rune) {
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case r < 0x80:
		fmt.Fprintf(b, `\x%02x`, r)
	case r <= 0xffff:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
}

// wordLength is the length in bytes of the letters that s begins with.
func wordLength(s string) int {
	for i, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) {
			return i
		}
	}
	return len(s)
}

// lookalikes are scripts with letters that are drawn like Latin ones.
var lookalikes = []*unicode.RangeTable{
	unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu, unicode.Glagolitic,
}

// writeWord writes letters, with those that pretend to be Latin escaped.
func writeWord(b *strings.Builder, word string) {
	latin := strings.ContainsFunc(word, func(r rune) bool { return unicode.Is(unicode.Latin, r) })
	for _, r := range word {
		if hidden(r) || latin && unicode.In(r, lookalikes...) {
			writeEscape(b, r)
			continue
		}
		b.WriteRune(r)
	}
}

// Prose is Escape for sentences from outside: the scheme of a web address in
// them is defanged too, so that no terminal makes a link of it.
func Prose(s string) string {
	return schemes.Replace(Escape(s))
}

var schemes = strings.NewReplacer(
	"http://", "hxxp://", "https://", "hxxps://", "HTTP://", "hxxp://", "HTTPS://", "hxxps://",
	"Http://", "hxxp://", "Https://", "hxxps://", "ftp://", "fxp://",
)

// Defang writes an indicator so that nothing makes a link of it and nobody
// pastes it into a browser by mistake: hxxp for http, [.] for the dots of
// addresses, domains and mail addresses, [:] for the colons of IPv6. Digests,
// CVE ids and file names stay as they are.
func Defang(kind, value string) string {
	value = Escape(value)
	switch kind {
	case "ipv4", "domain":
		return strings.ReplaceAll(value, ".", "[.]")
	case "ipv6":
		return strings.ReplaceAll(value, ":", "[:]")
	case "email":
		return strings.ReplaceAll(strings.ReplaceAll(value, "@", "[@]"), ".", "[.]")
	case "url":
		scheme, rest, found := strings.Cut(value, "://")
		if !found {
			return strings.ReplaceAll(value, ".", "[.]")
		}
		host, path, slash := strings.Cut(rest, "/")
		if slash {
			path = "/" + path
		}
		scheme = strings.NewReplacer("tt", "xx", "TT", "xx", "ft", "fx").Replace(scheme)
		return scheme + "://" + strings.ReplaceAll(host, ".", "[.]") + path
	default:
		return value
	}
}
