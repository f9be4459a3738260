// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/internal/expr"
)

func TestMappingFunctions(t *testing.T) {
	vars := map[string]any{
		"payload": map[string]any{"eventTime": "2026-11-24T10:00:00Z"},
		"item": map[string]any{
			"none": nil, "empty": "", "list": []any{}, "zero": 0, "name": " ana ", "n": 42.0, "map": map[string]any{"a": 1},
			"names": []any{nil, "", "bob"}, "dots": "198[.]51.100[.]4",
		},
		"receivedTime": time.Date(2026, 11, 24, 10, 0, 1, 500, time.FixedZone("x", 3600)),
	}
	named := func(fields ...string) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(fields); i += 2 {
			out[fields[i]] = fields[i+1]
		}
		return out
	}
	is := func(kind, value string) map[string]any { return named("type", kind, "value", value) }
	sha := strings.Repeat("aB", 32)
	tests := map[string]struct {
		want any
		fail string
	}{
		"first(item.?published, payload.?eventTime)":             {want: "2026-11-24T10:00:00Z"},
		"first(item.none, item.empty, item.list, {}, item.zero)": {want: int64(0)},
		"first(item.?none.?a, item.?x, item.?empty)":             {want: nil},
		"first(item.names)":                                         {want: "bob"},
		"first(item.?x)":                                            {want: nil},
		"first(1, 2, 3, 4, 5, 6, 7, 8)":                             {want: int64(1)},
		"[1, 2].first().orValue(0)":                                 {want: int64(1)},
		"first(item.x, 1)":                                          {fail: "no such key: x"},
		"user(item.name)":                                           {want: named("name", "ana", "type", "User")},
		"user(item.name).named('Ana A')":                            {want: named("name", "ana", "type", "User", "displayName", "Ana A")},
		"user(item.?x).named(item.?y)":                              {want: nil},
		"user(item.name).named(item.none)":                          {want: named("name", "ana", "type", "User")},
		"user(item.n)":                                              {want: named("name", "42", "type", "User")},
		"user(item.map)":                                            {fail: "user() needs text, this is map"},
		"item.map.named('x')":                                       {fail: "follows user()"},
		"host('web-1').uid('i-1').inCluster('prod')":                {want: named("name", "web-1", "type", "Host", "uid", "i-1", "cluster", "prod")},
		"asset('b').typed('Bucket').inNamespace('n')":               {want: named("name", "b", "type", "Bucket", "namespace", "n")},
		"pod('shop', 'web-6d4f9')":                                  {want: named("name", "web-6d4f9", "type", "Pod", "namespace", "shop")},
		"pod(item.none, item.?x)":                                   {want: nil},
		"ip(item.dots)":                                             {want: is("ipv4", "198.51.100.4")},
		"[ip('[2001:db8::1]:443'), ip('::ffff:10.0.0.1')]":          {want: []any{is("ipv6", "2001:db8::1"), is("ipv4", "10.0.0.1")}},
		"[ip('999.1.1.1'), ip(item.none), ip('')]":                  {want: []any{nil, nil, nil}},
		"[domain('a[.]example.'), domain('10.0.0.1'), domain('a')]": {want: []any{is("domain", "a.example"), nil, nil}},
		"[domain('a b.example'), domain('a..b')]":                   {want: []any{nil, nil}},
		"[url('hxxps[://]a[.]example/x'), url('/x'), url('a b')]":   {want: []any{is("url", "https://a.example/x"), nil, nil}},
		"hash('sha256:" + sha + "')":                                {want: is("sha256", sha)},
		"[hash('" + sha[:32] + "').type, hash('" + sha[:40] + "').type, hash('abc')]": {want: []any{"md5", "sha1", nil}},
		"[email('Ana <ana@a[.]example>'), email('ana')]":                              {want: []any{is("email", "ana@a.example"), nil}},
		"[cve('cve-2021-44228'), cve('CVE-21-1')]":                                    {want: []any{is("cve", "CVE-2021-44228"), nil}},
		"file('/bin/sh')": {want: is("file", "/bin/sh")},
		"[isIP('10.0.0.1'), isURL('x'), cidr('10.0.0.0/8').containsIP('10.1.1.1')]": {want: []any{true, false, true}},
		"[severityOf('Warning'), severityOf('CRITICAL'), severityOf('odd'), severityOf(item.?x), High]": {
			want: []any{int64(3), int64(5), nil, nil, int64(4)},
		},
		"first(severityOf('odd'), Medium) >= Low":                                          {want: true},
		"match('user=ana from 10.0.0.1', r'user=(?P<user>\\S+)(?: port (?P<port>\\d+))?')": {want: named("user", "ana")},
		"match('nothing', '(?P<user>x)').?user.orValue('-')":                               {want: "-"},
		"match(item.?x, '(?P<user>x)')":                                                    {want: map[string]any{}},
		"match('a1', item.name + '|(?P<n>[0-9])')":                                         {want: named("n", "1")},
		"match('a', item.name + '(')":                                                      {fail: "missing closing"},
		"receivedTime":                                                                     {want: "2026-11-24T09:00:01.0000005Z"},
		"time(receivedTime) == receivedTime":                                               {want: true},
		"quote('a\"b')":                                                                    {want: `"a\"b"`},
	}
	env := expr.MustNew(expr.Mapping)
	for source, tc := range tests {
		t.Run(source, func(t *testing.T) {
			program, err := env.Compile(source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := program.Eval(t.Context(), vars)
			if tc.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fail) {
					t.Errorf("got %v, %v; want an error with %q", got, err, tc.fail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimeReadsWhatToolsWrite(t *testing.T) {
	tests := map[string]struct {
		value any
		want  any
		fail  string
	}{
		"RFC 3339 with an offset":   {value: "2026-11-24T10:00:00.123456789+02:00", want: "2026-11-24T08:00:00.123456789Z"},
		"an offset without colon":   {value: "2026-11-24T10:00:00.123+0200", want: "2026-11-24T08:00:00.123Z"},
		"no zone is UTC":            {value: "2026-11-24T10:00:00", want: "2026-11-24T10:00:00Z"},
		"a space for the T":         {value: " 2026-11-24 10:00:00.5 ", want: "2026-11-24T10:00:00.5Z"},
		"a space and UTC":           {value: "2026-11-24 10:00:00 UTC", want: "2026-11-24T10:00:00Z"},
		"a date":                    {value: "2026-11-24", want: "2026-11-24T00:00:00Z"},
		"mail":                      {value: "Tue, 24 Nov 2026 10:00:00 -0500", want: "2026-11-24T15:00:00Z"},
		"mail with a short day":     {value: "Tue, 3 Nov 2026 10:00:00 +0000", want: "2026-11-03T10:00:00Z"},
		"HTTP":                      {value: "Tue, 24 Nov 2026 10:00:00 GMT", want: "2026-11-24T10:00:00Z"},
		"a web server's log":        {value: "24/Nov/2026:10:00:00 +0100", want: "2026-11-24T09:00:00Z"},
		"an invented zone":          {value: "Tue, 24 Nov 2026 10:00:00 CET", fail: "the zone CET has no one meaning"},
		"seconds":                   {value: 1700000000, want: "2023-11-14T22:13:20Z"},
		"seconds as a float":        {value: 1700000000.0, want: "2023-11-14T22:13:20Z"},
		"seconds with a fraction":   {value: 1700000000.25, want: "2023-11-14T22:13:20.25Z"},
		"seconds in text":           {value: "1700000000.123456789", want: "2023-11-14T22:13:20.123456789Z"},
		"milliseconds":              {value: 1700000000123, want: "2023-11-14T22:13:20.123Z"},
		"milliseconds in text":      {value: "1700000000123", want: "2023-11-14T22:13:20.123Z"},
		"microseconds":              {value: 1700000000123456, want: "2023-11-14T22:13:20.123456Z"},
		"nanoseconds":               {value: 1700000000123456789, want: "2023-11-14T22:13:20.123456789Z"},
		"nothing":                   {value: nil, want: nil},
		"empty text":                {value: "", want: nil},
		"text that is no time":      {value: "yesterday", fail: `cannot read "yesterday"`},
		"before 1970":               {value: -1, fail: "before 1970"},
		"the zero time of Go":       {value: "0001-01-01T00:00:00Z", fail: "the year 1"},
		"a day that does not exist": {value: "2026-02-30T00:00:00Z", fail: "cannot read"},
		"a half of the day":         {value: "11/24/2026 9:41:00 PM", want: "2026-11-24T21:41:00Z"},
		"one with a zone":           {value: "1/9/2026 10:41:00 AM +01:00", want: "2026-01-09T09:41:00Z"},
		"one with a comma":          {value: "11/24/2026, 9:41:00.123 AM", want: "2026-11-24T09:41:00.123Z"},
		"a day or a month first":    {value: "11/12/2026 21:41:00", fail: "cannot read"},
		"a list":                    {value: []any{}, fail: "cannot read list"},
	}
	program, err := expr.MustNew(expr.Mapping).Compile("time(item)")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := program.Eval(t.Context(), map[string]any{"item": tc.value})
			if tc.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fail) {
					t.Errorf("got %v, %v; want an error with %q", got, err, tc.fail)
				}
			} else if err != nil || got != tc.want {
				t.Errorf("got %v, %v; want %v", got, err, tc.want)
			}
		})
	}
}
