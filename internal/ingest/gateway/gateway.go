// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway takes payloads by HTTP: POST /v1/<namespace>/<source>.
//
// It authenticates the sender, bounds what comes in, keeps the payload in the
// stream and answers 202 only then. What it does not take it refuses with an
// RFC 9457 problem of one line that names the object, the cause and the remedy,
// and with Retry-After where coming again helps. An unknown Source and bad
// credentials get the same answer. It writes nothing to the API.
//
// A body must be JSON, or JSON documents on lines of their own, within the bounds
// of [ingest.CheckJSON]: what cannot be decoded at all is answered 400 with the
// byte offset, so that its sender learns of it. What can be decoded is kept even
// if no Mapping fits it. Content-Type is not judged, for many tools mislabel what
// they send; a compressed body is refused.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest"
)

// DefaultMaxBuffered bounds the bodies in memory at one time.
const DefaultMaxBuffered int64 = 64 << 20

// Sources finds a Source. A Source that does not exist is an error for which
// apierrors.IsNotFound holds.
type Sources interface {
	Get(ctx context.Context, namespace, name string) (*v1alpha1.Source, error)
}

// Secrets reads one key of a Secret.
type Secrets interface {
	Get(ctx context.Context, namespace string, ref v1alpha1.SecretKeyRef) ([]byte, error)
}

// Stream keeps envelopes: once Publish has answered, on stable storage. A stream
// without room answers [ingest.ErrFull].
type Stream interface {
	Publish(ctx context.Context, e ingest.Envelope) (ingest.Kept, error)
	Ready(ctx context.Context) error
}

// Options are what a Gateway needs. Sources, Secrets and Stream are required.
type Options struct {
	Sources Sources
	Secrets Secrets
	Stream  Stream
	// MaxBuffered bounds the bytes of all bodies in memory at one time; beyond it senders are
	// asked to come again. DefaultMaxBuffered if zero; never less than one largest body.
	MaxBuffered int64
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Log tells what was refused (V(1)) and what could not be kept; nothing if left out.
	Log logr.Logger
}

// Gateway is the HTTP handler. Besides payloads it answers GET /healthz, and GET
// /readyz, which fails while the stream cannot keep anything.
type Gateway struct {
	Options
	buffered *semaphore.Weighted
	limits   limits
}

// New makes a Gateway.
func New(options Options) *Gateway {
	if options.MaxBuffered == 0 {
		options.MaxBuffered = DefaultMaxBuffered
	}
	options.MaxBuffered = max(options.MaxBuffered, hardLimit)
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Gateway{Options: options, buffered: semaphore.NewWeighted(options.MaxBuffered)}
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, payload := strings.CutPrefix(r.URL.Path, "/v1/")
	switch {
	case r.URL.Path == "/healthz":
		_, _ = w.Write([]byte("ok\n"))
	case r.URL.Path == "/readyz":
		g.ready(w, r)
	case !payload || strings.Count(rest, "/") != 1:
		answer(w, &problem{Status: http.StatusNotFound, Detail: "there is nothing at this path; send payloads to /v1/<namespace>/<source>"})
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		answer(w, &problem{Status: http.StatusMethodNotAllowed, Detail: "payloads are sent with POST"})
	default:
		namespace, source, _ := strings.Cut(rest, "/")
		g.payload(w, r, namespace, source)
	}
}

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	if err := g.Stream.Ready(r.Context()); err != nil {
		answer(w, &problem{Status: http.StatusServiceUnavailable, Detail: err.Error(), after: unavailableAfter})
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// payload receives, keeps, answers.
func (g *Gateway) payload(w http.ResponseWriter, r *http.Request, namespace, source string) {
	envelope, release, err := g.receive(w, r, namespace, source)
	defer release()
	var kept ingest.Kept
	if err == nil {
		kept, err = g.Stream.Publish(r.Context(), envelope)
	}
	if err != nil {
		p := problemOf(err, namespace, source)
		g.Log.V(1).Info("refused a payload", "source", namespace+"/"+source, "status", p.Status, "cause", err.Error())
		answer(w, p)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(accepted{Digest: envelope.Digest, Duplicate: kept.Duplicate}) // the sender may be gone; it is kept
}

// accepted is the answer to a payload that was kept.
type accepted struct {
	Digest    string `json:"digest"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// Timeouts of the server.
const (
	headerTimeout   = 5 * time.Second
	readTimeout     = 30 * time.Second
	writeTimeout    = 60 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 20 * time.Second
	maxHeader       = 32 << 10
)

// Serve answers requests on a listener until ctx ends, then lets those that are
// under way finish, for at most 20 seconds. It closes the listener.
func (g *Gateway) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: g, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	})
	err := server.Serve(listener)
	if stop() { // it ended by itself
		return err
	}
	return errors.Join(<-stopped, server.Close())
}
