// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// The formats of Encode.
const (
	FormatJSON = "json"
	FormatYAML = "yaml"
)

// Encode writes a view in a format for machines. Characters that Escape would replace are written as the format's own
// escapes, so nothing is lost and nothing reaches a terminal.
func Encode(format string, view any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(view); err != nil {
		return nil, fmt.Errorf("write the view as %s: %w", format, err)
	}
	switch format {
	case FormatJSON:
		return escapeHidden(b.Bytes(), jsonEscape), nil
	case FormatYAML:
		return encodeYAML(b.Bytes())
	default:
		return nil, fmt.Errorf("write the view as %q: that is no format; use json or yaml", format)
	}
}

// encodeYAML writes a JSON document as YAML with its fields in their order.
func encodeYAML(document []byte) ([]byte, error) {
	var node yaml.Node
	// YAML refuses some characters that JSON allows, unless they are escaped.
	if err := yaml.Unmarshal(escapeHidden(document, yamlEscape), &node); err != nil {
		return nil, fmt.Errorf("write the view as yaml: %w", err)
	}
	restyle(&node)
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return nil, fmt.Errorf("write the view as yaml: %w", err)
	}
	return escapeHidden(b.Bytes(), yamlEscape), nil
}

// restyle makes block style of JSON's flow style. Texts with hidden characters stay in double quotes, the only style
// in which YAML has escapes.
func restyle(node *yaml.Node) {
	switch {
	case node.Kind != yaml.ScalarNode:
		node.Style = 0
	case node.Tag == "!!str" && strings.ContainsFunc(node.Value, hidden):
		node.Style = yaml.DoubleQuotedStyle
	case node.Tag == "!!str":
		node.Style = 0
	}
	for _, child := range node.Content {
		restyle(child)
	}
}

// escapeHidden replaces hidden characters beyond ASCII, which both encoders leave as they are.
func escapeHidden(document []byte, escape func(rune) string) []byte {
	var b bytes.Buffer
	for len(document) > 0 {
		r, size := utf8.DecodeRune(document)
		if r >= utf8.RuneSelf && hidden(r) || r == 0x7f {
			b.WriteString(escape(r))
		} else {
			b.Write(document[:size])
		}
		document = document[size:]
	}
	return b.Bytes()
}

func jsonEscape(r rune) string {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

func yamlEscape(r rune) string {
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
