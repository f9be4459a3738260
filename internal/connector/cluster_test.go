// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// known is a cluster whose addresses are all known.
func known() connector.Cluster {
	return connector.Cluster{Known: map[connector.ClusterClass][]netip.Prefix{
		connector.ClusterAPIServer: {netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.96.0.1/32"), netip.MustParsePrefix("203.0.113.1/32")},
		connector.ClusterNode:      {netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32"), netip.MustParsePrefix("203.0.113.2/32")},
		connector.ClusterPod:       {netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:244::/56")},
		connector.ClusterService:   {netip.MustParsePrefix("10.96.0.0/12")},
	}}
}

func TestAddressesOfTheCluster(t *testing.T) {
	unknown := func(why string, classes ...connector.ClusterClass) func(*connector.Cluster) {
		return func(c *connector.Cluster) {
			c.Unknown = map[connector.ClusterClass]string{}
			for _, class := range classes {
				c.Unknown[class] = why
				delete(c.Known, class)
			}
		}
	}
	const nodes, services = "Casebook may not list and watch nodes", "Casebook may not list and watch servicecidrs"
	noNodes, noServices := unknown(nodes, connector.ClusterNode, connector.ClusterPod), unknown(services, connector.ClusterService)
	tests := map[string]struct {
		address     string
		change      func(*connector.Cluster)
		allow, deny string
		want        string // part of the message; empty: it may be dialled
	}{
		"a private address that is not the cluster's": {address: "10.1.2.3"},
		"a pod":                                 {address: "10.244.3.9", want: "could not connect to 10.244.3.9: the address is a pod of this cluster: if it is meant"},
		"a pod of version 6":                    {address: "fd00:244::9", want: "is a pod of this cluster:"},
		"a pod, mapped":                         {address: "::ffff:10.244.3.9", want: "is a pod of this cluster:"},
		"a pod through NAT64":                   {address: "64:ff9b::af4:309", want: "which stands for 10.244.3.9: the address is a pod of this cluster:"},
		"a node":                                {address: "10.0.0.2", want: "is a node of this cluster:"},
		"a node by its public address":          {address: "203.0.113.2", want: "is a node of this cluster:"},
		"the API server, on a node":             {address: "10.0.0.1", want: "is the API server of this cluster:"},
		"the API server, by its service":        {address: "10.96.0.1", want: "is the API server of this cluster:"},
		"the API server, by its public address": {address: "203.0.113.1", want: "is the API server of this cluster:"},
		"a service":                             {address: "10.100.0.9", want: "is a service of this cluster:"},
		"a service, which the ranges that are denied hold too":     {address: "10.100.0.9", deny: "10.0.0.0/8", want: "is a service of this cluster:"},
		"a range that is denied":                                   {address: "10.1.2.3", deny: "10.1.0.0/16", want: "is in a range that is kept from connectors"},
		"a pod that is listed":                                     {address: "10.244.3.9", allow: "10.244.3.0/24"},
		"a node that is listed, through NAT64":                     {address: "64:ff9b::a00:2", allow: "10.0.0.2/32"},
		"the metadata service, whatever the cluster has":           {address: "169.254.169.254", want: "is a metadata service of a cloud"},
		"private while services are not known":                     {address: "10.1.2.3", change: noServices, want: "could not connect to 10.1.2.3: the address is private and may be a service of this cluster, because " + services + ": let whoever runs Casebook grant what config/rbac grants"},
		"private while nodes are not known":                        {address: "192.168.1.1", change: noNodes, want: "may be a node of this cluster or a pod of this cluster, because " + nodes + ":"},
		"private of the second block while services are not known": {address: "172.31.255.254", change: noServices, want: "may be a service"},
		"beside that block":                                        {address: "172.32.0.1", change: noServices},
		"shared by carriers while services are not known":          {address: "100.127.0.1", change: noServices, want: "may be a service"},
		"unique local while services are not known":                {address: "fd12:3456::1", change: noServices, want: "may be a service"},
		"private, mapped, while services are not known":            {address: "::ffff:10.1.2.3", change: noServices, want: "may be a service"},
		"private through NAT64 while services are not known":       {address: "64:ff9b::a01:203", change: noServices, want: "which stands for 10.1.2.3: the address is private and may be a service"},
		"public while services are not known":                      {address: "93.184.216.34", change: noServices},
		"public of version 6 while nodes are not known":            {address: "2606:2800:220:1::1", change: noNodes},
		"a known pod while services are not known":                 {address: "10.244.3.9", change: noServices, want: "is a pod of this cluster:"},
		"private and listed while services are not known":          {address: "10.1.2.3", change: noServices, allow: "10.1.2.3/32"},
		"private, beside what is listed":                           {address: "10.1.2.4", change: noServices, allow: "10.1.2.3/32", want: "may be a service"},
		"private while services are not known, but stated":         {address: "10.1.2.3", change: noServices, deny: "10.96.0.0/12"},
		"a service as it is stated":                                {address: "10.96.0.9", change: noServices, deny: "10.96.0.0/12", want: "is in a range that is kept from connectors"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cluster := known()
			if tc.change != nil {
				tc.change(&cluster)
			}
			policy := connector.AddressPolicy{Cluster: func() connector.Cluster { return cluster }}
			for text, into := range map[string]*[]netip.Prefix{tc.allow: &policy.Allow, tc.deny: &policy.Deny} {
				if text != "" {
					*into = []netip.Prefix{netip.MustParsePrefix(text)}
				}
			}
			err := policy.Check(netip.MustParseAddr(tc.address))
			if tc.want == "" {
				if err != nil {
					t.Errorf("Check = %v, want it to be allowed", err)
				}
				return
			}
			terminal, ok := errors.AsType[*fault.Terminal](err)
			if !ok || terminal.Reason != connector.AddressRefusedReason || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "--allow-addresses") {
				t.Errorf("Check = %v, want a refusal that says %q and the remedy", err, tc.want)
			}
		})
	}
}

// TestClusterIsAskedAtEachDial: what was no node a moment ago may be one now.
func TestClusterIsAskedAtEachDial(t *testing.T) {
	var cluster connector.Cluster
	policy := connector.AddressPolicy{Cluster: func() connector.Cluster { return cluster }}
	addr := netip.MustParseAddr("10.0.0.2")
	if err := policy.Check(addr); err != nil {
		t.Errorf("Check before there is a node = %v", err)
	}
	cluster = known()
	if err := policy.Check(addr); err == nil {
		t.Error("Check of a node = nil")
	}
}
