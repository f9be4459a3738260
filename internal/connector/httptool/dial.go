// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"

	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// maxHeaderBytes bounds the header of an answer.
const maxHeaderBytes = 64 << 10

// dialer makes connections to addresses that the policy lets through.
type dialer struct {
	policy   connector.AddressPolicy
	resolver *net.Resolver
	// loopbackOnly refuses all but loopback: credentials are about to be sent in the clear.
	loopbackOnly bool
}

// dial connects. Each address that a name has is judged when it is about to be
// connected to, so what the name resolved to earlier, or will later, is no way round.
func (d dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	plain := net.Dialer{Resolver: d.resolver, Control: func(_, address string, _ syscall.RawConn) error { return d.check(address) }}
	return plain.DialContext(ctx, network, address)
}

func (d dialer) check(address string) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fault.Terminalf(connector.AddressRefusedReason, "could not use %q: it is no address with a port", address)
	}
	if err := d.policy.Check(parsed.Addr()); err != nil {
		return err
	}
	if d.loopbackOnly && !parsed.Addr().Unmap().IsLoopback() {
		return fault.Terminalf(connector.AddressRefusedReason, "could not send credentials to %s: "+
			"over http they can be read on the way: use https", parsed.Addr())
	}
	return nil
}

// transport makes the connections of one exchange: no proxy, no pool, and the
// body of an answer as it comes, so that its size can be counted.
func (d dialer) transport(config *tls.Config) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		DialContext:            d.dial,
		TLSClientConfig:        config,
		Protocols:              protocols,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// cause says why a connection failed or broke, in words that are the same every
// time: without the ports and addresses that differ from one attempt to the next.
func cause(err error) string {
	var (
		dns  *net.DNSError
		op   *net.OpError
		cert *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer within the deadline"
	case errors.Is(err, context.Canceled):
		return "whoever asked did not wait for it"
	case errors.As(err, &dns):
		return fmt.Sprintf("its name %s", dnsCause(dns))
	case errors.As(err, &cert):
		return "its certificate is not to be trusted: " + cert.Err.Error() + ": see spec.http.tls"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was complete"
	case errors.As(err, &op):
		return strings.TrimPrefix(op.Err.Error(), "connect: ")
	default:
		return err.Error()
	}
}

func dnsCause(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return "is not known to the name server"
	case err.IsTimeout:
		return "was not resolved in time"
	default:
		return "could not be resolved"
	}
}

// certificateAlerts are the alerts of TLS with which a server refuses the
// client's certificate, or the lack of one (RFC 8446, section 6.2). With TLS 1.3
// they come when the client has sent its request, which the server does not look at.
var certificateAlerts = []string{
	"bad certificate", "unsupported certificate", "revoked certificate", "expired certificate", "unknown certificate",
	"unknown certificate authority", "access denied", "certificate required",
}

// refusedCertificate tells whether the server refused us by our certificate.
func refusedCertificate(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return false
	}
	for _, alert := range certificateAlerts {
		if strings.HasSuffix(op.Err.Error(), alert) {
			return true
		}
	}
	return false
}
