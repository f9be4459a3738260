// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"net/netip"
	"slices"
	"strings"
)

// ClusterClass is what of the cluster has an address, in the words of a refusal.
type ClusterClass string

// The classes of the cluster's own addresses.
const (
	ClusterAPIServer ClusterClass = "the API server of this cluster"
	ClusterNode      ClusterClass = "a node of this cluster"
	ClusterPod       ClusterClass = "a pod of this cluster"
	ClusterService   ClusterClass = "a service of this cluster"
)

// clusterClasses is the order in which an address is looked for: what names it best comes first.
var clusterClasses = []ClusterClass{ClusterAPIServer, ClusterNode, ClusterPod, ClusterService}

// Cluster is what is known of the cluster's own addresses. The zero value knows of none and misses none.
type Cluster struct {
	// Known are the addresses of each class, as far as they are known.
	Known map[ClusterClass][]netip.Prefix
	// Unknown says, of each class that may have addresses beside the known ones,
	// why they are not known.
	Unknown map[ClusterClass]string
}

// private are the ranges that the cluster's own addresses are in unless it is
// known that they are elsewhere: RFC 1918, RFC 6598 and RFC 4193.
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

// class is the first one that is known to have the address; empty if none is.
func (c Cluster) class(addr netip.Addr) ClusterClass {
	for _, class := range clusterClasses {
		if contains(c.Known[class], addr) {
			return class
		}
	}
	return ""
}

// doubt says what the address may be, and why that is not known; empty if it is
// known to be nothing of the cluster, or is public.
func (c Cluster) doubt(addr netip.Addr) string {
	if !contains(private, addr) {
		return ""
	}
	var names, reasons []string
	for _, class := range clusterClasses {
		if why := c.Unknown[class]; why != "" {
			names = append(names, string(class))
			if !slices.Contains(reasons, why) {
				reasons = append(reasons, why)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, " or ") + ", because " + strings.Join(reasons, ", and ")
}
