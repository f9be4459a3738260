// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/fault"
)

// sitting is one call of Before, Do or Verify: what it has read, it does not read again.
type sitting struct {
	*connection
	*operation
	request connector.Request
	seen    map[string]any // results by operation and input
}

// sit checks a request: its input, and that its target is what the input says.
func (c *connection) sit(request connector.Request) (*sitting, error) {
	target, err := c.Target(request.Operation, request.Input)
	if err != nil {
		return nil, err
	}
	if err := request.Check(target); err != nil {
		return nil, err
	}
	return &sitting{connection: c, operation: c.compiled.byName[request.Operation], request: request, seen: map[string]any{}}, nil
}

// variables are input and mark, and what else is given by name.
func (s *sitting) variables(more map[string]any) map[string]any {
	variables := s.operation.variables(s.request.Input)
	variables["mark"] = s.request.Mark
	for name, value := range more {
		variables[name] = value
	}
	return variables
}

// look makes a read that an operation declares, with the input of the request.
func (s *sitting) look(ctx context.Context, by *call) (any, error) {
	input, err := renderInput(ctx, by.input, s.variables(nil))
	if err != nil {
		return nil, fault.Terminalf(connector.InvalidInputReason, "could not write the input of %s for %s: %w",
			by.operation.declared.Name, s.request.Operation, err)
	}
	raw, err := encodeJSON(input)
	if err != nil {
		return nil, fmt.Errorf("encode the input of %s: %w", by.operation.declared.Name, err)
	}
	key := by.operation.declared.Name + string(raw)
	if value, ok := s.seen[key]; ok {
		return value, nil
	}
	value, err := s.read(ctx, by.operation, input)
	if err == nil {
		s.seen[key] = value
	}
	return value, err
}

// Before implements connector.Connector.
func (c *connection) Before(ctx context.Context, request connector.Request) (connector.Observation, error) {
	s, err := c.sit(request)
	if err != nil {
		return connector.Observation{}, err
	}
	ctx, cancel := connector.Until(ctx, request.Deadline, c.timeout)
	defer cancel()
	seen, err := s.stands(ctx)
	return shown(seen), err
}

// stands is how the target stands before the mutation; of a rollback, also whether it is still as it was left.
func (s *sitting) stands(ctx context.Context) (connector.Observation, error) {
	var seen connector.Observation
	if s.before != nil {
		before, err := s.look(ctx, s.before)
		if err != nil {
			return seen, err
		}
		s.judgeBefore(ctx, before, &seen)
	}
	if s.request.Forward == "" || seen.Desired || seen.Gone {
		return seen, nil
	}
	return seen, s.judgeLeft(ctx, &seen)
}

// judgeBefore says whether there is anything to do, and anything to do it to. A record that is not there has nothing,
// unless already has an answer for it: of what an operation makes, or takes away, absence is a state like any other. An
// already that cannot be decided does not hold: what was allowed is done.
func (s *sitting) judgeBefore(ctx context.Context, before any, seen *connector.Observation) {
	seen.State = before
	already := judge(ctx, s.already, s.variables(map[string]any{"before": before}), false)
	switch {
	case already.truth == expr.True:
		seen.Desired, seen.Message = true, s.name()+" is so already"
	case absent(before) && (s.already == nil || already.truth == expr.Unknown):
		seen.Gone, seen.Message = true, "there is no "+s.name()
	case already.truth == expr.Unknown:
		seen.Message = fmt.Sprintf("whether %s is so already is undecided: %v", s.name(), already.why)
	case s.already != nil:
		seen.Message = s.name() + " is not so yet"
	}
}

func (s *sitting) name() string { return legible(s.request.Target.Type + " " + s.request.Target.Name) }

// absent tells whether a record says of itself that it is not there.
func absent(value any) bool {
	record, _ := value.(map[string]any)
	found, said := record["found"].(bool)
	return said && !found
}

// judgeLeft says whether the target is still as the operation that is taken back left it. What cannot be decided is not.
func (s *sitting) judgeLeft(ctx context.Context, seen *connector.Observation) error {
	forward, ok := s.compiled.byName[s.request.Forward]
	if !ok || forward.rollback.operation != s.request.Operation {
		return fault.Terminalf(connector.UnknownOperationReason, "could not take back %q with %s: the connector does not declare it so",
			s.request.Forward, s.request.Operation)
	}
	condition, looks := forward.rollback.judge(forward), forward.looks()
	if condition == nil {
		seen.AsLeft = true
		seen.Message = fmt.Sprintf("%s declares nothing to compare with: whether %s is still as it was left is not known", s.request.Forward, s.name())
		return nil
	}
	left := map[string]any{"after": s.request.Left}
	if s.request.Left == nil {
		left["after"] = expr.Unavailable{Reason: "nothing was read back after " + s.request.Forward}
	}
	if looks != nil {
		current, err := s.look(ctx, looks)
		if err != nil {
			return err
		}
		left["current"], left["result"] = current, current // the default is a condition over result
		seen.State = current
	}
	still := judge(ctx, condition, s.variables(left), false)
	switch still.truth {
	case expr.True:
		seen.AsLeft = true
		seen.Message = fmt.Sprintf("%s is as %s left it", s.name(), s.request.Forward)
	case expr.Unknown:
		seen.Message = fmt.Sprintf("whether %s is still as %s left it is undecided: %v", s.name(), s.request.Forward, still.why)
	case expr.False:
		seen.Message = fmt.Sprintf("%s is not as %s left it: someone else changed it", s.name(), s.request.Forward)
	}
	return nil
}

// Verify implements connector.Connector. A condition that cannot be decided is an error, unless what it is about is
// plainly not there.
func (c *connection) Verify(ctx context.Context, request connector.Request) (connector.Observation, error) {
	s, err := c.sit(request)
	if err != nil {
		return connector.Observation{}, err
	}
	ctx, cancel := connector.Until(ctx, request.Deadline, c.timeout)
	defer cancel()
	seen, err := s.holds(ctx)
	return shown(seen), err
}

func (s *sitting) holds(ctx context.Context) (connector.Observation, error) {
	if s.verify == nil {
		return connector.Observation{}, fmt.Errorf("could not verify %s: it declares nothing to read back: its success is what the target acknowledged", s.request.Operation)
	}
	result, err := s.look(ctx, s.verify)
	if err != nil {
		return connector.Observation{}, err
	}
	seen := connector.Observation{State: result}
	expected := judge(ctx, s.expect, s.variables(map[string]any{"result": result}), false)
	switch {
	case expected.truth == expr.True:
		seen.Desired, seen.Message = true, s.name()+" was read back as wanted"
	case absent(result) && expected.truth == expr.Unknown:
		seen.Gone, seen.Message = true, "there is no "+s.name()
	case expected.truth == expr.Unknown:
		return connector.Observation{}, fmt.Errorf("could not tell whether %s is as wanted: %w", s.name(), expected.why)
	default:
		seen.Message = fmt.Sprintf("%s is not as wanted: %s does not hold", s.name(), s.expect.Source())
	}
	return seen, nil
}

// shown bounds what goes into a record.
func shown(seen connector.Observation) connector.Observation {
	seen.State, seen.Message = recordable(seen.State), connector.Clip(seen.Message)
	return seen
}

// maxState is how much of what was read goes into a record, in bytes of JSON.
const maxState = 4 << 10

// omitted is the member that names what was left out of a record.
const omitted = "omitted"

// recordable leaves the largest members out of a record that is too large, and says which; an expression that needs one
// then is undecided, and never false.
func recordable(state any) any {
	raw, err := encodeJSON(state)
	if err != nil || len(raw) <= maxState {
		return state
	}
	record, ok := state.(map[string]any)
	if !ok {
		return map[string]any{omitted: []any{fmt.Sprintf("%d bytes", len(raw))}}
	}
	return smaller(record)
}

func smaller(record map[string]any) any {
	sizes := map[string]int{}
	total := 0
	for name, value := range record {
		raw, _ := encodeJSON(value) // it was encoded as a whole
		sizes[name] = len(name) + len(raw) + len(`"":,`)
		total += sizes[name]
	}
	names := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		return cmp.Or(cmp.Compare(sizes[b], sizes[a]), cmp.Compare(a, b))
	})
	out, gone := maps.Clone(record), []any{}
	for _, name := range names {
		if total <= maxState/2 {
			break
		}
		delete(out, name)
		total -= sizes[name]
		if len(gone) < 16 && len(name) <= 64 {
			gone = append(gone, name)
		}
	}
	out[omitted] = gone
	return out
}
