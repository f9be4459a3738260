// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// technique is an ATT&CK technique, with its sub-technique, in the forms that tools
// write: T1059, attack.t1059.001, TA0043-T1595, "T1059 - name".
var technique = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(T[0-9]{4}(?:\.[0-9]{3})?)(?:[^a-z0-9]|$)`)

// setTechniques keeps the ids in a list of texts. Texts without one are left out
// silently, so that an expression can give all of a rule's tags.
func (b *builder) setTechniques(value any) bool {
	var all []string
	for _, element := range elements(value) {
		text, ok := scalarText(element)
		if !ok || len(text) > maxDescription {
			continue
		}
		for _, found := range technique.FindAllStringSubmatch(text, -1) {
			if id := strings.ToUpper(found[1]); !slices.Contains(all, id) && len(all) <= maxTechniques {
				all = append(all, id)
			}
		}
	}
	if len(all) > maxTechniques {
		all = all[:maxTechniques]
		b.warn("techniques: the payload has more; the first %d were kept", maxTechniques)
	}
	if len(all) == 0 {
		return false
	}
	b.full["techniques"] = slices.Sorted(slices.Values(all))
	b.signal.Techniques = all
	return true
}

// setSourceURL takes only what a browser may be sent to.
func (b *builder) setSourceURL(value any) bool {
	link, ok := b.scalar("sourceURL", value)
	if !ok {
		return false
	}
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || firstRunes(link, maxURL) != link {
		delete(b.full, "sourceURL")
		b.warn("sourceURL: %s is no link of http or https of at most %d characters", quoted(link), maxURL)
		return false
	}
	b.signal.SourceURL = link
	return true
}
