// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package conntest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// replaced runs the operation on a target that another thing took the place of.
// Where the operation sees nothing to do, it must refuse; where it has something
// of its own to clear away, it may.
func replaced(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	if f.Replace == nil {
		return nil
	}
	touched := f.Replace()
	before, err := f.Connector.Before(ctx, f.Request)
	if err != nil {
		return fmt.Errorf("in Before: %w", err)
	}
	result := f.Connector.Do(ctx, f.Request)
	errs := []error{touched()}
	switch {
	case before.Gone && (before.Desired || before.Message == ""):
		errs = append(errs, fmt.Errorf("got Before = %+v, want Gone alone, with a message", before))
	case before.Gone && (result.Outcome != v1alpha1.OutcomeRefused || result.Reason != v1alpha1.TargetReplacedReason):
		errs = append(errs, fmt.Errorf("got Do = %s, want Refused with reason %s", describe(result), v1alpha1.TargetReplacedReason))
	case !before.Gone && result.Outcome != v1alpha1.OutcomeAcknowledged:
		errs = append(errs, fmt.Errorf("the Before says that there is something to do, but Do = %s", describe(result)))
	}
	return errors.Join(append(errs, f.agrees(ctx, !before.Gone))...)
}

func replacedAfter(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	if f.Replace == nil {
		return nil
	}
	left, err := f.leave(ctx)
	if err != nil {
		return err
	}
	touched := f.Replace()
	errs := []error{f.agrees(ctx, f.Holds())}
	back, ok, err := f.back(left)
	if err != nil || !ok {
		return errors.Join(append(errs, err)...)
	}
	f.Connector.Do(ctx, back) // whatever it says
	return errors.Join(append(errs, touched())...)
}

// rival runs the operation on a target that someone else has changed first.
func rival(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	if f.Rival == nil {
		return nil
	}
	touched := f.Rival()
	before, err := f.Connector.Before(ctx, f.Request)
	if err != nil || before.Desired || before.AsLeft || before.Message == "" {
		return fmt.Errorf("got Before = %+v, %w, want neither Desired nor AsLeft, with a message", before, err)
	}
	result := f.Connector.Do(ctx, f.Request)
	if result.Outcome != v1alpha1.OutcomeRefused || result.Reason != v1alpha1.TargetChangedReason {
		err = fmt.Errorf("got Do = %s, want Refused with reason %s", describe(result), v1alpha1.TargetChangedReason)
	}
	return errors.Join(err, touched(), f.agrees(ctx, false))
}

// rivalAfter lets someone else change what was done; the rollback must leave it.
func rivalAfter(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	if f.Rival == nil {
		return nil
	}
	left, err := f.leave(ctx)
	if err != nil {
		return err
	}
	touched := f.Rival()
	errs := []error{f.agrees(ctx, false)}
	back, ok, err := f.back(left)
	if err != nil || !ok {
		return errors.Join(append(errs, err)...)
	}
	before, err := f.Connector.Before(ctx, back)
	if err != nil || before.AsLeft || before.Message == "" {
		errs = append(errs, fmt.Errorf("the Before of %s = %+v, %w, want not AsLeft, with a message", back.Operation, before, err))
	}
	return errors.Join(append(errs, f.do(ctx, back, v1alpha1.OutcomeRefused), touched())...)
}

// rollback takes the operation back, twice.
func rollback(ctx context.Context, tb testing.TB, s Subject) error {
	f := s.New(tb)
	operation, err := f.operation()
	if err != nil || operation.Rollback == "" {
		return err
	}
	left, err := f.leave(ctx)
	if err != nil {
		return err
	}
	back, ok, err := f.back(left)
	if err != nil || !ok {
		return err
	}
	before, err := f.Connector.Before(ctx, back)
	if err != nil || !before.AsLeft || before.Desired || before.Gone {
		return fmt.Errorf("the Before of %s = %+v, %w, want AsLeft and something to do", back.Operation, before, err)
	}
	if err := f.do(ctx, back, v1alpha1.OutcomeAcknowledged); err != nil {
		return err
	}
	done, err := f.Connector.Verify(ctx, back)
	if err != nil || !done.Desired {
		return fmt.Errorf("the Verify of %s = %+v, %w, want Desired", back.Operation, done, err)
	}
	again, err := f.Connector.Before(ctx, back)
	if err != nil || !again.Desired {
		return fmt.Errorf("the Before of %s, when it is done = %+v, %w, want Desired", back.Operation, again, err)
	}
	return f.agrees(ctx, false)
}
