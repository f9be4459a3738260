// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// part is a piece of a string: literal text, or the source of an expression.
type part struct {
	text       string
	expression bool
}

// split cuts a string into literal text and expressions. Neighbouring literal
// text is one part, and an empty string has none.
func split(s string) ([]part, error) {
	var parts []part
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			parts = append(parts, part{text: plain.String()})
			plain.Reset()
		}
	}
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "$${"):
			plain.WriteString("${")
			i += len("$${")
		case strings.HasPrefix(s[i:], "${"):
			start := i + len("${")
			end, err := closing(s, start)
			if err != nil {
				return nil, err
			}
			flush()
			parts = append(parts, part{text: strings.TrimSpace(s[start:end]), expression: true})
			i = end + 1
		default:
			plain.WriteByte(s[i])
			i++
		}
	}
	flush()
	return parts, nil
}

// closing finds the brace that ends the expression which begins at start. It knows
// enough of CEL's lexer for that: braces nest; strings, triple-quoted, raw or
// neither, and comments hide what is in them.
func closing(s string, start int) (int, error) {
	depth := 0
	for i := start; i < len(s); {
		switch c := s[i]; {
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i, nil
		case c == '}':
			depth--
		case c == '/' && strings.HasPrefix(s[i:], "//"):
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return 0, unterminated(s, start, "a comment runs to the end of the text")
			}
			i += end
		case c == '"' || c == '\'':
			end, ok := skipString(s, i, isRaw(s[start:i]))
			if !ok {
				return 0, unterminated(s, start, "a string in it is not closed")
			}
			i = end
			continue
		}
		i++
	}
	return 0, unterminated(s, start, "the closing } is missing; write $${ for a literal ${")
}

// isRaw reports whether the string that follows has the prefix r, R, br and so on,
// as a word of its own.
func isRaw(before string) bool {
	word := len(before)
	for word > 0 && isWord(before[word-1]) {
		word--
	}
	switch strings.ToLower(before[word:]) {
	case "r", "rb", "br":
		return true
	}
	return false
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// skipString returns the index after the string literal that begins at i.
func skipString(s string, i int, raw bool) (int, bool) {
	quote := s[i : i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s[i:], triple) {
		quote = triple
	}
	for i += len(quote); i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], quote):
			return i + len(quote), true
		case s[i] == '\\' && !raw:
			i++
		case len(quote) == 1 && (s[i] == '\n' || s[i] == '\r'):
			return 0, false
		}
	}
	return 0, false
}

func unterminated(s string, start int, why string) error {
	return &CompileError{
		Expression: s, Line: 1 + strings.Count(s[:start], "\n"),
		Column:  1 + utf8.RuneCountInString(s[strings.LastIndexByte(s[:start], '\n')+1:start]),
		Message: fmt.Sprintf("the expression that begins here does not end: %s", why),
	}
}
