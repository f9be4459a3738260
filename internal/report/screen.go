// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"time"
)

// DefaultWidth is the width in columns that every text fits unless a screen says otherwise.
const DefaultWidth = 80

// Screen says how a text is shown. The zero value is 80 columns without colours, with times in UTC.
type Screen struct {
	// Width is how many columns a line may have; DefaultWidth if zero.
	Width int
	// Whole says that tables are not cut to the width: a program reads them, or a file keeps them.
	Whole bool
	// Ink says whether colours are used.
	Ink Ink
	// Now is the time of the reader, which "in 12m" counts from; its location is that of every time shown.
	Now time.Time
}

// Ink is whether a screen has colours.
type Ink string

// The inks.
const (
	// Plain text has no escape sequence in it.
	Plain Ink = ""
	// Color text marks what is severe, failed or asked with ANSI colours.
	Color Ink = "Color"
)

func (s Screen) width() int {
	if s.Width <= 0 {
		return DefaultWidth
	}
	return s.Width
}

// tone is what a piece of text should feel like.
type tone string

const (
	calm   tone = ""
	strong tone = "1"
	dim    tone = "2"
	good   tone = "32"
	warn   tone = "33"
	bad    tone = "1;31"
)

// paint colours text that has its final width already.
func (s Screen) paint(t tone, text string) string {
	if s.Ink == Plain || t == calm || text == "" {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// page collects lines.
type page struct {
	Screen
	strings.Builder
}

func (s Screen) page() *page { return &page{Screen: s} }

// line writes one line as it is.
func (p *page) line(text string) {
	p.WriteString(strings.TrimRight(text, " "))
	p.WriteByte('\n')
}

// labelWidth is the width of the labels that begin the sections of a page.
const labelWidth = 9

// section writes a label in front of the first of some lines, and blanks in front of the others. Each line is wrapped
// to the page, further lines of it a little deeper.
func (p *page) section(label string, lines ...string) {
	for _, text := range lines {
		for i, part := range p.fold(text, p.width()-labelWidth) {
			if i > 0 {
				label = ""
			}
			p.line(p.paint(strong, pad(label, labelWidth)) + part)
			label = ""
		}
	}
}

// fold wraps a line to limit columns and keeps the blanks it begins with; what does not fit stands two columns deeper.
func (p *page) fold(text string, limit int) []string {
	if columns(text) <= limit {
		return []string{text}
	}
	body := strings.TrimLeft(text, " ")
	indent := strings.Repeat(" ", len(text)-len(body))
	first := wrap(body, limit-len(indent))[0]
	out := []string{indent + first}
	if more := strings.TrimLeft(body[len(first):], " "); more != "" {
		for _, rest := range wrap(more, limit-len(indent)-2) {
			out = append(out, indent+"  "+rest)
		}
	}
	return out
}

// toneOfSeverity makes what is severe stand out.
func toneOfSeverity(severity string) tone {
	switch severity {
	case "Critical":
		return bad
	case "High":
		return warn
	default:
		return calm
	}
}

// toneOfState makes what went wrong as loud as what went well.
func toneOfState(state string) tone {
	switch state {
	case "Failed", "Unknown", "Denied", "Expired", "Aborted", "Void", "Held":
		return bad
	case "Asking", "Waiting", "Paused":
		return warn
	case "Succeeded", "NotNeeded", "Counted":
		return good
	default:
		return calm
	}
}
