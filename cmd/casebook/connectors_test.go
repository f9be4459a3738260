// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/test/fixture"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// TestTheClusterIsKeptFromConnectorsAsItGrows: with the rights that config/rbac grants, and no more.
func TestTheClusterIsKeptFromConnectorsAsItGrows(t *testing.T) {
	account, err := fixture.Plane().ServiceAccount(t.Context(), fixture.OperatorNamespace, "casebook-controllers")
	must(t, err)
	mgr, policy := managed(t, account, options{allow: "10.77.0.7/32"})
	for _, address := range []string{"10.77.0.8", "10.77.0.9", "10.77.128.5", "10.79.0.5"} {
		expect(t, policy, address, "")
	}
	// The API server of tests, on loopback, does not write this about itself.
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.78.0.1"}}},
	}
	must(t, fixture.Admin().Create(t.Context(), slice))
	await(t, policy, "10.78.0.1", "is the API server of this cluster:")
	must(t, fixture.Admin().Delete(t.Context(), slice))
	await(t, policy, "10.78.0.1", "")
	var service corev1.Service
	must(t, fixture.Admin().Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "kubernetes"}, &service))
	expect(t, policy, service.Spec.ClusterIP, "is a service of this cluster:")

	node := makeNode(t, "grown", "10.77.0.9", "10.77.128.0/24")
	await(t, policy, "10.77.0.9", "is a node of this cluster:")
	await(t, policy, "10.77.128.5", "is a pod of this cluster:")
	expect(t, policy, "10.77.0.8", "")
	expect(t, policy, "10.77.0.7", "")
	opened, err := openers(mgr, options{}, policy).Open(&v1alpha1.Connector{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "mail", UID: "1"},
		Spec: v1alpha1.ConnectorSpec{SMTP: &v1alpha1.SMTPConnector{
			Host: "10.77.0.9", Port: 25, TLS: v1alpha1.SMTPStartTLS, From: "soc@example.com",
		}},
	})
	must(t, err)
	if err := opened.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "10.77.0.9: the address is a node of this cluster:") {
		t.Errorf("Probe of a connector whose host became a node = %v, want it refused", err)
	}

	must(t, fixture.Admin().Create(t.Context(), &networkingv1.ServiceCIDR{
		ObjectMeta: metav1.ObjectMeta{Name: "grown"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.79.0.0/24"}},
	}))
	await(t, policy, "10.79.0.5", "is a service of this cluster:")
	must(t, fixture.Admin().Delete(t.Context(), node))
	await(t, policy, "10.77.0.9", "")
}

// TestPrivateAddressesAreRefusedWhileTheClusterCannotBeRead, and what is said there is what helps.
func TestPrivateAddressesAreRefusedWhileTheClusterCannotBeRead(t *testing.T) {
	const name = "reads-nothing"
	user, err := fixture.Plane().User(name)
	must(t, err)
	_, policy := managed(t, user, options{allow: "10.5.0.0/16"})
	for _, want := range []string{
		"is private and may be the API server of this cluster or a node of this cluster or a pod of this cluster or a service of this cluster",
		"Casebook may not list and watch nodes", "Casebook may not list and watch servicecidrs.networking.k8s.io",
		"Casebook may not list and watch endpointslices.discovery.k8s.io", "config/rbac", "--deny-addresses", "--allow-addresses",
	} {
		expect(t, policy, "10.78.0.3", want)
	}
	expect(t, policy, "93.184.216.34", "")
	expect(t, policy, "10.5.0.3", "")
	_, stated := managed(t, user, options{deny: "10.6.0.0/16"})
	expect(t, stated, "10.78.0.3", "")
	expect(t, stated, "10.6.0.3", "is in a range that is kept from connectors")

	node := makeNode(t, "tells", "10.77.0.10", "")
	subject := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}}
	must(t, fixture.Admin().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subject,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "casebook-controllers"},
	}))
	must(t, fixture.Admin().Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Subjects: subject,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "casebook-api-server-addresses"},
	}))
	await(t, policy, "10.77.0.10", "is a node of this cluster:")
	await(t, policy, "10.78.0.3", "is private and may be a pod of this cluster, because no node has spec.podCIDRs")
	must(t, fixture.Admin().Delete(t.Context(), node))
	await(t, policy, "10.78.0.3", "")
}

// TestRangesOfAddresses are read from the flags, or said to be none.
func TestRangesOfAddresses(t *testing.T) {
	for flag, o := range map[string]options{"--allow-addresses": {allow: "10.0.0.0/8, 10.1"}, "--deny-addresses": {deny: "everything"}} {
		if _, err := o.addresses(t.Context(), nil); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("addresses = %v, want %s refused", err, flag)
		}
	}
}

// managed is the policy of an operator that runs until the test ends.
func managed(t *testing.T, config *rest.Config, o options) (manager.Manager, connector.AddressPolicy) {
	t.Helper()
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: kube.Scheme(), Metrics: server.Options{BindAddress: "0"}})
	must(t, err)
	policy, err := o.addresses(t.Context(), mgr)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	return mgr, policy
}

// makeNode makes a node as a kubelet and the node controller would. It is gone when the test ends.
func makeNode(t *testing.T, name, address, pods string) *corev1.Node {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if pods != "" {
		node.Spec.PodCIDR, node.Spec.PodCIDRs = pods, []string{pods}
	}
	must(t, fixture.Admin().Create(t.Context(), node))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(fixture.Admin().Delete(context.Background(), node))) })
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: address}}
	must(t, fixture.Admin().Status().Update(t.Context(), node))
	return node
}

// await waits until the policy refuses an address in these words; in none: until it may be dialled.
func await(t *testing.T, policy connector.AddressPolicy, address, words string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return says(policy, address, words), nil
	})
	if err != nil {
		t.Fatalf("wait for %s to be judged as %q: %v; last: %v", address, words, err, policy.Check(netip.MustParseAddr(address)))
	}
}

func expect(t *testing.T, policy connector.AddressPolicy, address, words string) {
	t.Helper()
	if !says(policy, address, words) {
		t.Errorf("Check(%s) = %v, want %q", address, policy.Check(netip.MustParseAddr(address)), words)
	}
}

func says(policy connector.AddressPolicy, address, words string) bool {
	err := policy.Check(netip.MustParseAddr(address))
	return (err == nil) == (words == "") && strings.Contains(fmt.Sprint(err), words)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
