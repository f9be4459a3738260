// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"context"
	"fmt"
	"strconv"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// maxBecause is what an explanation in a status takes, in code points.
const maxBecause = 1024

// factor is a SeverityFactor, compiled.
type factor struct {
	v1alpha1.SeverityFactor

	when    *expr.Program
	because *expr.Template
}

// Severity adds the type's factors to base, in their order, over the variables that
// [Type.Vars] gives. The trace has a row for the base and one for each factor that
// applied; the result is the sum, not below Informational and not above Critical. A
// factor that cannot be decided moves nothing and has a row that says why. Each factor
// sees as severity, and as case.severity, what the factors before it have come to, never
// the severity that the case had: asking again changes nothing.
func Severity(ctx context.Context, t *Type, base v1alpha1.Severity, vars map[string]any) (v1alpha1.Severity, []v1alpha1.SeverityTraceEntry) {
	sum := max(base.Rank(), 1)
	trace := []v1alpha1.SeverityTraceEntry{{
		Factor: "base", Severity: v1alpha1.SeverityOfRank(sum), Because: "the severity of the signal that opened the case",
	}}
	for i, f := range t.factors {
		now := withSeverity(vars, v1alpha1.SeverityOfRank(sum))
		row := v1alpha1.SeverityTraceEntry{Factor: strconv.Itoa(i + 1)}
		switch truth, err := f.when.EvalBool(ctx, now); truth {
		case expr.False:
			continue
		case expr.Unknown:
			row.Because = fmt.Sprintf("not applied, for it cannot be decided: %v", err)
		case expr.True:
			row.Adjust = f.Adjust
			sum += int(*row.Adjust)
			row.Because = f.text(ctx, now) + beyond(sum)
		}
		row.Severity, row.Because = v1alpha1.SeverityOfRank(sum), cut(row.Because, maxBecause)
		trace = append(trace, row)
	}
	return v1alpha1.SeverityOfRank(sum), trace
}

// text is the factor's explanation. One that cannot be rendered is given as it is
// written: the factor applies all the same.
func (f factor) text(ctx context.Context, vars map[string]any) string {
	asWritten := func(text string) (string, error) { return text, nil }
	if text, err := f.because.RenderText(ctx, vars, asWritten); err == nil && text != "" {
		return text
	}
	return f.Because
}

// beyond makes a sum that leaves the scale visible, or the rows would not add up.
func beyond(sum int) string {
	if at := v1alpha1.SeverityOfRank(sum); at.Rank() != sum {
		return fmt.Sprintf(" (sum %d, held at %s)", sum, at)
	}
	return ""
}

func withSeverity(vars map[string]any, severity v1alpha1.Severity) map[string]any {
	out := make(map[string]any, len(vars))
	for name, value := range vars {
		out[name] = value
	}
	rank := int64(severity.Rank())
	out[severityVar] = rank
	if c, ok := vars[caseVar].(map[string]any); ok {
		changed := make(map[string]any, len(c))
		for name, value := range c {
			changed[name] = value
		}
		changed[severityVar] = rank
		out[caseVar] = changed
	}
	return out
}
