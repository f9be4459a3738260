// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

func TestSpecsThatCannotWork(t *testing.T) {
	oauth := func(url string) *v1alpha1.HTTPAuthentication {
		return &v1alpha1.HTTPAuthentication{OAuth2: &v1alpha1.OAuth2Credential{TokenURL: url, ClientID: "c", SecretRef: secret}}
	}
	tests := map[string]struct {
		change func(*v1alpha1.HTTPConnector)
		reason string // InvalidSpec if empty
		want   string
	}{
		"no URL":                  {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL = "" }, want: "spec.http.baseURL"},
		"another scheme":          {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL = "ftp://example.com" }, want: "spec.http.baseURL"},
		"no host":                 {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL = "https:///v1" }, want: "with a host"},
		"a bad escape":            {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL = "https://example.com/%zz" }, want: "it is no URL"},
		"a user":                  {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL = "https://ana:" + secondCanary + "@example.com" }, want: "put credentials under spec.http.authentication"},
		"a query":                 {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL = "https://example.com/?a=b" }, want: "has a query"},
		"a fragment":              {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL = "https://example.com/#a" }, want: "has a fragment"},
		"a forbidden address":     {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL = "https://169.254.169.254" }, reason: connector.AddressRefusedReason, want: "spec.http.baseURL: could not connect to 169.254.169.254"},
		"an address of version 6": {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL = "https://[fe80::1]" }, reason: connector.AddressRefusedReason, want: "--allow-addresses"},
		"no certificate":          {change: func(s *v1alpha1.HTTPConnector) { s.TLS = &v1alpha1.HTTPTLS{CABundle: "none"} }, want: "spec.http.tls.caBundle"},
		"a certificate that is broken": {change: func(s *v1alpha1.HTTPConnector) {
			s.TLS = &v1alpha1.HTTPTLS{CABundle: "-----BEGIN CERTIFICATE-----\n"}
		}, want: "could not open connector soc/tool: spec.http.tls.caBundle: block 1 is no PEM that can be read"},
		"TLS without https":     {change: func(s *v1alpha1.HTTPConnector) { s.BaseURL, s.TLS = "http://127.0.0.1", &v1alpha1.HTTPTLS{} }, want: "spec.http.tls"},
		"a header that is ours": {change: func(s *v1alpha1.HTTPConnector) { s.Headers = []v1alpha1.HTTPField{{Name: "host", Value: "a"}} }, want: "spec.http.headers[0]"},
		"a header of two lines": {change: func(s *v1alpha1.HTTPConnector) { s.Headers = []v1alpha1.HTTPField{{Name: "X-A", Value: "a\nb"}} }, want: "line end"},
		"a credential that is no secret": {change: func(s *v1alpha1.HTTPConnector) {
			s.Headers = []v1alpha1.HTTPField{{Name: "authorization", Value: "Bearer " + secondCanary}}
		}, want: "use spec.http.authentication"},
		"a header with an expression": {change: func(s *v1alpha1.HTTPConnector) {
			s.Headers = []v1alpha1.HTTPField{{Name: "X-User", Value: "${input.user}"}}
		}, want: "holds an expression"},
		"no way to authenticate": {change: func(s *v1alpha1.HTTPConnector) { s.Authentication = &v1alpha1.HTTPAuthentication{} }, want: "spec.http.authentication"},
		"a username with a colon": {change: func(s *v1alpha1.HTTPConnector) {
			s.Authentication = &v1alpha1.HTTPAuthentication{Basic: &v1alpha1.BasicCredential{Username: "a:b", SecretRef: secret}}
		}, want: "basic.username"},
		"a credential in a header that is ours": {change: func(s *v1alpha1.HTTPConnector) {
			s.Authentication = &v1alpha1.HTTPAuthentication{Header: &v1alpha1.HeaderCredential{Name: "Connection", SecretRef: secret}}
		}, want: "spec.http.authentication.header"},
		"a prefix of two lines": {change: func(s *v1alpha1.HTTPConnector) {
			s.Authentication = &v1alpha1.HTTPAuthentication{Header: &v1alpha1.HeaderCredential{Name: "A", Prefix: "a\r\n", SecretRef: secret}}
		}, want: "spec.http.authentication.header"},
		"a token endpoint that is none":     {change: func(s *v1alpha1.HTTPConnector) { s.Authentication = oauth("login") }, want: "oauth2.tokenURL"},
		"a token endpoint over http":        {change: func(s *v1alpha1.HTTPConnector) { s.Authentication = oauth("http://192.0.2.1/t") }, reason: connector.AddressRefusedReason, want: "use https"},
		"a token endpoint that is metadata": {change: func(s *v1alpha1.HTTPConnector) { s.Authentication = oauth("https://169.254.169.254/t") }, reason: connector.AddressRefusedReason, want: "metadata"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "https://tool.example.com/v1")
			tc.change(&w.spec)
			_, err := w.made.get(w.object())
			terminal, ok := errors.AsType[*fault.Terminal](err)
			want := tc.reason
			if want == "" {
				want = v1alpha1.InvalidSpecReason
			}
			if !ok || terminal.Reason != want || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), secondCanary) {
				t.Errorf("get = %v, want a Terminal error with %s and %q", err, want, tc.want)
			}
		})
	}
	if _, err := newEndpoints(Dependencies{}).get(&v1alpha1.Connector{}); err == nil {
		t.Error("get of another kind of connector = nil")
	}
}

func TestEndpointsAreKept(t *testing.T) {
	w := newWorld(t, "https://tool.example.com")
	first := w.endpoint()
	if w.endpoint() != first {
		t.Error("the same spec has another endpoint")
	}
	recreated := w.object()
	recreated.UID = "2"
	if other, err := w.made.get(recreated); err != nil || other == first {
		t.Errorf("another Connector of the same name has the same endpoint (%v)", err)
	}
	w.spec.MaxBytes++
	if w.endpoint() == first {
		t.Error("a changed spec has the same endpoint")
	}
	kept := w.endpoint()
	for i := range maxEndpoints + 10 {
		object := w.object()
		object.Namespace = fmt.Sprint("team-", i)
		if _, err := w.made.get(object); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 && w.endpoint() != kept {
			t.Fatalf("an endpoint in use was forgotten after %d others", i)
		}
	}
	if len(w.made.kept) != maxEndpoints {
		t.Errorf("%d endpoints are kept, not %d", len(w.made.kept), maxEndpoints)
	}
}

// TestCheck: it connects and authenticates as far as that goes without a request to the target.
func TestCheck(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	defer server.Close()
	server.Config.ErrorLog = discard
	closed := listen(t, "127.0.0.1:0")
	_ = closed.Close()
	tests := map[string]struct {
		change func(*world)
		reason string // of a Terminal error
		want   string // in the error; empty: none
	}{
		"all is well":                {change: func(*world) {}},
		"nobody listens":             {change: func(w *world) { w.spec.BaseURL = "https://" + closed.Addr().String() }, want: "connection refused"},
		"the authority is not known": {change: func(w *world) { w.spec.TLS = nil }, want: "not to be trusted"},
		"there is no Secret":         {change: func(w *world) { w.secrets.values = nil }, reason: v1alpha1.SecretNotFoundReason, want: "create it"},
		"the address is not allowed": {change: func(w *world) {
			w.made.dependencies.Policy = connector.AddressPolicy{}
			w.spec.BaseURL = "https://localhost"
		}, reason: connector.AddressRefusedReason, want: "--allow-addresses"},
		"the client is not known": {change: func(w *world) {
			a := newAuthorizationServer(w.t)
			a.secret = secondCanary
			w.spec.Authentication = &v1alpha1.HTTPAuthentication{OAuth2: &v1alpha1.OAuth2Credential{TokenURL: a.URL, ClientID: "casebook client", SecretRef: secret}}
		}, reason: connector.CredentialsRejectedReason, want: "no client has the secret: check spec"},
		"it must be waited for": {change: func(w *world) { w.secrets.err = fault.Waitf("Throttled", time.Second, "later") }, want: "later"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, server.URL)
			w.spec.TLS = &v1alpha1.HTTPTLS{CABundle: pemOf(server)}
			tc.change(w)
			err := w.endpoint().check(t.Context())
			if tc.want == "" {
				if err != nil {
					t.Errorf("check = %v", err)
				}
				return
			}
			terminal, ok := errors.AsType[*fault.Terminal](err)
			if err == nil || !strings.Contains(err.Error(), tc.want) || ok != (tc.reason != "") || ok && terminal.Reason != tc.reason {
				t.Errorf("check = %v, want %q with reason %q", err, tc.want, tc.reason)
			}
			w.clean(nil, &exchangeError{Reason: "-", Message: err.Error()})
		})
	}
	w := newWorld(t, server.URL)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.endpoint().check(ctx); err == nil {
		t.Error("check of a caller who gave up = nil")
	}
}

// TestServerNameIsThatOfTheTarget: a token endpoint elsewhere goes by its own name.
func TestServerNameIsThatOfTheTarget(t *testing.T) {
	var mu sync.Mutex
	var names []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(rw, `{"access_token":"%s"}`, tokenCanary)
	}))
	server.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		names = append(names, hello.ServerName)
		return nil, nil
	}}
	server.StartTLS()
	defer server.Close()
	port := strings.TrimPrefix(server.URL, "https://127.0.0.1:")
	for tokenHost, want := range map[string][]string{
		"127.0.0.1": {"", "example.com"}, "tool.example.org": {"example.com", "example.com"}, // an address is no name to ask for
	} {
		w := newWorld(t, "https://tool.example.org:"+port)
		w.made.dependencies.Resolver = newNameServer(t, []string{"127.0.0.1"}).resolver()
		w.spec.TLS = &v1alpha1.HTTPTLS{CABundle: pemOf(server), ServerName: "example.com"}
		w.spec.Authentication = &v1alpha1.HTTPAuthentication{OAuth2: &v1alpha1.OAuth2Credential{
			TokenURL: "https://" + tokenHost + ":" + port + "/token", ClientID: "c", SecretRef: secret,
		}}
		names = nil
		w.answered(get)
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("with a token endpoint at %s: %s", tokenHost, diff)
		}
	}
}
