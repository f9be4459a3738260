// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

func TestAddressPolicy(t *testing.T) {
	cluster := []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12"), netip.MustParsePrefix("fd00:10::/64"), netip.MustParsePrefix("::ffff:10.244.0.0/112")}
	tests := map[string]struct {
		address string
		allow   string
		want    string // part of the message; empty: it may be dialled
	}{
		"a public address":                            {address: "93.184.216.34"},
		"a public address of version 6":               {address: "2606:2800:220:1::1"},
		"a private address, where most tools are":     {address: "10.1.2.3"},
		"a unique local address":                      {address: "fd12:3456::1"},
		"loopback":                                    {address: "127.0.0.1", want: "could not connect to 127.0.0.1: the address is loopback"},
		"the far end of loopback":                     {address: "127.255.255.254", want: "loopback"},
		"loopback of version 6":                       {address: "::1", want: "loopback"},
		"metadata":                                    {address: "169.254.169.254", want: "metadata service of a cloud"},
		"metadata of containers":                      {address: "169.254.170.2", want: "metadata"},
		"metadata of version 6":                       {address: "fd00:ec2::254", want: "metadata"},
		"metadata outside the link":                   {address: "100.100.100.200", want: "metadata"},
		"link-local":                                  {address: "169.254.1.1", want: "link-local"},
		"link-local of version 6":                     {address: "fe80::1", want: "link-local"},
		"link-local with a zone":                      {address: "fe80::1%eth0", want: "link-local"},
		"unspecified, which reaches this machine":     {address: "0.0.0.0", want: "unspecified"},
		"this network":                                {address: "0.1.2.3", want: "unspecified"},
		"unspecified of version 6":                    {address: "::", want: "unspecified"},
		"multicast":                                   {address: "224.0.0.251", want: "multicast"},
		"multicast of version 6":                      {address: "ff02::1", want: "multicast"},
		"broadcast":                                   {address: "255.255.255.255", want: "broadcast"},
		"loopback, mapped":                            {address: "::ffff:127.0.0.1", want: "loopback"},
		"metadata, mapped":                            {address: "::ffff:169.254.169.254", want: "metadata"},
		"metadata through NAT64":                      {address: "64:ff9b::a9fe:a9fe", want: "64:ff9b::a9fe:a9fe, which stands for 169.254.169.254: the address is a metadata"},
		"metadata through NAT64 of local use":         {address: "64:ff9b:1::a9fe:a9fe", want: "metadata"},
		"a public address through NAT64 of local use": {address: "64:ff9b:1::5db8:d822"},
		"the same, split":                             {address: "64:ff9b:1:5db8:d8:2200::"},
		"metadata through NAT64 of local use, split":  {address: "64:ff9b:1:a9fe:a9:fe00::", want: "metadata"},
		"loopback through 6to4":                       {address: "2002:7f00:1::", want: "stands for 127.0.0.1"},
		"loopback, compatible":                        {address: "::127.0.0.1", want: "loopback"},
		"loopback, translated":                        {address: "::ffff:0:127.0.0.1", want: "loopback"},
		"a public address through NAT64":              {address: "64:ff9b::5db8:d822"},
		"a service of the cluster":                    {address: "10.96.0.1", want: "the cluster's own"},
		"a service of the cluster, mapped":            {address: "::ffff:10.96.0.1", want: "the cluster's own"},
		"a service of the cluster, version 6":         {address: "fd00:10::1", want: "the cluster's own"},
		"a service of the cluster through NAT64":      {address: "64:ff9b::a60:1", want: "the cluster's own"},
		"a pod, of a range that is written as mapped": {address: "10.244.0.9", want: "the cluster's own"},
		"a listed loopback address":                   {address: "127.0.0.1", allow: "127.0.0.0/8"},
		"a listed loopback address, mapped":           {address: "::ffff:127.0.0.1", allow: "127.0.0.0/8"},
		"a listed address through NAT64":              {address: "64:ff9b::7f00:1", allow: "127.0.0.0/8"},
		"a listed address that is read in two ways":   {address: "64:ff9b:1:7f00:0:100:a9fe:a9fe", allow: "127.0.0.0/8", want: "metadata"},
		"a listed service":                            {address: "10.96.0.7", allow: "10.96.0.7/32"},
		"the neighbour of a listed service":           {address: "10.96.0.8", allow: "10.96.0.7/32", want: "the cluster's own"},
		"loopback where version 6 alone is listed":    {address: "127.0.0.1", allow: "::1/128", want: "loopback"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			policy := connector.AddressPolicy{Deny: cluster}
			if tc.allow != "" {
				policy.Allow = []netip.Prefix{netip.MustParsePrefix(tc.allow)}
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
	if err := (connector.AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}).Check(netip.Addr{}); err == nil {
		t.Error("Check of no address = nil")
	}
}

// TestAddressPolicyProperties: what is refused stays refused however it is
// written, and a policy with more denied refuses no less.
func TestAddressPolicyProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
		raw := v4.As4()
		policy := connector.AddressPolicy{}
		plain := policy.Check(v4)
		mapped := netip.AddrFrom16(v4.As16())
		nat64 := netip.MustParseAddr("64:ff9b::").As16()
		copy(nat64[12:], raw[:])
		if (policy.Check(mapped) == nil) != (plain == nil) || (policy.Check(netip.AddrFrom16(nat64)) == nil) != (plain == nil) {
			t.Fatalf("%s is judged otherwise where it is written in another form", v4)
		}
		policy.Deny = []netip.Prefix{netip.PrefixFrom(v4, rapid.IntRange(0, 32).Draw(t, "bits"))}
		if policy.Check(v4) == nil {
			t.Fatalf("%s is allowed though %s is denied", v4, policy.Deny[0])
		}
		policy.Allow = []netip.Prefix{netip.PrefixFrom(v4, 32)}
		if err := policy.Check(v4); err != nil {
			t.Fatalf("%s is refused though it is listed: %v", v4, err)
		}
	})
}
