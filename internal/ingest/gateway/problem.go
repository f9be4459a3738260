// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// How long a sender is asked to wait.
const (
	busyAfter        = time.Second
	unavailableAfter = 5 * time.Second
	fullAfter        = 30 * time.Second
	secretAfter      = time.Minute
)

// problem is a refusal as RFC 9457 writes it. It is an error, so that the steps of
// receiving can return it. Its cause is for the log alone.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Offset is the byte of the body at which it cannot be read.
	Offset *int `json:"offset,omitempty"`

	after time.Duration // zero: coming again does not help
	cause error
}

// Error says what is wrong, and the cause that the sender is not told.
func (p *problem) Error() string {
	if p.cause != nil {
		return p.Detail + ": " + p.cause.Error()
	}
	return p.Detail
}

var statusOf = map[ingest.Verdict]int{
	ingest.Unauthenticated: http.StatusUnauthorized,
	ingest.Stale:           http.StatusUnauthorized,
	ingest.TooLarge:        http.StatusRequestEntityTooLarge,
	ingest.Empty:           http.StatusBadRequest,
	ingest.Malformed:       http.StatusBadRequest,
}

// problemOf says what any error means to the sender.
func problemOf(err error, namespace, source string) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if refusal, ok := errors.AsType[*ingest.Refusal](err); ok {
		p := &problem{Status: statusOf[refusal.Verdict], Detail: refusal.Error()}
		if refusal.Verdict == ingest.Malformed {
			p.Offset = &refusal.Offset
		}
		return p
	}
	p := &problem{Status: http.StatusServiceUnavailable, after: unavailableAfter, cause: err}
	p.Detail = fmt.Sprintf("the payload for Source %s/%s could not be kept; send it again", namespace, source)
	if errors.Is(err, ingest.ErrFull) {
		p.after = fullAfter
		p.Detail = fmt.Sprintf("the payload for Source %s/%s was not kept, for the stream is full; send it again, and see whether the controllers run", namespace, source)
	}
	return p
}

func answer(w http.ResponseWriter, p *problem) {
	body := *p
	body.Title = http.StatusText(p.Status)
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer") // RFC 9110 wants one; it is the same for every Source
	}
	if p.after > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.after.Seconds()))))
	}
	w.WriteHeader(p.Status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // the sender may be gone
}
