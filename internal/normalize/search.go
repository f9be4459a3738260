// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// maxSearched is how much of a text is searched for indicators, in bytes.
const maxSearched = 64 << 10

// pattern finds one type of indicator in free text.
type pattern struct {
	kind v1alpha1.IndicatorType
	form *regexp.Regexp
	// plausible judges a match by what stands around it; nil takes all.
	plausible func(before, match, after string) bool
}

// patterns are tried in this order, and what one of them took is not searched again:
// the host of a URL is not a domain of its own.
var patterns = []pattern{
	{typeURL, regexp.MustCompile(`(?i)\b(?:https?|ftps?)://[^\s"'<>\x00-\x1f\x60|\\^{}]+`), nil},
	{typeEmail, regexp.MustCompile(`(?i)[a-z0-9._%+-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+`), aloneAsWord},
	{typeCVE, regexp.MustCompile(`(?i)CVE-[0-9]{4}-[0-9]{4,19}`), aloneAsWord},
	{typeSHA256, regexp.MustCompile(`[0-9a-fA-F]{32,}`), aloneAsWord},
	{typeIPv4, regexp.MustCompile(`[0-9]+(?:\.[0-9]+)+`), plausibleIPv4},
	{typeIPv6, regexp.MustCompile(`[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*`), plausibleIPv6},
	{typeDomain, regexp.MustCompile(`(?i)[a-z0-9_-]+(?:\.[a-z0-9_-]+)+`), plausibleDomain},
}

// Indicators searches free text, refanged: what a pattern takes for an indicator there
// is often a version, an object identifier, a file or the name of a class, so that in
// doubt it is left out. Typed fields of a payload are the better source. What is found
// is canonical, and may repeat.
func Indicators(text string) []v1alpha1.Indicator {
	if len(text) > maxSearched {
		text = strings.ToValidUTF8(text[:maxSearched], "")
	}
	text = refang(text)
	var out []v1alpha1.Indicator
	for _, p := range patterns {
		rest := []byte(text)
		for _, at := range p.form.FindAllStringIndex(text, -1) {
			match := strings.TrimRight(text[at[0]:at[1]], ".,;:!?)]-")
			end := at[0] + len(match)
			if match == "" || p.plausible != nil && !p.plausible(text[:at[0]], match, text[end:]) {
				continue
			}
			found, ok := Canonical(v1alpha1.Indicator{Type: p.kind, Value: match})
			if !ok {
				continue
			}
			out = append(out, found)
			for i := at[0]; i < end; i++ {
				rest[i] = ' '
			}
			if len(out) == maxIndicators {
				return out
			}
		}
		text = string(rest)
	}
	return out
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

func aloneAsWord(before, _, after string) bool {
	return (before == "" || !wordByte(before[len(before)-1])) && (after == "" || !wordByte(after[0]))
}

var versionWord = regexp.MustCompile(`(?i)(?:\bv|\bver|version|release|build|firmware|revision|\boid|agent|/|-|_)\W{0,3}$`)

// plausibleIPv4 refuses versions ("v1.2.3.4", "nginx/1.2.3.4", "lib-1.2.3.4",
// "1.2.3.4-rc1"), object identifiers ("1.3.6.1.4") and networks ("10.0.0.0/8").
func plausibleIPv4(before, match, after string) bool {
	addr, err := netip.ParseAddr(match)
	if err != nil || addr.IsUnspecified() || !aloneAsWord(before, match, after) {
		return false
	}
	if strings.HasSuffix(before, ".") || len(after) > 1 && strings.IndexByte(".-/+", after[0]) >= 0 && wordByte(after[1]) {
		return false
	}
	tail := before[max(0, len(before)-16):]
	return !versionWord.MatchString(tail)
}

// plausibleIPv6 refuses times ("12:18:18"), hardware addresses and names with a
// double colon ("a::b").
func plausibleIPv6(before, match, after string) bool {
	addr, err := netip.ParseAddr(match)
	if err != nil || addr.IsUnspecified() || addr.IsLoopback() || !aloneAsWord(before, match, after) {
		return false
	}
	groups := strings.FieldsFunc(match, func(r rune) bool { return r == ':' })
	return len(groups) >= 3 || len(groups) == 2 && len(groups[0]) == 4 && strings.ContainsAny(match, "0123456789")
}

// fileEndings are top-level domains that are more often the end of a file's name, or of
// an expression of a program.
var fileEndings = []string{
	"app", "bat", "bz", "cab", "cc", "cpp", "db", "do", "gz", "java", "js", "la", "lib", "md", "mk", "mm", "mo", "mov", "ms", "name", "pl",
	"pm", "ps", "pub", "py", "rs", "sc", "sh", "so", "st", "sys", "vi", "zip",
}

// reversed are first labels of names that are written the other way round: Java packages.
var reversed = []string{"com", "org", "net", "io", "edu", "gov", "java", "javax", "dev", "de", "uk", "cn"}

// plausibleDomain wants a public suffix and nothing that makes a name a file, a
// package or a part of something longer.
func plausibleDomain(before, match, after string) bool {
	if !aloneAsWord(before, match, after) || before != "" && strings.IndexByte("/\\.@$-", before[len(before)-1]) >= 0 {
		return false
	}
	if after != "" && strings.IndexByte("(/\\@", after[0]) >= 0 {
		return false
	}
	lower := strings.ToLower(match)
	suffix, icann := publicsuffix.PublicSuffix(lower)
	if !icann || suffix == lower {
		return false
	}
	first, _, _ := strings.Cut(lower, ".")
	last := lower[strings.LastIndexByte(lower, '.')+1:]
	return !slices.Contains(fileEndings, last) && !slices.Contains(reversed, first)
}
