// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	const csv, json, yaml = v1alpha1.DataCSV, v1alpha1.DataJSON, v1alpha1.DataYAML
	bomb := "- user: ana\n  a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		bomb += fmt.Sprintf("  %c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
	}
	tests := map[string]struct {
		format  v1alpha1.DataFormat
		content string
		message string
		detail  string // only where content may be shown
	}{
		"CSV that is empty":               {csv, "", "it is empty: write a header row", ""},
		"CSV of a mark alone":             {csv, "\ufeff\n\n", "it is empty", ""},
		"a row with too few cells":        {csv, "user,until\nana,\n\nbob\n", "line 4 has more or fewer cells than the header row", ""},
		"a row with too many cells":       {csv, "user,until\n\"a\nb\",\nana,,\n", "line 4 has more or fewer cells", ""},
		"a quotation mark in a cell":      {csv, "user,until\nan\"a,\n", "the row at line 2: at line 2, column 3, a quotation mark", ""},
		"a quotation mark left open":      {csv, "user,until\n\"ana,\nbob,\n", "the row at line 2: at line 3, column 6, a quotation mark", ""},
		"a column that is there twice":    {csv, "user,until, user\nana,,\n", "columns 1 and 3 have the same name", `"user"`},
		"a column without a name":         {csv, "user,,until\nana,,\n", "column 2 has no name", ""},
		"a column that find would hide":   {csv, "user,until,found\nana,,\n", "column 3 has the name found", ""},
		"no key column":                   {csv, "name,until\nana,\n", `it has no column "user", which spec.table.key names`, "it has name, until"},
		"cells between semicolons":        {csv, "user;until\nana;\n", `no column "user"`, "something other than commas"},
		"no column of validity":           {csv, "user\nana\n", `it has no column "until", which spec.table.until names`, "it has user"},
		"a date that is none":             {csv, "user,until\nana,2026-11-24\nbob,24.11.2026\n", `row 2 (line 3) has no time in column "until": want an RFC 3339 time or a date`, `"24.11.2026"`},
		"a day that is none":              {csv, "user,until\nana,2026-02-30\n", `row 1 (line 2) has no time in column "until"`, ""},
		"a date that means no date":       {csv, "user,until\nana,0001-01-01T00:00:00Z\n", `row 1 (line 2) has no time in column "until"`, ""},
		"CSV in another encoding":         {csv, "user,until\nana,\nm\xfcller,\n", "line 3 is not UTF-8", ""},
		"CSV in UTF-16":                   {csv, "\xff\xfeu\x00", "line 1 is not UTF-8", ""},
		"a row without end":               {csv, "user,until\n\"ana\n" + strings.Repeat("x\n", MaxRow/2) + "\",\n", "the row at line 2 is larger than 64 KiB", ""},
		"a header without end":            {csv, strings.Repeat("user,", MaxRow/5+1), "the row at line 1 is larger than 64 KiB", ""},
		"too many rows":                   {csv, "user,until\n" + strings.Repeat("a,\n", MaxRows+1), "it has more than 200000 rows", ""},
		"too many values":                 {csv, "user,until" + columns(40) + "\n" + strings.Repeat("a"+strings.Repeat(",", 41)+"\n", maxCells/42+1), "it has more than 4000000 values", ""},
		"too many bytes":                  {csv, "user,until\n" + strings.Repeat("a", MaxSize), "it is larger than 16 MiB", ""},
		"JSON that is empty":              {json, " ", "it is not a list", ""},
		"JSON that is an object":          {json, `{"user":"ana"}`, "it is not a list", ""},
		"a list of text":                  {json, `["ana"]`, "row 1 is not an object", ""},
		"a list with null":                {json, `[{"user":"ana"},null]`, "row 2 is not an object", ""},
		"a list that is not closed":       {json, `[{"user":"ana"}`, "the list is not closed after row 1", ""},
		"a row that is not closed":        {json, `[{"user":"ana"`, "row 1 is not JSON", "unexpected EOF"},
		"rows without a comma":            {json, `[{"user":"ana"}{}]`, "row 2 is not JSON", ""},
		"a comma too many":                {json, `[{"user":"ana"},]`, "row 2 is not JSON", ""},
		"more after the list":             {json, `[{"user":"ana","until":null}] []`, "there is more after the list", ""},
		"a member that is there twice":    {json, `[{"user":"ana","user":"bob"}]`, "row 1 is not JSON that can be used", "user"},
		"JSON nested too deep":            {json, `[{"user":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}]`, "row 1 is not JSON that can be used", "nested"},
		"a member that find would hide":   {json, `[{"user":"ana","found":1}]`, "row 1 has a member found", ""},
		"a row of JSON that is too large": {json, `[{"user":"` + strings.Repeat("a", MaxRow) + `"}]`, "row 1 is larger than 64 KiB", ""},
		"too many rows of JSON":           {json, "[" + strings.Repeat("{},", MaxRows) + "{}]", "more than 200000 rows", ""},
		"too many values of JSON":         {json, "[" + strings.Repeat(`{"a":[`+strings.Repeat("0,", 9999)+"0]},", maxCells/10_000) + "{}]", "more than 4000000 values", ""},
		"a key that is a list":            {json, `[{"user":"x","until":null},{"user":["ana"],"until":""}]`, `row 2 has no text or number in column "user"`, ""},
		"a date that is a number":         {json, `[{"user":"ana","until":20261124}]`, `row 1 has no time in column "until"`, "20261124"},
		"JSON without the key":            {json, `[{"name":"ana","until":""}]`, `no column "user"`, ""},
		"YAML that is empty":              {yaml, "# nothing\n", "it is empty", ""},
		"YAML that is null":               {yaml, "---\n", "it is not a list", ""},
		"YAML that is an object":          {yaml, "user: ana\n", "it is not a list", ""},
		"YAML that is no YAML":            {yaml, "- user: [ana\n- x: *y\n", "it is not YAML", "line 1"},
		"YAML of several documents":       {yaml, "- user: ana\n  until:\n---\n- user: bob\n", "more than one document", ""},
		"a list of text in YAML":          {yaml, "- {user: ana, until: ''}\n- bob\n", "row 2 is not an object", ""},
		"a member of YAML twice":          {yaml, "- user: ana\n  user: bob\n", "row 1, at line 1, is not an object that can be used", `"user" already defined`},
		"an anchor that holds itself":     {yaml, "- &a {user: ana, until: *a}\n", "row 1, at line 1, is nested more than 64 deep, holds itself", ""},
		"anchors that grow":               {yaml, bomb, "row 1 is larger than 64 KiB", ""},
		"a number that is none":           {yaml, "- {user: ana, until: '', n: .nan}\n", "row 1 has a value that is no text, boolean, list, object or number", ""},
		"a number of 65 bits":             {yaml, "- {user: ana, n: 18446744073709551615}\n", "row 1 has a value that is no text", ""},
		"names that are lists":            {yaml, "- {user: ana, of: {[a]: b}}\n", "row 1", ""},
		"YAML that is too large":          {yaml, "- user: " + strings.Repeat("a", MaxYAML), "it is larger than 4 MiB", ""},
		"YAML nested too deep":            {yaml, "- {user: " + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "}", "nested more than 64 deep", ""},
		"YAML nested too deep by aliases": {yaml, chain(100), "nested more than 64 deep", ""},
		"too many members of YAML":        {yaml, "- {user: ana" + strings.ReplaceAll(columns(1000), ",", ", ") + "}", "more than 1000 members", ""},
		"a format that nobody knows":      {"XML", "<user/>", `there is no format "XML"`, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, problem := parse([]byte(tc.content), shape{format: tc.format, key: "user", until: "until"})
			if problem == nil {
				t.Fatal("it was parsed")
			}
			if got := problem.text(hideContent); !strings.Contains(got, tc.message) || tc.detail != "" && strings.Contains(got, tc.detail) {
				t.Errorf("got %q, want %q and no detail", got, tc.message)
			}
			if got := problem.text(showContent); !strings.Contains(got, tc.message) || !strings.Contains(got, tc.detail) || len(got) > 500 || strings.Contains(got, "\n") {
				t.Errorf("got %q, want %q and %q in one line", got, tc.message, tc.detail)
			}
		})
	}
}

func columns(n int) string {
	out := ""
	for i := range n {
		out += fmt.Sprintf(",c%d", i)
	}
	return out
}

// chain is a row of YAML whose anchors hold each other, once each.
func chain(n int) string {
	out := "- user: ana\n  a0: &a0 [x]\n"
	for i := range n {
		out += fmt.Sprintf("  a%d: &a%d [*a%d]\n", i+1, i+1, i)
	}
	return out
}

// counted are rows that count how often they are looked at.
type counted struct {
	row
	looks *int
}

func (c counted) cell(column string) (any, bool) { *c.looks++; return c.row.cell(column) }
func (c counted) record() map[string]any         { *c.looks++; return c.row.record() }

func TestALookupLooksAtNoOtherRow(t *testing.T) {
	const size = 100_000
	var content strings.Builder
	content.WriteString("user,alias,until\n")
	for i := range size {
		fmt.Fprintf(&content, "u%d,a%d,2026-11-24\n", i, i)
	}
	spec := shape{format: v1alpha1.DataCSV, key: "user" + columnSeparator + "alias", until: "until"}
	looks, parses := 0, 0
	kept := newCache()
	kept.parse = func(data []byte, s shape) (*table, *problem) {
		parses++
		rows, columns, p := readRows(data, s.format)
		if p != nil {
			return nil, p
		}
		for i := range rows {
			rows[i] = counted{rows[i], &looks}
		}
		return index(rows, columns, s)
	}
	day, _ := parseSpan("2026-11-24")
	for i := range 100 {
		rows, p := kept.table([]byte(content.String()), spec)
		if p != nil {
			t.Fatal(p.text(showContent))
		}
		if i == 0 && looks < 3*size {
			t.Fatalf("the index was made with %d looks: nothing is counted", looks)
		}
		looks = 0
		matches := rows.match(fmt.Sprintf("u%d", i*997), day)
		if len(matches) != 1 || rows.rows[matches[0]].record()["alias"] != fmt.Sprintf("a%d", i*997) {
			t.Fatalf("lookup %d found %v", i, matches)
		}
		if len(rows.match("nobody", day)) != 0 || looks != 1 {
			t.Fatalf("lookup %d looked at %d rows, want 1", i, looks)
		}
	}
	if parses != 1 {
		t.Errorf("the table was parsed %d times, want once", parses)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	kept := newCache()
	parses := 0
	kept.parse = func([]byte, shape) (*table, *problem) { parses++; return &table{}, nil }
	large := make([]byte, MaxSize)
	for i := range byte(6) {
		large[0] = i
		kept.table(large, shape{})
	}
	if kept.bytes > maxKeptBytes || kept.order.Len() != maxKeptBytes/MaxSize || len(kept.byID) != kept.order.Len() {
		t.Errorf("%d bytes are kept in %d (%d), want %d", kept.bytes, kept.order.Len(), len(kept.byID), maxKeptBytes)
	}
	large[0] = 2
	kept.table(large, shape{}) // the last used longest ago is 3 now
	large[0] = 9
	kept.table(large, shape{})
	parses, large[0] = 0, 2
	kept.table(large, shape{})
	if parses != 0 {
		t.Error("what is in use was let go")
	}
	for i := range 2 * maxKept {
		kept.table([]byte(fmt.Sprint(i)), shape{})
	}
	if kept.order.Len() > maxKept || len(kept.byID) != kept.order.Len() {
		t.Errorf("%d tables are kept, want %d", kept.order.Len(), maxKept)
	}
	parses = 0
	kept.table([]byte("x"), shape{key: "a"})
	kept.table([]byte("x"), shape{key: "b"})
	if parses != 2 {
		t.Error("one content of two shapes is taken for one table")
	}
}

// What is written as CSV, JSON or YAML is found as it was written.
func TestRoundTrip(t *testing.T) {
	cell := rapid.StringMatching(`[a-zé"',;:\n\t #&*{}\[\]-]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zß0-9.@-]{1,8}`), 1, 8, func(s string) string { return newFolder().fold(s) }).Draw(t, "keys")
		cells := rapid.SliceOfN(cell, len(key), len(key)).Draw(t, "cells")
		records := make([][]string, 0, len(key)+1)
		records = append(records, []string{"user", "note"})
		objects := make([]map[string]any, len(key))
		for i := range key {
			records = append(records, []string{key[i], cells[i]})
			objects[i] = map[string]any{"user": key[i], "note": cells[i]}
		}
		var text strings.Builder
		if err := csv.NewWriter(&text).WriteAll(records); err != nil {
			t.Fatal(err)
		}
		list, err := json.Marshal(objects)
		if err != nil {
			t.Fatal(err)
		}
		for format, content := range map[v1alpha1.DataFormat]string{v1alpha1.DataCSV: text.String(), v1alpha1.DataJSON: string(list), v1alpha1.DataYAML: string(list)} {
			rows, p := parse([]byte(content), shape{format: format, key: "user"})
			if p != nil {
				t.Fatalf("%s: %s", format, p.text(showContent))
			}
			for i := range key {
				matches := rows.match(newFolder().fold(strings.ToUpper(key[i])+" "), span{})
				if !slices.Equal(matches, []int{i}) {
					t.Fatalf("%s: %q matches %v, want %d", format, key[i], matches, i)
				}
				if diff := cmp.Diff(objects[i], rows.rows[i].record()); diff != "" {
					t.Fatalf("%s (-want +got):\n%s", format, diff)
				}
			}
		}
	})
}

// A row is valid on a day exactly if it is at some minute of it.
func TestADayIsAllItsMoments(t *testing.T) {
	hour := rapid.Custom(func(t *rapid.T) string {
		at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 5*24).Draw(t, "hour")) * time.Hour)
		return at.Format(rapid.SampledFrom([]string{time.RFC3339, time.DateOnly, ""}).Draw(t, "form"))
	})
	rapid.Check(t, func(t *rapid.T) {
		text := "user,from,until\nana," + hour.Draw(t, "from") + "," + hour.Draw(t, "until") + "\n"
		rows, p := parse([]byte(text), shape{format: v1alpha1.DataCSV, key: "user", from: "from", until: "until"})
		if p != nil {
			t.Fatal(p.text(showContent))
		}
		day, _ := parseSpan("2026-11-24")
		some := false
		for at := day.from; at.Before(day.until); at = at.Add(time.Hour) {
			some = some || len(rows.match("ana", span{at, at})) == 1
		}
		from, until := rows.valid[0].from, rows.valid[0].until
		if !from.IsZero() && !until.IsZero() && !from.Before(until) {
			return // it is valid never, or backwards
		}
		if got := len(rows.match("ana", day)) == 1; got != some {
			t.Fatalf("on the day %t, at some time of it %t: %s", got, some, text)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"user,from\nana,2026-11-24\n", `[{"user":"ana"}]`, "- &a {user: ana}\n- <<: *a\n", "\"", "- *x", "- !!binary x", "? [a]\n: b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range []v1alpha1.DataFormat{v1alpha1.DataCSV, v1alpha1.DataJSON, v1alpha1.DataYAML} {
			rows, p := parse(data, shape{format: format, key: "user", from: "from"})
			if (rows == nil) == (p == nil) {
				t.Fatal("neither rows nor what is wrong")
			}
			if p != nil {
				continue
			}
			for i := range rows.rows {
				if _, err := json.Marshal(rows.rows[i].record()); err != nil {
					t.Errorf("row %d is no JSON: %v", i, err)
				}
			}
		}
	})
}
