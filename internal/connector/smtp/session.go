// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
	"syscall"
	"time"

	gosmtp "github.com/wneessen/go-mail/smtp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/redact"
)

// maxAnswers bounds what is read from a server in one session, in bytes, TLS included.
const maxAnswers = 256 << 10

// quitting bounds the leave-taking.
const quitting = 2 * time.Second

// session is a conversation with a server that has let us in.
type session struct {
	client  *gosmtp.Client
	conn    net.Conn
	host    string // and port
	secrets redact.Redactor
	stop    func() bool // ends the watch over conn
}

// rejectedError says that the server does not accept the credentials.
type rejectedError struct{ words string }

// Error implements error.
func (e *rejectedError) Error() string { return e.words }

// open connects, secures the connection and signs in, by the deadline of ctx. Nothing of a message is sent.
func (c *connection) open(ctx context.Context) (*session, error) {
	s := &session{host: c.address}
	password, err := c.password(ctx, &s.secrets)
	if err != nil {
		return nil, err
	}
	if s.conn, err = c.dial(ctx); err != nil {
		return nil, s.problem("connect to", err)
	}
	s.stop = watch(ctx, s.conn)
	err = c.greet(ctx, s)
	if err == nil {
		err = c.authenticate(s, password)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// password reads the password, if the spec has one, and has it redacted from then on, also as it is sent.
func (c *connection) password(ctx context.Context, secrets *redact.Redactor) (string, error) {
	if c.spec.PasswordRef == nil {
		return "", nil
	}
	password, err := connector.ReadSecret(ctx, c.Values, c.namespace, *c.spec.PasswordRef, secrets)
	if err != nil {
		return "", err
	}
	secrets.Add([]byte("\x00" + c.spec.Username + "\x00" + string(password))) // of PLAIN (RFC 4616), in base64
	return string(password), nil
}

// dial connects. Each address that the name has is judged when it is about to be connected to.
func (c *connection) dial(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Resolver: c.Resolver, Control: func(_, address string, _ syscall.RawConn) error {
		parsed, err := netip.ParseAddrPort(address)
		if err != nil {
			return fault.Terminalf(connector.AddressRefusedReason, "could not use %q: it is no address with a port", address)
		}
		return c.Policy.Check(parsed.Addr())
	}}
	return dialer.DialContext(ctx, "tcp", c.address)
}

// watch ends every read and write of the connection when ctx ends, its deadline included, until stop is called.
func watch(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.Close() })
}

// greet begins the conversation, under TLS unless the spec says otherwise.
func (c *connection) greet(ctx context.Context, s *session) error {
	var stream net.Conn = &bounded{Conn: s.conn, left: maxAnswers}
	if c.spec.TLS == v1alpha1.SMTPTLS {
		secured := tls.Client(stream, c.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return s.problem("make a TLS connection to", err)
		}
		stream = secured
	}
	client, err := gosmtp.NewClient(stream, c.tls.ServerName)
	if err != nil {
		return s.problem("be greeted by", err)
	}
	s.client = client
	client.SkipSMTPUTF8(true) // all that is sent is ASCII
	if err := client.Hello(literal(s.conn.LocalAddr())); err != nil {
		return s.problem("introduce itself to", err)
	}
	if c.spec.TLS != v1alpha1.SMTPStartTLS {
		return nil
	}
	if offered, _ := client.Extension("STARTTLS"); !offered {
		return fmt.Errorf("could not secure the connection to %s: it does not offer STARTTLS: "+
			"use another port, or another value of spec.smtp.tls", s.host)
	}
	if err := client.StartTLS(c.tls); err != nil {
		return s.problem("secure the connection to", err)
	}
	return nil
}

// authenticate signs in, if the spec has credentials. They are sent under TLS alone, which Open has seen to.
func (c *connection) authenticate(s *session, password string) error {
	if c.spec.Username == "" {
		return nil
	}
	if _, secured := s.client.TLSConnectionState(); !secured {
		return fmt.Errorf("could not sign in to %s: the connection is not secured", s.host)
	}
	_, offered := s.client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	var auth gosmtp.Auth
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		auth = gosmtp.PlainAuth("", c.spec.Username, password, c.tls.ServerName, false)
	case slices.Contains(mechanisms, "LOGIN"):
		auth = gosmtp.LoginAuth(c.spec.Username, password, c.tls.ServerName, false)
	default:
		return fmt.Errorf("could not sign in to %s: it offers neither PLAIN nor LOGIN (RFC 4954)", s.host)
	}
	err := s.client.Auth(auth)
	if answer, ok := errors.AsType[*textproto.Error](err); ok && answer.Code >= 500 {
		return &rejectedError{fmt.Sprintf("could not sign in to %s as %s: %s: renew the password in Secret %s",
			s.host, c.spec.Username, s.words(err), c.spec.PasswordRef.Name)}
	}
	if err != nil {
		return s.problem("sign in to", err)
	}
	return nil
}

// submit sends one message. The server has it when it has answered the end of the data, and not before that was sent.
func (s *session) submit(from, to string, message []byte) connector.Result {
	if err := s.client.Mail("<" + from + ">"); err != nil {
		return s.unsent("the sender", err)
	}
	if err := s.client.Rcpt("<" + to + ">"); err != nil {
		return s.unsent("the recipient", err)
	}
	data, err := s.client.Data()
	if err != nil {
		return s.unsent("a message", err)
	}
	_, err = data.Write(message)
	if err == nil {
		err = s.client.Text.W.Flush()
	}
	if err != nil { // the end was not sent, so what arrived is no message
		return s.unsent("a message", err)
	}
	err = data.Close()
	answer, answered := errors.AsType[*textproto.Error](err)
	switch {
	case err == nil:
		return connector.Result{Outcome: v1alpha1.OutcomeAcknowledged, Message: s.accepted(data)}
	case answered && answer.Code >= 400 && answer.Code < 600: // it speaks of the whole message, and does not take it
		return s.unsent("the message", err)
	default:
		return connector.Failed(v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason,
			"could not learn whether %s took the message: all of it was sent, and then: %s", s.host, s.words(err))
	}
}

// accepted is what the server said when it took the message, such as the name that it has in its queue.
func (s *session) accepted(data io.Writer) string {
	said := ""
	if closer, ok := data.(*gosmtp.DataCloser); ok {
		said = ": " + oneLine(s.secrets.Text(closer.ServerResponse()))
	}
	return "accepted by " + s.host + said
}

// unsent is the result of an answer, or the lack of one, by which the server has not taken the message.
func (s *session) unsent(what string, err error) connector.Result {
	answer, answered := errors.AsType[*textproto.Error](err)
	switch {
	case !answered:
		reason := connector.UnreachableReason
		if errors.Is(err, net.ErrClosed) {
			reason = v1alpha1.DeadlinePassedReason
		}
		return connector.Failed(v1alpha1.OutcomeNotSent, reason, "nothing was sent: %s broke off: %s", s.host, s.words(err))
	case answer.Code == 530 || answer.Code == 535 || answer.Code == 538: // RFC 4954, section 6
		return connector.Failed(v1alpha1.OutcomeRefused, connector.CredentialsRejectedReason, "%s refused %s: %s", s.host, what, s.words(err))
	case answer.Code >= 500 && answer.Code < 600 && strings.HasPrefix(answer.Msg, "5.7."): // RFC 3463, section 3.8: by policy
		return connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.TargetForbiddenReason, "%s does not allow %s: %s", s.host, what, s.words(err))
	case answer.Code >= 500 && answer.Code < 600:
		return connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.RefusedReason, "%s refused %s: %s", s.host, what, s.words(err))
	case answer.Code >= 400 && answer.Code < 500:
		return connector.Failed(v1alpha1.OutcomeNotSent, connector.RateLimitedReason, "%s does not take %s now: %s", s.host, what, s.words(err))
	default:
		return connector.Failed(v1alpha1.OutcomeNotSent, connector.UnreachableReason, "nothing was sent: %s answered what it may not: %s", s.host, s.words(err))
	}
}

// problem is the error of a step before any message. A Terminal one stays so.
func (s *session) problem(doing string, err error) error {
	if terminal, ok := errors.AsType[*fault.Terminal](err); ok {
		return terminal
	}
	return fmt.Errorf("could not %s mail server %s: %s", doing, s.host, s.words(err))
}

// words are an error's message without addresses and ports that differ each time, without secrets, on one line.
func (s *session) words(err error) string {
	text := err.Error()
	timeout, isNet := errors.AsType[net.Error](err)
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		text = fmt.Sprintf("%03d %s", answer.Code, answer.Msg) // its own Error quotes, and what is escaped is not found any more
	} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		text += ": if it is right, give its authority in spec.smtp.caBundle"
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		text = "the connection was closed"
	} else if errors.Is(err, net.ErrClosed) || isNet && timeout.Timeout() {
		text = "the time was over"
	} else if operation, ok := errors.AsType[*net.OpError](err); ok {
		text = operation.Err.Error()
	}
	return oneLine(s.secrets.Text(text))
}

// leave takes leave, if the server still listens, and closes the connection.
func (s *session) leave() {
	_ = s.conn.SetDeadline(time.Now().Add(quitting)) // a server that does not answer keeps nobody
	_ = s.client.Quit()                              // what is done is done, whatever it says
	s.close()
}

func (s *session) close() {
	s.stop()
	_ = s.conn.Close() // what matters has happened
}

// literal is how a client without a name introduces itself (RFC 5321, section 4.1.3).
func literal(address net.Addr) string {
	parsed, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return "localhost"
	}
	addr := parsed.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return "[" + addr.String() + "]"
	}
	return "[IPv6:" + addr.String() + "]"
}

// bounded is a connection from which only so much is read: a server that never ends an answer fills no memory.
type bounded struct {
	net.Conn
	left int
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the server said more than %d bytes", maxAnswers)
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
