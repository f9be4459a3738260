// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/cases"
)

// table is a table that was parsed. It is never changed.
type table struct {
	rows []row
	// byKey are the positions of the rows that have a key, in their order, by the folded key.
	byKey map[string][]int
	// valid is when each row is valid; nil if all are for ever.
	valid []span
}

// index finds out which rows have which key, and when each row is valid. Columns are
// nil where the format has no header; a column is then there if any row has it.
func index(rows []row, columns []string, shape shape) (*table, *problem) {
	if p := checkColumns(rows, columns, shape); p != nil {
		return nil, p
	}
	t := &table{rows: rows, byKey: make(map[string][]int, len(rows))}
	fold := newFolder()
	for i, r := range rows {
		for _, column := range shape.keys() {
			text, ok := keyText(r, column)
			if !ok {
				return nil, problemf("%s has no text or number in column %q, which is one of spec.table.key", t.where(i), column)
			}
			key := fold.fold(text)
			if at := t.byKey[key]; key != "" && (len(at) == 0 || at[len(at)-1] != i) { // not twice if two columns agree
				t.byKey[key] = append(at, i)
			}
		}
	}
	if shape.from == "" && shape.until == "" {
		return t, nil
	}
	t.valid = make([]span, len(rows))
	for i := range rows {
		if p := t.setValidity(i, shape); p != nil {
			return nil, p
		}
	}
	return t, nil
}

// checkColumns checks that the columns which the spec names are there.
func checkColumns(rows []row, columns []string, shape shape) *problem {
	if columns == nil && len(rows) == 0 {
		return nil
	}
	fields := map[string]string{shape.from: "spec.table.from", shape.until: "spec.table.until"}
	for _, column := range append(shape.keys(), shape.from, shape.until) {
		if column == "" || slices.Contains(columns, column) {
			continue
		}
		if slices.ContainsFunc(rows, func(r row) bool { _, ok := r.cell(column); return ok }) {
			continue
		}
		field := fields[column]
		if field == "" {
			field = "spec.table.key"
		}
		p := problemf("it has no column %q, which %s names: correct the name, or the table", column, field)
		if columns != nil {
			p = p.with("it has %s", strings.Join(columns, ", "))
		}
		if len(columns) == 1 && strings.ContainsAny(columns[0], ";\t") {
			p = p.with("its header is one column; are cells separated by something other than commas?")
		}
		return p
	}
	return nil
}

// keyText is what a key column has, as text; empty where the row has none.
func keyText(r row, column string) (text string, ok bool) {
	value, there := r.cell(column)
	if !there {
		return "", true
	}
	switch v := value.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

// match are the positions of the rows that have a folded key and are valid at some
// time of a span.
func (t *table) match(key string, around span) []int {
	var out []int
	for _, i := range t.byKey[key] {
		if t.valid == nil || t.valid[i].meets(around) {
			out = append(out, i)
		}
	}
	return out
}

// where names a row for people.
func (t *table) where(i int) string {
	if line := t.rows[i].line(); line > 0 {
		return fmt.Sprintf("row %d (line %d)", i+1, line)
	}
	return fmt.Sprintf("row %d", i+1)
}

// wantTime says what a time is.
const wantTime = "an RFC 3339 time or a date, for example 2026-11-24T10:00:00Z or 2026-11-24"

// span is from one time on and before another; a zero time is unbounded. A span whose
// ends are one time is that moment.
type span struct {
	from, until time.Time
}

// meets tells whether a validity has a moment in common with what is asked for.
func (s span) meets(asked span) bool {
	begun := s.from.IsZero() || s.from.Before(asked.until) || s.from.Equal(asked.from)
	return begun && (s.until.IsZero() || s.until.After(asked.from))
}

// parseSpan reads a time as a moment, and a date as its day in UTC.
func parseSpan(text string) (span, bool) {
	text = strings.TrimSpace(text)
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return span{at, at}, true
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return span{day, day.AddDate(0, 0, 1)}, true
	}
	return span{}, false
}

func (t *table) setValidity(i int, shape shape) *problem {
	from, p := t.bound(i, shape.from)
	if p != nil {
		return p
	}
	until, p := t.bound(i, shape.until)
	if p != nil {
		return p
	}
	t.valid[i] = span{from.from, until.until}
	return nil
}

// bound reads one column of validity; the zero span where it is empty.
func (t *table) bound(i int, column string) (span, *problem) {
	value, ok := t.rows[i].cell(column)
	if !ok || column == "" {
		return span{}, nil
	}
	text, ok := value.(string)
	if ok && strings.TrimSpace(text) == "" {
		return span{}, nil
	}
	if ok {
		// The year 1 is how some systems write no time at all; which end they mean is not to be guessed.
		if s, ok := parseSpan(text); ok && s.from.Year() > 1 {
			return s, nil
		}
	}
	return span{}, problemf("%s has no time in column %q: want %s", t.where(i), column, wantTime).with("it has %.40q", fmt.Sprint(value))
}

// folder makes keys comparable. It is not safe for concurrent use.
type folder struct {
	caser cases.Caser
}

func newFolder() folder { return folder{cases.Fold()} }

func (f folder) fold(text string) string { return f.caser.String(strings.TrimSpace(text)) }
