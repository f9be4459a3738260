// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestVerify(t *testing.T) {
	bearer := v1alpha1.WebhookAuthentication{Bearer: &v1alpha1.BearerAuthentication{}}
	plain := v1alpha1.WebhookAuthentication{HMAC: &v1alpha1.HMACAuthentication{Header: "X-Signature"}}
	timed := v1alpha1.WebhookAuthentication{HMAC: &v1alpha1.HMACAuthentication{
		Header: "X-Signature", TimeHeader: "X-Time", Tolerance: &metav1.Duration{Duration: time.Minute},
	}}
	const secret, body = "s3cret", `{"a":1}`
	stamp := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	timedAt := func(d time.Duration) map[string]string {
		return map[string]string{"X-Time": stamp(d), "X-Signature": sign(secret, stamp(d)+"."+body)}
	}
	for name, tt := range map[string]struct {
		auth   v1alpha1.WebhookAuthentication
		secret string
		header map[string]string
		want   Verdict // empty: proved
	}{
		"the token fits":                            {auth: bearer, secret: secret, header: map[string]string{"Authorization": "Bearer s3cret"}},
		"the scheme is written in any case":         {auth: bearer, secret: secret, header: map[string]string{"Authorization": "bearer s3cret"}},
		"a newline at the Secret's end is ignored":  {auth: bearer, secret: "s3cret\n", header: map[string]string{"Authorization": "Bearer s3cret"}},
		"another token does not fit":                {auth: bearer, secret: secret, header: map[string]string{"Authorization": "Bearer s3creT"}, want: Unauthenticated},
		"the beginning of the token does not fit":   {auth: bearer, secret: secret, header: map[string]string{"Authorization": "Bearer s3"}, want: Unauthenticated},
		"another scheme does not fit":               {auth: bearer, secret: secret, header: map[string]string{"Authorization": "Basic s3cret"}, want: Unauthenticated},
		"no header does not fit":                    {auth: bearer, secret: secret, want: Unauthenticated},
		"an empty Secret fits nothing":              {auth: bearer, secret: "", header: map[string]string{"Authorization": "Bearer "}, want: Unauthenticated},
		"a Secret of one newline fits nothing":      {auth: bearer, secret: "\n", header: map[string]string{"Authorization": "Bearer "}, want: Unauthenticated},
		"the signature fits":                        {auth: plain, secret: secret, header: map[string]string{"X-Signature": sign(secret, body)}},
		"the signature has its prefix":              {auth: plain, secret: secret, header: map[string]string{"X-Signature": "sha256=" + sign(secret, body)}},
		"a signature by another key does not fit":   {auth: plain, secret: secret, header: map[string]string{"X-Signature": sign("other", body)}, want: Unauthenticated},
		"a signature of another body does not fit":  {auth: plain, secret: secret, header: map[string]string{"X-Signature": sign(secret, body+" ")}, want: Unauthenticated},
		"a cut signature does not fit":              {auth: plain, secret: secret, header: map[string]string{"X-Signature": sign(secret, body)[:32]}, want: Unauthenticated},
		"an empty signature does not fit":           {auth: plain, secret: secret, header: map[string]string{"X-Signature": "sha256="}, want: Unauthenticated},
		"a signature by an empty key does not fit":  {auth: plain, secret: "", header: map[string]string{"X-Signature": sign("", body)}, want: Unauthenticated},
		"the signed time fits":                      {auth: timed, secret: secret, header: timedAt(-59 * time.Second)},
		"the signed time is at the bound":           {auth: timed, secret: secret, header: timedAt(time.Minute)},
		"a replay after the tolerance is stale":     {auth: timed, secret: secret, header: timedAt(-61 * time.Second), want: Stale},
		"a time in the future is stale":             {auth: timed, secret: secret, header: timedAt(61 * time.Second), want: Stale},
		"a replay with a new time does not fit":     {auth: timed, secret: secret, header: map[string]string{"X-Time": stamp(0), "X-Signature": sign(secret, stamp(-time.Hour)+"."+body)}, want: Unauthenticated},
		"an old time with a forged one is not told": {auth: timed, secret: secret, header: map[string]string{"X-Time": stamp(-time.Hour), "X-Signature": sign("other", stamp(-time.Hour)+"."+body)}, want: Unauthenticated},
		"a missing time does not fit":               {auth: timed, secret: secret, header: map[string]string{"X-Signature": sign(secret, body)}, want: Unauthenticated},
		"a time that is no number does not fit":     {auth: timed, secret: secret, header: map[string]string{"X-Time": "now", "X-Signature": sign(secret, "now."+body)}, want: Unauthenticated},
		"no authentication at all proves nothing":   {secret: secret, want: Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			err := Verify(tt.auth, []byte(tt.secret), func(name string) string { return tt.header[name] }, []byte(body), now)
			refusal, _ := errors.AsType[*Refusal](err)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (refusal == nil || refusal.Verdict != tt.want):
				t.Errorf("answered %v, want %s", err, tt.want)
			case err != nil && strings.Contains(err.Error(), secret):
				t.Errorf("the message holds the secret: %v", err)
			case tt.want == Unauthenticated && err.Error() != RefuseCredentials().Error():
				t.Errorf("the message tells why: %v", err)
			}
		})
	}
}

func TestProofTellsSendingsApart(t *testing.T) {
	at := func(stamp string) string {
		v, err := NewVerifier(v1alpha1.WebhookAuthentication{HMAC: &v1alpha1.HMACAuthentication{Header: "S", TimeHeader: "T"}}, []byte("k"),
			func(name string) string {
				return map[string]string{"T": stamp, "S": strings.ToUpper(sign("k", stamp+".x"))}[name]
			})
		if err != nil {
			t.Fatal(err)
		}
		return v.Proof()
	}
	if first, again, other := at("1"), at("1"), at("2"); first == "" || first != again || first == other {
		t.Errorf("proofs are %q, %q, %q: want one for each signed time", first, again, other)
	}
}
