// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mailpit runs a real mail server, Mailpit, on loopback and reads what was delivered to it. The program is
// bin/mailpit, which `make assets` builds from hack/mailpit; where it is missing it is built first.
package mailpit

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/casebook-dev/casebook/test/fixture/controlplane"
	"github.com/casebook-dev/casebook/test/standin"
)

// Security is how connections to the server are protected.
type Security string

// The ways to protect connections, as in a Connector's spec.smtp.tls.
const (
	// StartTLS: commands other than STARTTLS are refused until the connection is secured.
	StartTLS Security = "StartTLS"
	// TLS: from the first byte.
	TLS Security = "TLS"
	// None: nothing.
	None Security = "None"
)

// Options say how the server behaves.
type Options struct {
	// Security is how connections are protected; StartTLS if empty.
	Security Security
	// Username and Password are what senders must sign in with; nobody needs to if they are empty.
	Username, Password string
}

// Server is a running mail server.
type Server struct {
	// Host and Port are where messages are submitted.
	Host string
	Port int32
	// CABundle is the PEM of the authority that issued the server's certificate.
	CABundle string

	api  string // the URL of its HTTP API
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Start builds the program if it is missing, starts it and returns when it takes messages. Stop it.
func Start(options Options) (*Server, error) {
	program, err := build()
	if err != nil {
		return nil, err
	}
	if options.Security == "" {
		options.Security = StartTLS
	}
	var errs []error
	for range 3 { // another process may take a port that was free
		s := &Server{Host: "127.0.0.1", done: make(chan struct{})}
		if err = s.start(program, options); err == nil {
			return s, nil
		}
		errs = append(errs, err, s.Stop())
	}
	return nil, fmt.Errorf("start %s: %w", program, errors.Join(errs...))
}

// build returns the path of the program.
func build() (string, error) {
	root, err := controlplane.Root()
	if err != nil {
		return "", err
	}
	program := filepath.Join(root, "bin", "mailpit")
	if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
		return program, err
	}
	if out, err := exec.Command(filepath.Join(root, "hack", "mailpit", "build")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build Mailpit: %w: %s", err, out)
	}
	return program, nil
}

func (s *Server) start(program string, options Options) error {
	var err error
	if s.dir, err = os.MkdirTemp("", "casebook-mailpit-"); err != nil {
		return err
	}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	s.Port, s.api = int32(ports[0]), "http://"+net.JoinHostPort(s.Host, strconv.Itoa(ports[1]))
	args := []string{
		"--smtp", net.JoinHostPort(s.Host, strconv.Itoa(ports[0])), "--listen", net.JoinHostPort(s.Host, strconv.Itoa(ports[1])),
		"--database", filepath.Join(s.dir, "mail.db"), "--disable-version-check", "--smtp-disable-rdns", "--smtp-strict-rfc-headers", "--enable-chaos",
	}
	more, err := s.secure(options)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // nothing was written through this end of it
	s.cmd = exec.Command(program, append(args, more...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.Env = []string{"HOME=" + s.dir, "TMPDIR=" + s.dir} // none of MP_…, which would count too
	s.cmd.SysProcAttr = dieWithParent()
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // it runs until it is stopped
	}()
	if err := s.awaitReady(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w; it said: %s", err, said)
	}
	return nil
}

// secure writes the files that TLS and signing in need, and returns the flags that name them.
func (s *Server) secure(options Options) ([]string, error) {
	var args []string
	if options.Username != "" {
		digest := sha1.Sum([]byte(options.Password)) // a form of htpasswd that takes any password
		users, err := s.write("users", []byte(options.Username+":{SHA}"+base64.StdEncoding.EncodeToString(digest[:])+"\n"))
		if err != nil {
			return nil, err
		}
		args = append(args, "--smtp-auth-file", users)
	}
	if options.Security == None {
		return args, nil
	}
	authority, err := standin.NewAuthority()
	if err != nil {
		return nil, err
	}
	certificate, err := authority.Issue("localhost", s.Host)
	if err != nil {
		return nil, err
	}
	cert, key, err := standin.KeyPair(certificate)
	if err != nil {
		return nil, err
	}
	s.CABundle = string(authority.PEM())
	certFile, errCert := s.write("tls.crt", cert)
	keyFile, errKey := s.write("tls.key", key)
	if err := errors.Join(errCert, errKey); err != nil {
		return nil, err
	}
	args = append(args, "--smtp-tls-cert", certFile, "--smtp-tls-key", keyFile)
	if options.Security == TLS {
		return append(args, "--smtp-require-tls"), nil
	}
	return append(args, "--smtp-require-starttls"), nil
}

// write writes a file beside the server's own and returns its path.
func (s *Server) write(name string, content []byte) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, content, 0o600)
}

// Stop ends the server and removes what it kept. Again is no harm.
func (s *Server) Stop() error {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill() // it has ended already, or it ends now
		<-s.done
	}
	return os.RemoveAll(s.dir)
}

// freePorts returns ports of loopback that nobody listened on a moment ago.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() //nolint:errcheck // it listened only to hold the port until all are found
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
