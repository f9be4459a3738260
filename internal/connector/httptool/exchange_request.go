// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// request makes the request, still without body and credentials. What would be
// sent otherwise than it is written, or could lead elsewhere, is a Terminal error.
func (e *endpoint) request(ctx context.Context, out outgoing) (*http.Request, error) {
	to, err := e.join(out.Target)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	for _, own := range e.spec.Headers {
		header.Set(own.Name, own.Value)
	}
	for name, values := range out.Header {
		for _, value := range values {
			if why := badHeader(name, value); why != "" {
				return nil, fault.Terminalf(connector.InvalidInputReason, "could not send the request: header %q %s", name, why)
			}
		}
		header[http.CanonicalHeaderKey(name)] = values
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", userAgent)
	}
	header.Set("Accept-Encoding", "gzip")
	if strings.ContainsFunc(out.Method, func(r rune) bool { return r < 'A' || r > 'Z' }) || out.Method == "" {
		return nil, fault.Terminalf(connector.InvalidInputReason, "could not send the request: %q is no method", out.Method)
	}
	return (&http.Request{Method: out.Method, URL: to, Host: to.Host, Header: header}).WithContext(ctx), nil
}

// join appends a target to baseURL.
func (e *endpoint) join(target string) (*url.URL, error) {
	path, _, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") || strings.Contains(target, "#") {
		return nil, fault.Terminalf(connector.InvalidInputReason, "could not send the request: target %q is no path that begins with a slash", target)
	}
	for segment := range strings.SplitSeq(path, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil || plain == "." || plain == ".." { // a server may resolve these to another resource
			return nil, fault.Terminalf(connector.InvalidInputReason, "could not send the request: segment %q of its path leads elsewhere or is not escaped", segment)
		}
	}
	bare := strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r >= 0x7f }) // url.Parse lets a query have spaces
	want := e.escapedBase() + target
	to, err := url.Parse(e.base.Scheme + "://" + e.base.Host + want)
	if bare || err != nil || to.RequestURI() != want {
		return nil, fault.Terminalf(connector.InvalidInputReason, "could not send the request: target %q holds what is not escaped", target)
	}
	return to, nil
}
