// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Bounds of one table.
const (
	// MaxSize is how many bytes a table may have.
	MaxSize = 16 << 20
	// MaxYAML is how many bytes a table in YAML may have: reading YAML takes many times its size.
	MaxYAML = 4 << 20
	// MaxRows is how many rows a table may have.
	MaxRows = 200_000
	// MaxRow is how many bytes one row may have.
	MaxRow = 64 << 10
	// maxCells is how many values all rows may have together: 20 for each of the most rows.
	maxCells = 20 * MaxRows
)

// foundMember is what find adds to a row; no row may have it of its own.
const foundMember = "found"

var byteOrderMark = []byte("\xef\xbb\xbf")

// parse reads the content as rows, and indexes them.
func parse(data []byte, shape shape) (*table, *problem) {
	data = bytes.TrimPrefix(data, byteOrderMark)
	limit := MaxSize
	if shape.format == v1alpha1.DataYAML {
		limit = MaxYAML
	}
	if len(data) > limit {
		return nil, problemf("it is larger than %d MiB: keep only the columns that are looked at, or write it as CSV", limit>>20)
	}
	if line := notUTF8(data); line > 0 {
		return nil, problemf("line %d is not UTF-8: save it in that encoding", line)
	}
	rows, columns, problem := readRows(data, shape.format)
	if problem != nil {
		return nil, problem
	}
	return index(rows, columns, shape)
}

// readRows reads the rows, and the names of their columns where the format has a header.
func readRows(data []byte, format v1alpha1.DataFormat) (rows []row, columns []string, p *problem) {
	switch format {
	case v1alpha1.DataCSV:
		return readCSV(data)
	case v1alpha1.DataJSON:
		rows, p = readJSON(data)
	case v1alpha1.DataYAML:
		rows, p = readYAML(data)
	default:
		p = problemf("there is no format %q", string(format))
	}
	return rows, nil, p
}

// notUTF8 is the first line that is not UTF-8, counted from 1; 0 if all are.
func notUTF8(data []byte) int {
	if utf8.Valid(data) {
		return 0
	}
	line := 1
	for text := range bytes.Lines(data) {
		if !utf8.Valid(text) {
			break
		}
		line++
	}
	return line
}

// row is one row of a table, in whatever form its format keeps it.
type row interface {
	// cell is the value of a column; ok is false where the row has none.
	cell(column string) (value any, ok bool)
	// record is a copy of the row that the caller may change.
	record() map[string]any
	// line is where the row begins, counted from 1; 0 where that is not known.
	line() int
}

// keys are the key columns.
func (s shape) keys() []string { return strings.Split(s.key, columnSeparator) }
