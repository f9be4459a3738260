// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/casebook-dev/casebook/internal/connector"
)

// text is how told reads in a test: by class, as written.
func text(known map[connector.ClusterClass][]netip.Prefix) map[connector.ClusterClass]string {
	out := map[connector.ClusterClass]string{}
	for class, prefixes := range known {
		out[class] = fmt.Sprint(prefixes)
	}
	return out
}

func TestWhatObjectsTell(t *testing.T) {
	node := &corev1.Node{
		Spec: corev1.NodeSpec{PodCIDR: "10.244.1.0/24", PodCIDRs: []string{"10.244.1.0/24", "fd00:244:1::/64"}},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: "10.0.0.2"}, {Type: corev1.NodeInternalIP, Address: "fd00::2"},
			{Type: corev1.NodeExternalIP, Address: "203.0.113.2"}, {Type: corev1.NodeHostName, Address: "10.0.0.3"},
			{Type: corev1.NodeInternalDNS, Address: "node-2.internal"}, {Type: corev1.NodeInternalIP, Address: "none"},
		}},
	}
	tests := map[string]struct {
		told told
		want map[connector.ClusterClass]string
	}{
		"a node": {ofNode(node), map[connector.ClusterClass]string{
			connector.ClusterNode: "[10.0.0.2/32 fd00::2/128 203.0.113.2/32]", connector.ClusterPod: "[10.244.1.0/24 fd00:244:1::/64]"}},
		"a node that has nothing yet": {ofNode(&corev1.Node{}), map[connector.ClusterClass]string{}},
		"a node of the old field": {ofNode(&corev1.Node{Spec: corev1.NodeSpec{PodCIDR: "010.244.001.9/24"}}), map[connector.ClusterClass]string{
			connector.ClusterPod: "[10.244.1.0/24]"}},
		"a service range": {ofServiceCIDR(&networkingv1.ServiceCIDR{Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/12", "fd00:96::/108"}}}),
			map[connector.ClusterClass]string{connector.ClusterService: "[10.96.0.0/12 fd00:96::/108]"}},
		"the API server's endpoints": {ofEndpointSlice(&discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}, {Addresses: []string{"10.0.0.4"}}}}),
			map[connector.ClusterClass]string{connector.ClusterAPIServer: "[10.0.0.1/32 10.0.0.4/32]"}},
		"a host as in a pod":     {ofHost("https://10.96.0.1:443"), map[connector.ClusterClass]string{connector.ClusterAPIServer: "[10.96.0.1/32]"}},
		"a host of version 6":    {ofHost("https://[fd00:96::1]:443"), map[connector.ClusterClass]string{connector.ClusterAPIServer: "[fd00:96::1/128]"}},
		"a host without a port":  {ofHost("https://[fd00:96::1]/prefix"), map[connector.ClusterClass]string{connector.ClusterAPIServer: "[fd00:96::1/128]"}},
		"a host without a URL":   {ofHost("10.96.0.1:443"), map[connector.ClusterClass]string{connector.ClusterAPIServer: "[10.96.0.1/32]"}},
		"a host that is a name":  {ofHost("https://api.example.com:6443"), map[connector.ClusterClass]string{}},
		"a name without the URL": {ofHost("localhost:6443"), map[connector.ClusterClass]string{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, text(tc.told)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	host := ofHost("https://10.96.0.1:443")
	with := told{}
	with.addAddress(connector.ClusterNode, "10.0.0.2")
	with.addRange(connector.ClusterPod, "10.244.1.0/24")
	without := told{}
	without.addAddress(connector.ClusterNode, "10.0.0.3")
	apiServer := map[connector.ClusterClass]string{connector.ClusterAPIServer: "[10.96.0.1/32]"}
	tests := map[string]struct {
		nodes   map[string]told
		unknown string
		known   map[connector.ClusterClass]string
		want    map[connector.ClusterClass]string
	}{
		"no node: no pod either": {known: apiServer, want: map[connector.ClusterClass]string{}},
		"one of two nodes tells its pods, as while the other joins": {
			nodes: map[string]told{"a": with, "b": {}},
			known: map[connector.ClusterClass]string{connector.ClusterAPIServer: "[10.96.0.1/32]", connector.ClusterNode: "[10.0.0.2/32]", connector.ClusterPod: "[10.244.1.0/24]"},
			want:  map[connector.ClusterClass]string{}},
		"no node tells its pods": {
			nodes: map[string]told{"b": without},
			known: map[connector.ClusterClass]string{connector.ClusterAPIServer: "[10.96.0.1/32]", connector.ClusterNode: "[10.0.0.3/32]"},
			want:  map[connector.ClusterClass]string{connector.ClusterPod: noPodRanges}},
		"nodes may not be read": {
			unknown: "forbidden", known: apiServer,
			want: map[connector.ClusterClass]string{connector.ClusterNode: "forbidden", connector.ClusterPod: "forbidden"}},
		"nodes may no longer be read": {
			nodes: map[string]told{"a": with}, unknown: "forbidden",
			known: map[connector.ClusterClass]string{connector.ClusterAPIServer: "[10.96.0.1/32]", connector.ClusterNode: "[10.0.0.2/32]", connector.ClusterPod: "[10.244.1.0/24]"},
			want:  map[connector.ClusterClass]string{connector.ClusterNode: "forbidden", connector.ClusterPod: "forbidden"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			all := sources()
			all[0].objects, all[0].unknown = tc.nodes, tc.unknown
			got := merge(host, all)
			if diff := cmp.Diff(tc.known, text(got.Known)); diff != "" {
				t.Errorf("known: %s", diff)
			}
			if diff := cmp.Diff(tc.want, got.Unknown); diff != "" {
				t.Errorf("unknown: %s", diff)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	resource := schema.GroupResource{Group: "networking.k8s.io", Resource: "servicecidrs"}
	tests := map[string]struct {
		err  error
		want string
	}{
		"nothing went wrong":      {nil, ""},
		"forbidden":               {apierrors.NewForbidden(resource, "", errors.New("no")), "Casebook may not list and watch x"},
		"the resource is missing": {apierrors.NewNotFound(resource, ""), "this cluster has no x"},
		"the kind is missing":     {fmt.Errorf("list: %w", &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "ServiceCIDR"}}), "this cluster has no x"},
		"it may be over soon":     {apierrors.NewTooManyRequests("busy", 1), ""},
		"the version is too old":  {apierrors.NewResourceExpired("old"), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := unreadable("x", tc.err); got != tc.want {
				t.Errorf("unreadable = %q, want %q", got, tc.want)
			}
		})
	}
}
