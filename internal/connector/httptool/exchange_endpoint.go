// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// maxEndpoints bounds how many are kept. It is more than anyone has connectors;
// past it, the one that was used least recently is forgotten with its limits.
const maxEndpoints = 4096

// endpoints keeps one endpoint for each Connector, so that however often a
// connector is opened, by whichever run, its limits, its breaker and its token
// are the same. A changed spec.http makes a new one.
type endpoints struct {
	dependencies Dependencies

	mu   sync.Mutex
	kept map[connectorKey]*keptEndpoint
	uses uint64
}

// connectorKey tells a Connector from a later one of the same name.
type connectorKey struct {
	name types.NamespacedName
	uid  types.UID
}

type keptEndpoint struct {
	endpoint *endpoint
	digest   [sha256.Size]byte // of spec.http
	used     uint64
}

func newEndpoints(d Dependencies) *endpoints {
	if d.Clock == nil {
		d.Clock = clock.RealClock{}
	}
	return &endpoints{dependencies: d, kept: map[connectorKey]*keptEndpoint{}}
}

// get returns the endpoint of a Connector whose spec has http. It sends nothing.
// A spec that cannot work is a Terminal error with reason InvalidSpec, or
// AddressRefused, that names the field.
func (e *endpoints) get(object *v1alpha1.Connector) (*endpoint, error) {
	spec := object.Spec.Effective().HTTP
	if spec == nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "could not open connector %s/%s: spec.http is missing", object.Namespace, object.Name)
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "could not open connector %s/%s: read spec.http: %w", object.Namespace, object.Name, err)
	}
	key := connectorKey{types.NamespacedName{Namespace: object.Namespace, Name: object.Name}, object.UID}
	digest := sha256.Sum256(raw)

	e.mu.Lock()
	defer e.mu.Unlock()
	e.uses++
	if kept := e.kept[key]; kept != nil && kept.digest == digest {
		kept.used = e.uses
		return kept.endpoint, nil
	}
	made, err := e.open(object.Namespace, spec)
	if err != nil {
		return nil, fmt.Errorf("could not open connector %s/%s: %w", object.Namespace, object.Name, err)
	}
	if len(e.kept) >= maxEndpoints {
		e.forgetOldest()
	}
	e.kept[key] = &keptEndpoint{endpoint: made, digest: digest, used: e.uses}
	return made, nil
}

func (e *endpoints) forgetOldest() {
	var oldest connectorKey
	least := e.uses + 1
	for key, kept := range e.kept {
		if kept.used < least {
			oldest, least = key, kept.used
		}
	}
	delete(e.kept, oldest)
}

// endpoint is what all openings of one Connector share.
type endpoint struct {
	Dependencies
	namespace string
	spec      *v1alpha1.HTTPConnector // with its defaults
	base      *url.URL
	tokenURL  *url.URL       // nil without OAuth
	roots     *x509.CertPool // nil: the public authorities

	limits  *limits
	breaker *breaker
	tokens  *tokens
}

func (e *endpoints) open(namespace string, spec *v1alpha1.HTTPConnector) (*endpoint, error) {
	out := &endpoint{Dependencies: e.dependencies, namespace: namespace, spec: spec}
	var err error
	if out.base, err = checkURL("spec.http.baseURL", spec.BaseURL); err != nil {
		return nil, err
	}
	if out.base.RawQuery != "" || out.base.ForceQuery {
		return nil, invalidField("spec.http.baseURL", "%q has a query: declare it under the operation's request", spec.BaseURL)
	}
	if err := out.checkHost("spec.http.baseURL", out.base, spec.Authentication != nil); err != nil {
		return nil, err
	}
	if out.roots, err = checkTLS(spec.TLS, out.base); err != nil {
		return nil, err
	}
	if err := checkHeaders(spec.Headers); err != nil {
		return nil, err
	}
	if err := out.checkAuthentication(spec.Authentication); err != nil {
		return nil, err
	}
	out.limits = newLimits(out.base.Host, *spec.Limits, e.dependencies.Clock)
	out.breaker = &breaker{clock: e.dependencies.Clock, host: out.base.Host}
	out.tokens = newTokens(e.dependencies.Clock)
	return out, nil
}

func invalidField(field, format string, args ...any) error {
	return fault.Terminalf(v1alpha1.InvalidSpecReason, "%s: %w", field, fmt.Errorf(format, args...))
}

// checkURL parses a URL of the spec.
func checkURL(field, text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, invalidField(field, "it is no URL: write one such as https://api.example.com/v1")
	case parsed.Scheme != "https" && parsed.Scheme != "http", parsed.Hostname() == "":
		return nil, invalidField(field, "%q is no URL of http or https with a host: write one such as https://api.example.com/v1", parsed.Redacted())
	case parsed.User != nil:
		return nil, invalidField(field, "%q holds a user: put credentials under spec.http.authentication", parsed.Redacted())
	case parsed.Fragment != "":
		return nil, invalidField(field, "%q has a fragment, which is never sent: take it out", text)
	}
	return parsed, nil
}

// checkHost refuses at once what dialling would refuse: an address that is
// written out and may not be used. A name is judged by what it resolves to.
func (e *endpoint) checkHost(field string, to *url.URL, credentials bool) error {
	if addr, err := netip.ParseAddr(to.Hostname()); err == nil {
		if err := e.dialer(to, credentials).check(netip.AddrPortFrom(addr, 0).String()); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	return nil
}

// dialer is the one for a URL to which credentials are sent, or not.
func (e *endpoint) dialer(to *url.URL, credentials bool) dialer {
	return dialer{policy: e.Policy, resolver: e.Resolver, loopbackOnly: credentials && to.Scheme != "https"}
}

func checkTLS(spec *v1alpha1.HTTPTLS, base *url.URL) (*x509.CertPool, error) {
	if spec == nil {
		return nil, nil
	}
	if base.Scheme != "https" {
		return nil, invalidField("spec.http.tls", "it has no use with %s: write a baseURL of https, or take it out", base.Redacted())
	}
	if spec.CABundle == "" {
		return nil, nil
	}
	roots, err := connector.Authorities(spec.CABundle)
	if err != nil {
		return nil, invalidField("spec.http.tls.caBundle", "%w", err)
	}
	return roots, nil
}

// ours are the headers that HTTP itself, or this package, has the say over.
var ours = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Keep-Alive": true, "Upgrade": true,
	"Te": true, "Trailer": true, "Expect": true, "Accept-Encoding": true, "Proxy-Authorization": true, "Proxy-Connection": true,
}

func checkHeaders(headers []v1alpha1.HTTPField) error {
	for i, header := range headers {
		why := badHeader(header.Name, header.Value)
		switch name := http.CanonicalHeaderKey(header.Name); {
		case why != "":
		case name == "Authorization" || name == "Cookie":
			why = "proves who sends it, and what stands here is no secret: use spec.http.authentication, which reads one"
		case strings.Contains(header.Value, "${"):
			why = "holds an expression, and there is nothing here that one could read: put it into the headers of an operation's request"
		}
		if why != "" {
			return invalidField(fmt.Sprintf("spec.http.headers[%d]", i), "header %q %s", header.Name, why)
		}
	}
	return nil
}

// badHeader says what is wrong with a header; empty means nothing.
func badHeader(name, value string) string {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return "has characters in its name that none may have"
	case ours[http.CanonicalHeaderKey(name)]:
		return "is set by Casebook itself: take it out"
	case !httpguts.ValidHeaderFieldValue(value):
		return "has characters in its value that none may have, such as a line end"
	}
	return ""
}

// hostPort is what is dialled for a URL.
func hostPort(of *url.URL) string {
	port := of.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[of.Scheme]
	}
	return net.JoinHostPort(of.Hostname(), port)
}

// escapedBase is the path that every target is appended to.
func (e *endpoint) escapedBase() string { return strings.TrimSuffix(e.base.EscapedPath(), "/") }
