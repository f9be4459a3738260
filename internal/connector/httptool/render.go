// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/fault"
)

// render puts values into the request. Each is escaped for the place it is put in, once, and nothing of it is read as
// an expression, as JSON or as a part of the URL again. Errors are Terminal and name the place.
func (o *operation) render(ctx context.Context, variables map[string]any) (outgoing, error) {
	r := &renderer{operation: o.declared.Name, ctx: ctx, variables: variables}
	out := outgoing{Method: o.request.method, Header: http.Header{}, Read: o.declared.Effect == v1alpha1.EffectRead}
	out.Target = r.path(o.request.path)
	if query := r.pairs("query", o.request.query, escapeQuery); query != "" {
		out.Target += "?" + query
	}
	for _, header := range o.request.headers {
		out.Header.Set(header.name, r.text("header "+header.name, header.value, headerValue))
	}
	switch {
	case o.request.body != nil:
		out.Body = r.json(o.request.body)
	case len(o.request.form) > 0:
		out.Body = []byte(r.pairs("form", o.request.form, escapeForm))
	}
	if out.Body != nil {
		out.Header.Set("Content-Type", o.request.contentType)
	}
	if key, _ := variables["key"].(string); o.request.keyHeader != "" {
		out.Header.Set(o.request.keyHeader, key)
	}
	return out, r.err
}

// renderer keeps the first error.
type renderer struct {
	operation string
	ctx       context.Context //nolint:containedctx // it lives as long as one call
	variables map[string]any
	err       error
}

func (r *renderer) text(place string, template *expr.Template, escape func(string) (string, error)) string {
	out, err := template.RenderText(r.ctx, r.variables, escape)
	r.fail(place, err)
	return out
}

func (r *renderer) fail(place string, err error) {
	if err == nil || r.err != nil {
		return
	}
	reason := v1alpha1.InvalidExpressionReason
	if _, hostile := errors.AsType[*unfit](err); hostile {
		reason = connector.InvalidInputReason
	}
	r.err = fault.Terminalf(reason, "could not write the request of %s: %s: %w", r.operation, place, err)
}

// path checks the whole once more: two values side by side could make a segment that neither is.
func (r *renderer) path(template *expr.Template) string {
	out := r.text("path", template, pathSegment)
	if r.err == nil {
		if err := checkPath(out); err != nil {
			r.fail("path", &unfit{err.Error()})
		}
	}
	return out
}

func (r *renderer) pairs(place string, fields []field, escape func(string) string) string {
	pairs := make([]string, len(fields))
	for i, f := range fields {
		pairs[i] = escape(f.name) + "=" + escape(r.text(place+" "+f.name, f.value, plainText))
	}
	return strings.Join(pairs, "&")
}

func (r *renderer) json(template *expr.Template) []byte {
	value, err := template.Render(r.ctx, r.variables)
	r.fail("body", err)
	raw, err := encodeJSON(value)
	r.fail("body", err)
	return raw
}

// encodeJSON writes compact JSON and leaves <, > and & as they are.
func encodeJSON(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// unfit is a value that cannot stand where it was to be put.
type unfit struct{ message string }

func (u *unfit) Error() string { return u.message }

// pathSegment escapes a value as one segment of a path. Servers that take %2F for a slash, or \ for /, or that unescape
// more than once, must not be led elsewhere, so a value that holds "." or ".." between any of these is refused.
func pathSegment(value string) (string, error) {
	if value == "" {
		return "", &unfit{"a segment of a path may not be empty"}
	}
	if leadsElsewhere(value) {
		return "", &unfit{fmt.Sprintf("%q leads elsewhere in a path", value)}
	}
	return url.PathEscape(value), nil
}

// leadsElsewhere tells whether a segment is, or becomes by unescaping, more than one, of which one is a step up or none.
func leadsElsewhere(segment string) bool {
	for range maxUnescaped {
		parts := strings.FieldsFunc(segment, func(r rune) bool { return r == '/' || r == '\\' })
		if slices.Contains(parts, ".") || slices.Contains(parts, "..") {
			return true
		}
		plain, err := url.PathUnescape(segment)
		if err != nil || plain == segment {
			return false
		}
		segment = plain
	}
	return false
}

// maxUnescaped is how often a server is taken to unescape a path.
const maxUnescaped = 4

// escapeQuery escapes as RFC 3986 has it: a space is %20, for not everyone takes a + for it.
func escapeQuery(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }

// escapeForm escapes as application/x-www-form-urlencoded has it.
func escapeForm(value string) string { return url.QueryEscape(value) }

// headerValue refuses what would end the header, and other control characters (RFC 9110, section 5.5).
func headerValue(value string) (string, error) {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", &unfit{fmt.Sprintf("%q holds the control character %q, which may not stand in a header", value, c)}
		}
	}
	return value, nil
}

// plainText lets everything through.
func plainText(value string) (string, error) { return value, nil }

// renderInput renders the input of another operation, which is an object.
func renderInput(ctx context.Context, template *expr.Template, variables map[string]any) (map[string]any, error) {
	value, err := template.Render(ctx, variables)
	if err != nil {
		return nil, err
	}
	input, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("an input is an object")
	}
	return input, nil
}
