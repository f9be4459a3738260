// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"cmp"
	"context"
	"net/http"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// Sent is a request that an operation made, as it would go to the target but for the connector's own headers and the
// credentials. Target is the escaped path and query.
type Sent struct {
	Method, Target string
	Header         http.Header
	Body           []byte
}

// Answers answers in the target's place. A status of 0 is an answer that was lost.
type Answers func(Sent) (status int, header http.Header, body []byte)

// Tried is what came of a try. Of a read, Output is set; of a mutation, the rest, as far as it came: where Before says
// that it is so already, or that there is no target, nothing is done, and where nothing was done, or there is nothing to
// read back, there is no After.
type Tried struct {
	Sent   []Sent
	Output any
	Target v1alpha1.Target
	Before *connector.Observation
	Result *connector.Result
	After  *connector.Observation
}

// Try runs one operation of an http connector with no network and no credentials: it renders the requests, takes the
// answers, and says what Casebook would make of them. It is for tests of Connectors. Of the request, Operation and Input
// are needed; Forward and Left make it a rollback; Mark and Key are "try" if they are empty. What is wrong with the
// Connector, the input or the answer to a read is an error; what became of a mutation is in Tried.
func Try(ctx context.Context, object *v1alpha1.Connector, request connector.Request, answers Answers) (Tried, error) {
	var out Tried
	if err := Check(object); err != nil {
		return out, err
	}
	operations, err := compile(object.Spec.Operations)
	if err != nil {
		return out, uncompiled(object, err)
	}
	c := open(object, operations, rehearsal{answers, &out.Sent})
	if declared, ok := connector.Find(c.Operations(), request.Operation); ok && declared.Effect == v1alpha1.EffectRead {
		out.Output, err = c.Read(ctx, request.Operation, request.Input)
		return out, err
	}
	request.Mark, request.Key = cmp.Or(request.Mark, "try"), cmp.Or(request.Key, "try")
	if out.Target, err = c.Target(request.Operation, request.Input); err != nil {
		return out, err
	}
	request.Target = out.Target
	return out, c.try(ctx, request, &out)
}

// try goes the way of an action.
func (c *connection) try(ctx context.Context, request connector.Request, out *Tried) error {
	before, err := c.Before(ctx, request)
	if err != nil {
		return err
	}
	out.Before = &before
	if before.Desired || before.Gone || request.Forward != "" && !before.AsLeft {
		return nil
	}
	result := c.Do(ctx, request)
	out.Result = &result
	doubted := result.Outcome == v1alpha1.OutcomeAcknowledged || result.Outcome == v1alpha1.OutcomeInDoubt
	if !doubted || c.compiled.byName[request.Operation].verify == nil {
		return nil
	}
	after, err := c.Verify(ctx, request)
	if err == nil {
		out.After = &after
	}
	return err
}

// rehearsal is an endpoint without a network.
type rehearsal struct {
	answers Answers
	sent    *[]Sent
}

func (r rehearsal) exchange(ctx context.Context, out outgoing) (*incoming, *exchangeError) {
	if ctx.Err() != nil {
		return nil, &exchangeError{Outcome: v1alpha1.OutcomeNotSent, Reason: v1alpha1.DeadlinePassedReason, Message: "nothing was sent: the time is over"}
	}
	sent := Sent{Method: out.Method, Target: out.Target, Header: out.Header, Body: out.Body}
	*r.sent = append(*r.sent, sent)
	status, header, body := r.answers(sent)
	if status == 0 {
		return nil, &exchangeError{Outcome: v1alpha1.OutcomeInDoubt, Reason: v1alpha1.OutcomeUnknownReason, Message: "the answer was lost"}
	}
	in := &incoming{Status: status, Header: http.Header{}, Body: body}
	for name, values := range header {
		in.Header[http.CanonicalHeaderKey(name)] = values
	}
	return in, nil
}
