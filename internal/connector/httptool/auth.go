// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/redact"
)

// credentials are what one exchange proves itself with. They live as long as it does.
type credentials struct {
	name, value string // the header; empty for none
	token       string // the OAuth token within it; empty for none
	kept        bool   // the token was obtained for an earlier exchange
	tls         *tls.Config
	secrets     *redact.Redactor
}

// credentials reads the Secrets and obtains a token where one is needed. The
// redactor knows what was read also when there is an error.
func (e *endpoint) credentials(ctx context.Context) (*credentials, *exchangeError) {
	out := &credentials{secrets: &redact.Redactor{}}
	config, err := e.tlsConfig(ctx)
	if err != nil {
		return out, refused(ctx, err)
	}
	out.tls = config
	auth := e.spec.Authentication
	switch {
	case auth == nil:
	case auth.Header != nil:
		err = e.fixed(ctx, out, auth.Header.SecretRef, auth.Header.Name, auth.Header.Prefix)
	case auth.Bearer != nil:
		err = e.fixed(ctx, out, auth.Bearer.SecretRef, "Authorization", "Bearer ")
	case auth.Basic != nil:
		var password []byte
		if password, err = e.secret(ctx, out.secrets, auth.Basic.SecretRef); err == nil {
			out.name, out.value = "Authorization", basic(out.secrets, auth.Basic.Username, string(password))
		}
	case auth.OAuth2 != nil:
		return out, e.authorize(ctx, out, *auth.OAuth2)
	}
	if err != nil {
		return out, refused(ctx, err)
	}
	return out, nil
}

// fixed puts a secret into a header.
func (e *endpoint) fixed(ctx context.Context, out *credentials, ref v1alpha1.SecretKeyRef, name, prefix string) error {
	secret, err := e.secret(ctx, out.secrets, ref)
	if err != nil {
		return err
	}
	if !httpguts.ValidHeaderFieldValue(string(secret)) {
		return fault.Terminalf(connector.SecretUnusableReason, "could not use Secret %s/%s: the value of key %s has line ends or control characters, "+
			"which a header cannot hold: write it anew", e.namespace, ref.Name, ref.Key)
	}
	out.name, out.value = name, prefix+string(secret)
	return nil
}

// basic are the credentials of RFC 7617.
func basic(secrets *redact.Redactor, username, password string) string {
	pair := username + ":" + password
	secrets.Add([]byte(pair))
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

// secret reads one key, and has it redacted from then on.
func (e *endpoint) secret(ctx context.Context, secrets *redact.Redactor, ref v1alpha1.SecretKeyRef) ([]byte, error) {
	return connector.ReadSecret(ctx, e.Values, e.namespace, ref, secrets)
}

// tlsConfig is whom to trust and who we are; nil if nothing is sent over TLS.
func (e *endpoint) tlsConfig(ctx context.Context) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: e.roots}
	spec := e.spec.TLS
	if spec == nil {
		return config, nil
	}
	config.ServerName = spec.ServerName
	if spec.ClientCertificateRef == nil {
		return config, nil
	}
	name := spec.ClientCertificateRef.Name
	certificate, err := e.Values.Secret(ctx, e.namespace, v1alpha1.SecretKeyRef{Name: name, Key: "tls.crt"})
	if err != nil {
		return nil, err
	}
	key, err := e.Values.Secret(ctx, e.namespace, v1alpha1.SecretKeyRef{Name: name, Key: "tls.key"})
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil { // not said further: it may quote what it could not read
		return nil, fault.Terminalf(connector.SecretUnusableReason, "could not use Secret %s/%s: tls.crt and tls.key are not a certificate and its key in PEM: "+
			"make it with: kubectl create secret tls %s --cert=FILE --key=FILE", e.namespace, name, name)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// checkAuthentication refuses what cannot work.
func (e *endpoint) checkAuthentication(auth *v1alpha1.HTTPAuthentication) error {
	const field = "spec.http.authentication"
	switch {
	case auth == nil:
		return nil
	case auth.Header != nil:
		if why := badHeader(auth.Header.Name, auth.Header.Prefix); why != "" {
			return invalidField(field+".header", "header %q %s", auth.Header.Name, why)
		}
		return nil
	case auth.Bearer != nil:
		return nil
	case auth.Basic != nil:
		if strings.ContainsFunc(auth.Basic.Username, func(r rune) bool { return r == ':' || r < ' ' || r == 0x7f }) {
			return invalidField(field+".basic.username", "%q holds a colon or a control character, which RFC 7617 has no way to send", auth.Basic.Username)
		}
		return nil
	case auth.OAuth2 != nil:
		server, err := checkURL(field+".oauth2.tokenURL", auth.OAuth2.TokenURL)
		if err != nil {
			return err
		}
		e.tokenURL = server
		return e.checkHost(field+".oauth2.tokenURL", server, true)
	default:
		return invalidField(field, "it names no way to authenticate: write one of header, bearer, basic, oauth2, or take it out")
	}
}

// apply puts the credentials on a request, over whatever it has in their place.
func (c *credentials) apply(header http.Header) {
	if c.name != "" {
		header.Set(c.name, c.value)
	}
}

// String keeps credentials out of whatever formats a struct.
func (c *credentials) String() string { return fmt.Sprintf("credentials in header %q", c.name) }

// GoString is String.
func (c *credentials) GoString() string { return c.String() }

// rejected is a credential that the other side does not accept.
func rejected(format string, args ...any) *exchangeError {
	return &exchangeError{Outcome: v1alpha1.OutcomeNotSent, Reason: connector.CredentialsRejectedReason, Message: fmt.Sprintf(format, args...)}
}
