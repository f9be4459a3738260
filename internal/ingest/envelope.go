// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// SubjectPrefix begins the subject of every envelope on the stream.
const SubjectPrefix = "intake."

// Headers of an envelope on the stream.
const (
	// ReceivedHeader carries Envelope.Received in RFC 3339 with nanoseconds.
	ReceivedHeader = "Casebook-Received"
	// DigestHeader carries Envelope.Digest.
	DigestHeader = "Casebook-Digest"
	// MediaTypeHeader carries Envelope.MediaType.
	MediaTypeHeader = "Casebook-Media-Type"
	// DeliveryHeader carries Envelope.Delivery.
	DeliveryHeader = "Casebook-Delivery"
)

// Bounds of what a sender may put into an envelope's headers, in bytes.
const (
	maxMediaType = 127
	maxDelivery  = 256
)

// Envelope is one payload as it was received, with what the gateway knows of it.
// Namespace and Source are the Source that the sender proved to be, never
// something that the body says.
type Envelope struct {
	// Namespace and Source name the Source.
	Namespace, Source string
	// Received is when the gateway had read the payload, in UTC.
	Received time.Time
	// Digest is "sha256:" and the SHA-256 of Body in lower-case hex.
	Digest string
	// MediaType is what the sender called the body; may be empty.
	MediaType string
	// Delivery tells one sending from another, so that a retry is kept once; may be empty.
	Delivery string
	// Body is the payload, byte for byte.
	Body []byte
}

// Seal makes the envelope of a body received now. A media type or delivery id
// that is too long, or not printable ASCII, is left out or replaced by its
// digest: the payload matters more.
func Seal(namespace, source string, received time.Time, mediaType, delivery string, body []byte) Envelope {
	if len(mediaType) > maxMediaType || !printable(mediaType) {
		mediaType = ""
	}
	if len(delivery) > maxDelivery || !printable(delivery) {
		delivery = Digest([]byte(delivery))
	}
	return Envelope{
		Namespace: namespace, Source: source, Received: received.UTC(), Digest: Digest(body),
		MediaType: mediaType, Delivery: delivery, Body: body,
	}
}

// Digest is "sha256:" and the SHA-256 of content in lower-case hex.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Subject is where the envelope lies on the stream: the prefix, the namespace, a
// dot and the Source's name, whose own dots are kept.
func (e Envelope) Subject() string {
	return SubjectPrefix + e.Namespace + "." + e.Source
}

// Header gives the envelope's headers; those without a value are absent.
func (e Envelope) Header() map[string]string {
	header := map[string]string{
		ReceivedHeader: e.Received.UTC().Format(time.RFC3339Nano),
		DigestHeader:   e.Digest,
	}
	if e.MediaType != "" {
		header[MediaTypeHeader] = e.MediaType
	}
	if e.Delivery != "" {
		header[DeliveryHeader] = e.Delivery
	}
	return header
}

// MessageID is the stream's key for keeping an envelope once; empty where the
// sender does not tell its sendings apart. It covers the body too: a delivery id
// that comes again with another body is another payload.
func (e Envelope) MessageID() string {
	if e.Delivery == "" {
		return ""
	}
	return Digest([]byte(strings.Join([]string{e.Namespace, e.Source, e.Delivery, e.Digest}, "\n")))
}

// OpenEnvelope is the inverse of Subject, Header and Body. It errs where a
// message on the stream was not written by a gateway, or is not what was written:
// the digest is compared with the body.
func OpenEnvelope(subject string, header func(name string) string, body []byte) (Envelope, error) {
	e := Envelope{Digest: header(DigestHeader), MediaType: header(MediaTypeHeader), Delivery: header(DeliveryHeader), Body: body}
	rest, ok := strings.CutPrefix(subject, SubjectPrefix)
	if ok {
		e.Namespace, e.Source, ok = strings.Cut(rest, ".")
	}
	if !ok || e.Namespace == "" || e.Source == "" {
		return e, fmt.Errorf("could not open the message at subject %q: it is not %s<namespace>.<source>; only the gateway may write to the stream", subject, SubjectPrefix)
	}
	received, err := time.Parse(time.RFC3339Nano, header(ReceivedHeader))
	if err != nil {
		return e, fmt.Errorf("could not open a message of Source %s/%s: header %s: %w", e.Namespace, e.Source, ReceivedHeader, err)
	}
	e.Received = received.UTC()
	if actual := Digest(body); e.Digest != actual {
		return e, fmt.Errorf("could not open a message of Source %s/%s: its body has digest %s, its header says %q: the stream's storage is damaged or was written by another", e.Namespace, e.Source, actual, e.Digest)
	}
	return e, nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
