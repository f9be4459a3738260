// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
)

// header are the columns of a table in CSV, shared by its rows.
type header struct {
	names []string
	index map[string]int
}

// csvRow is a row of CSV.
type csvRow struct {
	header *header
	cells  []string
	at     int
}

func (r csvRow) cell(column string) (any, bool) {
	i, ok := r.header.index[column]
	if !ok {
		return nil, false
	}
	return r.cells[i], true
}

func (r csvRow) record() map[string]any {
	out := make(map[string]any, len(r.cells)+1)
	for i, name := range r.header.names {
		out[name] = cellValue(r.cells[i])
	}
	return out
}

func (r csvRow) line() int { return r.at }

// cellValue is what a cell means: true and false are booleans, so that a condition on
// them needs no comparison with text, and everything else is text.
func cellValue(cell string) any {
	switch {
	case strings.EqualFold(cell, "true"):
		return true
	case strings.EqualFold(cell, "false"):
		return false
	}
	return cell
}

// readCSV reads RFC 4180 with a header row. Lines may end in LF alone; blank ones are skipped.
func readCSV(data []byte) ([]row, []string, *problem) {
	if line := longRecord(data); line > 0 {
		return nil, nil, problemf("the row at line %d is larger than %d KiB: is a quotation mark not closed?", line, MaxRow>>10)
	}
	reader := csv.NewReader(bytes.NewReader(data))
	names, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, problemf("it is empty: write a header row with the names of the columns")
	} else if err != nil {
		return nil, nil, csvProblem(err)
	}
	head, problem := newHeader(names)
	if problem != nil {
		return nil, nil, problem
	}
	var rows []row
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, head.names, nil
		} else if err != nil {
			return nil, nil, csvProblem(err)
		}
		if len(rows) == MaxRows {
			return nil, nil, tooManyRows()
		}
		if (len(rows)+1)*len(cells) > maxCells {
			return nil, nil, tooManyCells()
		}
		line, _ := reader.FieldPos(0)
		rows = append(rows, csvRow{head, cells, line})
	}
}

func tooManyRows() *problem { return problemf("it has more than %d rows", MaxRows) }

func tooManyCells() *problem {
	return problemf("it has more than %d values: keep only the columns that are looked at", maxCells)
}

// newHeader checks the names of the columns.
func newHeader(names []string) (*header, *problem) {
	head := &header{names: slices.Clone(names), index: make(map[string]int, len(names))}
	for i, name := range names {
		name = strings.TrimSpace(name)
		head.names[i] = name
		if name == "" {
			return nil, problemf("column %d has no name: give it one in the header row", i+1)
		}
		if name == foundMember {
			return nil, problemf("column %d has the name found, which says whether a row is there: give it another", i+1)
		}
		if before, ok := head.index[name]; ok {
			return nil, problemf("columns %d and %d have the same name: give each its own", before+1, i+1).with("%q", name)
		}
		head.index[name] = i
	}
	return head, nil
}

// csvProblem says where and what, and nothing of the content.
func csvProblem(err error) *problem {
	at, ok := errors.AsType[*csv.ParseError](err)
	switch {
	case !ok:
		return problemf("it is not CSV: %v", err)
	case errors.Is(err, csv.ErrFieldCount):
		return problemf("line %d has more or fewer cells than the header row: give each row as many as there are columns", at.Line)
	case errors.Is(err, csv.ErrQuote), errors.Is(err, csv.ErrBareQuote):
		return problemf("the row at line %d: at line %d, column %d, a quotation mark is not closed, or stands in a cell that does not begin with one: write it twice and quote the cell (RFC 4180)",
			at.StartLine, at.Line, at.Column)
	}
	return problemf("line %d, column %d: %v", at.Line, at.Column, at.Err)
}

// longRecord is the line where a record begins that is too large, 0 if there is none.
// Records are told apart by lines outside quotation marks, before anything is made of them.
func longRecord(data []byte) int {
	line, begins, size, quoted := 1, 1, 0, false
	for _, b := range data {
		size++
		switch b {
		case '"':
			quoted = !quoted
		case '\n':
			line++
			if !quoted {
				begins, size = line, 0
			}
		}
		if size > MaxRow {
			return begins
		}
	}
	return 0
}
