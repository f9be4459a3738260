// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"

	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Dependencies are what connections are made with.
type Dependencies struct {
	// Values reads the password, at each exchange.
	Values connector.Values
	// Policy says which addresses may be dialled.
	Policy connector.AddressPolicy
	// Clock gives messages their date; nil means the machine's.
	Clock clock.PassiveClock
	// Resolver resolves names; nil means the machine's.
	Resolver *net.Resolver
}

// Opener opens connectors whose spec has smtp. Use NewOpener.
type Opener struct{ Dependencies }

var _ connector.Opener = (*Opener)(nil)

// NewOpener returns an Opener.
func NewOpener(d Dependencies) *Opener {
	if d.Clock == nil {
		d.Clock = clock.RealClock{}
	}
	return &Opener{d}
}

// Open implements connector.Opener.
func (o *Opener) Open(object *v1alpha1.Connector) (connector.Connector, error) {
	if object.Spec.SMTP == nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "could not open connector %s: spec.smtp is missing", object.Name)
	}
	effective := object.Spec.Effective()
	spec := *effective.SMTP
	invalid := func(format string, args ...any) error {
		return fault.Terminalf(v1alpha1.InvalidSpecReason, "could not open connector "+object.Name+": "+format, args...)
	}
	from, err := mail.ParseAddress(spec.From)
	if err != nil || !plainAddress(from.Address) {
		return nil, invalid("spec.smtp.from is no address: write one such as Casebook <soc@example.com>")
	}
	from.Name = oneLine(from.Name)
	switch spec.TLS {
	case v1alpha1.SMTPStartTLS, v1alpha1.SMTPTLS:
	case v1alpha1.SMTPNone:
		if spec.Username != "" || spec.PasswordRef != nil {
			return nil, invalid("spec.smtp.username needs TLS: credentials are not sent over a connection that anyone can read")
		}
	default:
		return nil, invalid("spec.smtp.tls %q is not one of StartTLS, TLS, None", spec.TLS)
	}
	if (spec.Username == "") != (spec.PasswordRef == nil) {
		return nil, invalid("spec.smtp has one of username and passwordRef: give both, or neither")
	}
	config, err := tlsConfig(spec)
	if err != nil {
		return nil, invalid("%w", err)
	}
	return &connection{
		Dependencies: o.Dependencies, namespace: object.Namespace, spec: spec, from: *from, tls: config, timeout: effective.Timeout.Duration,
		address: net.JoinHostPort(strings.Trim(spec.Host, "[]"), strconv.Itoa(int(spec.Port))),
	}, nil
}

func tlsConfig(spec v1alpha1.SMTPConnector) (*tls.Config, error) {
	config := &tls.Config{ServerName: strings.Trim(spec.Host, "[]"), MinVersion: tls.VersionTLS12}
	if spec.CABundle == "" {
		return config, nil
	}
	var err error
	if config.RootCAs, err = connector.Authorities(spec.CABundle); err != nil {
		return nil, fmt.Errorf("spec.smtp.caBundle: %w", err)
	}
	return config, nil
}
