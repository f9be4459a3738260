// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package geoip_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/dir"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/geoip"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/test/fixture/geo"
)

type record = map[string]any

// world is a bucket that counts how often it is asked, and can be away.
type world struct {
	blob.Bucket
	t      *testing.T
	clock  *clocktesting.FakePassiveClock
	opener *geoip.Opener

	mu          sync.Mutex
	stats, gets int
	away        error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	bucket, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	w := &world{Bucket: bucket, t: t, clock: clocktesting.NewFakePassiveClock(time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC))}
	w.opener = geoip.NewOpener(func(namespace string, _ v1alpha1.BucketSpec) (blob.Bucket, error) {
		if namespace == "elsewhere" {
			return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "namespace %s may not read this bucket", namespace)
		}
		return w, nil
	}, w.clock)
	return w
}

// Stat implements blob.Bucket.
func (w *world) Stat(ctx context.Context, key string) (blob.Info, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stats++; w.away != nil {
		return blob.Info{}, w.away
	}
	return w.Bucket.Stat(ctx, key)
}

// Get implements blob.Bucket.
func (w *world) Get(ctx context.Context, key string, limit int64) (blob.Object, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gets++
	return w.Bucket.Get(ctx, key, limit)
}

// put puts an object in the place of what is there.
func (w *world) put(key string, data []byte) {
	w.t.Helper()
	if _, err := w.Create(w.t.Context(), key, data); err == nil {
		return
	}
	info, err := w.Bucket.Stat(w.t.Context(), key)
	if err == nil {
		_, err = w.Replace(w.t.Context(), key, data, info.ETag)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open(namespace, key string) connector.Connector {
	w.t.Helper()
	c, err := w.opener.Open(&v1alpha1.Connector{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "geo"},
		Spec:       v1alpha1.ConnectorSpec{GeoIP: &v1alpha1.GeoIPConnector{Bucket: v1alpha1.BucketObject{Key: key}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func database(t testing.TB, kind string, places []geo.Place) []byte {
	t.Helper()
	data, err := geo.DatabaseOf(kind, places)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func city(t testing.TB) []byte { return database(t, "GeoLite2-City", geo.Places()) }

func wantTerminal(t *testing.T, err error, reason string, words ...string) {
	t.Helper()
	terminal, ok := errors.AsType[*fault.Terminal](err)
	if !ok || terminal.Reason != reason {
		t.Errorf("got %v, want a Terminal %s", err, reason)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the message %q does not say %q", err, word)
		}
	}
}

func TestLocate(t *testing.T) {
	w := newWorld(t)
	w.put("geo/city.mmdb", city(t))
	berlin := func(ip string, radius int64) record {
		return record{
			"found": true, "ip": ip, "country": "DE", "countryName": "Germany", "city": "Berlin",
			"latitude": 52.52, "longitude": 13.405, "radiusKm": radius,
		}
	}
	const at = "2026-11-24T10:04:00.5Z"
	timed := berlin("198.51.100.4", 20)
	timed["time"] = at
	tests := map[string]struct {
		ip, time any
		want     record
	}{
		"an address":                      {"198.51.100.4", nil, berlin("198.51.100.4", 20)},
		"and the time it was seen":        {"198.51.100.4", at, timed},
		"space around it":                 {" 198.51.100.4\n", "", berlin("198.51.100.4", 20)},
		"an address of IPv6":              {"2001:DB8:1:0::1", nil, berlin("2001:db8:1::1", 100)},
		"an address of IPv4 within IPv6":  {"::ffff:198.51.100.4", nil, berlin("198.51.100.4", 20)},
		"written in hexadecimal":          {"::FFFF:c633:6404", nil, berlin("198.51.100.4", 20)},
		"a place without coordinates":     {"192.0.2.1", nil, record{"found": true, "ip": "192.0.2.1", "country": "NL", "countryName": "The Netherlands", "city": ""}},
		"a private address":               {"10.0.0.1", at, record{"found": false, "ip": "10.0.0.1", "time": at}},
		"an address that nobody knows":    {"8.8.8.8", nil, record{"found": false, "ip": "8.8.8.8"}},
		"an address of a link":            {"fe80::1%eth0", nil, record{"found": false, "ip": "fe80::1"}},
		"the address of no one":           {"::", nil, record{"found": false, "ip": "::"}},
		"an IPv6 address nobody knows":    {"2001:db8:2::1", nil, record{"found": false, "ip": "2001:db8:2::1"}},
		"an address on the other side":    {"203.0.113.7", nil, record{"found": true, "ip": "203.0.113.7", "country": "BR", "countryName": "Brazil", "city": "São Paulo", "latitude": -23.5505, "longitude": -46.6333, "radiusKm": int64(50)}},
		"an address in a broadcast range": {"255.255.255.255", nil, record{"found": false, "ip": "255.255.255.255"}},
	}
	c := w.open("soc", "geo/city.mmdb")
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := c.Read(t.Context(), geoip.Locate, record{"ip": tc.ip, "time": tc.time})
			if diff := cmp.Diff(any(tc.want), got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	if err := c.Probe(t.Context()); err != nil {
		t.Errorf("the probe says %v", err)
	}
	if w.gets != 1 || w.stats != 2 {
		t.Errorf("the database was read %d times and asked for %d times, want once, and twice with the probe", w.gets, w.stats)
	}
}

func TestBadInputIsRefused(t *testing.T) {
	c := newWorld(t).open("soc", "city.mmdb")
	tests := map[string]struct {
		operation string
		input     record
		reason    string
		words     string
	}{
		"no address":        {geoip.Locate, record{}, connector.InvalidInputReason, `"ip" is missing`},
		"a name":            {geoip.Locate, record{"ip": "example.com"}, connector.InvalidInputReason, `field "ip" is no address: want an address without port or prefix`},
		"a port":            {geoip.Locate, record{"ip": "198.51.100.4:443"}, connector.InvalidInputReason, "without port"},
		"a prefix":          {geoip.Locate, record{"ip": "198.51.100.0/24"}, connector.InvalidInputReason, "or prefix"},
		"zeros that lead":   {geoip.Locate, record{"ip": "198.051.100.004"}, connector.InvalidInputReason, "no address"},
		"a number":          {geoip.Locate, record{"ip": 3325256708}, connector.InvalidInputReason, "is of type integer"},
		"no time":           {geoip.Locate, record{"ip": "198.51.100.4", "time": "yesterday"}, connector.InvalidInputReason, `field "time" is no time: want an RFC 3339 time`},
		"a date":            {geoip.Locate, record{"ip": "198.51.100.4", "time": "2026-11-24"}, connector.InvalidInputReason, `"time"`},
		"another input":     {geoip.Locate, record{"ip": "198.51.100.4", "city": "x"}, connector.InvalidInputReason, "ip, time"},
		"another operation": {"move", record{"ip": "198.51.100.4"}, connector.UnknownOperationReason, "locate"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.Read(t.Context(), tc.operation, tc.input)
			wantTerminal(t, err, tc.reason, tc.words)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	w := newWorld(t)
	for _, spec := range []v1alpha1.ConnectorSpec{{}, {GeoIP: &v1alpha1.GeoIPConnector{}}} {
		_, err := w.opener.Open(&v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "geo"}, Spec: spec})
		wantTerminal(t, err, v1alpha1.InvalidSpecReason, "soc/geo", "spec.geoip.bucket")
	}
}

var anAddress = record{"ip": "198.51.100.4"}

// where is the city of an address, or the error of asking.
func where(t *testing.T, c connector.Connector) string {
	t.Helper()
	got, err := c.Read(t.Context(), geoip.Locate, anAddress)
	if err != nil {
		return err.Error()
	}
	city, _ := got.(record)["city"].(string)
	return city
}

func TestADatabaseThatIsReplacedIsReadAgain(t *testing.T) {
	w := newWorld(t)
	w.put("city.mmdb", city(t))
	c := w.open("soc", "city.mmdb")
	if got := where(t, c); got != "Berlin" {
		t.Fatalf("got %s", got)
	}
	moved := geo.Places()
	moved[0].City = "Potsdam"
	w.put("city.mmdb", database(t, "GeoLite2-City", moved))
	w.clock.SetTime(w.clock.Now().Add(geoip.CheckEvery - time.Second))
	if got := where(t, c); got != "Berlin" || w.stats != 1 {
		t.Errorf("got %s, asked %d times: want what is in memory, unasked", got, w.stats)
	}
	w.clock.SetTime(w.clock.Now().Add(time.Second))
	if got := where(t, c); got != "Potsdam" || w.stats != 2 || w.gets != 2 {
		t.Errorf("got %s, asked %d times, read %d times: want what lies there, asked once more", got, w.stats, w.gets)
	}
	w.clock.SetTime(w.clock.Now().Add(-time.Hour))
	if got := where(t, c); got != "Potsdam" || w.stats != 3 || w.gets != 2 {
		t.Errorf("got %s, asked %d times, read %d times: want to ask when the clock is set back, and read nothing", got, w.stats, w.gets)
	}

	w.put("city.mmdb", []byte("no database"))
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	for range 2 {
		_, err := c.Read(t.Context(), geoip.Locate, anAddress)
		wantTerminal(t, err, connector.InvalidDataReason, "could not use object city.mmdb of the bucket", "put a City or Country database in the MaxMind DB format there")
	}
	if w.gets != 3 {
		t.Errorf("it was read %d times: what cannot be used is read once", w.gets)
	}
	w.put("city.mmdb", city(t))
	if err := c.Probe(t.Context()); err != nil {
		t.Errorf("the probe says %v", err)
	}
	if got := where(t, c); got != "Berlin" {
		t.Errorf("got %s: what the probe saw is used", got)
	}
	if err := w.Delete(t.Context(), "city.mmdb"); err != nil {
		t.Fatal(err)
	}
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	for range 2 {
		_, err := c.Read(t.Context(), geoip.Locate, anAddress)
		wantTerminal(t, err, v1alpha1.ReferenceNotFoundReason, "there is no object city.mmdb in the bucket: put it there")
	}
	w.away = errors.New("no route to host")
	if _, err := c.Read(t.Context(), geoip.Locate, anAddress); !errors.Is(err, w.away) {
		t.Errorf("got %v: what was taken away is not used while the bucket is", err)
	}
	w.away = nil
	w.put("city.mmdb", city(t))
	if got := where(t, c); got != "Berlin" {
		t.Errorf("got %s: what is put back is used at once", got)
	}
}

func TestABucketThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.put("city.mmdb", city(t))
	c := w.open("soc", "city.mmdb")
	w.away = errors.New("no route to host")
	_, err := c.Read(t.Context(), geoip.Locate, anAddress)
	if _, terminal := errors.AsType[*fault.Terminal](err); terminal || !errors.Is(err, w.away) {
		t.Errorf("got %v, want an error that passes", err)
	}
	w.away = nil
	if got := where(t, c); got != "Berlin" {
		t.Fatalf("got %s: it is asked again at once", got)
	}
	w.away = errors.New("no route to host")
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	asked := w.stats
	for range 3 {
		if got := where(t, c); got != "Berlin" {
			t.Errorf("got %s, want what is in memory", got)
		}
	}
	if w.stats != asked+1 {
		t.Errorf("a bucket that is away was asked %d times", w.stats-asked)
	}
	if err := c.Probe(t.Context()); !errors.Is(err, w.away) {
		t.Errorf("the probe says %v", err)
	}
}

func TestDatabasesAreShared(t *testing.T) {
	w := newWorld(t)
	w.put("a.mmdb", city(t))
	w.put("b.mmdb", city(t))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if got := where(t, w.open("soc", "a.mmdb")); got != "Berlin" {
				t.Errorf("got %s", got)
			}
		})
	}
	group.Wait()
	if w.gets != 1 {
		t.Errorf("the database was read %d times, want once for all", w.gets)
	}
	if got := where(t, w.open("shop", "a.mmdb")) + where(t, w.open("soc", "b.mmdb")); got != "BerlinBerlin" {
		t.Errorf("got %s", got)
	}
	_, err := w.open("elsewhere", "a.mmdb").Read(t.Context(), geoip.Locate, anAddress)
	wantTerminal(t, err, v1alpha1.InvalidSpecReason, "namespace elsewhere may not read this bucket")
	wantTerminal(t, w.open("elsewhere", "a.mmdb").Probe(t.Context()), v1alpha1.InvalidSpecReason, "may not read")
}

func TestWhatIsNoDatabaseOfPlaces(t *testing.T) {
	data := city(t)
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(data); err != nil || writer.Close() != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		data  []byte
		words string
	}{
		"nothing":                     {nil, "invalid MaxMind DB file"},
		"text":                        {[]byte("network,country\n198.51.100.0/24,DE\n"), "invalid MaxMind DB file"},
		"half a database":             {data[:len(data)/2], "invalid MaxMind DB file"},
		"metadata alone":              {data[bytes.LastIndex(data, []byte("\xab\xcd\xefMaxMind.com")):], "invalid metadata"},
		"a database that is packed":   {packed.Bytes(), "it is compressed: unpack it"},
		"a database of other records": {database(t, "GeoLite2-ASN", geo.Places()), `of type "GeoLite2-ASN": want a City or Country database`},
		"coordinates off the Earth":   {database(t, "Our-City", []geo.Place{{Network: "198.51.100.0/24", At: &geo.Point{Latitude: 91}}}), "nowhere on Earth"},
		"a name that is no text":      {database(t, "Our-City", []geo.Place{{Network: "198.51.100.0/24", Country: "DE", CountryName: "\xff"}}), "no text"},
		"a name without end":          {database(t, "Our-City", []geo.Place{{Network: "198.51.100.0/24", City: strings.Repeat("a", 257)}}), "no text"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put("x.mmdb", tc.data)
			_, err := w.open("soc", "x.mmdb").Read(t.Context(), geoip.Locate, anAddress)
			wantTerminal(t, err, connector.InvalidDataReason, "object x.mmdb of the bucket", tc.words)
		})
	}
}

func TestACountryDatabaseHasNoCoordinates(t *testing.T) {
	w := newWorld(t)
	w.put("c.mmdb", database(t, "GeoIP2-Country", []geo.Place{{Network: "198.51.100.0/24", Country: "DE", CountryName: "Germany"}, {Network: "203.0.113.0/24"}}))
	for ip, want := range map[string]record{
		"198.51.100.4": {"found": true, "ip": "198.51.100.4", "country": "DE", "countryName": "Germany", "city": ""},
		"203.0.113.7":  {"found": false, "ip": "203.0.113.7"}, // a record that says nothing
	} {
		got, err := w.open("soc", "c.mmdb").Read(t.Context(), geoip.Locate, record{"ip": ip})
		if diff := cmp.Diff(any(want), got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

func TestADatabaseOfIPv4AloneKnowsNoIPv6(t *testing.T) {
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Our-City", IPVersion: 4, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, network, err := net.ParseCIDR("198.51.100.0/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Insert(network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("DE")}}); err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	if _, err := tree.WriteTo(&data); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.put("four.mmdb", data.Bytes())
	for ip, want := range map[string]bool{"198.51.100.4": true, "::ffff:198.51.100.4": true, "2001:db8::1": false} {
		got, err := w.open("soc", "four.mmdb").Read(t.Context(), geoip.Locate, record{"ip": ip})
		if found, ok := got.(record); err != nil || !ok || found["found"] != want {
			t.Errorf("%s is %v, %v; want found: %t", ip, got, err, want)
		}
	}
}

func TestAReadStopsWithItsContext(t *testing.T) {
	w := newWorld(t)
	w.put("city.mmdb", city(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.open("soc", "city.mmdb").Read(ctx, geoip.Locate, anAddress); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestADatabaseChangesNothing(t *testing.T) {
	c := newWorld(t).open("soc", "city.mmdb")
	if err := connector.CheckOperations(c.Operations()); err != nil {
		t.Error(err)
	}
	request := connector.Request{Operation: geoip.Locate, Input: anAddress, Mark: "a", Key: "k"}
	_, err := c.Target(geoip.Locate, anAddress)
	_, before := c.Before(t.Context(), request)
	_, verify := c.Verify(t.Context(), request)
	for _, err := range []error{err, before, verify} {
		wantTerminal(t, err, connector.UnknownOperationReason, `"locate"`, "only read")
	}
	if got := c.Do(t.Context(), request); got.Outcome != v1alpha1.OutcomeRefused || got.Reason != connector.UnknownOperationReason || got.Message == "" {
		t.Errorf("got %+v, want Refused", got)
	}
}
