// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import "strings"

// column is one column of a table.
type column struct {
	head string
	// least is how narrow the column may become when the table does not fit; zero: it keeps its width.
	least int
}

// cell is one text of a table.
type cell struct {
	text string
	tone tone
}

// table writes rows under heads so that every line fits the page: columns that may become narrower do, the widest
// first, and what is cut ends in …. On a screen that wants them whole they are as wide as they are.
func (p *page) table(heads []column, rows [][]cell) {
	widths := make([]int, len(heads))
	for i, head := range heads {
		widths[i] = columns(head.head)
		for _, row := range rows {
			widths[i] = max(widths[i], columns(row[i].text))
		}
	}
	if !p.Whole {
		shrink(heads, widths, p.width()-2*(len(heads)-1))
	}
	head := make([]cell, len(heads))
	for i := range heads {
		head[i] = cell{text: heads[i].head, tone: strong}
	}
	for _, row := range append([][]cell{head}, rows...) {
		p.row(row, widths)
	}
}

// shrink takes columns off the widest that may give some, until all fit total.
func shrink(heads []column, widths []int, total int) {
	sum := 0
	for _, width := range widths {
		sum += width
	}
	for ; sum > total; sum-- {
		widest := -1
		for i, head := range heads {
			if head.least > 0 && widths[i] > head.least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

func (p *page) row(row []cell, widths []int) {
	var b strings.Builder
	for i, c := range row {
		text := cut(c.text, widths[i])
		if i < len(row)-1 {
			text = pad(text, widths[i]+2)
		}
		b.WriteString(p.paint(c.tone, text))
	}
	p.line(b.String())
}
