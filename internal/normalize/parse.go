// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Bounds of a payload.
const (
	// MaxDepth is how deeply objects and arrays may be nested.
	MaxDepth = 64
	// MaxValues is the most values, keys included, that a payload may hold.
	MaxValues = 1 << 20
	// MaxNumber is the most bytes a number may be written with.
	MaxNumber = 1000
)

// parser reads JSON (RFC 8259). The standard decoder takes a key that occurs twice,
// does not bound depth below 10,000, and tells no exact offset for some errors.
type parser struct {
	data   []byte
	pos    int
	values int
	path   []string
}

func (p *parser) fail(at int, format string, args ...any) *DecodeError {
	e := &DecodeError{Offset: int64(at), Reason: fmt.Sprintf(format, args...)}
	for i, step := range p.path {
		// A path as long as the nesting is deep would hide the reason.
		if i == maxPathSteps {
			e.Path += "..."
			break
		}
		e.Path += step
	}
	return e
}

const maxPathSteps = 12

func (p *parser) unexpected(wanted string) *DecodeError {
	if p.pos >= len(p.data) {
		return p.fail(len(p.data), "it ends where %s should be", wanted)
	}
	found, _ := utf8.DecodeRune(p.data[p.pos:])
	return p.fail(p.pos, "there is %q where %s should be", found, wanted)
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// next is the next byte that is not space, without taking it; 0 at the end.
func (p *parser) next() byte {
	p.space()
	if p.pos == len(p.data) {
		return 0
	}
	return p.data[p.pos]
}

func (p *parser) count() *DecodeError {
	if p.values++; p.values > MaxValues {
		return p.fail(p.pos, "it holds more than %d values; send fewer findings at once", MaxValues)
	}
	return nil
}

func (p *parser) value(depth int) (any, *DecodeError) {
	c := p.next()
	if err := p.count(); err != nil {
		return nil, err
	}
	switch {
	case c == '{' || c == '[':
		if depth == MaxDepth {
			return nil, p.fail(p.pos, "objects and arrays are nested more than %d deep", MaxDepth)
		}
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case c == '"':
		return p.text()
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	case c == 'n':
		return nil, p.word("null")
	}
	return nil, p.unexpected("a JSON value")
}

func (p *parser) word(word string) *DecodeError {
	if !bytes.HasPrefix(p.data[p.pos:], []byte(word)) {
		return p.unexpected("a JSON value")
	}
	p.pos += len(word)
	return nil
}

func (p *parser) array(depth int) (any, *DecodeError) {
	out := []any{}
	p.pos++
	if p.next() == ']' {
		p.pos++
		return out, nil
	}
	for {
		p.path = append(p.path, "["+strconv.Itoa(len(out))+"]")
		element, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		p.path = p.path[:len(p.path)-1]
		out = append(out, element)
		switch p.next() {
		case ',':
			p.pos++
		case ']':
			p.pos++
			return out, nil
		default:
			return nil, p.unexpected("a comma or ]")
		}
	}
}

func (p *parser) object(depth int) (any, *DecodeError) {
	out := map[string]any{}
	p.pos++
	if p.next() == '}' {
		p.pos++
		return out, nil
	}
	for {
		key, err := p.key(out)
		if err != nil {
			return nil, err
		}
		p.path = append(p.path, step(key))
		if out[key], err = p.value(depth); err != nil {
			return nil, err
		}
		p.path = p.path[:len(p.path)-1]
		switch p.next() {
		case ',':
			p.pos++
		case '}':
			p.pos++
			return out, nil
		default:
			return nil, p.unexpected("a comma or }")
		}
	}
}

// key takes a key and its colon.
func (p *parser) key(before map[string]any) (string, *DecodeError) {
	if p.next() != '"' {
		return "", p.unexpected("a key in double quotes")
	}
	at := p.pos
	if err := p.count(); err != nil {
		return "", err
	}
	key, err := p.text()
	if err != nil {
		return "", err
	}
	if _, twice := before[key]; twice {
		return "", p.fail(at, "the key %s occurs twice in one object, and readers differ in which they take", quoted(key))
	}
	if p.next() != ':' {
		return "", p.unexpected("a colon")
	}
	p.pos++
	return key, nil
}

// text takes a string. Bytes that are not UTF-8 and lone surrogates become U+FFFD,
// as every decoder of Go reads them.
func (p *parser) text() (string, *DecodeError) {
	start, plain := p.pos, true
	for p.pos++; p.pos < len(p.data); p.pos++ {
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			if raw := p.data[start+1 : p.pos-1]; plain && utf8.Valid(raw) {
				return string(raw), nil
			}
			var out string
			if err := json.Unmarshal(p.data[start:p.pos], &out); err != nil {
				return "", p.fail(start, "the string cannot be read: %v", err)
			}
			return out, nil
		case c < 0x20:
			return "", p.fail(p.pos, "a string holds the control character %#02x; it must be written as an escape", c)
		case c == '\\':
			plain = false
			if err := p.escape(); err != nil {
				return "", err
			}
		}
	}
	return "", p.fail(len(p.data), "it ends within the string that begins at byte %d", start)
}

// escape steps from a backslash to the last byte of its escape.
func (p *parser) escape() *DecodeError {
	at := p.pos
	p.pos++
	if p.pos == len(p.data) {
		return p.fail(at, "it ends within an escape")
	}
	if c := p.data[p.pos]; c != 'u' {
		if bytes.IndexByte([]byte("\"\\/bfnrt"), c) < 0 {
			return p.fail(at, "%q is no escape of JSON", p.data[at:p.pos+1])
		}
		return nil
	}
	for range 4 {
		if p.pos++; p.pos == len(p.data) || bytes.IndexByte([]byte("0123456789abcdefABCDEF"), p.data[p.pos]) < 0 {
			return p.fail(at, "the escape \\u needs four hexadecimal digits")
		}
	}
	return nil
}

// number takes a number and keeps it as it is written: an identifier of 18 digits
// must not pass through a float64.
func (p *parser) number() (any, *DecodeError) {
	start := p.pos
	for p.pos < len(p.data) && bytes.IndexByte([]byte("0123456789+-.eE"), p.data[p.pos]) >= 0 {
		p.pos++
	}
	text := p.data[start:p.pos]
	switch {
	case len(text) > MaxNumber:
		return nil, p.fail(start, "a number is written with more than %d bytes", MaxNumber)
	case !json.Valid(text):
		return nil, p.fail(start, "%s is no number of JSON", quoted(string(text)))
	}
	return json.Number(text), nil
}
