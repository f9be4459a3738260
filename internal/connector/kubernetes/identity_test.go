// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/kubernetes"
	"github.com/casebook-dev/casebook/internal/fault"
)

// terminal is the reason of a Terminal error, or empty.
func terminal(err error) string {
	if t, ok := errors.AsType[*fault.Terminal](err); ok {
		return t.Reason
	}
	return ""
}

func TestProbe(t *testing.T) {
	if err := open(t, operator, connectorObject(responder)).Probe(t.Context()); err != nil {
		t.Errorf("Probe of a lent ServiceAccount = %v", err)
	}
	unlent := open(t, operator, connectorObject("unlent"))
	err := unlent.Probe(t.Context())
	if terminal(err) != connector.ImpersonationForbiddenReason {
		t.Fatalf("Probe of a ServiceAccount that is not lent = %v, want a Terminal ImpersonationForbidden", err)
	}
	contains(t, err.Error(), "soc/unlent", "casebook-system/casebook-controllers")
	request := connector.Request{Operation: kubernetes.IsolatePod, Input: map[string]any{"namespace": "shop", "name": "web", "uid": "u"}, Mark: mark}
	request.Target, _ = unlent.Target(request.Operation, request.Input)
	if result := unlent.Do(t.Context(), request); result.Outcome != v1alpha1.OutcomeRefused || result.Reason != connector.ImpersonationForbiddenReason {
		t.Errorf("Do = %+v, want Refused, ImpersonationForbidden", result)
	}
	runCommand(t, err.Error())
	err = awaitAccess(t.Context(), operating, true, authorizationv1.ResourceAttributes{Namespace: tenant, Verb: "impersonate", Resource: "serviceaccounts", Name: "unlent"})
	if err != nil {
		t.Fatal(err)
	}
	if err := unlent.Probe(t.Context()); err != nil {
		t.Errorf("Probe after the command = %v", err)
	}
}

// The operator may do nothing to pods; an administrator behind the same
// connector gains nothing either, because the connector acts as the tenant.
func TestTheBaseIdentityLendsNoPower(t *testing.T) {
	s := newShop(t, nil)
	conn := open(t, plane.Config(), connectorObject(responder))
	_, err := conn.Read(t.Context(), kubernetes.GetPod, map[string]any{"namespace": s.name, "name": "web"})
	if terminal(err) != v1alpha1.TargetForbiddenReason {
		t.Errorf("Read = %v, want a Terminal TargetForbidden", err)
	}
	if result := conn.Do(t.Context(), s.request(kubernetes.IsolatePod)); result.Outcome != v1alpha1.OutcomeRefused {
		t.Errorf("Do = %+v, want Refused", result)
	}
}

func TestOpenRefusesWhatWouldNotImpersonate(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.Connector){
		"no kubernetes":              func(c *v1alpha1.Connector) { c.Spec.Kubernetes = nil },
		"no ServiceAccount":          func(c *v1alpha1.Connector) { c.Spec.Kubernetes.ServiceAccountRef.Name = "" },
		"a name that is a user's":    func(c *v1alpha1.Connector) { c.Spec.Kubernetes.ServiceAccountRef.Name = "a:b" },
		"a name out of another path": func(c *v1alpha1.Connector) { c.Spec.Kubernetes.ServiceAccountRef.Name = "../x" },
		"no namespace":               func(c *v1alpha1.Connector) { c.Namespace = "" },
	} {
		t.Run(name, func(t *testing.T) {
			object := connectorObject(responder)
			change(object)
			if _, err := kubernetes.New(operator, operating).Open(object); terminal(err) != v1alpha1.InvalidSpecReason {
				t.Errorf("Open = %v, want a Terminal InvalidSpec", err)
			}
		})
	}
}

func TestEveryRequestImpersonates(t *testing.T) {
	var requests, others atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Impersonate-User") != "system:serviceaccount:soc:casebook-responder" || r.Header.Get("Impersonate-Group") != "" {
			others.Add(1)
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	base := &rest.Config{Host: server.URL, Impersonate: rest.ImpersonationConfig{UserName: "someone", Groups: []string{"system:masters"}}, QPS: 0.001, Burst: 1}
	conn := open(t, base, connectorObject(responder))
	request := podRequest(t, conn)
	_, _ = conn.Before(t.Context(), request)
	_, _ = conn.Verify(t.Context(), request)
	conn.Do(t.Context(), request)
	_ = conn.Probe(t.Context())
	if requests.Load() < 4 || others.Load() != 0 {
		t.Errorf("%d of %d requests were made as someone else", others.Load(), requests.Load())
	}
}

func podRequest(t *testing.T, conn connector.Connector) connector.Request {
	t.Helper()
	request := connector.Request{Operation: kubernetes.IsolatePod, Input: map[string]any{"namespace": "shop", "name": "web", "uid": "u"}, Mark: mark}
	var err error
	if request.Target, err = conn.Target(request.Operation, request.Input); err != nil {
		t.Fatal(err)
	}
	return request
}

func TestAnswersOfTheServer(t *testing.T) {
	tests := map[string]struct {
		code    int
		outcome v1alpha1.AttemptOutcome
		reason  string
		read    string // reason of the fault; empty: plain
	}{
		"400":                        {400, v1alpha1.OutcomeRefused, v1alpha1.RefusedReason, ""},
		"401":                        {401, v1alpha1.OutcomeRefused, connector.CredentialsRejectedReason, connector.CredentialsRejectedReason},
		"403":                        {403, v1alpha1.OutcomeRefused, v1alpha1.TargetForbiddenReason, v1alpha1.TargetForbiddenReason},
		"408":                        {408, v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason, ""},
		"409":                        {409, v1alpha1.OutcomeRefused, v1alpha1.TargetReplacedReason, ""},
		"422":                        {422, v1alpha1.OutcomeRefused, v1alpha1.RefusedReason, ""},
		"429 did not begin":          {429, v1alpha1.OutcomeNotSent, connector.RateLimitedReason, connector.RateLimitedReason},
		"500":                        {500, v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason, ""},
		"503":                        {503, v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason, ""},
		"504":                        {504, v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason, ""},
		"a redirect is not followed": {307, v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tc.code)
			}))
			defer server.Close()
			conn := open(t, &rest.Config{Host: server.URL}, connectorObject(responder))
			request := podRequest(t, conn)
			if result := conn.Do(t.Context(), request); result.Outcome != tc.outcome || result.Reason != tc.reason {
				t.Errorf("Do = %+v, want %s %s", result, tc.outcome, tc.reason)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
			_, err := conn.Before(t.Context(), request)
			reason := terminal(err)
			if wait, ok := errors.AsType[*fault.Wait](err); ok {
				reason = wait.Reason
				if wait.After != 7*time.Second {
					t.Errorf("wait %s, want what Retry-After says", wait.After)
				}
			}
			if err == nil || reason != tc.read {
				t.Errorf("Before = %v (%s), want a fault %q", err, reason, tc.read)
			}
		})
	}
}

func TestConnectionsThatFail(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	hungUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hungUp.Close()
	strange := httptest.NewTLSServer(http.NotFoundHandler()) // its certificate is not trusted
	defer strange.Close()
	tests := map[string]struct {
		host string
		dial func(*rest.Config)
		want v1alpha1.AttemptOutcome
	}{
		"nobody listens":                    {host: closed.URL, want: v1alpha1.OutcomeNotSent},
		"the certificate is a stranger's":   {host: strange.URL, want: v1alpha1.OutcomeNotSent},
		"the connection ends after sending": {host: hungUp.URL, want: v1alpha1.OutcomeInDoubt},
		"a transport that proves nothing": {host: hungUp.URL, want: v1alpha1.OutcomeInDoubt, dial: func(c *rest.Config) {
			c.Wrap(func(http.RoundTripper) http.RoundTripper { return brokenTransport{} })
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			config := &rest.Config{Host: tc.host}
			if tc.dial != nil {
				tc.dial(config)
			}
			conn := open(t, config, connectorObject(responder))
			if result := conn.Do(t.Context(), podRequest(t, conn)); result.Outcome != tc.want {
				t.Errorf("Do = %+v, want %s", result, tc.want)
			}
			if _, err := conn.Before(t.Context(), podRequest(t, conn)); err == nil || terminal(err) != "" {
				t.Errorf("Before = %v, want an error that may pass", err)
			}
		})
	}
}

type brokenTransport struct{}

func (brokenTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, net.ErrClosed }

// The deadline of the request rules, and the connector's timeout where it has none.
func TestDeadlines(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	object := connectorObject(responder)
	object.Spec.Timeout = &metav1.Duration{Duration: time.Second}
	conn := open(t, &rest.Config{Host: server.URL}, object)
	request := podRequest(t, conn)
	if result := conn.Do(t.Context(), request); result.Outcome != v1alpha1.OutcomeInDoubt {
		t.Errorf("Do past the connector's timeout = %+v, want InDoubt", result)
	}
	request.Deadline = time.Now().Add(-time.Second)
	result := conn.Do(t.Context(), request)
	if result.Outcome != v1alpha1.OutcomeNotSent || result.Reason != v1alpha1.DeadlinePassedReason {
		t.Errorf("Do past its deadline = %+v, want NotSent, DeadlinePassed", result)
	}
}
