// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// reserved are headers that are not for an operation to set: those of the connection and of the message's length, and
// those that prove who sends it, for a secret does not stand in a spec.
var reserved = []string{
	"Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Keep-Alive",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// request compiles what is sent.
func (c *compiler) request(at string, operation v1alpha1.ConnectorOperation, o *operation) {
	spec, names := operation.Request, ofRequest
	if operation.Effect == v1alpha1.EffectRead {
		names = ofInput
	}
	c.method(at, operation)
	r := request{method: string(spec.Method), contentType: spec.ContentType}
	r.path = c.path(at+".path", spec.Path, o, names)
	r.query = c.fields(at+".query", spec.Query, o, names)
	r.headers = c.headers(at+".headers", spec.Headers, o, names)
	r.form = c.fields(at+".form", spec.Form, o, names)
	if spec.Body != nil {
		r.body = c.value(at+".body", spec.Body.Raw, o, names)
	}
	c.payload(at, spec, &r)
	if spec.Idempotency != nil {
		r.keyHeader = spec.Idempotency.Header
	}
	o.request = r
	if o.declared.Semantics == v1alpha1.Keyed && r.keyHeader == "" && !r.reads("key") {
		c.fail(at+".idempotency.header", errors.New("nothing sends the key: name the header, or use the variable key in the request"))
	}
	o.request.usesBefore = r.reads("before")
	if o.request.usesBefore && operation.Before == nil {
		c.fail(at, errors.New("it reads before, but nothing is read before: declare before"))
	}
}

// method keeps reads and mutations apart on the wire: what is in between repeats a GET, and caches it.
func (c *compiler) method(at string, operation v1alpha1.ConnectorOperation) {
	allowed := []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if operation.Effect == v1alpha1.EffectRead {
		allowed = []string{http.MethodGet, http.MethodHead, http.MethodPost}
	}
	if !slices.Contains(allowed, string(operation.Request.Method)) {
		c.fail(at+".method", fmt.Errorf("%s is not for an operation whose effect is %s: use one of %s",
			operation.Request.Method, operation.Effect, strings.Join(allowed, ", ")))
	}
}

// payload checks that there is one body at most, where there may be one, and gives it its type.
func (c *compiler) payload(at string, spec v1alpha1.OperationRequest, r *request) {
	hasBody, hasForm := spec.Body != nil, len(spec.Form) > 0
	switch {
	case hasBody && hasForm:
		c.fail(at+".form", errors.New("there is a body already: send one of the two"))
	case (hasBody || hasForm) && (spec.Method == http.MethodGet || spec.Method == http.MethodHead):
		c.fail(at+".body", fmt.Errorf("a %s has no body (RFC 9110, section 9.3): use query, or the method POST", spec.Method))
	case hasForm:
		r.contentType = formType
	case r.contentType == "":
		r.contentType = jsonType
	}
	if !httpguts.ValidHeaderFieldValue(r.contentType) {
		c.fail(at+".contentType", fmt.Errorf("%q is no media type", r.contentType))
	}
}

// reads tells whether any part of the request reads a variable.
func (r request) reads(variable string) bool {
	templates := []*expr.Template{r.path, r.body}
	for _, f := range slices.Concat(r.query, r.headers, r.form) {
		templates = append(templates, f.value)
	}
	return slices.ContainsFunc(templates, func(t *expr.Template) bool {
		return t != nil && slices.ContainsFunc(t.References(), func(path string) bool { return rootOf(path) == variable })
	})
}

// path compiles the path. What is written in it is sent as it is, so it must be a path.
func (c *compiler) path(field, source string, o *operation, names []string) *expr.Template {
	template := c.text(field, source, o, names)
	if template == nil {
		return nil
	}
	if err := checkPath(template.Outline("x")); err != nil {
		c.fail(field, err)
	}
	return template
}

// checkPath holds text to what a path may be (RFC 3986, section 3.3) without the segments "." and "..".
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return errors.New("a path begins with /")
	}
	for _, segment := range strings.Split(path, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return fmt.Errorf("%q is no part of a path: write %% as %%25", segment)
		}
		if plain == "." || plain == ".." {
			return fmt.Errorf("a path holds no %q: write where it leads", plain)
		}
		for _, r := range segment {
			if r <= ' ' || r >= 0x7f || strings.ContainsRune(`?#"<>\^`+"`{|}", r) {
				return fmt.Errorf("%q does not stand in a path: write parameters under query, and other signs as %%XX", r)
			}
		}
	}
	return nil
}

func (c *compiler) fields(at string, specs []v1alpha1.HTTPField, o *operation, names []string) []field {
	var out []field
	for i, spec := range specs {
		if value := c.text(fmt.Sprintf("%s[%d].value", at, i), spec.Value, o, names); value != nil {
			out = append(out, field{spec.Name, value})
		}
	}
	return out
}

func (c *compiler) headers(at string, specs []v1alpha1.HTTPField, o *operation, names []string) []field {
	out := c.fields(at, specs, o, names)
	for i, spec := range specs {
		name := fmt.Sprintf("%s[%d].name", at, i)
		canonical := http.CanonicalHeaderKey(spec.Name)
		switch {
		case !httpguts.ValidHeaderFieldName(spec.Name):
			c.fail(name, fmt.Errorf("%q is no name of a header", spec.Name))
		case slices.Contains(reserved, canonical):
			c.fail(name, fmt.Errorf("%s is not for an operation to set: credentials belong to spec.http.authentication, a media type to contentType", canonical))
		}
	}
	return out
}
