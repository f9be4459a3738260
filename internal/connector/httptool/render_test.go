// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// everywhere puts one input into every place of a request but a header and the path, which refuse some values.
const everywhere = `
- name: act
  effect: Irreversible
  input: [{name: x, type: String}]
  target: {type: Thing, name: "${input.x}"}
  request:
    method: POST
    path: /act
    query: [{name: filter, value: "${'name eq ' + quote(input.x)}"}, {name: "a b", value: "p ${input.x}"}]
    body: {whole: "${input.x}", part: "<${input.x}>", list: ["${input.x}"], "$key": "${{'a': input.x}}"}
- name: form
  effect: Irreversible
  input: [{name: x, type: String}]
  target: {type: Thing, name: "${input.x}"}
  request: {method: POST, path: /form, form: [{name: f, value: "${input.x}"}, {name: g, value: 1}]}
- name: path
  effect: Irreversible
  input: [{name: x, type: String}]
  target: {type: Thing, name: "${input.x}"}
  request: {method: DELETE, path: "/things/${input.x}/parts/a${input.x}"}
- name: header
  effect: Irreversible
  input: [{name: x, type: String}]
  target: {type: Thing, name: "${input.x}"}
  request: {method: DELETE, path: /things, headers: [{name: If-Match, value: "\"${input.x}\""}]}
`

var hostile = map[string]string{
	"an expression":            "${input.x}${mark}",
	"another template":         `{{ .Values }}{% x %}<%= y %>`,
	"a quote":                  `" or userName pr or "`,
	"a backslash and a quote":  `\" or true or \"`,
	"a line":                   "a\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1",
	"the end of a text":        "a\x00b",
	"text from right to left":  "\u202egnp.exe\u2066",
	"other parameters":         "a&b=c;d=e#f?g=h+i %20",
	"JSON":                     `","admin":true,"x":"`,
	"markup":                   "<script>alert('x')</script>",
	"half a character":         "a\xff",
	"a path":                   "users/1/admin",
	"characters beyond 16 bit": "𝕏😀",
}

func TestHostileValuesStayWhereTheyArePut(t *testing.T) {
	object := operations(t, everywhere)
	for name, x := range hostile {
		t.Run(name, func(t *testing.T) {
			sent := send(t, object, "act", x)
			target, err := url.Parse(sent.Target)
			if err != nil {
				t.Fatal(err)
			}
			query, err := url.ParseQuery(target.RawQuery)
			quoted, quoteErr := json.Marshal(x)
			if err != nil || quoteErr != nil {
				t.Fatal(err, quoteErr)
			}
			var literal string // what a target reads between the quotes
			if err := json.Unmarshal([]byte(strings.TrimPrefix(query.Get("filter"), "name eq ")), &literal); err != nil {
				t.Errorf("the filter %q holds no literal: %v", query.Get("filter"), err)
			}
			valid := strings.ToValidUTF8(x, "�")
			if diff := cmp.Diff([]any{"/act", 2, valid, "p " + x}, []any{target.Path, len(query), literal, query.Get("a b")}); diff != "" {
				t.Errorf("%s: %s: %s", sent.Target, quoted, diff)
			}
			var body any
			if err := json.Unmarshal(sent.Body, &body); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"whole": valid, "part": "<" + valid + ">", "list": []any{valid}, "$key": map[string]any{"a": valid}}
			if diff := cmp.Diff(want, body); diff != "" {
				t.Error(diff)
			}
			form := send(t, object, "form", x)
			values, err := url.ParseQuery(string(form.Body))
			if diff := cmp.Diff(url.Values{"f": {x}, "g": {"1"}}, values); err != nil || diff != "" {
				t.Error(err, diff)
			}
			if got := form.Header.Get("Content-Type"); got != "application/x-www-form-urlencoded" {
				t.Errorf("the type of the form is %q", got)
			}
			path, err := url.Parse(send(t, object, "path", x).Target)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Split(path.EscapedPath(), "/"); len(got) != 5 || path.RawQuery != "" || path.Fragment != "" {
				t.Errorf("the path %q has another form", path)
			}
		})
	}
}

func send(t *testing.T, object *v1alpha1.Connector, operation, x string) Sent {
	t.Helper()
	tried, err := Try(t.Context(), object, ask(operation, map[string]any{"x": x}), inTurn(reply{status: 204}))
	if err != nil || len(tried.Sent) != 1 {
		t.Fatal("Try = ", tried, err)
	}
	return tried.Sent[0]
}

func TestPathsOfAnyValueAreOneSegment(t *testing.T) {
	object := operations(t, everywhere)
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.StringN(1, 40, 200).Draw(t, "x")
		tried, err := Try(ctx, object, ask("path", map[string]any{"x": x}), inTurn(reply{status: 204}))
		if err != nil {
			t.Fatal(err)
		}
		if tried.Result.Reason == connector.InvalidInputReason {
			if !strings.ContainsAny(x, ".%") {
				t.Fatalf("%q is refused: %s", x, tried.Result.Message)
			}
			return
		}
		sent := tried.Sent[0].Target
		parts := strings.Split(sent, "/")
		if len(parts) != 5 || strings.ContainsAny(sent, "?#\\ \r\n\x00") {
			t.Fatalf("the path %q has another form", sent)
		}
		if got, err := url.PathUnescape(parts[2]); err != nil || got != x {
			t.Fatalf("the segment %q means %q, %v, want %q", parts[2], got, err, x)
		}
	})
}

func TestValuesThatCannotStandInTheirPlaceAreRefusedUnsent(t *testing.T) {
	tests := map[string]struct{ operation, x, want string }{
		"a segment that climbs":              {"path", "..", `path: could not write "input.x" into text: ".." leads elsewhere in a path`},
		"a segment that stays":               {"path", ".", "leads elsewhere"},
		"a segment that climbs when decoded": {"path", "../../admin", "leads elsewhere"},
		"one that climbs when decoded twice": {"path", "%2e%2E%2fadmin", `"%2e%2E%2fadmin" leads elsewhere`},
		"one that climbs when decoded often": {"path", "a%252f%25252e%252e", "leads elsewhere"},
		"one with the other slash":           {"path", `a\..\b`, "leads elsewhere"},
		"a header with a line":               {"header", "a\r\nX-Evil: 1", `header If-Match: could not write "input.x" into text: "a\r\nX-Evil: 1" holds the control character '\r'`},
		"a header with a line feed":          {"header", "a\nb", "header If-Match"},
		"a header with a NUL":                {"header", "a\x00b", "header If-Match"},
	}
	object := operations(t, everywhere)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tried, err := Try(t.Context(), object, ask(tc.operation, map[string]any{"x": tc.x}), inTurn(reply{status: 204}))
			if err != nil {
				t.Fatal(err)
			}
			if len(tried.Sent) != 0 || tried.Result.Outcome != "Refused" || tried.Result.Reason != connector.InvalidInputReason || !strings.Contains(tried.Result.Message, tc.want) {
				t.Errorf("it sent %d, Do = %+v, want InvalidInput that says %s", len(tried.Sent), tried.Result, tc.want)
			}
		})
	}
}

func TestAnEmptySegmentIsRefused(t *testing.T) {
	object := operations(t, `
- name: list
  effect: Read
  input: [{name: x, type: String, optional: true}]
  request: {method: GET, path: "/things/${input.x}"}
`)
	for name, tc := range map[string]struct {
		input  map[string]any
		reason string
	}{
		"that is empty":     {map[string]any{"x": ""}, connector.InvalidInputReason},
		"that is not there": {nil, "InvalidExpression"},
	} {
		t.Run(name, func(t *testing.T) {
			tried, err := Try(t.Context(), object, ask("list", tc.input), inTurn(reply{status: 200, body: "{}"}))
			terminal, ok := errors.AsType[*fault.Terminal](err)
			if !ok || terminal.Reason != tc.reason || len(tried.Sent) != 0 {
				t.Errorf("Try = %v, want a Terminal %s", err, tc.reason)
			}
		})
	}
}

func TestBodiesKeepTypes(t *testing.T) {
	object := operations(t, `
- name: act
  effect: Irreversible
  input:
  - {name: whole, type: Integer}
  - {name: fraction, type: Number}
  - {name: flag, type: Boolean, optional: true}
  - {name: list, type: List, optional: true}
  - {name: record, type: Object, optional: true}
  target: {type: Thing, name: "${input.whole}"}
  request:
    method: PUT
    path: /things/${input.whole}
    contentType: application/merge-patch+json
    headers: [{name: X-Count, value: "${input.whole + 1}"}]
    body:
      whole: "${input.whole}"
      more: "${input.whole + 1}"
      text: "n=${input.whole}"
      fraction: "${input.fraction}"
      flag: "${input.flag}"
      list: "${input.list}"
      record: "${input.record}"
      large: 900719925474099399
      third: 0.1
      nothing: null
      dollar: "$${x}"
`)
	input := map[string]any{
		"whole": float64(7), "fraction": 2.5, "list": []any{"a", int64(1), nil}, "record": map[string]any{"a": "${input.whole}", "<": true},
	}
	tried, err := Try(t.Context(), object, ask("act", input), inTurn(reply{status: 200}))
	if err != nil {
		t.Fatal(err)
	}
	want := Sent{
		Method: "PUT", Target: "/things/7",
		Header: http.Header{"Content-Type": {"application/merge-patch+json"}, "X-Count": {"8"}, "Accept": {"application/json, */*;q=0.5"}},
		Body: []byte(`{"dollar":"${x}","flag":null,"fraction":2.5,"large":900719925474099399,"list":["a",1,null],"more":8,"nothing":null,` +
			`"record":{"<":true,"a":"${input.whole}"},"text":"n=7","third":0.1,"whole":7}`),
	}
	if diff := cmp.Diff(want, tried.Sent[0]); diff != "" {
		t.Error(diff)
	}
}

func TestInputsAreChecked(t *testing.T) {
	tests := map[string]struct {
		input map[string]any
		want  string
	}{
		"a number that matches in part": {map[string]any{"to": "+4912345x", "text": "hi"}, `field "to" is "+4912345x": want text that matches \+[0-9]{6,15}`},
		"a text that is too long":       {map[string]any{"to": "+4912345", "text": strings.Repeat("x", 4097)}, `field "text" is 4097 bytes long, more than 4096`},
		"one that is missing":           {map[string]any{"to": "+4912345"}, `field "text" is missing`},
		"one that is not declared":      {map[string]any{"to": "+4912345", "text": "x", "from": "y"}, `field "from" is not one of its inputs`},
		"one of another type":           {map[string]any{"to": "+4912345", "text": true}, `field "text" is of type boolean`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Try(t.Context(), load(t, "office"), ask("sendText", tc.input), inTurn())
			terminal, ok := errors.AsType[*fault.Terminal](err)
			if !ok || terminal.Reason != connector.InvalidInputReason || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Try = %v, want InvalidInput that says %s", err, tc.want)
			}
		})
	}
}

func TestTargetsHaveNamesThatARecordCanHold(t *testing.T) {
	object := operations(t, everywhere)
	for x, want := range map[string]string{strings.Repeat("é", 512): "", strings.Repeat("é", 513): "its name has 513 characters: want 1 to 512"} {
		_, err := Try(t.Context(), object, ask("form", map[string]any{"x": x}), inTurn(reply{status: 204}))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Try of %d bytes = %v, want %q", len(x), err, want)
		}
	}
}

func TestPatternsMatchAsAWholeWhateverTheirAlternatives(t *testing.T) {
	object := operations(t, `
- {name: find, effect: Read, input: [{name: x, type: String, pattern: "a|ab"}], request: {method: GET, path: "/${input.x}"}}
`)
	if _, err := Try(t.Context(), object, ask("find", map[string]any{"x": "ab"}), inTurn(reply{status: 200, body: "{}"})); err != nil {
		t.Error(err)
	}
}
