// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// scrubbed stands where a secret was.
const scrubbed = "[secret]"

// scrubber replaces a password in what a server says, however it was sent or may be written. The zero value replaces nothing.
type scrubber struct{ replacer *strings.Replacer }

func newScrubber(username, password string) scrubber {
	if password == "" {
		return scrubber{}
	}
	quoted, ascii := strconv.Quote(password), strconv.QuoteToASCII(password) // as package net/textproto shows an answer that it cannot read
	forms := []string{
		password, quoted[1 : len(quoted)-1], ascii[1 : len(ascii)-1],
		url.QueryEscape(password), url.PathEscape(password), hex.EncodeToString([]byte(password)),
	}
	for _, secret := range []string{password, "\x00" + username + "\x00" + password} { // LOGIN and PLAIN send these
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret)),
			base64.URLEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)))
	}
	slices.SortFunc(forms, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // what holds another comes first
	var pairs []string
	for _, form := range forms {
		pairs = append(pairs, form, scrubbed)
	}
	return scrubber{strings.NewReplacer(pairs...)}
}

func (s scrubber) text(text string) string {
	if s.replacer == nil {
		return text
	}
	return s.replacer.Replace(text)
}
