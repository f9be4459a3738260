// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conntest holds connectors to what package connector says: every
// mutation of every connector runs through lost answers, doubled requests,
// crashes between writes, refusals, replaced targets and rivals, and what it
// declares must hold in all of them.
//
// A connector's test calls Run once for each of its mutations, against the real
// target or the nearest thing to it, with a Wire in between.
package conntest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// Subject is one mutating operation under test.
type Subject struct {
	// Operation is its name.
	Operation string
	// New makes a fresh target of its own, on which the operation is yet to be
	// done: each scenario takes one or more.
	New func(tb testing.TB) *Fixture
}

// Fixture is a fresh target and the ways to look at it and to disturb it. The
// functions work beside the connector, with a power of their own, and end the
// test when they cannot do what they say.
type Fixture struct {
	// Connector reaches the target through Wire.
	Connector connector.Connector
	// Wire carries all of the connector's requests.
	Wire *Wire
	// Request is what to do. Its Deadline is left zero.
	Request connector.Request
	// Holds tells whether the target is as the operation would leave it.
	Holds func() bool
	// Effects counts how often the effect took place. Needed unless the
	// operation is Idempotent, where only what holds counts.
	Effects func() int
	// Forbid takes from the connector's identity all it may do at the target.
	Forbid func()
	// Replace puts another thing in the target's place under the same name, or
	// takes the target away, and returns a function that says how the operation
	// touched it; nil if it did not. It is nil for a target that cannot be
	// replaced unseen, such as one that the operation makes.
	Replace func() (touched func() error)
	// Rival changes, as someone else, what the operation writes, so that it
	// neither holds nor is left; touched says whether the rival's value was
	// overwritten. It is nil where nothing could tell the rival's value from ours.
	Rival func() (touched func() error)
}

// scenario is one way that things go. It returns what was promised and not kept.
type scenario struct {
	name string
	run  func(ctx context.Context, tb testing.TB, s Subject) error
}

// scenarios are all of them; each takes fresh fixtures.
var scenarios = []scenario{
	{"its declaration is whole and bad requests are refused unsent", declares},
	{"it does what it says and sees that it did", works},
	{"an answer lost after the effect is doubt", eachWrite(LoseReply, doubtful)},
	{"an unreadable answer after the effect is doubt", eachWrite(Garble, doubtful)},
	{"a server error after the effect is doubt and repeats nothing", eachWrite(AnswerUnavailable, doubtful)},
	{"a crash between its writes leaves what can be settled", crash},
	{"a write that arrives twice has one effect", twice},
	{"a deadline that passes after the send is doubt", held},
	{"a write that arrives after it was given up has one effect", delayed},
	{"no connection is not sent, or doubt if it began", eachWrite(nil, unreachable)},
	{"no time left is not sent", late},
	{"a refusal is a refusal, or doubt if it began", eachWrite(AnswerRefused, refusing)},
	{"a missing permission is a refusal that names it", forbidden},
	{"a replaced target is not touched", replaced},
	{"a target replaced afterwards is seen", replacedAfter},
	{"a rival's change is kept, and seen", rival},
	{"a rival's change afterwards is seen, and not rolled back", rivalAfter},
	{"its rollback takes it back, once", rollback},
}

// Run runs every scenario as a subtest.
func Run(t *testing.T, s Subject) {
	t.Helper()
	for _, scenario := range scenarios {
		t.Run(scenario.name, func(t *testing.T) {
			if err := scenario.run(t.Context(), t, s); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check runs every scenario and returns what was not kept, by the scenario's
// name, without failing tb. It is how this package is tested itself.
func Check(ctx context.Context, tb testing.TB, s Subject) map[string]error {
	tb.Helper()
	broken := map[string]error{}
	for _, scenario := range scenarios {
		if err := scenario.run(ctx, tb, s); err != nil {
			broken[scenario.name] = err
		}
	}
	return broken
}

// operation is the declaration of what a fixture's request asks for.
func (f *Fixture) operation() (connector.Operation, error) {
	return connector.FindMutation(f.Connector.Operations(), f.Request.Operation)
}

// leave does the operation, and returns what is then read back of the target, as the action's record has it.
func (f *Fixture) leave(ctx context.Context) (left any, err error) {
	f.Wire.Heal()
	operation, err := f.operation()
	if err == nil {
		err = f.do(ctx, f.Request, v1alpha1.OutcomeAcknowledged)
	}
	if err != nil || operation.AcknowledgedOnly {
		return nil, err
	}
	observation, err := f.Connector.Verify(ctx, f.Request)
	return observation.State, err
}

// back is the request that rolls the fixture's request back; ok is false for an
// operation without a rollback.
func (f *Fixture) back(left any) (request connector.Request, ok bool, err error) {
	operation, err := f.operation()
	if err != nil || operation.Rollback == "" {
		return connector.Request{}, false, err
	}
	request = f.Request // a rollback has the forward action's target and mark, and its input unless the connector plans another
	request.Operation, request.Forward, request.Left = operation.Rollback, operation.Name, left
	if planner, plans := f.Connector.(connector.RollbackPlanner); plans {
		if request.Input, err = planner.RollbackInput(operation.Name, f.Request.Input); err != nil {
			return connector.Request{}, false, fmt.Errorf("in RollbackInput: %w", err)
		}
	} else if operation.RollbackTakesOther {
		return connector.Request{}, false, fmt.Errorf("the rollback of %s takes another input, but the connector does not say which", operation.Name)
	}
	request.Target, err = f.Connector.Target(request.Operation, request.Input)
	if err != nil {
		return connector.Request{}, false, fmt.Errorf("in Target of the rollback: %w", err)
	}
	return request, true, nil
}

// do sends the request and checks what every result must be.
func (f *Fixture) do(ctx context.Context, request connector.Request, want v1alpha1.AttemptOutcome) error {
	result := f.Connector.Do(ctx, request)
	var errs []error
	if result.Outcome != want {
		errs = append(errs, fmt.Errorf("the Do of %s = %s, want %s", request.Operation, describe(result), want))
	}
	if result.Outcome != v1alpha1.OutcomeAcknowledged && (result.Reason == "" || result.Message == "") {
		errs = append(errs, fmt.Errorf("the Do of %s does not say why: %s", request.Operation, describe(result)))
	}
	if len(result.Message) > connector.MaxMessage {
		errs = append(errs, fmt.Errorf("the Do of %s: its message has %d bytes, more than %d", request.Operation, len(result.Message), connector.MaxMessage))
	}
	return errors.Join(errs...)
}

func describe(r connector.Result) string {
	return fmt.Sprintf("%s (%s: %s)", r.Outcome, r.Reason, r.Message)
}

// agrees checks that Verify says of the target what it is. Where there is nothing
// to read back, the target alone is looked at.
func (f *Fixture) agrees(ctx context.Context, want bool) error {
	operation, err := f.operation()
	if err != nil {
		return err
	}
	if operation.AcknowledgedOnly {
		if holds := f.Holds(); holds != want {
			return fmt.Errorf("it holds: %t, want %t", holds, want)
		}
		return nil
	}
	observation, err := f.Connector.Verify(ctx, f.Request)
	if err != nil {
		return fmt.Errorf("in Verify: %w", err)
	}
	if holds := f.Holds(); holds != want || observation.Desired != want {
		return fmt.Errorf("it holds: %t, Verify says %t (%s); want both %t", holds, observation.Desired, observation.Message, want)
	}
	if !observation.Desired && observation.Message == "" {
		return errors.New("the Verify does not say what stands there instead")
	}
	return nil
}

// settle does after doubt what the declared semantics allow, and checks that
// the operation then holds and took place once.
func (f *Fixture) settle(ctx context.Context) error {
	operation, err := f.operation()
	if err != nil {
		return err
	}
	f.Wire.Heal()
	switch operation.EffectiveSemantics() {
	case v1alpha1.Idempotent, v1alpha1.Keyed:
		if err := f.do(ctx, f.Request, v1alpha1.OutcomeAcknowledged); err != nil {
			return fmt.Errorf("repeated after doubt: %w", err)
		}
	case v1alpha1.ReadBack:
		observation, err := f.Connector.Verify(ctx, f.Request)
		if err != nil {
			return fmt.Errorf("read back after doubt: %w", err)
		}
		if !observation.Desired {
			if err := f.do(ctx, f.Request, v1alpha1.OutcomeAcknowledged); err != nil {
				return fmt.Errorf("repeated after it was read to be absent: %w", err)
			}
		}
	default: // AtMostOnce: a person decides
		return f.once()
	}
	return errors.Join(f.agrees(ctx, true), f.once())
}

// once checks that the effect took place at most once.
func (f *Fixture) once() error {
	operation, err := f.operation()
	if err != nil {
		return err
	}
	if f.Effects == nil {
		if operation.EffectiveSemantics() != v1alpha1.Idempotent {
			return fmt.Errorf("the fixture of %s, which is %s, counts no effects", operation.Name, operation.EffectiveSemantics())
		}
		return nil
	}
	if got := f.Effects(); got > 1 && operation.EffectiveSemantics() != v1alpha1.Idempotent {
		return fmt.Errorf("the effect took place %d times, want at most one", got)
	}
	return nil
}
