// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest"
)

// hardLimit is the largest body that any Source may allow.
const hardLimit = 25 << 20

// deliveryHeaders are where senders tell their sendings apart: Standard Webhooks,
// GitHub, GitLab, CloudEvents, and draft-ietf-httpapi-idempotency-key-header.
var deliveryHeaders = []string{"Webhook-Id", "X-GitHub-Delivery", "X-Gitlab-Event-UUID", "Ce-Id", "Idempotency-Key"}

// receive reads a request into an envelope of an authenticated sender. The body
// counts against what may be in memory until release is called.
func (g *Gateway) receive(w http.ResponseWriter, r *http.Request, namespace, name string) (ingest.Envelope, func(), error) {
	release := func() {}
	fail := func(err error) (ingest.Envelope, func(), error) { return ingest.Envelope{}, release, err }
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return fail(&problem{Status: http.StatusUnsupportedMediaType, Detail: fmt.Sprintf("the body is encoded as %q; send it as it is", encoding)})
	}
	if r.ContentLength > hardLimit {
		return fail(ingest.RefuseTooLarge(hardLimit))
	}
	source, err := g.source(r, namespace, name)
	if err != nil {
		return fail(err)
	}
	verifier, err := g.verifier(r, source)
	if err != nil {
		return fail(err)
	}
	if !verifier.NeedsBody() { // the sender is known: refuse before reading
		if err := g.admit(source); err != nil {
			return fail(err)
		}
	}
	limit := source.Spec.Webhook.MaxBytes
	reserved := limit
	if r.ContentLength >= 0 {
		reserved = min(limit, r.ContentLength)
	}
	if !g.buffered.TryAcquire(reserved) {
		return fail(&problem{Status: http.StatusServiceUnavailable, Detail: "the gateway is reading as much as it may; send again", after: busyAfter})
	}
	release = func() { g.buffered.Release(reserved) }
	body, over, err := read(http.MaxBytesReader(w, r.Body, hardLimit), verifier, limit, max(0, min(limit, r.ContentLength)))
	if err != nil {
		return fail(err)
	}
	now := g.Now()
	if err := verifier.Check(now); err != nil {
		return fail(err)
	}
	if over {
		return fail(ingest.RefuseTooLarge(limit))
	}
	if verifier.NeedsBody() {
		if err := g.admit(source); err != nil {
			return fail(err)
		}
	}
	if err := ingest.CheckJSON(body); err != nil {
		return fail(err)
	}
	return ingest.Seal(namespace, name, now, mediaType(r), deliveryOf(r, verifier), body), release, nil
}

// source finds the Source. One that does not exist, or takes no webhooks, answers
// as bad credentials do.
func (g *Gateway) source(r *http.Request, namespace, name string) (*v1alpha1.Source, error) {
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return nil, ingest.RefuseCredentials()
	}
	source, err := g.Sources.Get(r.Context(), namespace, name)
	if apierrors.IsNotFound(err) {
		return nil, ingest.RefuseCredentials()
	}
	if err != nil {
		return nil, &problem{Status: http.StatusServiceUnavailable, Detail: "the gateway cannot read its configuration from the Kubernetes API now; send again", after: unavailableAfter, cause: err}
	}
	if source.Spec.Webhook == nil {
		return nil, ingest.RefuseCredentials()
	}
	source = source.DeepCopy()
	source.Spec = source.Spec.Effective()
	return source, nil
}

// verifier reads the Secret, at the moment of use, and the request's credentials.
// A Secret that cannot be read is the operator's fault, not the sender's: the
// sender is asked to come again, for an alert that nobody could judge is not one
// that nobody sent.
func (g *Gateway) verifier(r *http.Request, source *v1alpha1.Source) (*ingest.Verifier, error) {
	auth := source.Spec.Webhook.Authentication
	var ref v1alpha1.SecretKeyRef
	switch {
	case auth.Bearer != nil:
		ref = auth.Bearer.SecretRef
	case auth.HMAC != nil:
		ref = auth.HMAC.SecretRef
	}
	secret, err := g.Secrets.Get(r.Context(), source.Namespace, ref)
	if err != nil {
		return nil, &problem{
			Status: http.StatusServiceUnavailable, after: secretAfter, cause: err,
			Detail: fmt.Sprintf("the gateway cannot read what Source %s/%s checks credentials with; the conditions of that Source say why", source.Namespace, source.Name),
		}
	}
	return ingest.NewVerifier(auth, secret, r.Header.Get)
}

// admit counts an authenticated request against the Source's rate.
func (g *Gateway) admit(source *v1alpha1.Source) error {
	wait, ok := g.limits.take(source, g.Now())
	if ok {
		return nil
	}
	return &problem{
		Status: http.StatusTooManyRequests, after: wait,
		Detail: fmt.Sprintf("Source %s/%s takes %d requests a minute; send several findings at once, or raise its webhook.requestsPerMinute",
			source.Namespace, source.Name, source.Spec.Webhook.RequestsPerMinute),
	}
}

// read takes a body of at most limit bytes. What is beyond is not kept, but still
// given to a verifier that needs it: only a sender who proved itself is told that
// its body is too large.
func read(from io.Reader, verifier *ingest.Verifier, limit, expected int64) (body []byte, over bool, err error) {
	buffer := bytes.NewBuffer(make([]byte, 0, expected))
	n, err := io.Copy(io.MultiWriter(buffer, verifier), io.LimitReader(from, limit))
	if err == nil && n == limit {
		var more int64
		if verifier.NeedsBody() {
			more, err = io.Copy(verifier, from)
		} else {
			more, err = io.CopyN(io.Discard, from, 1)
		}
		over = more > 0
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, true, ingest.RefuseTooLarge(tooLarge.Limit)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, over, &problem{Status: http.StatusBadRequest, Detail: fmt.Sprintf("the body broke off after %d bytes; send it again", n), cause: err}
	}
	return buffer.Bytes(), over, nil
}

// mediaType is what the sender called the body, without parameters.
func mediaType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// deliveryOf tells a sending from another: the sender's own id, or else a signature
// that covers the time of sending, which makes a replay the same sending.
func deliveryOf(r *http.Request, verifier *ingest.Verifier) string {
	for _, name := range deliveryHeaders {
		if id := r.Header.Get(name); id != "" {
			return id
		}
	}
	return verifier.Proof()
}
