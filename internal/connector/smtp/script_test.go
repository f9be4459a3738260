// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/standin"
)

// What a scripted server can do in place of an answer.
const (
	cut    = "cut"    // it cuts the connection
	hang   = "hang"   // it says nothing more
	half   = "half"   // it says the first line of several, and cuts the connection
	babble = "babble" // it says an answer that never ends
	early  = "early"  // it cuts the connection in the middle of the message, before its end
)

// script is a mail server that answers commands as it was told: by the first word of the command, by "greeting", and by
// "end" for the end of a message. What it was not told it answers as a server should.
type script struct {
	answers map[string]string
	config  *tls.Config // nil: it offers no STARTTLS
	listen  net.Listener
	spec    v1alpha1.SMTPConnector
	arrived chan struct{} // closed when the end of the first message arrived
	relay   *relay        // nil: messages end here

	mu       sync.Mutex
	commands []string // all of them, without credentials
	messages []string // those whose end arrived
	conns    []net.Conn
	serving  sync.WaitGroup
}

// scripted starts a server without TLS, or with a certificate if secure is set.
func scripted(t testing.TB, answers map[string]string, authority *standin.Authority) *script {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{answers: answers, listen: listener, arrived: make(chan struct{})}
	s.spec = v1alpha1.SMTPConnector{Host: "127.0.0.1", Port: int32(listener.Addr().(*net.TCPAddr).Port), TLS: v1alpha1.SMTPNone}
	if authority != nil {
		certificate, err := authority.Issue("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		s.config = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		s.spec.TLS, s.spec.CABundle = v1alpha1.SMTPStartTLS, string(authority.PEM())
	}
	s.serving.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

func (s *script) accept() {
	for {
		conn, err := s.listen.Accept()
		if err != nil {
			return // it was stopped
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.serving.Go(func() {
			defer conn.Close() //nolint:errcheck // the other side has what it has
			s.serve(conn)
		})
	}
}

func (s *script) stop() {
	_ = s.listen.Close()
	s.mu.Lock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// tell changes an answer.
func (s *script) tell(to, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[to] = answer
}

// seen are the commands so far, and the messages whose end arrived.
func (s *script) seen() (commands, messages []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...), append([]string(nil), s.messages...)
}

// serve holds one conversation.
func (s *script) serve(conn net.Conn) {
	reader := bufio.NewReader(conn)
	if !s.say(conn, "greeting", "220 mail.example.com ready") {
		return
	}
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		s.mu.Lock()
		s.commands = append(s.commands, verb)
		s.mu.Unlock()
		if verb == "MAIL" && s.relay != nil && !s.relay.reachable() || !s.say(conn, verb, s.usual(verb)) {
			return
		}
		switch {
		case verb == "STARTTLS" && s.config != nil:
			conn = tls.Server(conn, s.config)
			reader = bufio.NewReader(conn)
		case verb == "DATA" && s.answers[verb] == "" && !s.message(conn, reader), verb == "QUIT":
			return
		}
	}
}

func (s *script) usual(verb string) string {
	switch verb {
	case "EHLO":
		if s.config == nil {
			return "250 mail.example.com"
		}
		return "250-mail.example.com\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN"
	case "STARTTLS", "QUIT":
		return "220 go on"
	case "AUTH":
		return "235 welcome"
	case "DATA":
		return "354 go on"
	default:
		return "250 ok"
	}
}

// message reads a message, and answers its end.
func (s *script) message(conn net.Conn, reader *bufio.Reader) bool {
	if s.answers["end"] == early {
		_, _ = io.ReadFull(reader, make([]byte, 16))
		return false
	}
	var text strings.Builder
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(line)
	}
	s.mu.Lock()
	if len(s.messages) == 0 {
		close(s.arrived)
	}
	s.messages = append(s.messages, text.String())
	s.mu.Unlock()
	if s.relay != nil {
		return s.say(conn, "end", s.relay.pass(conn, text.String()))
	}
	return s.say(conn, "end", "250 2.0.0 queued as 4F2A")
}

// say answers, and tells whether the conversation goes on.
func (s *script) say(conn net.Conn, to, usual string) bool {
	s.mu.Lock()
	told, ok := s.answers[to]
	s.mu.Unlock()
	if !ok {
		told = usual
	}
	switch told {
	case cut:
		return false
	case hang:
		_, _ = io.Copy(io.Discard, conn) // until the client gives up
		return false
	case half:
		_, _ = io.WriteString(conn, "250-2.0.0 que\r\n")
		return false
	case babble:
		for line := strings.Repeat("250-more and more\r\n", 1000); ; {
			if _, err := io.WriteString(conn, line); err != nil {
				return false
			}
		}
	}
	_, err := io.WriteString(conn, told+"\r\n")
	return err == nil
}
