// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/normalize"
)

func TestCanonicalIndicators(t *testing.T) {
	sha := strings.Repeat("aB", 32)
	tests := map[string]struct{ kind, value, want string }{
		"an address":                            {"ipv4", " 203.0.113.9 ", "ipv4 203.0.113.9"},
		"a defanged address":                    {"ipv4", "203[.]0[.]113[.]9", "ipv4 203.0.113.9"},
		"a private address is kept":             {"ipv4", "10.0.0.1", "ipv4 10.0.0.1"},
		"an address with leading zeros":         {"ipv4", "010.0.0.1", ""},
		"a placeholder":                         {"ipv4", "xxx.xxx.x.x", ""},
		"an IPv6 address as RFC 5952 writes it": {"ipv6", "2001:DB8:0:0:0:0:0:01", "ipv6 2001:db8::1"},
		"an IPv6 address with a zone":           {"ipv6", "fe80::1%eth0", "ipv6 fe80::1"},
		"an IPv4 address inside IPv6":           {"ipv6", "::ffff:198.51.100.4", "ipv4 198.51.100.4"},
		"a domain":                              {"domain", "EVIL[.]Example.", "domain evil.example"},
		"a domain in another script":            {"domain", "bücher.example", "domain xn--bcher-kva.example"},
		"an upper-case umlaut":                  {"domain", "BÜCHER.example", "domain xn--bcher-kva.example"},
		"a full-width dot":                      {"domain", "evil。example", "domain evil.example"},
		"a name with an underscore":             {"domain", "_dmarc.evil.example", "domain _dmarc.evil.example"},
		"a single label is no domain":           {"domain", "localhost", ""},
		"a domain with a space":                 {"domain", "a b.example", ""},
		"an address is no domain":               {"domain", "10.0.0.1", ""},
		"a URL":                                 {"url", "hxxps[://]Evil[.]Example:443/a/../b?Q=1#F", "url https://evil.example/b?Q=1#F"},
		"a URL without a path":                  {"url", "HTTP://EVIL.example", "url http://evil.example/"},
		"a URL with a port of its own":          {"url", "http://evil.example:8080/x", "url http://evil.example:8080/x"},
		"a URL with an address":                 {"url", "http://[2001:DB8::1]:80/", "url http://[2001:db8::1]/"},
		"a URL with a user keeps its lie":       {"url", "https://bank.example@evil.example/", "url https://bank.example@evil.example/"},
		"a script is no URL":                    {"url", "javascript:alert(1)", ""},
		"a path is no URL":                      {"url", "/x", ""},
		"a hash has the type of its length":     {"md5", sha, "sha256 " + strings.ToLower(sha)},
		"a hash with its name":                  {"sha1", "SHA1:" + sha[:40], "sha1 " + strings.ToLower(sha[:40])},
		"zeros are no hash":                     {"sha256", strings.Repeat("0", 64), ""},
		"a hash of another length":              {"md5", "abc", ""},
		"a mail address":                        {"email", "Ana <Ana[@]Evil[.]Example>", "email ana@evil.example"},
		"a mail address without a domain":       {"email", "ana", ""},
		"a CVE":                                 {"cve", "cve-2021-44228", "cve CVE-2021-44228"},
		"no CVE":                                {"cve", "CVE-21-1", ""},
		"a file is as it is":                    {"file", "C:\\Temp\\\aa.EXE", "file C:\\Temp\\\aa.EXE"},
		"a type that is none":                   {"mutex", "x", ""},
		"nothing":                               {"file", " ", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := normalize.Canonical(v1alpha1.Indicator{Type: v1alpha1.IndicatorType(tc.kind), Value: tc.value})
			if text := strings.TrimSpace(string(got.Type) + " " + got.Value); text != tc.want || ok != (tc.want != "") {
				t.Errorf("got %q, %v; want %q", text, ok, tc.want)
			}
		})
	}
}

func TestCanonicalIsAFixedPoint(t *testing.T) {
	kinds := []v1alpha1.IndicatorType{"ipv4", "ipv6", "domain", "url", "sha256", "sha1", "md5", "email", "cve", "file"}
	values := rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`(h(xx|tt)ps?://)?([a-zA-Z0-9ßüİ_-]{1,6}(\[\.\]|\.|。)){1,3}[a-zA-Zéß]{2,5}\.?(:[0-9]{1,4})?(/[a-z%2F.]{0,5}){0,3}(\?[a-z=&]{0,5})?`),
		rapid.StringMatching(`[0-9a-fA-F:.\[\]]{2,40}`),
		rapid.StringMatching(`[a-zA-Z.+]{1,5}@(xn--)?[a-z0-9-]{1,8}\.[a-z]{2,4}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		in := v1alpha1.Indicator{Type: rapid.SampledFrom(kinds).Draw(t, "type"), Value: values.Draw(t, "value")}
		once, ok := normalize.Canonical(in)
		if !ok {
			return
		}
		if twice, ok := normalize.Canonical(once); !ok || twice != once {
			t.Fatalf("%v became %v, then %v (%v)", in, once, twice, ok)
		}
	})
}

// TestRefangUndoesDefang: an indicator that was made harmless is the same one.
func TestRefangUndoesDefang(t *testing.T) {
	defang := strings.NewReplacer("http", "hxxp", ".", "[.]", "@", "[@]", "://", "[://]")
	values := map[v1alpha1.IndicatorType]*rapid.Generator[string]{
		"domain": rapid.StringMatching(`([a-z0-9]{1,8}\.){1,3}[a-z]{2,4}`),
		"url":    rapid.StringMatching(`https?://([a-z0-9]{1,8}\.){1,3}[a-z]{2,4}(/[a-z]{1,5}){0,3}`),
		"email":  rapid.StringMatching(`[a-z]{1,8}@([a-z0-9]{1,8}\.){1,3}[a-z]{2,4}`),
		"ipv4":   rapid.StringMatching(`([1-9]\.){3}[1-9]`),
	}
	for kind, generator := range values {
		rapid.Check(t, func(t *rapid.T) {
			value := generator.Draw(t, "value")
			plain, ok := normalize.Canonical(v1alpha1.Indicator{Type: kind, Value: value})
			again, okAgain := normalize.Canonical(v1alpha1.Indicator{Type: kind, Value: defang.Replace(value)})
			if plain != again || ok != okAgain {
				t.Fatalf("%s: %v (%v), defanged %v (%v)", value, plain, ok, again, okAgain)
			}
		})
	}
}

// TestIndicatorsInFreeText has what a search by pattern takes wrongly most often.
func TestIndicatorsInFreeText(t *testing.T) {
	sha := strings.Repeat("0123456789abcdef", 4)
	tests := map[string]struct {
		text string
		want []string
	}{
		"an address in a sentence":        {"Traffic to 203.0.113.9.", []string{"ipv4 203.0.113.9"}},
		"an address with a port":          {"from 203.0.113.9:4444", []string{"ipv4 203.0.113.9"}},
		"a defanged address":              {"198[.]51[.]100[.]4", []string{"ipv4 198.51.100.4"}},
		"a version after v":               {"upgraded to v1.2.3.4", nil},
		"a version after its word":        {"version: 9.4.27.2020, Version 1.2.3.4", nil},
		"a version of a product":          {"Chrome/114.0.0.0 nginx-1.2.3.4", nil},
		"a version with a suffix":         {"1.2.3.4-rc1", nil},
		"an object identifier":            {"1.3.6.1.4.1.311 (1.3.6.1.4)", nil},
		"a network":                       {"10.0.0.0/8", nil},
		"no address at all":               {"0.0.0.0 999.1.1.1 xxx.xxx.x.x", nil},
		"an IPv6 address":                 {"to [2001:db8::1]:443", []string{"ipv6 2001:db8::1"}},
		"a time":                          {"at 12:18:18", nil},
		"a hardware address":              {"aa:bb:cc:dd:ee:ff", nil},
		"names of a programming language": {"std::vector a::b ::", nil},
		"a URL, without its punctuation":  {"see (https://evil.example.com/a?b=1).", []string{"url https://evil.example.com/a?b=1"}},
		"a defanged URL":                  {"hxxps://evil[.]example[.]com/x", []string{"url https://evil.example.com/x"}},
		"a domain":                        {"beacons to Evil.Example.COM!", []string{"domain evil.example.com"}},
		"a defanged domain":               {"evil[.]example[.]com", []string{"domain evil.example.com"}},
		"a Java package":                  {"com.example.shop.Main org.acme.io", nil},
		"files":                           {"run.sh main.py README.md lib.so /etc/a.com", nil},
		"a name without a public suffix":  {"web-1.internal a.local", nil},
		"a call":                          {"os.system(x) obj.name", nil},
		"a mail address":                  {"Reply to Ana@Evil.example.com", []string{"email ana@evil.example.com"}},
		"a hash":                          {"sha256=" + sha, []string{"sha256 " + sha}},
		"a number that is no hash":        {strings.Repeat("0", 64) + " " + sha[:63], nil},
		"a CVE":                           {"(cve-2021-44228)", []string{"cve CVE-2021-44228"}},
		"the same twice":                  {"203.0.113.9 203.0.113.9", []string{"ipv4 203.0.113.9"}},
		"nothing beyond what is searched": {strings.Repeat(" ", 64<<10) + "203.0.113.9", nil},
	}
	m := compile(t, nil)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			payload, err := json.Marshal(map[string]any{"title": "t", "severity": "low", "indicators": []any{tc.text}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, in := range one(t, m, string(payload)).Indicators {
				got = append(got, string(in.Type)+" "+in.Value)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("indicators (-want +got):\n%s", diff)
			}
		})
	}
}
