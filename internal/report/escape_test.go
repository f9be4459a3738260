// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestEscape(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"plain text stays":                       {"pod shop/web-6d4f9: ok? 100%", "pod shop/web-6d4f9: ok? 100%"},
		"letters of any script stay":             {"São Paulo, 東京, Москва", "São Paulo, 東京, Москва"},
		"an ANSI sequence loses its escape":      {"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		"a C1 control sequence introducer shows": {"\u009b31m", `\u009b31m`},
		"line breaks cannot begin a line":        {"ok\r\nerror: none", `ok\r\nerror: none`},
		"a title sequence rings no bell":         {"\x1b]0;x\x07", `\x1b]0;x\x07`},
		"backspaces delete nothing":              {"deny\x08\x08\x08\x08allow", `deny\x08\x08\x08\x08allow`},
		"right-to-left override shows":           {"exe.\u202egnp", `exe.\u202egnp`},
		"isolates show":                          {"\u2066a\u2069", `\u2066a\u2069`},
		"zero width characters show":             {"pay\u200bpal\ufeff", `pay\u200bpal\ufeff`},
		"tag characters show":                    {"a\U000e0041", `a\U000e0041`},
		"variation selectors show":               {"a\ufe0f\U000e0100", `a\ufe0f\U000e0100`},
		"a blank that is no space shows":         {"a\u00a0b\u3000c", `a\u00a0b\u3000c`},
		"a letter without ink shows":             {"a\u3164b", `a\u3164b`},
		"line and paragraph separators show":     {"a\u2028b\u2029c", `a\u2028b\u2029c`},
		"bytes that are not UTF-8 show":          {"a\xffb", `a\xffb`},
		"Cyrillic among Latin letters shows":     {"p\u0430ypal", `p\u0430ypal`},
		"Greek among Latin letters shows":        {"g\u03bfogle", `g\u03bfogle`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Escape(tt.in); got != tt.want {
				t.Errorf("Escape(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestEscapeHidesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		if got := Escape(in); strings.ContainsFunc(got, hidden) || !utf8.ValidString(got) {
			t.Fatalf("Escape(%q) = %q holds a hidden character", in, got)
		}
	})
}

func TestDefang(t *testing.T) {
	tests := map[string]struct{ kind, in, want string }{
		"an address":             {"ipv4", "203.0.113.9", "203[.]0[.]113[.]9"},
		"an IPv6 address":        {"ipv6", "2001:db8::1", "2001[:]db8[:][:]1"},
		"a domain":               {"domain", "evil.example", "evil[.]example"},
		"a web address":          {"url", "https://evil.example/a.b?c=d", "hxxps://evil[.]example/a.b?c=d"},
		"a host without a path":  {"url", "http://evil.example", "hxxp://evil[.]example"},
		"a file transfer":        {"url", "ftp://evil.example/x", "fxp://evil[.]example/x"},
		"a mail address":         {"email", "a@evil.example", "a[@]evil[.]example"},
		"a digest is no link":    {"sha256", "9b1c", "9b1c"},
		"an ANSI sequence in it": {"url", "http://x\x1b[2J/", `hxxp://x\x1b[2J/`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Defang(tt.kind, tt.in); got != tt.want {
				t.Errorf("Defang(%q, %q) = %q, want %q", tt.kind, tt.in, got, tt.want)
			}
		})
	}
}

func TestEncodeLosesAndShowsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"a\u202eb", "\u009b31m", "\x1b[31m", "a\nb", "true", "12", "- x", "2026-11-24", "\U000e0041", "\x7f", "\u00a0", "'", "#",
		})).Draw(t, "text")
		want := map[string]any{"text": text}
		for format, decode := range map[string]func([]byte, any) error{FormatJSON: json.Unmarshal, FormatYAML: yaml.Unmarshal} {
			raw, err := Encode(format, want)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range strings.Split(string(raw), "\n") {
				if strings.ContainsFunc(line, hidden) {
					t.Fatalf("%s of %q holds a hidden character: %q", format, text, raw)
				}
			}
			var got map[string]any
			if err := decode(raw, &got); err != nil {
				t.Fatalf("%s of %q cannot be read: %v\n%s", format, text, err, raw)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s of %q reads as %q", format, text, got)
			}
		}
	})
}

func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(4, 60).Draw(t, "limit")
		text := Escape(rapid.String().Draw(t, "text"))
		var got strings.Builder
		for _, line := range wrap(text, limit) {
			if columns(line) > limit {
				t.Fatalf("a line has %d columns, more than %d: %q", columns(line), limit, line)
			}
			got.WriteString(line)
		}
		if a, b := strings.ReplaceAll(text, " ", ""), strings.ReplaceAll(got.String(), " ", ""); a != b {
			t.Fatalf("wrap lost something: %q became %q", a, b)
		}
	})
}

// A name that a shell could take for more than a word is not offered to be copied.
func TestArgument(t *testing.T) {
	for text, want := range map[string]string{
		"shop/web-6d4f9": "shop/web-6d4f9", "ana+1@example.com": "ana+1@example.com", "fe80::1": "fe80::1",
		"$(reboot)": "…", "a;b": "…", "a b": "…", "`x`": "…", "-n": "…", "": "…", "a\nb": "…", "ana\u202e": "…", "~root": "…", "*": "…",
	} {
		if got := Argument(text); got != want {
			t.Errorf("Argument(%q) = %q, want %q", text, got, want)
		}
	}
}
