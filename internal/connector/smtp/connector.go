// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package smtp is the connector to a mail server that takes messages for delivery (RFC 6409). Its one operation, sendMail,
// sends plain text to one mailbox.
//
// A message cannot be taken back, and a server is not asked what became of one, so the operation is at most once: an
// answer that is lost after the end of the message was sent leaves doubt. Everything before that end is known not to have
// sent anything, because a server delivers nothing until it has read it (RFC 5321, section 3.3).
//
// The message is written by go-mail, and the conversation is held command by command with go-mail's smtp package: its own
// Client gives one error for all of it, and cannot say whether the end was sent.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net/mail"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Tool is the name of the system behind this connector, for status.tool.
const Tool = "smtp"

// SendMail is the operation that sends a message.
const SendMail = "sendMail"

// mailboxTarget is the Type of the target of SendMail.
const mailboxTarget = "Mailbox"

// Bounds of the inputs, in bytes.
const (
	maxSubject = 4 << 10
	maxText    = 64 << 10
)

// operations are what every connection offers. A function and not a variable, so that no caller can change another's.
func operations() []connector.Operation {
	return []connector.Operation{{
		Name: SendMail, Effect: v1alpha1.EffectIrreversible, Semantics: v1alpha1.AtMostOnce, AcknowledgedOnly: true,
		NotPossible: "a message that was sent cannot be called back",
		TargetType:  mailboxTarget,
		Inputs: []connector.Input{
			{Name: "to", Type: connector.StringInput, Required: true, MaxLength: 320, Want: "one address, for example ana@example.com"},
			{Name: "subject", Type: connector.StringInput, Required: true, MaxLength: maxSubject, Want: "the subject of the message"},
			{Name: "text", Type: connector.StringInput, Required: true, MaxLength: maxText, Want: "the message, as plain text of at most 64 KiB"},
		},
	}}
}

// connection implements connector.Connector for one mail server.
type connection struct {
	Dependencies
	namespace string
	spec      v1alpha1.SMTPConnector
	from      mail.Address
	tls       *tls.Config
	address   string        // host and port
	timeout   time.Duration // of an exchange that brings no deadline
}

var _ connector.Connector = (*connection)(nil)

// Operations implements connector.Connector.
func (*connection) Operations() []connector.Operation { return operations() }

// Target implements connector.Connector: the mailbox, by its address without a display name.
func (*connection) Target(operation string, input map[string]any) (v1alpha1.Target, error) {
	declared, err := connector.FindMutation(operations(), operation)
	if err != nil {
		return v1alpha1.Target{}, err
	}
	if err := declared.CheckInput(input); err != nil {
		return v1alpha1.Target{}, err
	}
	address, err := mailbox(connector.String(input, "to"))
	if err != nil {
		return v1alpha1.Target{}, err
	}
	return v1alpha1.Target{Type: mailboxTarget, Name: address}, nil
}

// Read implements connector.Connector: there is nothing to read.
func (*connection) Read(_ context.Context, operation string, _ map[string]any) (any, error) {
	_, err := connector.FindRead(operations(), operation)
	return nil, err
}

// Before implements connector.Connector. It asks the server nothing: a message is always yet to be sent.
func (c *connection) Before(_ context.Context, request connector.Request) (connector.Observation, error) {
	_, err := c.letter(request)
	return connector.Observation{}, err
}

// Verify implements connector.Connector. There is nothing to read back.
func (c *connection) Verify(_ context.Context, request connector.Request) (connector.Observation, error) {
	_, err := c.letter(request)
	return connector.Observation{Message: "a mail server does not say what became of a message: ask who it was for"}, err
}

// Do implements connector.Connector.
func (c *connection) Do(ctx context.Context, request connector.Request) connector.Result {
	ctx, cancel := connector.Until(ctx, request.Deadline, c.timeout)
	defer cancel()
	result := c.do(ctx, request)
	result.Message = connector.Clip(result.Message)
	return result
}

func (c *connection) do(ctx context.Context, request connector.Request) connector.Result {
	letter, err := c.letter(request)
	if err != nil {
		return notBegun(ctx, err)
	}
	raw, err := letter.bytes()
	if err != nil {
		return notBegun(ctx, err)
	}
	session, err := c.open(ctx)
	if err != nil {
		return notBegun(ctx, err)
	}
	defer session.leave()
	return session.submit(letter.from.Address, letter.to, raw)
}

// Probe implements connector.Connector: it signs in and takes its leave.
func (c *connection) Probe(ctx context.Context) error {
	ctx, cancel := connector.Until(ctx, time.Time{}, c.timeout)
	defer cancel()
	session, err := c.open(ctx)
	if err != nil {
		if rejected, ok := errors.AsType[*rejectedError](err); ok {
			return fault.Terminalf(connector.CredentialsRejectedReason, "%w", rejected)
		}
		return err
	}
	session.leave()
	return nil
}

// letter is the message that a request means, once its input and its target agree.
func (c *connection) letter(request connector.Request) (*letter, error) {
	target, err := c.Target(request.Operation, request.Input)
	if err != nil {
		return nil, err
	}
	if err := request.Check(target); err != nil {
		return nil, err
	}
	return &letter{
		from: c.from, to: target.Name, id: messageID(request.Mark, c.from.Address), date: c.Clock.Now().UTC(),
		subject: oneLine(connector.String(request.Input, "subject")), text: plainText(connector.String(request.Input, "text")),
	}, nil
}

// notBegun is the result of a Do that ended before it sent anything of a message.
func notBegun(ctx context.Context, err error) connector.Result {
	if _, rejected := errors.AsType[*rejectedError](err); rejected { // a password that is replaced meanwhile is read at the next attempt
		return connector.Failed(v1alpha1.OutcomeNotSent, connector.CredentialsRejectedReason, "nothing was sent: %v", err)
	}
	return connector.NotBegun(ctx, err)
}
