// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package geoip

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"testing"

	"github.com/casebook-dev/casebook/test/fixture/geo"
)

var addresses = []netip.Addr{
	netip.MustParseAddr("198.51.100.4"), netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("192.0.2.1"),
	netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("::"),
}

// survive opens what may be damaged and looks addresses up. Whatever comes out is an
// error, or a record that can be written as JSON; located is how many were located.
func survive(t *testing.T, data []byte) (located int) {
	reader, err := open(data)
	if err != nil {
		return 0
	}
	for _, addr := range addresses {
		found, err := locate(reader, addr)
		if err != nil {
			continue
		}
		out := map[string]any{}
		found.into(out)
		if _, err := json.Marshal(out); err != nil {
			t.Errorf("%s: %v cannot be written: %v", addr, out, err)
		}
		if out["latitude"] != nil {
			located++
		}
	}
	return located
}

func sound(tb testing.TB) []byte {
	tb.Helper()
	data, err := geo.Database(geo.Places())
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestDamageIsAnError(t *testing.T) {
	data := sound(t)
	if got := survive(t, data); got != 3 {
		t.Fatalf("%d addresses are located, want 3", got)
	}
	for end := range data {
		survive(t, data[:end])
		survive(t, data[end:])
	}
	// The search tree repeats itself, so every byte of what follows it, and each 7th of it.
	tree := bytes.Index(data, make([]byte, 16))
	for i := range data {
		if i < tree && i%7 != 0 {
			continue
		}
		for _, flip := range []byte{0x01, 0x20, 0x80, 0xff} {
			damaged := slices.Clone(data)
			damaged[i] ^= flip
			survive(t, damaged)
		}
	}
}

func FuzzOpen(f *testing.F) {
	data := sound(f)
	f.Add(data)
	f.Add(data[bytes.LastIndex(data, []byte("\xab\xcd\xefMaxMind.com")):])
	f.Fuzz(func(t *testing.T, data []byte) { survive(t, data) })
}
