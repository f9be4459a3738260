// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package geoip is the connector to a database of where addresses are, in the MaxMind DB
// format 2.0 (a City, Country or Enterprise database). The database lies in a bucket; it
// is read into memory once, and again within 30 seconds of use after it was replaced
// there. All that is opened on one database shares it.
//
// Its operation is locate: of an ip, and a time that it gives back, it gives
//
//	{found: true, ip, time, country, countryName, city, latitude, longitude, radiusKm}
//
// where country is the ISO 3166-1 code, names are English, and radiusKm is how far from
// the coordinates the address may be. country, countryName and city are empty where the
// database does not say; latitude, longitude, radiusKm and time are absent. Of an address that it
// does not know, as private ones are, it gives {found: false, ip, time}.
package geoip

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Tool is the name of the system behind this connector, for status.tool.
const Tool = "geoip"

// Locate says where an address is.
const Locate = "locate"

// The inputs.
const (
	ipInput   = "ip"
	timeInput = "time"
)

// operations are what every database offers. A function and not a variable, so that no
// caller can change another's.
func operations() []connector.Operation {
	return []connector.Operation{{Name: Locate, Effect: v1alpha1.EffectRead, Inputs: []connector.Input{
		{Name: ipInput, Type: connector.StringInput, Required: true, MaxLength: 64, Want: wantIP},
		{Name: timeInput, Type: connector.StringInput, MaxLength: 64, Want: wantTime},
	}}}
}

const (
	wantIP   = "an address without port or prefix, for example 198.51.100.4 or 2001:db8::1"
	wantTime = "an RFC 3339 time, for example 2026-11-24T10:00:00Z"
)

// connection implements connector.Connector for one database.
type connection struct {
	connector.ReadOnly

	database *database
	timeout  time.Duration
}

var _ connector.Connector = (*connection)(nil)

// Operations implements connector.Connector.
func (*connection) Operations() []connector.Operation { return operations() }

// Read implements connector.Connector.
func (c *connection) Read(ctx context.Context, operation string, input map[string]any) (any, error) {
	declared, err := connector.FindRead(operations(), operation)
	if err != nil {
		return nil, err
	}
	if err := declared.CheckInput(input); err != nil {
		return nil, err
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(connector.String(input, ipInput)))
	if err != nil {
		return nil, invalid(ipInput, "is no address", wantIP)
	}
	addr = addr.Unmap().WithZone("")
	out := map[string]any{"found": false, ipInput: addr.String()}
	if at := connector.String(input, timeInput); at != "" {
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			return nil, invalid(timeInput, "is no time", wantTime)
		}
		out[timeInput] = at
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	reader, err := c.database.reader(ctx)
	if err != nil {
		return nil, err
	}
	found, err := locate(reader, addr)
	if err != nil {
		return nil, c.database.corrupt(err)
	}
	found.into(out)
	return out, nil
}

func invalid(field, why, want string) error {
	return fault.Terminalf(connector.InvalidInputReason, "could not use the input of %s: field %q %s: want %s", Locate, field, why, want)
}

// Probe implements connector.Connector: the database can be read, and is one. Unlike
// Read it does not do with what is in memory.
func (c *connection) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.database.probe(ctx)
}
