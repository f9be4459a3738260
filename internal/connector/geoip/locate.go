// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package geoip

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/oschwald/maxminddb-golang/v2"
)

// maxName is how many bytes a name may have; a longer one is no name.
const maxName = 256

// place is what a City or Country database says of a network.
type place struct {
	City    named `maxminddb:"city"`
	Country struct {
		named
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
		Radius    *uint16  `maxminddb:"accuracy_radius"`
	} `maxminddb:"location"`
}

type named struct {
	Names struct {
		English string `maxminddb:"en"`
	} `maxminddb:"names"`
}

// open reads a database's metadata and checks that it says where addresses are.
func open(data []byte) (*maxminddb.Reader, error) {
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		return nil, errors.New("it is compressed: unpack it, and keep the file that ends in .mmdb")
	}
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, err
	}
	kind := reader.Metadata.DatabaseType
	for _, known := range []string{"City", "Country", "Enterprise"} {
		if strings.Contains(kind, known) {
			return reader, nil
		}
	}
	return nil, fmt.Errorf("it is a database of type %.40q: want a City or Country database", kind)
}

// locate looks an address up. Nothing is wrong with one that is not in the database; an
// error means that the database is.
func locate(reader *maxminddb.Reader, addr netip.Addr) (place, error) {
	var found place
	if addr.Is6() && reader.Metadata.IPVersion == 4 {
		return found, nil
	}
	result := reader.Lookup(addr)
	if err := result.Err(); err != nil || !result.Found() {
		return found, err
	}
	if err := result.Decode(&found); err != nil {
		return place{}, err
	}
	return found, found.check()
}

// check finds what no database says, but a damaged one may.
func (p place) check() error {
	for _, name := range []string{p.City.Names.English, p.Country.Names.English, p.Country.Code} {
		if len(name) > maxName || !utf8.ValidString(name) {
			return errors.New("a name in it is no text")
		}
	}
	l := p.Location
	if l.Latitude != nil && !(*l.Latitude >= -90 && *l.Latitude <= 90) || l.Longitude != nil && !(*l.Longitude >= -180 && *l.Longitude <= 180) {
		return errors.New("coordinates in it are nowhere on Earth")
	}
	return nil
}

// into adds to a record what is known; a place without country and coordinates is not found.
func (p place) into(record map[string]any) {
	l := p.Location
	located := l.Latitude != nil && l.Longitude != nil
	if !located && p.Country.Code == "" {
		return
	}
	record["found"] = true
	record["country"], record["countryName"], record["city"] = p.Country.Code, p.Country.Names.English, p.City.Names.English
	if !located {
		return
	}
	record["latitude"], record["longitude"] = *l.Latitude, *l.Longitude
	if l.Radius != nil {
		record["radiusKm"] = int64(*l.Radius)
	}
}
