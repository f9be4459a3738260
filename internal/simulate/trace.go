// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"fmt"
	"time"
)

// tell writes down what happened, for whoever reads of a failure.
func (w *world) tell() {
	c := w.checker
	c.trace("case    %s %s, %s", w.of.Name, w.of.Status.Severity, w.of.Status.State)
	for _, e := range w.of.Status.SeverityTrace {
		adjust := ""
		if e.Adjust != nil {
			adjust = fmt.Sprintf("%+d ", *e.Adjust)
		}
		c.trace("        %s %s%s", e.Severity, adjust, e.Because)
	}
	for _, r := range w.of.Status.Enrichments {
		if r.Error != "" {
			c.trace("lookup  %s %s: %s", r.Name, r.Item, r.Error)
		} else {
			c.trace("lookup  %s %s: %s", r.Name, r.Item, r.Result.Raw)
		}
	}
	if len(w.runs) == 0 {
		c.trace("run     none: the type %s did not start %s", w.of.Spec.TypeRef.Name, w.name)
	}
	for _, row := range w.of.Status.Playbooks {
		if row.Message != "" {
			c.trace("run     %s %s: %s", row.Name, row.Item, row.Message)
		}
	}
	for _, run := range w.runs {
		c.trace("run     %s %s: %s %s", w.name, run.Spec.Item, run.Status.State, run.Status.Message)
		for _, s := range run.Status.Steps {
			c.trace("step    %s %s: %s %s", s.StartTime.Format(time.TimeOnly), s.Name, s.State, s.Message)
			for _, d := range s.Deliveries {
				c.trace("mail    %s: %s %s", d.To, d.State, d.Message)
			}
		}
	}
	for _, a := range w.actions {
		rule := ""
		if v := a.Status.Verdict; v != nil {
			rule = fmt.Sprintf("%s %s: %s", v.Answer, v.Rule, v.Because)
		}
		c.trace("action  %s on %s: %s %s", a.Spec.Operation, a.Spec.Target.Name, a.Status.State, a.Status.Message)
		c.trace("        guardrails: %s", rule)
		for _, attempt := range a.Status.Attempts {
			c.trace("        attempt %d at %s: %s %s", attempt.Number, attempt.StartTime.Format(time.TimeOnly), attempt.Outcome, attempt.Message)
		}
	}
}
