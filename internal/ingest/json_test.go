// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestCheckJSON(t *testing.T) {
	for name, tt := range map[string]struct {
		body    string
		verdict Verdict // empty: taken
		offset  int
		says    string
	}{
		"an object is taken":                              {body: `{"a": [1, -2.5e3, true, false, null, "x\u00e9\n"], "b": {}}`},
		"a document may be any value":                     {body: ` "x" `},
		"documents on lines of their own are taken":       {body: "{\"a\":1}\n{\"a\":1}\r\n[]\n"},
		"bytes that are not UTF-8 are let through":        {body: "{\"a\":\"\xff\"}"},
		"one key in two objects is no duplicate":          {body: `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`},
		"nesting at the bound is taken":                   {body: strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)},
		"keys at the bound are taken":                     {body: manyKeys(MaxKeys)},
		"keys are counted for each document":              {body: manyKeys(MaxKeys) + "\n" + manyKeys(MaxKeys)},
		"nothing is empty":                                {body: "", verdict: Empty, says: "empty"},
		"space is empty":                                  {body: " \r\n\t ", verdict: Empty, says: "empty"},
		"nesting beyond the bound names the byte":         {body: strings.Repeat("[", MaxDepth+1), verdict: Malformed, offset: MaxDepth, says: "nested more than 64"},
		"a bomb of brackets is refused at the bound":      {body: strings.Repeat("[", 8<<20), verdict: Malformed, offset: MaxDepth, says: "nested"},
		"keys beyond the bound are refused":               {body: manyKeys(MaxKeys + 1), verdict: Malformed, offset: len(manyKeys(MaxKeys)), says: "10000 keys"},
		"a duplicate key is refused":                      {body: `{"a":1,"b":2,"a":3}`, verdict: Malformed, offset: 13, says: `"a" occurs twice`},
		"an escaped duplicate is the same key":            {body: `{"a":1,"\u0061":3}`, verdict: Malformed, offset: 7, says: "occurs twice"},
		"a number beyond a float64 is refused":            {body: `{"a":1e400}`, verdict: Malformed, offset: 5, says: "1e400"},
		"a number of ten thousand digits is refused":      {body: strings.Repeat("9", 10_000), verdict: Malformed, says: "1000 bytes"},
		"a leading zero is refused":                       {body: `[01]`, verdict: Malformed, offset: 1, says: "zero"},
		"a bare minus is refused":                         {body: `[-]`, verdict: Malformed, offset: 2, says: "a digit"},
		"a cut body names its end":                        {body: `{"a":`, verdict: Malformed, offset: 5, says: "ends where a JSON value"},
		"a cut string names where it began":               {body: `["abc`, verdict: Malformed, offset: 5, says: "begins at byte 1"},
		"a second document on one line is refused":        {body: `{} {}`, verdict: Malformed, offset: 3, says: "a line each"},
		"a control character in a string is refused":      {body: "[\"a\nb\"]", verdict: Malformed, offset: 3, says: "control character"},
		"an unknown escape is refused":                    {body: `["\x"]`, verdict: Malformed, offset: 2, says: "no escape"},
		"a short unicode escape is refused":               {body: `["\u12g4"]`, verdict: Malformed, offset: 2, says: "hexadecimal"},
		"a trailing comma is refused":                     {body: `[1,]`, verdict: Malformed, offset: 3, says: "a JSON value"},
		"a word that is none is refused":                  {body: `[nul]`, verdict: Malformed, offset: 1, says: "a JSON value"},
		"a byte order mark is refused":                    {body: "\xef\xbb\xbf{}", verdict: Malformed, says: "a JSON value"},
		"a form is refused":                               {body: "payload=%7B%7D", verdict: Malformed, says: "'p'"},
		"a missing colon is refused":                      {body: `{"a" 1}`, verdict: Malformed, offset: 5, says: "a colon"},
		"a key without quotes is refused":                 {body: `{a:1}`, verdict: Malformed, offset: 1, says: "double quotes"},
		"an object that is closed as an array is refused": {body: `{"a":1]`, verdict: Malformed, offset: 6, says: "a comma or }"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckJSON([]byte(tt.body))
			if tt.verdict == "" {
				if err != nil {
					t.Fatalf("CheckJSON refused it: %v", err)
				}
				return
			}
			refusal, ok := errors.AsType[*Refusal](err)
			if !ok {
				t.Fatalf("CheckJSON answered %v, want a refusal", err)
			}
			if refusal.Verdict != tt.verdict || refusal.Offset != tt.offset || !strings.Contains(refusal.Error(), tt.says) {
				t.Errorf("got %s at %d: %s\nwant %s at %d, saying %q", refusal.Verdict, refusal.Offset, refusal, tt.verdict, tt.offset, tt.says)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"key%d":%d`, i, i)
	}
	b.WriteByte('}')
	return b.String()
}

// What CheckJSON takes, encoding/json decodes; what encoding/json does not take, CheckJSON refuses.
func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5e-3,"x\u00e9"],"b":{"c":null}}`, "{}\n[]\n", `[[[[]]]]`, `{"a":1,"a":2}`, `1e400`, `-0`, `"\ud800"`, "\"\xff\"", `{"\ufffd":1}`, "0\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := CheckJSON(body)
		if refusal, ok := errors.AsType[*Refusal](err); ok && (refusal.Offset < 0 || refusal.Offset > len(body)) {
			t.Fatalf("offset %d is outside of a body of %d bytes", refusal.Offset, len(body))
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		for {
			var v any
			switch derr := decoder.Decode(&v); {
			case errors.Is(derr, io.EOF):
				return
			case derr != nil && err == nil:
				t.Fatalf("CheckJSON takes what encoding/json refuses: %v", derr)
			case derr != nil:
				return
			}
		}
	})
}

func BenchmarkCheckJSON(b *testing.B) {
	body := []byte(manyKeys(100))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := CheckJSON(body); err != nil {
			b.Fatal(err)
		}
	}
}
