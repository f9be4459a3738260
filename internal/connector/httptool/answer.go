// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/expr"
)

// answer is what the target said, as expressions see it.
type answer struct {
	status     int
	header     http.Header
	body       any    // JSON, text, nil if there is none, or expr.Unavailable if it cannot be read
	unreadable string // why the body cannot be read; empty if it can
	text       string // the body as it came
	retryAfter time.Duration
	stale      bool // see incoming
}

// answerOf makes an answer of what came in. A body is JSON unless its type is text/plain. One that is neither, such as the
// page of a proxy, is no answer of this target.
func answerOf(in *incoming) answer {
	a := answer{status: in.Status, header: in.Header, text: string(in.Body), retryAfter: in.RetryAfter, stale: in.Stale}
	if strings.TrimSpace(a.text) == "" {
		return a
	}
	mediaType, _, err := mime.ParseMediaType(in.Header.Get("Content-Type"))
	if err == nil && mediaType == "text/plain" {
		a.body = a.text
		return a
	}
	if a.body, err = decodeJSON(in.Body); err != nil {
		a.unreadable = strings.TrimSpace("the body of the answer "+mediaType) + ": " + err.Error()
		a.body = expr.Unavailable{Reason: a.unreadable}
	}
	return a
}

// variable is response in expressions.
func (a answer) variable() map[string]any {
	headers := map[string]any{}
	for name, values := range a.header {
		if len(values) > 0 {
			headers[strings.ToLower(name)] = values[0]
		}
	}
	return map[string]any{"status": int64(a.status), "headers": headers, "body": a.body}
}

// String says what was answered: the status, and what the body says to people.
func (a answer) String() string {
	out := fmt.Sprintf("the target answered %d", a.status)
	if name := http.StatusText(a.status); name != "" {
		out += " " + name
	}
	if said := a.said(); said != "" {
		out += ": " + said
	}
	return connector.Clip(out)
}

// said is the part of the body that is for people: detail and title (RFC 9457, and RFC 7644 for SCIM),
// error_description (RFC 6749), and what others write; or else the beginning of the body.
func (a answer) said() string {
	record, _ := a.body.(map[string]any)
	for _, name := range []string{"detail", "error_description", "errorSummary", "message", "error", "title"} {
		switch v := record[name].(type) {
		case string:
			if v != "" {
				return legible(v)
			}
		case map[string]any:
			if inner, _ := v["message"].(string); inner != "" {
				return legible(inner)
			}
		}
	}
	return legible(a.text)
}

// saidLength is how much of what a target says is repeated, in bytes.
const saidLength = 300

// legible makes one line of foreign text, without what could move a terminal's cursor or turn its direction.
func legible(text string) string {
	if len(text) > 4*saidLength {
		text = text[:4*saidLength]
	}
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)), " ")
	if len(text) <= saidLength {
		return text
	}
	end := saidLength
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
