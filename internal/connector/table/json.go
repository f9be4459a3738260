// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// objectRow is a row of JSON or YAML.
type objectRow struct {
	object map[string]any
	at     int
}

func (r objectRow) cell(column string) (any, bool) {
	value, ok := r.object[column]
	return value, ok && value != nil
}

func (r objectRow) record() map[string]any {
	out := make(map[string]any, len(r.object)+1)
	for name, value := range r.object {
		out[name] = clone(value)
	}
	return out
}

func (r objectRow) line() int { return r.at }

func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = clone(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = clone(element)
		}
		return out
	}
	return value
}

// readJSON reads a list of objects, one by one.
func readJSON(data []byte) ([]row, *problem) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if open, err := decoder.Token(); err != nil || open != json.Delim('[') {
		return nil, problemf("it is not a list: write a list of objects")
	}
	var rows []row
	cells := 0
	for decoder.More() {
		if len(rows) == MaxRows {
			return nil, tooManyRows()
		}
		object, problem := readObject(decoder, len(rows)+1)
		if problem != nil {
			return nil, problem
		}
		if cells += weigh(object); cells > maxCells {
			return nil, tooManyCells()
		}
		rows = append(rows, objectRow{object: object})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, problemf("it is not JSON: the list is not closed after row %d", len(rows))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, problemf("there is more after the list: write one list")
	}
	return rows, nil
}

// readObject reads the next row; number counts from 1.
func readObject(decoder *json.Decoder, number int) (map[string]any, *problem) {
	var raw json.RawMessage
	if err := decoder.Decode(&raw); err != nil {
		return nil, problemf("row %d is not JSON", number).with("%v", err)
	}
	if len(raw) > MaxRow {
		return nil, rowTooLarge(number)
	}
	if err := ingest.CheckJSON(raw); err != nil { // a name that is there twice, and depth
		return nil, problemf("row %d is not JSON that can be used", number).with("%v", err)
	}
	inner := json.NewDecoder(bytes.NewReader(raw))
	inner.UseNumber()
	var object map[string]any
	if err := inner.Decode(&object); err != nil || object == nil {
		return nil, notAnObject(number)
	}
	return checkObject(object, number)
}

func rowTooLarge(number int) *problem {
	return problemf("row %d is larger than %d KiB", number, MaxRow>>10)
}

func notAnObject(number int) *problem {
	return problemf("row %d is not an object: write a list of objects", number)
}

// checkObject gives a decoded row the types that expressions know.
func checkObject(object map[string]any, number int) (map[string]any, *problem) {
	if _, ok := object[foundMember]; ok {
		return nil, problemf("row %d has a member found, which says whether a row is there: give it another name", number)
	}
	plain, ok := plainValue(object)
	if !ok {
		return nil, problemf("row %d has a value that is no text, boolean, list, object or number of 64 bits", number)
	}
	return plain.(map[string]any), nil
}

// plainValue makes numbers int64 where they are whole, else float64, and keeps the rest.
func plainValue(value any) (plain any, ok bool) {
	switch v := value.(type) {
	case nil, string, bool, int64:
		return v, true
	case int:
		return int64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n, true
		}
		f, err := strconv.ParseFloat(string(v), 64)
		return f, err == nil
	case []any:
		for i := range v {
			if v[i], ok = plainValue(v[i]); !ok {
				return nil, false
			}
		}
		return v, true
	case map[string]any:
		for name := range v {
			if v[name], ok = plainValue(v[name]); !ok {
				return nil, false
			}
		}
		return v, true
	}
	return nil, false
}

// weigh counts the values in a value.
func weigh(value any) int {
	n := 1
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			n += weigh(member)
		}
	case []any:
		for _, element := range v {
			n += weigh(element)
		}
	}
	return n
}
