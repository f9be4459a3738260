// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"cmp"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Types of indicators.
const (
	typeIPv4   v1alpha1.IndicatorType = "ipv4"
	typeIPv6   v1alpha1.IndicatorType = "ipv6"
	typeDomain v1alpha1.IndicatorType = "domain"
	typeURL    v1alpha1.IndicatorType = "url"
	typeSHA256 v1alpha1.IndicatorType = "sha256"
	typeSHA1   v1alpha1.IndicatorType = "sha1"
	typeMD5    v1alpha1.IndicatorType = "md5"
	typeEmail  v1alpha1.IndicatorType = "email"
	typeCVE    v1alpha1.IndicatorType = "cve"
	typeFile   v1alpha1.IndicatorType = "file"
)

// Canonical writes an indicator in the one form in which it is stored and compared,
// and reports false for what is not an indicator of that type:
//
//   - an address as RFC 5952 writes it, without zone; an IPv4-mapped one as IPv4;
//   - a domain in lower-case ASCII (punycode), without the final dot;
//   - a URL with scheme and host in lower case, the host in punycode, no default
//     port, no dot segments and a path of at least "/";
//   - a hash in lower case, with the type of its length, whatever type was said;
//     one digit repeated is no hash;
//   - a mail address in lower case, its domain in punycode;
//   - a CVE in upper case; a file as it is.
//
// The usual defanging (hxxp, [.], [at]) is undone. Canonical of what it returns is
// the same again.
func Canonical(in v1alpha1.Indicator) (v1alpha1.Indicator, bool) {
	out, ok := canonical(in)
	if !ok {
		return v1alpha1.Indicator{}, false
	}
	// The libraries below do not promise a fixed point for every hostile input.
	if again, ok := canonical(out); !ok || again != out {
		return v1alpha1.Indicator{}, false
	}
	return out, true
}

func canonical(in v1alpha1.Indicator) (v1alpha1.Indicator, bool) {
	value := strings.TrimSpace(in.Value)
	if value == "" {
		return in, false
	}
	var ok bool
	kind := in.Type
	switch kind {
	case typeIPv4, typeIPv6:
		kind, value, ok = canonicalAddress(refang(value))
	case typeDomain:
		value, ok = canonicalDomain(refang(value))
	case typeURL:
		value, ok = canonicalURL(refang(value))
	case typeSHA256, typeSHA1, typeMD5:
		kind, value, ok = canonicalHash(value)
	case typeEmail:
		value, ok = canonicalEmail(refang(value))
	case typeCVE:
		value = strings.ToUpper(value)
		ok = wholeCVE.MatchString(value)
	case typeFile:
		ok = true
	}
	return v1alpha1.Indicator{Type: kind, Value: value}, ok && value != ""
}

var (
	fanged         = strings.NewReplacer("[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "(dot)", ".", "[:]", ":", "[://]", "://", "[@]", "@", "[at]", "@", "(at)", "@", "[/]", "/")
	fangedScheme   = regexp.MustCompile(`(?i)\bh(?:xx|\*\*|tt)p(s?)(?:\[://\]|(?:\[:\]|:)(?://|\[//\]))`)
	bareFangScheme = regexp.MustCompile(`(?i)\bf(?:xp|tp)(s?)://`)
	wholeCVE       = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,19}$`)
	wholeHash      = regexp.MustCompile(`^(?i:(?:md5|sha1|sha256)[:=])?([0-9a-fA-F]+)$`)
)

// refang undoes what people and tools write so that an indicator cannot be clicked.
func refang(text string) string {
	text = fangedScheme.ReplaceAllString(text, "http$1://")
	text = bareFangScheme.ReplaceAllString(text, "ftp$1://")
	return fanged.Replace(text)
}

func canonicalAddress(text string) (v1alpha1.IndicatorType, string, bool) {
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return "", "", false
	}
	addr = addr.WithZone("").Unmap()
	if addr.Is4() {
		return typeIPv4, addr.String(), true
	}
	return typeIPv6, addr.String(), true
}

// names maps names as browsers do (UTS 46, not transitional), and lets underscores
// pass: they are not in host names, but are in the DNS.
var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.VerifyDNSLength(true), idna.BidiRule())

var wholeDomain = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)+$`)

func canonicalDomain(text string) (string, bool) {
	text = strings.TrimSuffix(text, ".")
	if len(text) > 1024 { // a name has at most 253; the work must be bounded too
		return "", false
	}
	ascii, err := names.ToASCII(text)
	if err != nil || !wholeDomain.MatchString(ascii) {
		return "", false
	}
	if _, err := netip.ParseAddr(ascii); err == nil {
		return "", false
	}
	return ascii, true
}

var defaultPorts = map[string]string{"http": "80", "https": "443", "ftp": "21", "ws": "80", "wss": "443"}

func canonicalURL(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Opaque != "" {
		return "", false
	}
	host, ok := canonicalHost(u.Hostname())
	if !ok {
		return "", false
	}
	if port := u.Port(); port != "" && port != defaultPorts[u.Scheme] {
		host += ":" + port
	}
	u.Host = host
	u = u.ResolveReference(u) // removes dot segments
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), true
}

// canonicalHost is a host of a URL: an address, a domain or a name without a dot.
func canonicalHost(host string) (string, bool) {
	if kind, value, ok := canonicalAddress(host); ok {
		if kind == typeIPv6 {
			return "[" + value + "]", true
		}
		return value, true
	}
	if domain, ok := canonicalDomain(host); ok {
		return domain, true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host, wholeDomain.MatchString(host + ".x")
}

func canonicalHash(text string) (v1alpha1.IndicatorType, string, bool) {
	found := wholeHash.FindStringSubmatch(text)
	if found == nil {
		return "", "", false
	}
	value := strings.ToLower(found[1])
	if strings.Trim(value, value[:1]) == "" {
		return "", "", false
	}
	switch len(value) {
	case 32:
		return typeMD5, value, true
	case 40:
		return typeSHA1, value, true
	case 64:
		return typeSHA256, value, true
	}
	return "", "", false
}

func canonicalEmail(text string) (string, bool) {
	parsed, err := mail.ParseAddress(text)
	if err != nil {
		return "", false
	}
	local, domain, ok := cutLast(parsed.Address, "@")
	if !ok || strings.ContainsAny(local, " \"<>,;") {
		return "", false
	}
	domain, ok = canonicalDomain(domain)
	return strings.ToLower(local) + "@" + domain, ok
}

func cutLast(text, separator string) (before, after string, ok bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

// setIndicators takes indicators as ip(), domain(), url(), hash(), email(), cve() and
// file() build them, and searches text for more.
func (b *builder) setIndicators(value any) bool {
	var all []v1alpha1.Indicator
	seen := map[v1alpha1.Indicator]bool{}
	add := func(in v1alpha1.Indicator) {
		if !seen[in] {
			seen[in] = true
			all = append(all, in)
		}
	}
	for _, element := range elements(value) {
		switch v := element.(type) {
		case nil:
		case string:
			for _, found := range b.search(v) {
				add(found)
			}
		case map[string]any:
			kind, _ := v["type"].(string)
			text, _ := scalarText(v["value"])
			in, ok := Canonical(v1alpha1.Indicator{Type: v1alpha1.IndicatorType(kind), Value: text})
			if !ok {
				b.warn("indicators: %s is not of type %s and was left out", quoted(text), quoted(kind))
				continue
			}
			add(in)
		default:
			b.warn("indicators: %s is no indicator and was left out", kindOf(element))
		}
	}
	if len(all) == 0 {
		return false
	}
	b.full["indicators"] = sortedIndicators(all)
	b.signal.Indicators = b.boundedIndicators(all)
	return len(b.signal.Indicators) > 0
}

func (b *builder) search(text string) []v1alpha1.Indicator {
	if len(text) > maxSearched {
		b.warn("indicators: the first %d KiB of a text of %d were searched", maxSearched>>10, len(text)>>10)
	}
	return Indicators(text)
}

func sortedIndicators(all []v1alpha1.Indicator) []v1alpha1.Indicator {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b v1alpha1.Indicator) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value))
	})
	return out
}

// boundedIndicators cuts the list to the schema. An indicator that is too long is
// left out: a part of a URL is another URL.
func (b *builder) boundedIndicators(all []v1alpha1.Indicator) []v1alpha1.Indicator {
	var out []v1alpha1.Indicator
	size := 0
	for i, in := range all {
		if firstRunes(in.Value, maxIndicator) != in.Value {
			b.warn("indicators: %s is longer than %d characters and was left out", quoted(in.Value), maxIndicator)
			continue
		}
		if size += len(in.Value); len(out) == maxIndicators || size > maxIndicatorText {
			b.warn("indicators: the payload has %d; the first %d were kept", len(all), i)
			break
		}
		out = append(out, in)
	}
	return out
}
