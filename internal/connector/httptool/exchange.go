// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"net"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// Dependencies are what exchanges need of the world. Values is required.
type Dependencies struct {
	// Values reads the Secrets that a Connector names, at each exchange.
	Values connector.Values
	// Policy says which addresses may be dialled.
	Policy connector.AddressPolicy
	// Clock tells the time for limits and the life of tokens; nil means the machine's.
	Clock clock.PassiveClock
	// Resolver resolves names; nil means the machine's.
	Resolver *net.Resolver
}

// outgoing is one request.
type outgoing struct {
	Method string
	// Target is the escaped path, which begins with a slash, and the query. It is appended to baseURL and sent as it is.
	Target string
	// Header is sent beside the connector's own headers, which it wins over, and the credentials, which win over it.
	Header http.Header
	// Body is nil for none.
	Body []byte
	// Read says that the request changes nothing, so that it may be sent again with a new token after a 401.
	// A mutation is never sent twice.
	Read bool
}

// incoming is an answer, whatever its status: a redirect too is one.
type incoming struct {
	Status int
	// Header is in canonical form, without cookies, and scrubbed.
	Header http.Header
	// Body is decoded and scrubbed; never more than maxBytes before scrubbing.
	Body []byte
	// RetryAfter is how long the target asks to be left alone: set with a status of 429 or 503, at most an hour.
	RetryAfter time.Duration
}

// exchangeError says why there is no answer that could be read.
type exchangeError struct {
	// Outcome is NotSent, Refused (by us, before the first byte) or InDoubt.
	Outcome v1alpha1.AttemptOutcome
	// Reason is one CamelCase word; Message is scrubbed and at most connector.MaxMessage bytes.
	Reason, Message string
	// RetryAfter is how long to wait before asking again; zero if that is not known.
	RetryAfter time.Duration
}

func (e *exchangeError) Error() string { return e.Message }

// endpoints keeps one endpoint for each Connector.
type endpoints struct{ dependencies Dependencies }

func newEndpoints(d Dependencies) *endpoints { return &endpoints{dependencies: d} }

// get returns the endpoint of a Connector whose spec has http. It sends nothing.
// The error is Terminal and names the field.
func (e *endpoints) get(object *v1alpha1.Connector) (*endpoint, error) {
	return &endpoint{}, nil
}

// endpoint is what all openings of one Connector share.
type endpoint struct{}

// exchange sends one request and reads its answer, by ctx's deadline in any case.
func (e *endpoint) exchange(ctx context.Context, out outgoing) (*incoming, *exchangeError) {
	return nil, &exchangeError{Outcome: v1alpha1.OutcomeNotSent, Reason: connector.UnreachableReason, Message: "nothing was sent"}
}
