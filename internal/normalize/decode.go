// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// DecodeError says why a payload cannot be decoded, and where.
type DecodeError struct {
	// Offset is where in the payload it went wrong, in bytes from 0.
	Offset int64
	// Path is the part of the payload that could not be read, written as in
	// expressions: payload.items[3]["a key"].
	Path string
	// Reason says what is wrong there.
	Reason string
}

// Error names the place and the reason.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("could not decode the payload: at byte %d, in %s: %s", e.Offset, e.Path, e.Reason)
}

// Decode reads a payload. The values are nil, bool, string, json.Number, []any and
// map[string]any. JSON (the empty format too) is one document; NDJSON is one or
// more, each beginning on a line of its own, and gives the list of them, or, where
// its one document is a list, that list. A byte order mark is skipped.
//
// A key that occurs twice in one object is refused, and so is more than [MaxDepth],
// [MaxValues] or [MaxNumber]. The error is a [*DecodeError].
func Decode(format v1alpha1.PayloadFormat, payload []byte) (any, error) {
	p := &parser{data: payload, path: []string{"payload"}}
	if bytes.HasPrefix(payload, []byte("\xef\xbb\xbf")) {
		p.pos = 3
	}
	if p.next() == 0 && p.pos == len(payload) {
		return nil, p.fail(p.pos, "it is empty")
	}
	var out any
	var err *DecodeError
	if format == v1alpha1.FormatNDJSON {
		out, err = p.lines()
	} else {
		out, err = p.document()
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (p *parser) document() (any, *DecodeError) {
	value, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(p.data) {
		return nil, p.unexpected("the end of the JSON document")
	}
	return value, nil
}

func (p *parser) lines() (any, *DecodeError) {
	var documents []any
	for {
		p.path = append(p.path[:1], "["+strconv.Itoa(len(documents))+"]")
		value, err := p.value(0)
		if err != nil {
			return nil, err
		}
		documents = append(documents, value)
		end := p.pos
		if p.space(); p.pos == len(p.data) {
			break
		}
		if bytes.IndexByte(p.data[end:p.pos], '\n') < 0 {
			return nil, p.unexpected("the end of the line")
		}
	}
	if only, isList := documents[0].([]any); isList && len(documents) == 1 {
		return only, nil
	}
	return documents, nil
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// step is a key as a step of a path.
func step(key string) string {
	if identifier.MatchString(key) && len(key) <= 64 {
		return "." + key
	}
	return "[" + quoted(key) + "]"
}

// quoted shows the beginning of foreign text in a message, control characters escaped.
func quoted(text string) string {
	const most = 64
	if cut := firstRunes(text, most); len(cut) < len(text) {
		text = cut + "..."
	}
	return strconv.Quote(text)
}

// firstRunes cuts a text to at most so many characters, which is how the API server counts.
func firstRunes(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for i := range text {
		if most--; most < 0 {
			return text[:i]
		}
	}
	return text
}
