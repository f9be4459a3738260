// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/casebook-dev/casebook/internal/blob"
)

var errCut = errors.New("the process is dead")

// wire is what one operator reaches the world through: the API server, its connector's requests among them, and the
// evidence bucket. It counts the writes once armed, and cuts at one of them: from then on nothing gets through, as if the
// process had been killed.
type wire struct {
	mu    sync.Mutex
	armed bool
	cut   int  // the write at which the process dies; never if zero
	after bool // the write at which it dies is still carried out
	lives bool // instead of dying: that write alone has no answer
	story []string
	dead  bool
	died  chan struct{} // closed when it dies
}

// newWire cuts at a write, before or after it; never at zero.
func newWire(cut int, after bool) *wire {
	return &wire{cut: cut, after: after, died: make(chan struct{})}
}

func (w *wire) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = true
}

// begin decides on a call: whether it goes out, and whether its answer comes back.
func (w *wire) begin(write string) (goes, comes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return false, false
	}
	if !w.armed || write == "" {
		return true, true
	}
	w.story = append(w.story, write)
	if len(w.story) != w.cut {
		return true, true
	}
	if !w.after {
		w.die()
	}
	return w.after, false
}

// die is called with the lock held.
func (w *wire) die() {
	if !w.dead && !w.lives {
		w.dead = true
		close(w.died)
	}
}

// pass carries out one call.
func (w *wire) pass(write string, call func() error) error {
	goes, comes := w.begin(write)
	if !goes {
		return errCut
	}
	err := call()
	if comes {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.die()
	return errCut
}

func (w *wire) writes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.story...)
}

// RoundTripper wraps every request to the API server.
func (w *wire) transport(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (response *http.Response, err error) {
		err = w.pass(writeOf(request), func() error {
			response, err = next.RoundTrip(request) //nolint:bodyclose // the caller closes it, or it is closed below
			return err
		})
		if err != nil && response != nil {
			_ = response.Body.Close()
			response = nil
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// writeOf names a request that changes something; reviews ask, and events are lost without harm.
func writeOf(request *http.Request) string {
	path := request.URL.Path
	if request.Method == http.MethodGet || strings.Contains(path, "reviews") || strings.HasSuffix(path, "/events") || strings.Contains(path, "/events/") {
		return ""
	}
	parts := strings.Split(path, "/")
	return request.Method + " " + strings.Join(parts[max(0, len(parts)-3):], "/")
}

// bucket lets writes of a bucket through the wire. Those that give a batch its place, and end it, are counted; the store's
// own tests cut at the others.
func (w *wire) bucket(next blob.Bucket) blob.Bucket { return cutBucket{next, w} }

type cutBucket struct {
	blob.Bucket
	wire *wire
}

func batchWrite(key string) string {
	if key == "checkpoint" || key == "pending" {
		return "PUT bucket/" + key
	}
	return ""
}

// Create implements blob.Bucket.
func (b cutBucket) Create(ctx context.Context, key string, data []byte) (etag string, err error) {
	err = b.wire.pass(batchWrite(key), func() error {
		etag, err = b.Bucket.Create(ctx, key, data)
		return err
	})
	return etag, err
}

// Replace implements blob.Bucket.
func (b cutBucket) Replace(ctx context.Context, key string, data []byte, etag string) (newETag string, err error) {
	err = b.wire.pass(batchWrite(key), func() error {
		newETag, err = b.Bucket.Replace(ctx, key, data, etag)
		return err
	})
	return newETag, err
}

// Delete implements blob.Bucket.
func (b cutBucket) Delete(ctx context.Context, key string) error {
	return b.wire.pass("", func() error { return b.Bucket.Delete(ctx, key) })
}
