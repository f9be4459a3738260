// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"errors"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
)

// setHead is the only writer of the headline, Reconciling and Stalled.
//
//	outcome     headline          Reconciling  Stalled  observedGeneration
//	done        as planned        absent       absent   = generation
//	wait        Unknown, reason   True         absent   = generation
//	terminal    False, reason     absent       True     = generation
//	any other   Unknown, Retrying True         absent   unchanged
//
// A record has no Reconciling: a question that waits is a state of it.
func (l *Loop[T, W, C]) setHead(obj T, planned metav1.Condition, err error) {
	abnormal, headline := outcome(planned, err)
	head := obj.Head()
	if l.Record && abnormal != v1alpha1.StalledCondition {
		abnormal = ""
		if headline.Reason != planned.Reason {
			headline = planned // a record keeps its milestone while a pass waits or is retried
		}
	}
	headline.ObservedGeneration = obj.GetGeneration()
	if headline.Status != "" && l.Headline != "" {
		headline.Type = l.Headline
		meta.SetStatusCondition(&head.Conditions, headline)
	}
	for _, kind := range []string{v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition} {
		if kind != abnormal {
			meta.RemoveStatusCondition(&head.Conditions, kind)
			continue
		}
		c := headline
		c.Type, c.Status = kind, metav1.ConditionTrue
		meta.SetStatusCondition(&head.Conditions, c)
	}
	if !l.Record && (err == nil || stable(err)) {
		head.ObservedGeneration = obj.GetGeneration() // this generation is dealt with
	}
}

func outcome(planned metav1.Condition, err error) (abnormal string, headline metav1.Condition) {
	if terminal, ok := errors.AsType[*fault.Terminal](err); ok {
		return v1alpha1.StalledCondition, metav1.Condition{Status: metav1.ConditionFalse, Reason: terminal.Reason, Message: cut(err.Error())}
	}
	if wait, ok := errors.AsType[*fault.Wait](err); ok {
		return v1alpha1.ReconcilingCondition, metav1.Condition{Status: metav1.ConditionUnknown, Reason: wait.Reason, Message: cut(err.Error())}
	}
	if err != nil {
		return v1alpha1.ReconcilingCondition, metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.RetryingReason, Message: cut(err.Error())}
	}
	planned.Message = cut(planned.Message)
	return "", planned
}

// cut keeps a message readable in a column and far from the schema's bound.
func cut(message string) string {
	const most = 1000
	if runes := []rune(message); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return message
}
