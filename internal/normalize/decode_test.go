// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/normalize"
)

func TestDecodeReadsWhatToolsSend(t *testing.T) {
	const ndjson = v1alpha1.FormatNDJSON
	object := func(n string) any { return map[string]any{"a": json.Number(n)} }
	tests := map[string]struct {
		format  v1alpha1.PayloadFormat
		payload string
		want    any
	}{
		"one document":                          {payload: ` {"a" : 1 } `, want: object("1")},
		"a byte order mark is skipped":          {payload: "\xef\xbb\xbf{\"a\":1}", want: object("1")},
		"a number keeps its digits":             {payload: `{"a":1507591916746609046}`, want: object("1507591916746609046")},
		"a number that no float holds":          {payload: `{"a":1e400}`, want: object("1e400")},
		"escapes are undone":                    {payload: `"\u0041\n\ud83d\ude00"`, want: "A\n\U0001F600"},
		"a lone surrogate is replaced":          {payload: `"\ud83d"`, want: "\uFFFD"},
		"bytes that are not UTF-8 are replaced": {payload: "\"a\xffb\"", want: "a\uFFFDb"},
		"control characters stay":               {payload: `"a\u0007\u202e"`, want: "a\a\u202e"},
		"empty list and object":                 {payload: `[[],{},null,true,false]`, want: []any{[]any{}, map[string]any{}, nil, true, false}},
		"as deep as allowed":                    {payload: strings.Repeat("[", 64) + strings.Repeat("]", 64), want: nested(64)},
		"one line is a list of one":             {format: ndjson, payload: `{"a":1}`, want: []any{object("1")}},
		"lines, with empty ones between":        {format: ndjson, payload: "{\"a\":1}\n\r\n{\"a\":2}\n", want: []any{object("1"), object("2")}},
		"a document over several lines":         {format: ndjson, payload: "{\n\"a\":1\n}", want: []any{object("1")}},
		"a batch is the list that it is":        {format: ndjson, payload: `[{"a":1},{"a":2}]`, want: []any{object("1"), object("2")}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := normalize.Decode(tc.format, []byte(tc.payload))
			if err != nil {
				t.Fatal(err)
			}
			// Not cmp.Diff: its work doubles with each level of nested lists.
			if !reflect.DeepEqual(tc.want, got) {
				t.Errorf("got %#v, want %#v", got, tc.want)
			}
		})
	}
}

func nested(depth int) any {
	out := any([]any{})
	for range depth - 1 {
		out = []any{out}
	}
	return out
}

func TestDecodeSaysWhereAndWhy(t *testing.T) {
	const ndjson = v1alpha1.FormatNDJSON
	tests := map[string]struct {
		format  v1alpha1.PayloadFormat
		payload string
		offset  int64
		path    string
		reason  string
	}{
		"nothing":                          {payload: "", path: "payload", reason: "empty"},
		"space alone":                      {payload: " \n", offset: 2, path: "payload", reason: "empty"},
		"a byte order mark alone":          {payload: "\xef\xbb\xbf", offset: 3, path: "payload", reason: "empty"},
		"a line of text":                   {payload: "12:18:18.691725165: Notice A shell", offset: 2, path: "payload", reason: "':' where the end"},
		"a word":                           {payload: "   nope", offset: 3, path: "payload", reason: "'n' where a JSON value"},
		"cut off in an object":             {payload: `{"a":{"b":1`, offset: 11, path: "payload.a", reason: "it ends where a comma or }"},
		"cut off in a string":              {payload: `{"a":"x`, offset: 7, path: "payload.a", reason: "string that begins at byte 5"},
		"a missing colon":                  {payload: `{"a" 1}`, offset: 5, path: "payload", reason: "a colon"},
		"a comma too many":                 {payload: `{"a":1,}`, offset: 7, path: "payload", reason: "a key in double quotes"},
		"a number with a zero too many":    {payload: `{"a":[1,01]}`, offset: 8, path: "payload.a[1]", reason: "no number"},
		"a number that is too long":        {payload: strings.Repeat("1", 1001), path: "payload", reason: "more than 1000 bytes"},
		"a control character in a string":  {payload: "[\"a\x01\"]", offset: 3, path: "payload[0]", reason: "control character 0x01"},
		"an escape that is none":           {payload: `["\x"]`, offset: 2, path: "payload[0]", reason: "no escape"},
		"a short escape":                   {payload: `["\u12"]`, offset: 2, path: "payload[0]", reason: "four hexadecimal"},
		"a key twice":                      {payload: `{"a":{"k l":{"x":1,"x":2}}}`, offset: 19, path: `payload.a["k l"]`, reason: `"x" occurs twice`},
		"a key twice, written differently": {payload: `{"a":1,"\u0061":2}`, offset: 7, path: "payload", reason: "occurs twice"},
		"too deep":                         {payload: strings.Repeat("[", 65), offset: 64, path: "payload" + strings.Repeat("[0]", 11) + "...", reason: "more than 64 deep"},
		"a second document":                {payload: "{}\n{}", offset: 3, path: "payload", reason: "the end of the JSON document"},
		"a second document on the line":    {format: ndjson, payload: "{}\n{} {}", offset: 6, path: "payload[1]", reason: "the end of the line"},
		"a line that is wrong":             {format: ndjson, payload: "{}\n{\"a\":x}\n", offset: 8, path: "payload[1].a", reason: "a JSON value"},
		"too many values":                  {payload: "[" + strings.Repeat("0,", normalize.MaxValues) + "0]", offset: 2*normalize.MaxValues - 1, path: "payload[1048575]", reason: "more than 1048576 values"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := normalize.Decode(tc.format, []byte(tc.payload))
			wrong, ok := errors.AsType[*normalize.DecodeError](err)
			if !ok {
				t.Fatalf("got %v, %v; want a DecodeError", got, err)
			}
			if wrong.Offset != tc.offset || wrong.Path != tc.path || !strings.Contains(wrong.Reason, tc.reason) {
				t.Errorf("got byte %d, path %s, %q; want byte %d, path %s, a reason with %q",
					wrong.Offset, wrong.Path, wrong.Reason, tc.offset, tc.path, tc.reason)
			}
		})
	}
}
