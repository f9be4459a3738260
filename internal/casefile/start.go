// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// maxMessage is what the schema takes, in code points.
const maxMessage = 1024

// starter is a CasePlaybook, compiled.
type starter struct {
	v1alpha1.CasePlaybook

	forEach, when *expr.Program
	inputs        *expr.Template
}

// Start is a playbook that a case's type wants to run, once.
type Start struct {
	// Playbook names the Playbook.
	Playbook string
	// Item tells runs of one playbook for one case apart; empty without forEach.
	Item string
	// Inputs are the values of the playbook's inputs: what the type's inputs render to,
	// or, where it has none and a forEach, the element as the input item.
	Inputs *apiextensionsv1.JSON
	// Decision is the Decision that asks for the run by hand; nil where the type does.
	Decision *v1alpha1.RecordRef
	// Message says why no run can be started; empty where it is to be started now.
	Message string
}

// Starts are the playbooks of the type that should run now and have no run yet, over
// the case as its status stands. One that cannot be decided is among them with a
// message, and does not start. [Fold] gives the same for a case it folds; this is for
// who only wants to know.
func Starts(ctx context.Context, c *v1alpha1.Case, t *Type) []Start {
	return notStarted(t.wanted(ctx, t.Vars(ctx, c)), c.Status.Playbooks)
}

// wanted are the starts that the type wants, whether or not they were made before.
func (t *Type) wanted(ctx context.Context, vars map[string]any) []Start {
	var out []Start
	for _, p := range t.playbooks {
		out = append(out, p.starts(ctx, vars)...)
	}
	return out
}

// notStarted are those that have no run yet. Where the case has as many runs as it takes, they say so.
func notStarted(wanted []Start, rows []v1alpha1.StartedPlaybook) []Start {
	runs := map[[2]string]bool{}
	for _, row := range rows {
		if row.Run != "" {
			runs[[2]string{row.Name, row.Item}] = true
		}
	}
	var out []Start
	for _, s := range wanted {
		id := [2]string{s.Playbook, s.Item}
		switch {
		case runs[id]:
			continue
		case s.Message == "" && len(runs) == maxPlaybooks:
			s.Message = fmt.Sprintf("not started, for the case already has %d runs", maxPlaybooks)
		case s.Message == "":
			runs[id] = true
		}
		out = append(out, s)
	}
	return out
}

// starts are the playbook's starts, whether or not they were made before.
func (p starter) starts(ctx context.Context, vars map[string]any) []Start {
	items, err := itemsOf(ctx, p.forEach, vars)
	if err != nil {
		return []Start{{Playbook: p.Name, Message: cut(fmt.Sprintf("not started, for its items cannot be decided: %v", err), maxMessage)}}
	}
	var out []Start
	names := ItemNames(items)
	for i, item := range items {
		s := Start{Playbook: p.Name, Item: names[i]}
		truth, err := p.decide(ctx, withItemVar(vars, item))
		if truth == expr.False {
			continue
		}
		if err == nil {
			s.Inputs, err = p.render(ctx, vars, item)
		}
		if err != nil {
			s.Message = cut(fmt.Sprintf("not started, for it cannot be decided: %v", err), maxMessage)
		}
		out = append(out, s)
	}
	return out
}

func (p starter) decide(ctx context.Context, vars map[string]any) (expr.Truth, error) {
	if p.when == nil {
		return expr.True, nil
	}
	return p.when.EvalBool(ctx, vars)
}

func (p starter) render(ctx context.Context, vars map[string]any, item any) (*apiextensionsv1.JSON, error) {
	var value any
	switch {
	case p.inputs != nil:
		rendered, err := p.inputs.Render(ctx, withItemVar(vars, item))
		if err != nil {
			return nil, fmt.Errorf("inputs: %w", err)
		}
		if _, ok := rendered.(map[string]any); !ok {
			return nil, fmt.Errorf("inputs must be an object of named values, this is %T", rendered)
		}
		value = rendered
	case p.forEach != nil:
		value = map[string]any{itemVar: item}
	default:
		return nil, nil
	}
	raw, err := encode(value)
	if err != nil {
		return nil, fmt.Errorf("inputs: %w", err)
	}
	return &apiextensionsv1.JSON{Raw: raw}, nil
}

// starts finds what is to start, notes what cannot be, and moves the case on if
// something is to start now.
func (f *folding) starts(ctx context.Context, vars map[string]any) []Start {
	var undecided []v1alpha1.StartedPlaybook
	rows := f.rowsOfRuns()
	for _, row := range f.world.Case.Status.Playbooks {
		if row.Run != "" {
			rows = noted(rows, row)
		} else {
			undecided = append(undecided, row)
		}
	}
	var starts []Start
	if f.status.State != v1alpha1.CaseClosed && f.world.Enriched {
		wanted := f.byHand()
		if f.world.Type != nil {
			wanted = append(wanted, f.world.Type.wanted(ctx, vars)...)
			undecided = nil
		}
		starts = notStarted(wanted, rows)
	}
	for _, s := range starts {
		if s.Message != "" {
			undecided = append(undecided, v1alpha1.StartedPlaybook{Name: s.Playbook, Item: s.Item, Message: s.Message})
			continue
		}
		f.status.State = further(f.status.State, v1alpha1.CaseInvestigating)
	}
	for _, row := range undecided {
		rows = noted(rows, row)
	}
	f.status.Playbooks = rows
	return starts
}

func (f *folding) rowsOfRuns() []v1alpha1.StartedPlaybook {
	var rows []v1alpha1.StartedPlaybook
	for _, r := range f.world.Runs {
		rows = noted(rows, v1alpha1.StartedPlaybook{Name: r.Spec.PlaybookRef.Name, Item: r.Spec.Item, Run: r.Name})
	}
	return rows
}

// Note returns the rows of status.playbooks with the run that a start was given, where
// [Fold] will have it: noting it in the pass that created the run saves a write later.
func Note(rows []v1alpha1.StartedPlaybook, s Start, run string) []v1alpha1.StartedPlaybook {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r v1alpha1.StartedPlaybook) bool {
		return r.Run == "" && r.Name == s.Playbook && r.Item == s.Item
	})
	return noted(rows, v1alpha1.StartedPlaybook{Name: s.Playbook, Item: s.Item, Run: run})
}

// noted adds a row in its place, unless its playbook and item have one or the bound is
// reached.
func noted(rows []v1alpha1.StartedPlaybook, row v1alpha1.StartedPlaybook) []v1alpha1.StartedPlaybook {
	at, found := slices.BinarySearchFunc(rows, row, func(a, b v1alpha1.StartedPlaybook) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Item, b.Item))
	})
	if found || len(rows) >= maxPlaybooks {
		return rows
	}
	return slices.Insert(rows, at, row)
}
