// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// sendMail is the operation of an smtp connector.
const sendMail = "sendMail"

// notify sends a message that the run's status announces, and notes what became of it. It is no failure of the pass: a
// message that may not have arrived is sent again, with the same Message-ID.
func (k *runKind) notify(ctx context.Context, run *v1alpha1.PlaybookRun, send playbook.Send) error {
	sent := playbook.Sent{Attempt: send.Attempt, State: v1alpha1.DeliveryAnnounced, Time: k.clock.Now()}
	result, err := k.send(ctx, run, send)
	_, never := errors.AsType[*fault.Terminal](err)
	switch {
	case never:
		sent.State, sent.Message = v1alpha1.DeliveryRefused, connector.Clip(err.Error())
	case err != nil:
		sent.Message = connector.Clip(err.Error())
	case result.Outcome == v1alpha1.OutcomeAcknowledged:
		sent.State = v1alpha1.DeliveryAccepted
	case result.Outcome == v1alpha1.OutcomeRefused:
		sent.State, sent.Message = v1alpha1.DeliveryRefused, result.Message
	default:
		sent.Message = result.Message
	}
	playbook.NoteSent(&run.Status, send.MessageID, sent)
	return nil
}

func (k *runKind) send(ctx context.Context, run *v1alpha1.PlaybookRun, send playbook.Send) (connector.Result, error) {
	opened, err := k.connectors.openFor(ctx, intent{namespace: run.Namespace, operation: send.Connector + "/" + sendMail, pins: run.Spec.Connectors})
	if err != nil {
		return connector.Result{}, err
	}
	input := map[string]any{"to": send.To, "subject": send.Subject, "text": send.Text}
	if _, err := connector.FindMutation(opened.Operations(), sendMail); err != nil {
		return connector.Result{}, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "connector %s sends no mail: name one of kind smtp", send.Connector)
	}
	target, err := opened.Target(sendMail, input)
	if err != nil {
		return connector.Result{}, err
	}
	// The exchange outlives a stopping process up to its own deadline: half of it would be doubt.
	deadline := k.clock.Now().Add(opened.timeout)
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	return opened.Do(ctx, connector.Request{Operation: sendMail, Input: input, Target: target, Mark: send.MessageID, Deadline: deadline}), nil
}
