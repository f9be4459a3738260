// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Verifier decides whether a request's sender proved itself. What needs no body
// is decided by [NewVerifier]; what needs it, after the whole raw body was
// written, by Check.
type Verifier struct {
	signature []byte    // as sent; nil for a bearer token
	mac       hash.Hash // nil for a bearer token
	sent      time.Time // zero where no time is signed
	tolerance time.Duration
	header    string // that carries the time
}

// NewVerifier reads the credentials of a request: header gives the value of a
// header by its name, in any case, or "". secret is the content of the Secret;
// one newline at the end of a bearer token's is ignored, for no token can hold
// one. The error is a [*Refusal]. A secret that is empty fits nothing.
func NewVerifier(auth v1alpha1.WebhookAuthentication, secret []byte, header func(name string) string) (*Verifier, error) {
	switch {
	case auth.Bearer != nil:
		return newBearer(secret, header("Authorization"))
	case auth.HMAC != nil:
		return newHMAC(auth.HMAC, secret, header)
	default: // the API admits exactly one; nothing given proves nothing
		return nil, RefuseCredentials()
	}
}

func newBearer(secret []byte, authorization string) (*Verifier, error) {
	token := strings.TrimSuffix(strings.TrimSuffix(string(secret), "\n"), "\r")
	scheme, given, ok := strings.Cut(authorization, " ")
	// Digests have one length, so the comparison does not tell the token's.
	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(strings.TrimSpace(given)))
	fits := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	if token == "" || !ok || !strings.EqualFold(scheme, "Bearer") || !fits {
		return nil, RefuseCredentials()
	}
	return &Verifier{}, nil
}

func newHMAC(auth *v1alpha1.HMACAuthentication, secret []byte, header func(string) string) (*Verifier, error) {
	text := strings.TrimSpace(header(auth.Header))
	signature, err := hex.DecodeString(strings.TrimPrefix(text, "sha256="))
	if err != nil || len(signature) != sha256.Size || len(secret) == 0 {
		return nil, RefuseCredentials()
	}
	v := &Verifier{signature: signature, mac: hmac.New(sha256.New, secret)}
	if auth.TimeHeader == "" {
		return v, nil
	}
	stamp := strings.TrimSpace(header(auth.TimeHeader))
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return nil, RefuseCredentials()
	}
	v.sent, v.header, v.tolerance = time.Unix(seconds, 0), auth.TimeHeader, 5*time.Minute
	if auth.Tolerance != nil {
		v.tolerance = auth.Tolerance.Duration
	}
	_, _ = v.mac.Write([]byte(stamp + ".")) // a hash.Hash never errs
	return v, nil
}

// NeedsBody reports whether the body is part of the proof. If not, the sender
// has proved itself already.
func (v *Verifier) NeedsBody() bool { return v.mac != nil }

// Write takes the next bytes of the raw body. It never errs.
func (v *Verifier) Write(body []byte) (int, error) {
	if v.mac == nil {
		return len(body), nil
	}
	return v.mac.Write(body)
}

// Check decides, once the whole body was written. The error is a [*Refusal]:
// Unauthenticated, or Stale where the signature is right and its time is not.
func (v *Verifier) Check(now time.Time) error {
	if v.mac == nil {
		return nil
	}
	if !hmac.Equal(v.signature, v.mac.Sum(nil)) {
		return RefuseCredentials()
	}
	if v.sent.IsZero() {
		return nil
	}
	if off := now.Sub(v.sent); off > v.tolerance || off < -v.tolerance {
		return refuseStale(fmt.Sprintf("the signed time in header %s is %s away from the gateway's clock, more than the %s that the Source allows; sign each sending anew, or set the sender's clock",
			v.header, off.Abs().Round(time.Second), v.tolerance))
	}
	return nil
}

// Proof is the signature in hex where it covers the time of sending, and so
// tells one sending from another; empty otherwise.
func (v *Verifier) Proof() string {
	if v.sent.IsZero() {
		return ""
	}
	return hex.EncodeToString(v.signature)
}

// Verify is [NewVerifier] and [Verifier.Check] for a body that is at hand.
func Verify(auth v1alpha1.WebhookAuthentication, secret []byte, header func(name string) string, body []byte, now time.Time) error {
	v, err := NewVerifier(auth, secret, header)
	if err != nil {
		return err
	}
	_, _ = v.Write(body) // never errs
	return v.Check(now)
}
