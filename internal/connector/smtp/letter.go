// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// letter is one message: to, subject and text can be written down as they are.
type letter struct {
	from          mail.Address
	to            string // an address without a name
	id            string // the Message-ID without angle brackets
	date          time.Time
	subject, text string
}

// bytes is the message as RFC 5322 and MIME have it: ASCII, with lines of at most 76 characters in the body. The same
// letter is always the same bytes.
func (l *letter) bytes() ([]byte, error) {
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP), gomail.WithCharset(gomail.CharsetUTF8))
	message.FromMailAddress(&l.from)
	message.ToMailAddress(&mail.Address{Address: l.to})
	message.SetMessageIDWithValue(l.id)
	message.SetDateWithValue(l.date)
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no vacation notice comes back
	message.SetGenHeaderPreformatted(gomail.HeaderSubject, unstructured(l.subject))
	message.SetBodyString(gomail.TypeTextPlain, l.text)
	var raw bytes.Buffer
	if _, err := message.WriteTo(&raw); err != nil {
		return nil, fmt.Errorf("write the message: %w", err)
	}
	return raw.Bytes(), nil
}

// unstructured is one line of text as the value of a header: as it is if it is short, ASCII and cannot be taken for an
// encoded word, and else as encoded words (RFC 2047), folded. Go-mail and package mime leave ASCII as it is, whatever its
// length, and what a payload writes as an encoded word with it, which a mail program would decode.
func unstructured(text string) string {
	const plain, word = 60, 45 // bytes; 45 are 60 characters of base64, and an encoded word has at most 75
	isASCII := !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
	if len(text) <= plain && isASCII && !strings.Contains(text, "=?") {
		return text
	}
	var words []string
	for len(text) > 0 {
		end := min(word, len(text))
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:end]))+"?=")
		text = text[end:]
	}
	return strings.Join(words, "\r\n ")
}

// address is what every server takes for an address in a command without quoting or extensions: a dot-atom (RFC 5322,
// section 3.2.3), an at sign and a host name.
var address = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~` + "`" + `-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~` + "`" + `-]+)*@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// plainAddress tells whether an address can stand in a command, within the lengths of RFC 5321, section 4.5.3.1.
func plainAddress(text string) bool {
	return len(text) <= 254 && strings.IndexByte(text, '@') <= 64 && address.MatchString(text)
}

// mailbox is the address of an input, which may have a display name. Nothing is guessed: what would need quoting,
// escaping or more than ASCII is refused.
func mailbox(input string) (string, error) {
	parsed, err := mail.ParseAddress(input)
	isGroup := strings.HasSuffix(strings.TrimSpace(input), ";")
	if err != nil || isGroup || !plainAddress(parsed.Address) || strings.ContainsFunc(input, unprintable) {
		return "", fault.Terminalf(connector.InvalidInputReason,
			"could not use the input of %s: field %q is %q: want one address, for example ana@example.com", SendMail, "to", input)
	}
	return parsed.Address, nil
}

// messageID is the Message-ID of a mark, without angle brackets, at the domain of the sender. A mark that is a dot-atom of
// at most 200 characters is its left part as it is. In any other, what may not stand there becomes a hyphen, and a
// digest of the mark keeps it apart from its like.
func messageID(mark, from string) string {
	_, domain, _ := strings.Cut(from, "@")
	left := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r) {
			return r
		}
		return '-'
	}, mark)
	left = strings.Trim(left, ".")
	for strings.Contains(left, "..") {
		left = strings.ReplaceAll(left, "..", ".")
	}
	if left != mark || left == "" || len(left) > 200 {
		digest := sha256.Sum256([]byte(mark))
		left = strings.TrimRight(left[:min(len(left), 160)], ".") + "-" + hex.EncodeToString(digest[:8])
	}
	return left + "@" + domain
}

// oneLine is text for a header: one line, in which control characters, and those that turn the direction of reading, are
// made visible. What comes from a payload can neither begin another header nor pass for something else.
func oneLine(text string) string {
	text = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\t", " ").Replace(text)
	return strings.TrimSpace(visible(text))
}

// plainText is text for a body: its lines end in a line feed, and other control characters than tabs are made visible.
func plainText(text string) string {
	return visible(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), '\n', '\t')
}

func visible(text string, but ...rune) string {
	return strings.Map(func(r rune) rune {
		if unprintable(r) && !slices.Contains(but, r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}

func unprintable(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
