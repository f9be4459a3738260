// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

// Program is a compiled expression. It is immutable and safe for concurrent use.
type Program struct {
	source  string
	program cel.Program
	output  *cel.Type
	paths   []string
}

// Source returns the expression as it was written.
func (p *Program) Source() string {
	return p.source
}

// Eval evaluates the expression over variables: JSON values (nil, bool, string,
// numbers or json.Number, []any, map[string]any), time.Time, and [Unavailable]
// where a value did not come. Variables are not changed. Give ctx a deadline: the
// cost limit bounds work, not time.
//
// The result is plain JSON in Go types: nil, bool, string, int64, float64, []any
// and map[string]any. An absent optional is nil; a timestamp is an RFC 3339 string
// in UTC with the fraction it has; a duration is a Go duration string ("1h30m0s");
// bytes are base64; an IP, CIDR, URL or similar is its text. NaN, infinities and
// unsigned integers beyond int64 are errors, for JSON has no such numbers.
func (p *Program) Eval(ctx context.Context, variables map[string]any) (any, error) {
	out, err := p.eval(ctx, variables)
	if err != nil {
		return nil, fmt.Errorf("could not evaluate %q: %w", shorten(p.source), err)
	}
	return out, nil
}

func (p *Program) eval(ctx context.Context, variables map[string]any) (any, error) {
	out, _, err := p.program.ContextEval(ctx, activation(variables))
	if err != nil {
		return nil, err
	}
	return toJSON(out)
}

// EvalBool evaluates a condition over variables as [Program.Eval] takes them. It
// answers True or False with a nil error, or Unknown with the reason: the
// expression erred, ran over its bounds or its time, is neither true nor false, or
// touched a value that is absent or [Unavailable].
func (p *Program) EvalBool(ctx context.Context, variables map[string]any) (Truth, error) {
	out, _, err := p.program.ContextEval(ctx, activation(variables))
	if err != nil {
		return Unknown, fmt.Errorf("could not evaluate %q: %w", shorten(p.source), err)
	}
	if optional, ok := out.(*types.Optional); ok && optional.HasValue() {
		out = optional.GetValue()
	}
	switch out {
	case types.True:
		return True, nil
	case types.False:
		return False, nil
	}
	return Unknown, fmt.Errorf("could not evaluate %q: a condition must be true or false, this is %s", shorten(p.source), out.Type().TypeName())
}

// Paths returns what the expression reads from its variables, in source order and
// without repetition: "item.actor.alternateId", "payload.ids[0]",
// `item["display name"]`. Optional selection and has() count as reading. A path
// through a comprehension names its list with [] ("enrichment.person[].privileged").
// Where an index is computed the path ends before it.
func (p *Program) Paths() []string {
	return slices.Clone(p.paths)
}

// Names returns the first-level names read below a variable, in source order: for
// "steps" in `steps.wasItYou.answer == 'notMe'` it is wasItYou. What is computed
// (steps[item.name]) or read as a whole is not among them.
func (p *Program) Names(variable string) []string {
	return namesBelow(p.paths, variable)
}
