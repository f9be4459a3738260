// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

func TestCredentialsAreSent(t *testing.T) {
	ref := secret
	tests := map[string]struct {
		auth   v1alpha1.HTTPAuthentication
		header string
		want   string
	}{
		"bearer":            {v1alpha1.HTTPAuthentication{Bearer: &v1alpha1.BearerAuthentication{SecretRef: ref}}, "Authorization", "Bearer " + canary},
		"a header":          {v1alpha1.HTTPAuthentication{Header: &v1alpha1.HeaderCredential{Name: "X-API-Key", SecretRef: ref}}, "X-Api-Key", canary},
		"with a prefix":     {v1alpha1.HTTPAuthentication{Header: &v1alpha1.HeaderCredential{Name: "authorization", Prefix: "SSWS ", SecretRef: ref}}, "Authorization", "SSWS " + canary},
		"basic":             {v1alpha1.HTTPAuthentication{Basic: &v1alpha1.BasicCredential{Username: "casebook", SecretRef: ref}}, "Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("casebook:"+canary))},
		"over a forgery":    {v1alpha1.HTTPAuthentication{Header: &v1alpha1.HeaderCredential{Name: "X-Forged", SecretRef: ref}}, "X-Forged", canary},
		"in canonical form": {v1alpha1.HTTPAuthentication{Header: &v1alpha1.HeaderCredential{Name: "x-api-key", SecretRef: ref}}, "X-Api-Key", canary},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				got = r.Header.Values(tc.header)
				echo(rw, r)
			}))
			defer server.Close()
			w := newWorld(t, server.URL)
			w.spec.Authentication = &tc.auth
			w.secrets.set("tool/token", canary+"\r\n") // as an editor leaves it
			w.answered(outgoing{Method: http.MethodPost, Target: "/", Header: http.Header{"X-Forged": {"a"}}})
			if len(got) != 1 || got[0] != tc.want {
				t.Errorf("the server saw %q, want %q alone", got, tc.want)
			}
		})
	}
}

func TestCredentialsAreReadAtEachExchange(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		_, _ = fmt.Fprint(rw, got, " ", canary)
	}))
	defer server.Close()
	w := newWorld(t, server.URL)
	w.answered(get)
	w.secrets.set("tool/token", secondCanary)
	in, failure := w.endpoint().exchange(t.Context(), get)
	if failure != nil || got != "Bearer "+secondCanary {
		t.Errorf("after the rotation the server saw %q (%v)", got, failure)
	}
	if want := "Bearer [secret] " + canary; string(in.Body) != want { // the old one is not known, and no secret, any more
		t.Errorf("the answer is %q, want %q", in.Body, want)
	}
}

func TestSecretsThatCannotBeUsed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	defer server.Close()
	tests := map[string]struct {
		prepare func(*world)
		outcome v1alpha1.AttemptOutcome
		reason  string
		want    string
	}{
		"one that is not there": {
			func(w *world) { delete(w.secrets.values, "tool/token") }, v1alpha1.OutcomeRefused, v1alpha1.SecretNotFoundReason, "create it"},
		"one that may not be read": {
			func(w *world) {
				w.secrets.err = fault.Terminalf(v1alpha1.SecretForbiddenReason, "could not read it: bind the role")
			},
			v1alpha1.OutcomeRefused, v1alpha1.SecretForbiddenReason, "bind the role"},
		"one that cannot be read now": {
			func(w *world) { w.secrets.err = errors.New("the API server is away") }, v1alpha1.OutcomeNotSent, connector.UnreachableReason, "is away"},
		"one that must be waited for": {
			func(w *world) { w.secrets.err = fault.Waitf("Throttled", time.Second, "later") }, v1alpha1.OutcomeNotSent, "Throttled", "later"},
		"one that is too short": {
			func(w *world) { w.secrets.set("tool/token", "abc\n") }, v1alpha1.OutcomeRefused, connector.SecretUnusableReason, "use one of at least 4"},
		"an empty one": {
			func(w *world) { w.secrets.set("tool/token", "") }, v1alpha1.OutcomeRefused, connector.SecretUnusableReason, "0 bytes long"},
		"one of several lines": {
			func(w *world) { w.secrets.set("tool/token", canary+"\r\nX-Admin: 1") }, v1alpha1.OutcomeRefused, connector.SecretUnusableReason, "line ends"},
		"a certificate that is none": {
			func(w *world) {
				w.spec.BaseURL = "https" + strings.TrimPrefix(w.spec.BaseURL, "http")
				w.spec.TLS = &v1alpha1.HTTPTLS{ClientCertificateRef: &v1alpha1.LocalRef{Name: "tool"}}
				w.secrets.set("tool/tls.crt", canary)
				w.secrets.set("tool/tls.key", canary)
			}, v1alpha1.OutcomeRefused, connector.SecretUnusableReason, "kubectl create secret tls tool"},
		"a certificate without its key": {
			func(w *world) {
				w.spec.BaseURL = "https" + strings.TrimPrefix(w.spec.BaseURL, "http")
				w.spec.TLS = &v1alpha1.HTTPTLS{ClientCertificateRef: &v1alpha1.LocalRef{Name: "tool"}}
				w.secrets.set("tool/tls.crt", canary)
			}, v1alpha1.OutcomeRefused, v1alpha1.SecretNotFoundReason, "tls.key"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, server.URL)
			tc.prepare(w)
			for range breakAfter + 1 { // none of it is the target's fault
				_, failure := w.exchange(post)
				if failure == nil || failure.Outcome != tc.outcome || failure.Reason != tc.reason || !strings.Contains(failure.Message, tc.want) {
					t.Fatalf("exchange = %+v, want %s, %s and %q", failure, tc.outcome, tc.reason, tc.want)
				}
			}
		})
	}
}

// TestClientCertificate: a target that asks for one gets it, and one that does
// not accept it has looked at nothing, which TLS 1.3 says only after the request.
func TestClientCertificate(t *testing.T) {
	certificate, key := selfSigned(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for protocol, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
			t.Run(name+" with "+protocol, func(t *testing.T) {
				requests := &seen{}
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests.add(r) }))
				server.Config.ErrorLog, server.EnableHTTP2 = discard, http2
				server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: version, MaxVersion: version}
				server.StartTLS()
				defer server.Close()
				w := newWorld(t, server.URL)
				w.spec.TLS = &v1alpha1.HTTPTLS{CABundle: pemOf(server), ClientCertificateRef: &v1alpha1.LocalRef{Name: "us"}}
				w.secrets.set("us/tls.crt", string(certificate))
				w.secrets.set("us/tls.key", string(key))
				if in := w.answered(post); in.Status != http.StatusOK || requests.count() != 1 {
					t.Errorf("the answer is %d, with %d requests", in.Status, requests.count())
				}
				other, otherKey := selfSigned(t)
				w.secrets.set("us/tls.crt", string(other))
				w.secrets.set("us/tls.key", string(otherKey))
				_, failure := w.exchange(post)
				if failure == nil || requests.count() != 1 || failure.Outcome == v1alpha1.OutcomeRefused {
					t.Fatalf("exchange with another certificate = %+v, with %d requests", failure, requests.count())
				}
				// Where the connection broke before the alert was read, doubt is what is left.
				if failure.Outcome == v1alpha1.OutcomeNotSent && (failure.Reason != connector.CredentialsRejectedReason || !strings.Contains(failure.Message, "clientCertificateRef")) {
					t.Errorf("exchange with another certificate = %+v", failure)
				}
			})
		}
	}
	t.Run("an alert is told from other ends", func(t *testing.T) {
		w := newWorld(t, "https://tool.example.com")
		alert := func(text string) error { return fmt.Errorf("read: %w", remoteError(text)) }
		for text, want := range map[string]v1alpha1.AttemptOutcome{
			"tls: bad certificate": v1alpha1.OutcomeNotSent, "tls: unknown certificate authority": v1alpha1.OutcomeNotSent,
			"tls: certificate required": v1alpha1.OutcomeNotSent, "tls: internal error": v1alpha1.OutcomeInDoubt,
		} {
			if got := w.endpoint().classify(&lost{atTarget, alert(text)}, "tool", "f"); got.Outcome != want {
				t.Errorf("%s: %s, want %s", text, got.Outcome, want)
			}
			if got := w.endpoint().classify(&lost{inAnswer, alert(text)}, "tool", "f"); got.Outcome != v1alpha1.OutcomeInDoubt {
				t.Errorf("%s within an answer: %s", text, got.Outcome)
			}
		}
	})
}

// selfSigned makes a certificate that trusts itself.
func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "casebook"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var out, outKey bytes.Buffer
	_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	_ = pem.Encode(&outKey, &pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
	return out.Bytes(), outKey.Bytes()
}

func TestCredentialsDoNotPrint(t *testing.T) {
	creds := &credentials{name: "Authorization", value: "Bearer " + canary, token: canary}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, creds); strings.Contains(got, "c4nary") {
			t.Errorf("%s prints %s", format, got)
		}
	}
}
