// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/smtp"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/test/standin/mailpit"
)

const (
	username = "casebook"
	password = `canary-p4ss w0rd/+"\é`
	mark     = "ida-7f3k2-tell"
)

var (
	now      = time.Date(2026, 11, 24, 10, 4, 11, 0, time.UTC)
	loopback = connector.AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
)

// secrets are the values of Secrets by namespace/name/key.
type secrets map[string]string

// Secret implements connector.Values.
func (s secrets) Secret(_ context.Context, namespace string, ref v1alpha1.SecretKeyRef) ([]byte, error) {
	value, ok := s[namespace+"/"+ref.Name+"/"+ref.Key]
	if !ok {
		return nil, fault.Terminalf(v1alpha1.SecretNotFoundReason, "could not read Secret %s: it does not exist: create it", ref.Name)
	}
	return []byte(value), nil
}

// ConfigMap implements connector.Values.
func (secrets) ConfigMap(context.Context, string, v1alpha1.ConfigMapKeyRef) ([]byte, error) {
	return nil, fault.Terminalf(v1alpha1.ConfigMapNotFoundReason, "there is none")
}

// dependencies are what most tests open connectors with.
func dependencies() smtp.Dependencies {
	return smtp.Dependencies{
		Values: secrets{"soc/smtp/password": password}, Policy: loopback, Clock: clocktesting.NewFakePassiveClock(now),
	}
}

// object is a Connector for a mail server.
func object(spec v1alpha1.SMTPConnector) *v1alpha1.Connector {
	if spec.From == "" {
		spec.From = "Casebook <soc@example.com>"
	}
	return &v1alpha1.Connector{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "mail"},
		Spec:       v1alpha1.ConnectorSpec{SMTP: &spec, Timeout: &metav1.Duration{Duration: 20 * time.Second}},
	}
}

func open(t testing.TB, spec v1alpha1.SMTPConnector) connector.Connector {
	t.Helper()
	conn, err := smtp.NewOpener(dependencies()).Open(object(spec))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// withPassword adds the credentials that the servers of these tests know.
func withPassword(spec v1alpha1.SMTPConnector) v1alpha1.SMTPConnector {
	spec.Username, spec.PasswordRef = username, &v1alpha1.SecretKeyRef{Name: "smtp", Key: "password"}
	return spec
}

func letter(edits ...func(map[string]any)) connector.Request {
	input := map[string]any{"to": "ana@example.com", "subject": "Your account was protected", "text": "We ended your sessions."}
	for _, edit := range edits {
		edit(input)
	}
	return connector.Request{Operation: smtp.SendMail, Input: input, Target: v1alpha1.Target{Type: "Mailbox", Name: "ana@example.com"}, Mark: mark, Key: "k"}
}

// leaks says where a text has the password, in any form that it is sent in.
func leaks(text string) bool {
	for _, form := range []string{password, "canary-p4ss", "Y2FuYXJ5LXA0c3M", "AGNhc2Vib29rAGNhbmFyeS1wNHNz"} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// servers are the mail servers that the tests of this package share, by their security, each with its own inbox: tests
// tell their messages by the recipient.
var servers struct {
	mu      sync.Mutex
	running map[mailpit.Options]*mailpit.Server
}

// server returns a running Mailpit.
func server(t testing.TB, options mailpit.Options) (*mailpit.Server, v1alpha1.SMTPConnector) {
	t.Helper()
	servers.mu.Lock()
	defer servers.mu.Unlock()
	running, ok := servers.running[options]
	if !ok {
		var err error
		if running, err = mailpit.Start(options); err != nil {
			t.Fatal(err)
		}
		servers.running[options] = running
	}
	spec := v1alpha1.SMTPConnector{Host: running.Host, Port: running.Port, CABundle: running.CABundle, TLS: v1alpha1.SMTPSecurity(options.Security)}
	if options.Username != "" {
		spec = withPassword(spec)
	}
	return running, spec
}

func TestMain(m *testing.M) {
	servers.running = map[mailpit.Options]*mailpit.Server{}
	defer func() {
		for _, running := range servers.running {
			_ = running.Stop() // a test binary that ends takes them with it in any case
		}
	}()
	m.Run()
}
