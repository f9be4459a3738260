// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// columns is how many columns of a terminal s takes. The colours that paint gave it take none.
func columns(s string) int {
	n, colour := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			colour = true
		case colour:
			colour = r != 'm'
		default:
			n += columnsOf(r)
		}
	}
	return n
}

func columnsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r < 0x1100:
		return 1
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// cut gives s in at most limit columns, with … where something was left out.
func cut(s string, limit int) string {
	if columns(s) <= limit {
		return s
	}
	n := 0
	for i, r := range s {
		if n += columnsOf(r); n > limit-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// pad gives s with blanks up to limit columns.
func pad(s string, limit int) string {
	return s + strings.Repeat(" ", max(0, limit-columns(s)))
}

// wrap breaks s into lines of at most limit columns, between words where that is possible. Within a line the blanks
// between words stay as they are.
func wrap(s string, limit int) []string {
	var lines []string
	line, gap := "", ""
	for word := range strings.SplitSeq(s, " ") {
		if word == "" {
			gap += " "
			continue
		}
		if line != "" && columns(line)+columns(gap)+columns(word) <= limit {
			line, gap = line+gap+word, " "
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for columns(word) > limit {
			head := split(word, limit)
			lines, word = append(lines, word[:head]), word[head:]
		}
		line, gap = word, " "
	}
	return append(lines, line)
}

// Fold breaks each line of a text of our own, such as the help of a command, to at most limit columns.
func Fold(text string, limit int) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(wrap(line, limit), "\n")
	}
	return strings.Join(lines, "\n")
}

// split is the length in bytes of a beginning of s of at most limit columns, and of at least one character: up to a mark
// at which a long name breaks well, if there is one in its second half.
func split(s string, limit int) int {
	n, mark := 0, 0
	for i, r := range s {
		if n += columnsOf(r); n > limit && i > 0 {
			if mark > 0 {
				return mark
			}
			return i
		}
		if strings.ContainsRune("/-,.:&?", r) && n > limit/2 && n <= limit {
			mark = i + 1
		}
	}
	return len(s)
}
