// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	netutils "k8s.io/utils/net"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/internal/connector"
)

// told are the addresses that one object tells of.
type told map[connector.ClusterClass][]netip.Prefix

func (t told) equal(other told) bool {
	return maps.EqualFunc(t, other, slices.Equal[[]netip.Prefix])
}

// source is a kind of object that tells addresses, and what its objects told.
type source struct {
	resource string // as RBAC and kubectl call it
	classes  []connector.ClusterClass
	options  []client.ListOption
	list     func() client.ObjectList
	read     func(client.Object) told

	objects map[string]told // by name
	unknown string          // why they are not known, or no longer
}

func sources() []*source {
	return []*source{
		{
			resource: "nodes", classes: []connector.ClusterClass{connector.ClusterNode, connector.ClusterPod},
			list: func() client.ObjectList { return &corev1.NodeList{} }, read: ofNode,
		},
		{
			resource: "servicecidrs.networking.k8s.io", classes: []connector.ClusterClass{connector.ClusterService},
			list: func() client.ObjectList { return &networkingv1.ServiceCIDRList{} }, read: ofServiceCIDR,
		},
		{ // the API server writes this one slice about itself
			resource: "endpointslices.discovery.k8s.io named kubernetes in namespace default", classes: []connector.ClusterClass{connector.ClusterAPIServer},
			options: []client.ListOption{client.InNamespace(metav1.NamespaceDefault), client.MatchingFields{metav1.ObjectNameField: "kubernetes"}},
			list:    func() client.ObjectList { return &discoveryv1.EndpointSliceList{} }, read: ofEndpointSlice,
		},
	}
}

// since asks for what changed after a version.
func since(version string) *metav1.ListOptions {
	return &metav1.ListOptions{ResourceVersion: version}
}

func ofNode(o client.Object) told {
	t, node := told{}, o.(*corev1.Node)
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP || address.Type == corev1.NodeExternalIP {
			t.addAddress(connector.ClusterNode, address.Address)
		}
	}
	for _, text := range append([]string{node.Spec.PodCIDR}, node.Spec.PodCIDRs...) { // the first of the latter is the former
		t.addRange(connector.ClusterPod, text)
	}
	return t
}

func ofServiceCIDR(o client.Object) told {
	t := told{}
	for _, text := range o.(*networkingv1.ServiceCIDR).Spec.CIDRs {
		t.addRange(connector.ClusterService, text)
	}
	return t
}

func ofEndpointSlice(o client.Object) told {
	t := told{}
	for _, endpoint := range o.(*discoveryv1.EndpointSlice).Endpoints {
		for _, text := range endpoint.Addresses {
			t.addAddress(connector.ClusterAPIServer, text)
		}
	}
	return t
}

// ofHost is the API server as this process reaches it; nothing if that is by a name.
func ofHost(host string) told {
	t := told{}
	if parsed, err := url.Parse(host); err == nil && parsed.Host != "" {
		host = parsed.Host
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	t.addAddress(connector.ClusterAPIServer, strings.Trim(host, "[]"))
	return t
}

// addAddress and addRange read what the API server takes, which is more than netip does: leading zeros were allowed once.
func (t told) addAddress(class connector.ClusterClass, text string) {
	if addr, ok := netip.AddrFromSlice(netutils.ParseIPSloppy(text)); ok {
		t.add(class, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
	}
}

func (t told) addRange(class connector.ClusterClass, text string) {
	_, ipnet, err := netutils.ParseCIDRSloppy(text)
	if err != nil {
		return // an empty field
	}
	if addr, ok := netip.AddrFromSlice(ipnet.IP); ok {
		bits, _ := ipnet.Mask.Size()
		t.add(class, netip.PrefixFrom(addr, bits))
	}
}

func (t told) add(class connector.ClusterClass, prefix netip.Prefix) {
	if !slices.Contains(t[class], prefix) {
		t[class] = append(t[class], prefix)
	}
}

// noPodRanges is why pods are unknown where their addresses are not the nodes' to give.
const noPodRanges = "no node has spec.podCIDRs: the network plugin gives pods their addresses"

// merge is what all sources told together.
func merge(host told, sources []*source) connector.Cluster {
	c := connector.Cluster{Known: map[connector.ClusterClass][]netip.Prefix{}, Unknown: map[connector.ClusterClass]string{}}
	take := func(t told) {
		for class, prefixes := range t {
			c.Known[class] = append(c.Known[class], prefixes...)
		}
	}
	take(host)
	for _, s := range sources {
		for _, t := range s.objects {
			take(t)
		}
		for _, class := range s.classes {
			if s.unknown != "" {
				c.Unknown[class] = s.unknown
			} else if class == connector.ClusterPod && len(s.objects) > 0 && len(c.Known[class]) == 0 {
				c.Unknown[class] = noPodRanges
			}
		}
	}
	return c
}
