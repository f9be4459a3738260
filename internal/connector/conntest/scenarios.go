// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package conntest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// declares runs requests that no connector may send.
func declares(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	operation, err := f.operation()
	if err != nil {
		return err
	}
	errs := []error{connector.CheckOperations(f.Connector.Operations())}
	target, err := f.Connector.Target(s.Operation, f.Request.Input)
	if err != nil || target != f.Request.Target || target.Type != operation.TargetType {
		errs = append(errs, fmt.Errorf("got Target = %+v, %w, want %+v of type %s", target, err, f.Request.Target, operation.TargetType))
	}
	if _, err := f.Connector.Target("noSuchOperation", f.Request.Input); !isTerminal(err, connector.UnknownOperationReason) {
		errs = append(errs, fmt.Errorf("the Target of an unknown operation = %w, want a Terminal %s", err, connector.UnknownOperationReason))
	}
	f.Wire.Heal()
	for _, input := range operation.Inputs {
		if input.Required {
			errs = append(errs, f.refusesWithout(ctx, input.Name))
		}
	}
	other := f.Request
	other.Target.Name += "-other"
	errs = append(errs, f.do(ctx, other, v1alpha1.OutcomeRefused))
	if n := f.Wire.Writes(); n != 0 {
		errs = append(errs, fmt.Errorf("it sent %d writes for requests that are wrong", n))
	}
	return errors.Join(errs...)
}

func (f *Fixture) refusesWithout(ctx context.Context, field string) error {
	bad := f.Request
	bad.Input = maps.Clone(bad.Input)
	delete(bad.Input, field)
	_, err := f.Connector.Target(bad.Operation, bad.Input)
	if !isTerminal(err, connector.InvalidInputReason) || !strings.Contains(err.Error(), field) {
		return fmt.Errorf("the Target without input %q = %w, want a Terminal %s that names it", field, err, connector.InvalidInputReason)
	}
	return f.do(ctx, bad, v1alpha1.OutcomeRefused)
}

func isTerminal(err error, reason string) bool {
	terminal, ok := errors.AsType[*fault.Terminal](err)
	return ok && terminal.Reason == reason
}

// works is the good path, and its repetition.
func works(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	f.Wire.Heal()
	before, err := f.Connector.Before(ctx, f.Request)
	if err != nil || before.Desired || before.Gone {
		return fmt.Errorf("got Before = %+v, %w, want something to do", before, err)
	}
	if err := f.agrees(ctx, false); err != nil {
		return fmt.Errorf("before it is done: %w", err)
	}
	if n := f.Wire.Writes(); n != 0 {
		return fmt.Errorf("the reads Before and Verify sent %d writes", n)
	}
	if err := f.do(ctx, f.Request, v1alpha1.OutcomeAcknowledged); err != nil {
		return err
	}
	if err := errors.Join(f.agrees(ctx, true), f.once()); err != nil {
		return err
	}
	again, err := f.Connector.Before(ctx, f.Request)
	if err != nil || !again.Desired && !blind(again) {
		return fmt.Errorf("got Before, when it is done = %+v, %w, want Desired", again, err)
	}
	return f.settle(ctx) // as after a crash that lost the answer
}

// blind tells that a Before has read nothing, so that it can say nothing.
func blind(before connector.Observation) bool { return before == connector.Observation{} }

// eachWrite runs a fault on each write in turn, on fresh fixtures; nil is that no connection can be made.
func eachWrite(fault Fault, check func(context.Context, *Fixture, int) error) func(context.Context, testing.TB, Subject) error {
	return func(ctx context.Context, tb testing.TB, s Subject) error {
		writes, err := countWrites(ctx, s.New(tb))
		if err != nil {
			return err
		}
		var errs []error
		for nth := 1; nth <= writes; nth++ {
			f := s.New(tb)
			if fault == nil {
				f.Wire.Cut(nth)
			} else {
				f.Wire.On(nth, fault)
			}
			if err := check(ctx, f, nth); err != nil {
				errs = append(errs, fmt.Errorf("at write %d of %d: %w", nth, writes, err))
			}
		}
		return errors.Join(errs...)
	}
}

// countWrites is how many writes the operation takes when all is well.
func countWrites(ctx context.Context, f *Fixture) (int, error) {
	f.Wire.Heal()
	if err := f.do(ctx, f.Request, v1alpha1.OutcomeAcknowledged); err != nil {
		return 0, err
	}
	if n := f.Wire.Writes(); n > 0 {
		return n, nil
	}
	return 0, errors.New("it sent no write: is the wire in its way?")
}

// doubtful expects doubt, with no write after the one that is in doubt.
func doubtful(ctx context.Context, f *Fixture, nth int) error {
	if err := f.do(ctx, f.Request, v1alpha1.OutcomeInDoubt); err != nil {
		return err
	}
	if n := f.Wire.Writes(); n != nth {
		return fmt.Errorf("it sent %d writes, want none after number %d, which is in doubt", n, nth)
	}
	return f.settle(ctx)
}

func crash(ctx context.Context, tb testing.TB, s Subject) error {
	writes, err := countWrites(ctx, s.New(tb))
	if err != nil {
		return err
	}
	var errs []error
	for nth := 1; nth <= writes; nth++ {
		f := s.New(tb)
		f.Wire.On(nth, f.Wire.Crash)
		if result := f.Connector.Do(ctx, f.Request); result.Outcome != v1alpha1.OutcomeInDoubt {
			errs = append(errs, fmt.Errorf("cut before write %d of %d: Do = %s, want InDoubt", nth, writes, describe(result)))
		}
		if err := f.settle(ctx); err != nil {
			errs = append(errs, fmt.Errorf("cut before write %d of %d: %w", nth, writes, err))
		}
	}
	return errors.Join(errs...)
}

// twice doubles every write. An AtMostOnce operation promises nothing of that.
func twice(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	operation, err := f.operation()
	if err != nil || operation.EffectiveSemantics() == v1alpha1.AtMostOnce || operation.EffectiveSemantics() == v1alpha1.ReadBack {
		return err
	}
	f.Wire.On(0, Twice)
	if err := f.do(ctx, f.Request, v1alpha1.OutcomeAcknowledged); err != nil {
		return err
	}
	return errors.Join(f.agrees(ctx, true), f.once())
}

func held(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	cut, cancel := context.WithCancel(ctx)
	defer cancel()
	f.Wire.On(1, Hold(cancel))
	if err := f.do(cut, f.Request, v1alpha1.OutcomeInDoubt); err != nil {
		return err
	}
	return f.settle(ctx)
}

// delayed keeps each write in turn on its way until it was given up. It arrives
// while the doubt settles, before anyone looks or repeats.
func delayed(ctx context.Context, tb testing.TB, s Subject) error {
	writes, err := countWrites(ctx, s.New(tb))
	if err != nil {
		return err
	}
	var errs []error
	for nth := 1; nth <= writes; nth++ {
		f := s.New(tb)
		f.Wire.On(nth, f.Wire.Delay)
		errs = append(errs, f.do(ctx, f.Request, v1alpha1.OutcomeInDoubt), f.Wire.Arrive(), f.settle(ctx))
	}
	return errors.Join(errs...)
}

// unreachable expects NotSent only where no write went before.
func unreachable(ctx context.Context, f *Fixture, nth int) error {
	want := v1alpha1.OutcomeInDoubt
	if nth == 1 {
		want = v1alpha1.OutcomeNotSent
	}
	err := f.do(ctx, f.Request, want)
	f.Wire.Heal() // for the reads that follow may have been cut off too
	return errors.Join(err, f.agrees(ctx, false), f.settle(ctx))
}

func late(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	f.Wire.Heal()
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := f.do(over, f.Request, v1alpha1.OutcomeNotSent); err != nil {
		return err
	}
	if n := f.Wire.Writes(); n != 0 {
		return fmt.Errorf("it sent %d writes with no time left", n)
	}
	return f.agrees(ctx, false)
}

// refusing expects a refusal, or doubt where some of the writes before it stand.
// Either way it may be done later.
func refusing(ctx context.Context, f *Fixture, nth int) error {
	result := f.Connector.Do(ctx, f.Request)
	if result.Outcome != v1alpha1.OutcomeRefused && (nth == 1 || result.Outcome != v1alpha1.OutcomeInDoubt) {
		return fmt.Errorf("got Do = %s, want Refused, or InDoubt if it began", describe(result))
	}
	return errors.Join(f.agrees(ctx, false), f.settle(ctx))
}

func forbidden(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	f.Forbid()
	if err := f.do(ctx, f.Request, v1alpha1.OutcomeRefused); err != nil {
		return err
	}
	if result := f.Connector.Do(ctx, f.Request); result.Reason != v1alpha1.TargetForbiddenReason {
		return fmt.Errorf("got Do = %s, want reason %s", describe(result), v1alpha1.TargetForbiddenReason)
	}
	if _, err := f.Connector.Before(ctx, f.Request); err != nil && !isTerminal(err, v1alpha1.TargetForbiddenReason) {
		return fmt.Errorf("got Before = %w, want a Terminal %s", err, v1alpha1.TargetForbiddenReason)
	}
	if f.Holds() {
		return errors.New("it was done without permission")
	}
	return nil
}
