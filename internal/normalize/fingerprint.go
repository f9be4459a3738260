// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// kindFields tell kinds of findings apart, but no two findings of a kind.
var kindFields = []string{"category", "title", "severity", "severityOriginal", "confidence", "activity", "outcome", "ruleId"}

// fingerprint is the SHA-256 over the product and the canonical values of the
// Mapping's fingerprint fields, before they were cut. Where all of those are empty
// that would tell two findings of a kind apart, the whole event is in it too:
// repeats are then not recognised, which is better than losing the second finding.
func (b *builder) fingerprint() string {
	named := map[string]any{}
	wanted, specific := false, false
	for _, name := range b.mapping.fingerprint {
		value := b.full[name]
		named[name] = value
		isSpecific := !slices.Contains(kindFields, name)
		wanted = wanted || isSpecific
		specific = specific || isSpecific && value != nil
	}
	if len(b.mapping.fingerprint) > 0 && !wanted {
		specific = slices.ContainsFunc(b.mapping.fingerprint, func(name string) bool { return b.full[name] != nil })
	}
	content := map[string]any{"product": b.mapping.product, "fields": named}
	if !specific {
		b.warn("fingerprint: the fields that tell findings apart are empty; the whole event was used, so a repeat may count as another finding")
		content["event"] = b.vars["item"]
	}
	return hash(content)
}

// hash is the SHA-256 of a value's canonical JSON, in hex: sorted keys, no space,
// numbers as they were written.
func hash(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		// Only decoded JSON and the canonical values made of it come here.
		panic("normalize: " + err.Error())
	}
	return digest(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
