// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/casebook-dev/casebook/internal/fault"
)

// AddressPolicy says which addresses a connector may dial. It is asked about the
// address itself, after its name was resolved, so that no answer of a name
// server and no way to write an address gets round it. The zero value refuses
// what is built in: this machine (loopback, unspecified), its link (link-local,
// multicast, broadcast) and the metadata services of clouds, which give
// credentials to whoever asks from here.
//
// An address that carries an IPv4 address within (mapped, compatible, NAT64,
// 6to4) is judged as both.
type AddressPolicy struct {
	// Allow lists what may be dialled whatever else refuses it.
	Allow []netip.Prefix
	// Deny lists what else may not. Where not all addresses of the cluster are
	// known, it is taken to state the rest of them.
	Deny []netip.Prefix
	// Cluster is asked at each dial for the addresses of the cluster that Casebook
	// runs in, which may not be dialled either; nil: it runs in none.
	Cluster func() Cluster
}

// class is a range that is refused unless it is allowed.
type class struct {
	name     string
	prefixes []netip.Prefix
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// refused are the built-in refusals; the first class that an address is in names it.
var refused = []class{
	{"a metadata service of a cloud", prefixes(
		"169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
		"fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128")},
	{"loopback", prefixes("127.0.0.0/8", "::1/128")},
	{"unspecified", prefixes("0.0.0.0/8", "::/128")},
	{"link-local", prefixes("169.254.0.0/16", "fe80::/10")},
	{"multicast", prefixes("224.0.0.0/4", "ff00::/8")},
	{"broadcast or reserved", prefixes("240.0.0.0/4")},
}

// embeddings are the IPv6 ranges whose addresses carry an IPv4 address, and in which bytes.
var embeddings = []struct {
	prefix netip.Prefix
	at     [4]int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), [4]int{12, 13, 14, 15}},    // NAT64, RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), [4]int{12, 13, 14, 15}},  // NAT64 of local use, RFC 8215, as a /96
	{netip.MustParsePrefix("64:ff9b:1::/48"), [4]int{6, 7, 9, 10}},     // the same as a /48, RFC 6052, section 2.2
	{netip.MustParsePrefix("2002::/16"), [4]int{2, 3, 4, 5}},           // 6to4, RFC 3056
	{netip.MustParsePrefix("::/96"), [4]int{12, 13, 14, 15}},           // IPv4-compatible, RFC 4291, section 2.5.5.1
	{netip.MustParsePrefix("::ffff:0:0:0/96"), [4]int{12, 13, 14, 15}}, // IPv4-translated, RFC 2765
}

// Check returns nil if the address may be dialled, or else a Terminal error with
// reason AddressRefused that names the address, the class it is in and the remedy.
func (p AddressPolicy) Check(addr netip.Addr) error {
	if !addr.IsValid() {
		return fault.Terminalf(AddressRefusedReason, "could not use an address: it is none")
	}
	addr = addr.Unmap().WithZone("")
	if contains(p.Allow, addr) {
		return nil
	}
	var cluster Cluster
	if p.Cluster != nil {
		cluster = p.Cluster()
	}
	for _, form := range append([]netip.Addr{addr}, embedded(addr)...) { // of each way to read it, what is refused is listed
		if contains(p.Allow, form) {
			continue
		}
		if name := p.class(cluster, form); name != "" {
			return fault.Terminalf(AddressRefusedReason, "could not connect to %s: the address is %s: "+
				"if it is meant, let whoever runs Casebook list it with --allow-addresses", describe(addr, form), name)
		}
		if doubt := cluster.doubt(form); doubt != "" && len(p.Deny) == 0 {
			return fault.Terminalf(AddressRefusedReason, "could not connect to %s: the address is private and may be %s: "+
				"let whoever runs Casebook grant what config/rbac grants, list the cluster's ranges with --deny-addresses, "+
				"or list this address with --allow-addresses", describe(addr, form), doubt)
		}
	}
	return nil
}

// class names why the address is refused; empty if it is not.
func (p AddressPolicy) class(cluster Cluster, addr netip.Addr) string {
	for _, class := range refused {
		if contains(class.prefixes, addr) {
			return class.name
		}
	}
	denied := ""
	if contains(p.Deny, addr) {
		denied = "in a range that is kept from connectors, such as the cluster's own"
	}
	return cmp.Or(string(cluster.class(addr)), denied)
}

// embedded are the IPv4 addresses that an IPv6 address may carry.
func embedded(addr netip.Addr) []netip.Addr {
	if !addr.Is6() || addr == netip.IPv6Unspecified() || addr == netip.IPv6Loopback() {
		return nil
	}
	var out []netip.Addr
	raw := addr.As16()
	for _, e := range embeddings {
		if e.prefix.Contains(addr) {
			out = append(out, netip.AddrFrom4([4]byte{raw[e.at[0]], raw[e.at[1]], raw[e.at[2]], raw[e.at[3]]}))
		}
	}
	if len(out) > 1 { // of two ways to read it, the one that reads nothing is the wrong one
		out = slices.DeleteFunc(out, func(a netip.Addr) bool { return a == netip.IPv4Unspecified() })
	}
	return out
}

func describe(addr, form netip.Addr) string {
	if addr == form {
		return addr.String()
	}
	return fmt.Sprintf("%s, which stands for %s", addr, form)
}

// contains tells whether one of the prefixes holds the address. A prefix may be
// written in its IPv4-mapped form.
func contains(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool {
		if inner := p.Addr(); inner.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(inner.Unmap(), p.Bits()-96)
		}
		return p.Contains(addr)
	})
}
