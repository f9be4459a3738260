// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// nameServer answers each question for an address with the next of its answers,
// and then with the last: what rebinding is.
type nameServer struct {
	address string

	silent func() // is called in place of an answer

	mu      sync.Mutex
	answers [][]string
	asked   int
}

func newNameServer(t *testing.T, answers ...[]string) *nameServer {
	t.Helper()
	return serveNames(t, &nameServer{answers: answers})
}

func serveNames(t *testing.T, n *nameServer) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.address = conn.LocalAddr().String()
	done := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-done })
	go func() {
		defer close(done)
		for buffer := make([]byte, 1500); ; {
			size, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if n.silent != nil {
				n.silent()
			} else if answer, err := n.answer(buffer[:size]); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return n
}

func (n *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", n.address)
	}}
}

// answer gives IPv4 addresses to a question for A, IPv6 ones to one for AAAA.
func (n *nameServer) answer(raw []byte) ([]byte, error) {
	var question dnsmessage.Message
	if err := question.Unpack(raw); err != nil {
		return nil, err
	}
	asked := question.Questions[0]
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true, RecursionAvailable: true}, Questions: question.Questions}
	header := dnsmessage.ResourceHeader{Name: asked.Name, Type: asked.Type, Class: asked.Class}
	for _, text := range n.next(asked.Type) {
		switch addr := netip.MustParseAddr(text); {
		case addr.Is4() && asked.Type == dnsmessage.TypeA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && asked.Type == dnsmessage.TypeAAAA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	return reply.Pack()
}

// next goes on with each question for A; a resolver asks for AAAA beside it.
func (n *nameServer) next(kind dnsmessage.Type) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.answers[min(n.asked, len(n.answers)-1)]
	if kind == dnsmessage.TypeA {
		n.asked++
	}
	return now
}

// twoHosts are servers at two addresses with one port: the second must not be reached.
func twoHosts(t *testing.T) (port string, first *seen, second *seen) {
	t.Helper()
	first, second = &seen{}, &seen{}
	for range 20 { // another program may have the port at the second address
		one := listen(t, "127.0.0.1:0")
		_, port, _ = net.SplitHostPort(one.Addr().String())
		two, err := net.Listen("tcp", "127.0.0.66:"+port)
		if err != nil {
			continue
		}
		for listener, requests := range map[net.Listener]*seen{one: first, two: second} {
			server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests.add(r) })}
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(func() { _ = server.Close() })
		}
		return port, first, second
	}
	t.Fatal("no port is free at both addresses")
	return "", nil, nil
}

// TestRebinding: a name that led to an allowed address when it was looked at,
// and leads elsewhere now, is refused by the address it leads to.
func TestRebinding(t *testing.T) {
	port, first, second := twoHosts(t)
	for name, elsewhere := range map[string][]string{
		"to another host":               {"127.0.0.66"},
		"to the metadata service":       {"169.254.169.254"},
		"to a mapped address":           {"::ffff:127.0.0.66"},
		"to an address of version 6":    {"::1"},
		"to loopback by NAT64":          {"64:ff9b::7f00:42"},
		"to several, all of them so":    {"127.0.0.66", "169.254.169.254", "fe80::1"},
		"to this machine, written as 0": {"0.0.0.0"},
		"to a pod":                      {"10.244.3.9"},
		"to a service, mapped":          {"::ffff:10.96.0.9"},
		"to a pod and a node":           {"10.244.3.9", "10.0.0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			before := first.count()
			w := newWorld(t, "http://tool.example.com:"+port)
			w.made.dependencies.Policy = connector.AddressPolicy{
				Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
				Cluster: func() connector.Cluster {
					return connector.Cluster{Known: map[connector.ClusterClass][]netip.Prefix{
						connector.ClusterNode:    {netip.MustParsePrefix("10.0.0.2/32")},
						connector.ClusterPod:     {netip.MustParsePrefix("10.244.0.0/16")},
						connector.ClusterService: {netip.MustParsePrefix("10.96.0.0/12")},
					}}
				},
			}
			w.made.dependencies.Resolver = newNameServer(t, []string{"127.0.0.1"}, elsewhere).resolver()
			w.answered(get)
			for _, out := range []outgoing{get, post} {
				_, failure := w.exchange(out)
				if failure == nil || failure.Outcome != v1alpha1.OutcomeRefused || failure.Reason != connector.AddressRefusedReason || !strings.Contains(failure.Message, "--allow-addresses") {
					t.Errorf("after the name led elsewhere: %+v, want the address refused", failure)
				}
			}
			if first.count() != before+1 || second.count() != 0 {
				t.Errorf("%d and %d requests arrived", first.count()-before, second.count())
			}
		})
	}
}

func TestNameWithOneAllowedAddressIsReachedThere(t *testing.T) {
	port, first, second := twoHosts(t)
	w := newWorld(t, "http://tool.example.com:"+port)
	w.made.dependencies.Policy = connector.AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	w.made.dependencies.Resolver = newNameServer(t, []string{"127.0.0.66", "127.0.0.1"}).resolver()
	if w.answered(get); first.count() != 1 || second.count() != 0 {
		t.Errorf("%d and %d requests arrived", first.count(), second.count())
	}
}

// TestCredentialsOverHTTP go to loopback alone, whatever the name says.
func TestCredentialsOverHTTP(t *testing.T) {
	port, first, _ := twoHosts(t)
	everywhere := connector.AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
	w := newWorld(t, "http://tool.example.com:"+port)
	w.made.dependencies.Policy = everywhere
	w.made.dependencies.Resolver = newNameServer(t, []string{"127.0.0.1"}, []string{"192.0.2.1"}).resolver()
	w.answered(get)
	_, failure := w.exchange(get)
	if failure == nil || failure.Outcome != v1alpha1.OutcomeRefused || failure.Reason != connector.AddressRefusedReason || !strings.Contains(failure.Message, "use https") {
		t.Errorf("to another machine: %+v, want it refused", failure)
	}
	if first.count() != 1 {
		t.Errorf("%d requests arrived", first.count())
	}
	w.spec.BaseURL = "http://192.0.2.1"
	if _, err := w.made.get(w.object()); err == nil || !strings.Contains(err.Error(), "spec.http.baseURL") || !strings.Contains(err.Error(), "use https") {
		t.Errorf("get of an address with credentials over http = %v", err)
	}
	w.spec.Authentication = nil
	if _, err := w.made.get(w.object()); err != nil {
		t.Errorf("get of an address without credentials = %v", err)
	}
}

// TestTokenEndpointIsGuardedToo: it is an address like any other.
func TestTokenEndpointIsGuardedToo(t *testing.T) {
	port, first, second := twoHosts(t)
	w := newWorld(t, "http://127.0.0.1:"+port)
	w.made.dependencies.Policy = connector.AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	w.made.dependencies.Resolver = newNameServer(t, []string{"127.0.0.66"}).resolver()
	w.spec.Authentication = &v1alpha1.HTTPAuthentication{OAuth2: &v1alpha1.OAuth2Credential{
		TokenURL: "http://login.example.com:" + port + "/token", ClientID: "casebook", SecretRef: secret,
	}}
	_, failure := w.exchange(post)
	if failure == nil || failure.Outcome != v1alpha1.OutcomeRefused || failure.Reason != connector.AddressRefusedReason {
		t.Errorf("exchange = %+v, want the address refused", failure)
	}
	if first.count() != 0 || second.count() != 0 {
		t.Errorf("%d and %d requests arrived", first.count(), second.count())
	}
}

// TestProxyIsNotUsed: what the environment says of proxies would take the guard away.
func TestProxyIsNotUsed(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("NO_PROXY", "")
	w := newWorld(t, "http://tool.example.com:1")
	w.made.dependencies.Resolver = newNameServer(t, []string{"127.0.0.1"}).resolver()
	if transport := (dialer{}).transport(nil); transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
	if _, failure := w.exchange(get); failure == nil || failure.Outcome != v1alpha1.OutcomeNotSent {
		t.Errorf("exchange = %+v", failure)
	}
}

func TestDNSFailures(t *testing.T) {
	patience := newExpiring(t)
	known, silent := newNameServer(t, []string{}), serveNames(t, &nameServer{silent: patience.expire})
	tests := map[string]struct {
		server *nameServer
		want   string
	}{
		"the name has no address":         {known, "its name is not known to the name server"},
		"the name server does not answer": {silent, "within the deadline"},
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) { // the one that lets the deadline pass is the last
		tc := tests[name]
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "https://tool.example.com")
			w.made.dependencies.Resolver = tc.server.resolver()
			_, failure := w.exchangeWithin(patience, post)
			if failure == nil || failure.Outcome != v1alpha1.OutcomeNotSent || failure.Reason != connector.UnreachableReason || !strings.Contains(failure.Message, tc.want) {
				t.Errorf("exchange = %+v, want it not sent and %q", failure, tc.want)
			}
		})
	}
	for want, err := range map[string]error{
		"its name was not resolved in time":     &net.DNSError{IsTimeout: true, Err: "read udp 127.0.0.1:4711->10.0.0.10:53"},
		"its name could not be resolved":        &net.DNSError{Err: "server misbehaving", Server: "10.0.0.10:53"},
		"connection refused":                    &net.OpError{Op: "dial", Err: fmt.Errorf("connect: connection refused")},
		"whoever asked did not wait for it":     context.Canceled,
		"something that nobody thought of":      fmt.Errorf("something that nobody thought of"),
		"it did not answer within the deadline": fmt.Errorf("read tcp 127.0.0.1:4711: %w", context.DeadlineExceeded),
	} {
		if got := cause(err); got != want {
			t.Errorf("cause = %q, want %q", got, want)
		}
	}
}
