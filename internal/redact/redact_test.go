// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func redactorOf(secrets ...string) *Redactor {
	s := &Redactor{}
	for _, secret := range secrets {
		s.Add([]byte(secret))
	}
	return s
}

func TestText(t *testing.T) {
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
		"in a string of Go":           {"p\x1b\xff\v'ü😀", strconv.QuoteToASCII("a p\x1b\xff\v'ü😀 b"), `"a [secret] b"`},
		"in Go, every byte":           {"abcd", `"\x61\x62\x63\x64"`, `"[secret]"`},
		"in Go, beyond all planes":    {"abcd", `\Uffffffffabcd`, `\Uffffffff[secret]`},
		"in a query in Go":            {"a/b&c d", `"?q=a\x252Fb\x26c\x2520d"`, `"?q=[secret]"`},
		"half an escape of Go":        {"abcd", `abcd\x6`, `[secret]\x6`},
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
			if got := redactorOf(tc.secret).Text(tc.text); got != tc.want {
				t.Errorf("Text(%q) = %q, want %q", tc.text, got, tc.want)
			}
		})
	}
	for _, form := range []string{"p w/1%", "p+w%2F1%25", "p%20w%2F1%25", "cCB3LzEl", "AGNhc2Vib29rAHAgdy8xJQ==", "7020772f3125"} {
		got := redactorOf("p w/1%", "\x00casebook\x00p w/1%").Text("seen " + form + " here") // as SMTP's AUTH sends it, and as others do
		if strings.TrimRight(strings.TrimSuffix(got, " here"), "=") != "seen "+Mark {
			t.Errorf("%s became %q", form, got)
		}
	}
	if got := redactorOf("abcd", "cdef").Text("-abcdef-"); got != "-[secret]-" {
		t.Errorf("two that overlap = %q", got)
	}
	if got := (&Redactor{}).Text("abcd"); got != "abcd" {
		t.Errorf("the zero value changed a text to %q", got)
	}
}

func TestHeader(t *testing.T) {
	type header = map[string][]string
	tests := map[string]struct{ header, want header }{
		"a value":                      {header{"X-Echo": {"a open-Sesame", "b"}}, header{"X-Echo": {"a [secret]", "b"}}},
		"a value in other letters":     {header{"X-Echo": {"Open-sesame"}}, header{"X-Echo": {"Open-sesame"}}},
		"a name":                       {header{"X-open-Sesame": {"c"}}, header{"X-[secret]": {"c"}}},
		"a name, canonical":            {header{"X-Open-Sesame": {"c"}}, header{"X-[secret]": {"c"}}},
		"a name in base64, canonical":  {header{"B3blbi1tzxnhbwu": {"c"}}, header{"[secret]": {"c"}}},
		"a name in hex, canonical":     {header{"X6f70656e2d536573616d65": {"c"}}, header{"X[secret]": {"c"}}},
		"a name with escapes":          {header{"X-Open%2dses%41me": {"c"}}, header{"X-[secret]": {"c"}}},
		"names that become one":        {header{"Open-Sesame": {"2", "3"}, "OPEN-SESAME": {"1"}, "open-sesame": {"5"}, "Open%2dsesame": {"4"}, "Z": {"z"}}, header{"[secret]": {"1", "4", "2", "3", "5"}, "Z": {"z"}}},
		"a name that is like one only": {header{"Open-Sesam": {"c"}}, header{"Open-Sesam": {"c"}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, redactorOf("open-Sesame").Header(tc.header)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHeaderProperties: whatever the case that the name of a header is brought into, no secret is left in it.
func TestHeaderProperties(t *testing.T) {
	cases := map[string]func(string) string{"canonical": textproto.CanonicalMIMEHeaderKey, "small": strings.ToLower, "capital": strings.ToUpper}
	for name, encode := range encodings {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				secret := rapid.StringMatching(`[a-zA-Z0-9!#$&'*+.^_|~-]{4,40}`).Draw(t, "secret") // what may stand in a name, but for the escapes
				written := cases[rapid.SampledFrom([]string{"canonical", "small", "capital"}).Draw(t, "case")]("X-" + encode(t, secret))
				if strings.Contains(written, `\`) {
					return // which no name may hold
				}
				for got := range redactorOf(secret).Header(map[string][]string{written: {"v"}}) {
					if !strings.HasPrefix(got[2:], Mark) || strings.Trim(got[2+len(Mark):], "=%3Dd") != "" {
						t.Fatalf("%q, a name made of the secret %q, became %q", written, secret, got)
					}
				}
			})
		})
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
	"Go":             func(_ *rapid.T, s string) string { return goOf(s) },
	"Go in ASCII":    func(_ *rapid.T, s string) string { raw := strconv.QuoteToASCII(s); return raw[1 : len(raw)-1] },
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

func goOf(s string) string {
	raw := strconv.Quote(s)
	return raw[1 : len(raw)-1]
}

func jsonOf(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a form in JSON
	}
	return string(raw[1 : len(raw)-1])
}

// TestRedactProperties: whatever the secret, however it is written and whatever
// stands around it, no part of what is left holds it.
func TestRedactProperties(t *testing.T) {
	secrets := rapid.OneOf(
		rapid.StringMatching(`[ -~]{4,40}`),
		rapid.StringMatching(`[a-zA-Z0-9+/=_-]{4,80}`),
		rapid.StringOfN(rapid.RuneFrom([]rune("äöü€😀%\\\"+ /&<>")), 2, 20, -1),
	).Filter(func(s string) bool { return len(s) >= MinLength })
	around := rapid.StringMatching(`[g-z{}:,"\[\] .]{0,30}`)
	for name, encode := range encodings {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				secret := secrets.Draw(t, "secret")
				written := encode(t, secret)
				text := around.Draw(t, "before") + written + around.Draw(t, "after")
				got := redactorOf(secret).Text(text)
				for piece := range strings.SplitSeq(got, Mark) {
					if strings.Contains(piece, written) || strings.Contains(piece, secret) {
						t.Fatalf("%q written as %q is still in %q", secret, written, got)
					}
				}
				if !strings.Contains(got, Mark) {
					t.Fatalf("%q has no mark of the secret %q", got, secret)
				}
			})
		})
	}
}

// TestRedactWithinBase64: a secret that was encoded with other things around it
// leaves no more than the characters it shares with them.
func TestRedactWithinBase64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 9, 60).Draw(t, "secret")
		before, after := rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "before"), rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "after")
		encoding := rapid.SampledFrom([]*base64.Encoding{base64.StdEncoding, base64.URLEncoding}).Draw(t, "encoding")
		whole := encoding.EncodeToString(slicesOf(before, secret, after))
		s := &Redactor{}
		s.Add(secret)
		got := s.Text(whole)
		left := len(strings.ReplaceAll(got, Mark, ""))
		if most := (len(before)+2)/3*4 + (len(after)+2)/3*4 + 4; !strings.Contains(got, Mark) || left > most {
			t.Fatalf("%q of %q has %d characters left, more than %d", got, whole, left, most)
		}
	})
}

func slicesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestRedactLeavesTheRestAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[g-z%\\"+ ]{0,200}`).Draw(t, "text") // none of the secret's characters, nor hex digits
		if got := redactorOf("ABCD-1234").Text(text); got != text {
			t.Fatalf("Text(%q) = %q", text, got)
		}
	})
}

// TestRedactAcrossWindows puts a secret at every place near the border of what is searched at a time.
func TestRedactAcrossWindows(t *testing.T) {
	s := redactorOf("sesame-open")
	for shift := range 40 {
		filling := strings.Repeat(`\n`, window-20+shift)
		if got := s.Text(filling + `sesame\u002dopen` + filling); got != filling+Mark+filling {
			t.Fatalf("a secret %d before the border is not cut", 20-shift)
		}
	}
}

// TestRedactIsLinear would not end in time if a long, repetitive secret met a
// text that nearly repeats it, byte by byte.
func TestRedactIsLinear(t *testing.T) {
	s := redactorOf(strings.Repeat("a", 8<<10) + "b")
	text := strings.Repeat("a", 4<<20) + `\n`
	if got := s.Text(text); got != text {
		t.Error("a text without the secret was changed")
	}
}
