// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// indicators are the builders ip(), domain(), url(), hash(), email(), file() and
// cve(): {type, value}, or null for what is absent or is not one. They decide the
// type and undo the usual defanging; canonical form is normalize's business.
var indicators = map[string]func(ref.Val) ref.Val{
	"ip":     indicator("ip", ipIndicator),
	"domain": indicator("domain", domainIndicator),
	"url":    indicator("url", urlIndicator),
	"hash":   indicator("hash", hashIndicator),
	"email":  indicator("email", emailIndicator),
	"file":   indicator("file", func(text string) (string, string) { return "file", text }),
	"cve":    indicator("cve", cveIndicator),
}

// indicator adapts a reader that answers the type and the value, or an empty type.
func indicator(function string, read func(string) (kind, value string)) func(ref.Val) ref.Val {
	return func(value ref.Val) ref.Val {
		text, err := textOf(function, value)
		if err != nil {
			return err
		}
		if text == "" {
			return types.NullValue
		}
		kind, found := read(text)
		if kind == "" {
			return types.NullValue
		}
		return built(fields{"type": kind, "value": found})
	}
}

// refang undoes what people and tools write so that an indicator cannot be clicked.
var refang = strings.NewReplacer("[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "[:]", ":", "[://]", "://", "[@]", "@", "[at]", "@")

var defangedScheme = regexp.MustCompile(`^(?i:h(?:xx|\*\*)p(s?))(:|\[:)`)

func ipIndicator(text string) (kind, value string) {
	text = refang.Replace(text)
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return "", ""
		}
		addr = withPort.Addr()
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return "ipv4", addr.String()
	}
	return "ipv6", addr.String()
}

func domainIndicator(text string) (kind, value string) {
	text = strings.TrimSuffix(refang.Replace(text), ".")
	if _, err := netip.ParseAddr(text); err == nil || len(text) > 253 || !strings.Contains(text, ".") {
		return "", ""
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || strings.ContainsAny(label, " \t\r\n/:@?#[]()<>\"'\\%&=,;") {
			return "", ""
		}
	}
	return "domain", text
}

func urlIndicator(text string) (kind, value string) {
	text = refang.Replace(defangedScheme.ReplaceAllString(text, "http$1$2"))
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", ""
	}
	return "url", text
}

var hashForm = regexp.MustCompile(`^(?i:(?:md5|sha1|sha256)[:=])?([0-9a-fA-F]+)$`)

func hashIndicator(text string) (kind, value string) {
	found := hashForm.FindStringSubmatch(text)
	if found == nil {
		return "", ""
	}
	switch len(found[1]) {
	case 32:
		return "md5", found[1]
	case 40:
		return "sha1", found[1]
	case 64:
		return "sha256", found[1]
	}
	return "", ""
}

func emailIndicator(text string) (kind, value string) {
	address, err := mail.ParseAddress(refang.Replace(text))
	if err != nil {
		return "", ""
	}
	return "email", address.Address
}

var cveForm = regexp.MustCompile(`^(?i:CVE)-[0-9]{4}-[0-9]{4,19}$`)

func cveIndicator(text string) (kind, value string) {
	if !cveForm.MatchString(text) {
		return "", ""
	}
	return "cve", strings.ToUpper(text)
}

// isIP and isURL are Kubernetes' functions of that name, which leave the Mapping
// environment together with the ip() and url() that mean something else there.
func isIP(value ref.Val) ref.Val {
	text, ok := unwrap(value).(types.String)
	addr, err := netip.ParseAddr(string(text))
	return types.Bool(ok && err == nil && addr.Zone() == "" && !addr.Is4In6())
}

func isURL(value ref.Val) ref.Val {
	text, ok := unwrap(value).(types.String)
	_, err := url.ParseRequestURI(string(text))
	return types.Bool(ok && err == nil)
}
