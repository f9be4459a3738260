// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func scrubberOf(secrets ...string) *scrubber {
	s := &scrubber{}
	for _, secret := range secrets {
		s.add([]byte(secret))
	}
	return s
}

func TestScrub(t *testing.T) {
	const secret = `p@ss "w/rd+ü&<%41>`
	tests := map[string]struct{ secret, text, want string }{
		"nothing to cut":              {secret, "plain", "plain"},
		"as it is":                    {secret, "a " + secret + " b", "a [secret] b"},
		"twice":                       {secret, secret + secret, "[secret]"},
		"in base64 of a password":     {"sesame", "Basic " + base64.StdEncoding.EncodeToString([]byte("ana:sesame")), "Basic YW5hOn[secret]=="},
		"in JSON":                     {secret, `{"a":"p@ss \"w\/rd+\u00fc\u0026\u003c%41\u003e","b":1}`, `{"a":"[secret]","b":1}`},
		"in JSON, every character":    {"abcd", `"\u0061\u0062\u0063\u0064"`, `"[secret]"`},
		"in JSON, beyond the plane":   {"ab😀cd", `"ab\ud83d\ude00cd"`, `"[secret]"`},
		"in a query":                  {secret, "/?q=" + url.QueryEscape(secret) + "&x=1", "/?q=[secret]&x=1"},
		"in a path":                   {secret, "/a/" + url.PathEscape(secret) + "/b", "/a/[secret]/b"},
		"in a query, in small digits": {"a/b/c", "/?q=a%2fb%2fc&x", "/?q=[secret]&x"},
		"in a query in JSON":          {"a/b&c d", `{"self":"https://x/?q=a%2Fb\u0026c%20d"}`, `{"self":"https://x/?q=[secret]"}`},
		"in hex":                      {"abcd", "61626364 " + "6D6E6F70", "[secret] 6D6E6F70"},
		"in hex of capitals":          {"mnop", "6D6E6F70", "[secret]"},
		"a lone escape at the end":    {"abcd", `abcd\`, `[secret]\`},
		"half an escape at the end":   {"abcd", `abcd\u00`, `[secret]\u00`},
		"a percent sign at the end":   {"abcd", `%61bcd%6`, `[secret]%6`},
		"an escape that is none":      {"abcd", `\q%zzabcd`, `\q%zz[secret]`},
		"too short to be told apart":  {"abc", "abcabc", "abcabc"},
		"one that repeats itself":     {"abab", "xabababx", "x[secret]abx"},
		"an empty text":               {secret, "", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := scrubberOf(tc.secret).text(tc.text); got != tc.want {
				t.Errorf("text(%q) = %q, want %q", tc.text, got, tc.want)
			}
		})
	}
	if got := scrubberOf("abcd", "cdef").text("-abcdef-"); got != "-[secret]-" {
		t.Errorf("two that overlap = %q", got)
	}
	if got := (&scrubber{}).text("abcd"); got != "abcd" {
		t.Errorf("the zero value changed a text to %q", got)
	}
	got := scrubberOf("sesame").header(http.Header{"X-Echo": {"a sesame", "b"}, "X-sesame": {"c"}})
	if diff := cmp.Diff(http.Header{"X-Echo": {"a [secret]", "b"}, "X-[secret]": {"c"}}, got); diff != "" {
		t.Error(diff)
	}
}

// encodings are ways that a target may echo what it was sent.
var encodings = map[string]func(t *rapid.T, secret string) string{
	"raw":            func(_ *rapid.T, s string) string { return s },
	"hex":            func(_ *rapid.T, s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":            func(_ *rapid.T, s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"base64":         func(_ *rapid.T, s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 raw":     func(_ *rapid.T, s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
	"base64 url":     func(_ *rapid.T, s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
	"base64 url raw": func(_ *rapid.T, s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"query":          func(_ *rapid.T, s string) string { return url.QueryEscape(s) },
	"path":           func(_ *rapid.T, s string) string { return url.PathEscape(s) },
	"JSON":           func(_ *rapid.T, s string) string { return jsonOf(s) },
	"query in JSON":  func(_ *rapid.T, s string) string { return jsonOf(url.QueryEscape(s)) },
	"base64 in query": func(_ *rapid.T, s string) string {
		return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s)))
	},
	"base64 in JSON that escapes slashes": func(_ *rapid.T, s string) string {
		return strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(s)), "/", `\/`)
	},
	"some percent": func(t *rapid.T, s string) string {
		var out strings.Builder
		for _, b := range []byte(s) {
			if b == '%' || rapid.Bool().Draw(t, "escape") {
				fmt.Fprintf(&out, "%%%02x", b)
			} else {
				out.WriteByte(b)
			}
		}
		return out.String()
	},
	"some of JSON": func(t *rapid.T, s string) string {
		var out strings.Builder
		for _, r := range s {
			if r == '\\' || r < 0x10000 && rapid.Bool().Draw(t, "escape") {
				fmt.Fprintf(&out, `\u%04X`, r)
			} else {
				out.WriteRune(r)
			}
		}
		return out.String()
	},
}

func jsonOf(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a form in JSON
	}
	return string(raw[1 : len(raw)-1])
}

// TestScrubProperties: whatever the secret, however it is written and whatever
// stands around it, no part of what is left holds it.
func TestScrubProperties(t *testing.T) {
	secrets := rapid.OneOf(
		rapid.StringMatching(`[ -~]{4,40}`),
		rapid.StringMatching(`[a-zA-Z0-9+/=_-]{4,80}`),
		rapid.StringOfN(rapid.RuneFrom([]rune("äöü€😀%\\\"+ /&<>")), 2, 20, -1),
	).Filter(func(s string) bool { return len(s) >= minSecret })
	around := rapid.StringMatching(`[g-z{}:,"\[\] .]{0,30}`)
	for name, encode := range encodings {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				secret := secrets.Draw(t, "secret")
				written := encode(t, secret)
				text := around.Draw(t, "before") + written + around.Draw(t, "after")
				got := scrubberOf(secret).text(text)
				for piece := range strings.SplitSeq(got, scrubbed) {
					if strings.Contains(piece, written) || strings.Contains(piece, secret) {
						t.Fatalf("%q written as %q is still in %q", secret, written, got)
					}
				}
				if !strings.Contains(got, scrubbed) {
					t.Fatalf("%q has no mark of the secret %q", got, secret)
				}
			})
		})
	}
}

// TestScrubWithinBase64: a secret that was encoded with other things around it
// leaves no more than the characters it shares with them.
func TestScrubWithinBase64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 9, 60).Draw(t, "secret")
		before, after := rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "before"), rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "after")
		encoding := rapid.SampledFrom([]*base64.Encoding{base64.StdEncoding, base64.URLEncoding}).Draw(t, "encoding")
		whole := encoding.EncodeToString(slicesOf(before, secret, after))
		s := &scrubber{}
		s.add(secret)
		got := s.text(whole)
		left := len(strings.ReplaceAll(got, scrubbed, ""))
		if most := (len(before)+2)/3*4 + (len(after)+2)/3*4 + 4; !strings.Contains(got, scrubbed) || left > most {
			t.Fatalf("%q of %q has %d characters left, more than %d", got, whole, left, most)
		}
	})
}

func slicesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestScrubLeavesTheRestAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[g-z%\\"+ ]{0,200}`).Draw(t, "text") // none of the secret's characters, nor hex digits
		if got := scrubberOf("ABCD-1234").text(text); got != text {
			t.Fatalf("text(%q) = %q", text, got)
		}
	})
}

// TestScrubAcrossWindows puts a secret at every place near the border of what is searched at a time.
func TestScrubAcrossWindows(t *testing.T) {
	s := scrubberOf("sesame-open")
	for shift := range 40 {
		filling := strings.Repeat(`\n`, window-20+shift)
		if got := s.text(filling + `sesame\u002dopen` + filling); got != filling+scrubbed+filling {
			t.Fatalf("a secret %d before the border is not cut", 20-shift)
		}
	}
}

// TestScrubIsLinear would not end in time if a long, repetitive secret met a
// text that nearly repeats it, byte by byte.
func TestScrubIsLinear(t *testing.T) {
	s := scrubberOf(strings.Repeat("a", 8<<10) + "b")
	text := strings.Repeat("a", 4<<20) + `\n`
	if got := s.text(text); got != text {
		t.Error("a text without the secret was changed")
	}
}
