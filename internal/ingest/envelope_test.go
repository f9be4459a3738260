// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAnEnvelopeOpensAsItWasSealed(t *testing.T) {
	name := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		sealed := Seal(
			name.Draw(t, "namespace"),
			strings.Join(rapid.SliceOfN(name, 1, 3).Draw(t, "source"), "."),
			time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")),
			rapid.String().Draw(t, "mediaType"),
			rapid.String().Draw(t, "delivery"),
			rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
		)
		header := sealed.Header()
		for key, value := range header {
			if strings.ContainsAny(value, "\r\n") {
				t.Fatalf("header %s breaks its line: %q", key, value)
			}
		}
		opened, err := OpenEnvelope(sealed.Subject(), func(name string) string { return header[name] }, sealed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sealed, opened); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestOpenEnvelopeRefusesWhatNoGatewayWrote(t *testing.T) {
	good := Seal("soc", "falco", now, "application/json", "", []byte("{}"))
	for name, tt := range map[string]struct {
		subject string
		change  func(map[string]string)
		body    string
		says    string
	}{
		"another subject":       {subject: "other.soc.falco", body: "{}", says: "only the gateway"},
		"no source":             {subject: "intake.soc", body: "{}", says: "only the gateway"},
		"an empty namespace":    {subject: "intake..falco", body: "{}", says: "only the gateway"},
		"another body":          {subject: good.Subject(), body: "[]", says: "digest"},
		"no time":               {subject: good.Subject(), change: func(h map[string]string) { delete(h, ReceivedHeader) }, body: "{}", says: ReceivedHeader},
		"a digest that is none": {subject: good.Subject(), change: func(h map[string]string) { h[DigestHeader] = "" }, body: "{}", says: "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			header := good.Header()
			if tt.change != nil {
				tt.change(header)
			}
			_, err := OpenEnvelope(tt.subject, func(name string) string { return header[name] }, []byte(tt.body))
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("answered %v, want an error that says %q", err, tt.says)
			}
		})
	}
}

func TestMessageID(t *testing.T) {
	base := Seal("soc", "falco", now, "", "d1", []byte("{}"))
	for name, tt := range map[string]struct {
		other Envelope
		same  bool
	}{
		"a retry later is the same":               {other: Seal("soc", "falco", now.Add(time.Minute), "text/plain", "d1", []byte("{}")), same: true},
		"another delivery is another":             {other: Seal("soc", "falco", now, "", "d2", []byte("{}"))},
		"another body under one id is another":    {other: Seal("soc", "falco", now, "", "d1", []byte("[]"))},
		"another Source's id is another":          {other: Seal("soc", "okta", now, "", "d1", []byte("{}"))},
		"another tenant's Source's id is another": {other: Seal("hr", "falco", now, "", "d1", []byte("{}"))},
		"without a delivery id there is none":     {other: Seal("soc", "falco", now, "", "", []byte("{}"))},
	} {
		t.Run(name, func(t *testing.T) {
			if got := base.MessageID() == tt.other.MessageID(); got != tt.same {
				t.Errorf("same id: %v, want %v", got, tt.same)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	hour := time.Hour
	for name, tt := range map[string]struct {
		a, b   time.Time
		length time.Duration
		same   bool
	}{
		"two times of one hour share a window":     {a: now, b: now.Add(hour - time.Nanosecond), length: hour, same: true},
		"the next hour is another window":          {a: now, b: now.Add(hour), length: hour},
		"the hour before is another window":        {a: now, b: now.Add(-time.Nanosecond), length: hour},
		"no length is one hour":                    {a: now, b: now.Add(59 * time.Minute), same: true},
		"windows before the epoch are not doubled": {a: time.Unix(-1, 0), b: time.Unix(1, 0), length: hour},
		"a length with a fraction divides time":    {a: time.Unix(0, 0), b: time.Unix(60, 5e8-1), length: 60*time.Second + 500*time.Millisecond, same: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Window(tt.a, tt.length) == Window(tt.b, tt.length); got != tt.same {
				t.Errorf("%v and %v in one window of %v: %v, want %v", tt.a, tt.b, tt.length, got, tt.same)
			}
		})
	}
}

func FuzzOpenEnvelope(f *testing.F) {
	e := Seal("soc", "falco", now, "application/json", "1", []byte("{}"))
	f.Add(e.Subject(), e.Header()[ReceivedHeader], e.Digest, e.Body)
	f.Add("intake.", "", "", []byte(nil))
	f.Fuzz(func(t *testing.T, subject, received, digest string, body []byte) {
		header := map[string]string{ReceivedHeader: received, DigestHeader: digest}
		opened, err := OpenEnvelope(subject, func(name string) string { return header[name] }, body)
		if err == nil && (opened.Subject() != subject || opened.Digest != Digest(body)) {
			t.Errorf("opened %q as %q with digest %s", subject, opened.Subject(), opened.Digest)
		}
	})
}
