// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// Catalog is what the tests may name: objects as people wrote them. Where two have one name, the later wins.
type Catalog struct {
	Sources    []*v1alpha1.Source
	Mappings   []*v1alpha1.Mapping
	CaseTypes  []*v1alpha1.CaseType
	Playbooks  []*v1alpha1.Playbook
	Guardrails []*v1alpha1.Guardrail
	Connectors []*v1alpha1.Connector
	// Open gives the tool behind a connector; nil, or a nil tool, where there is none that can be simulated.
	Open func(*v1alpha1.Connector) (Tool, error)
}

// Tool is a connector of which nothing is sent.
type Tool = connector.Planner

// Rehearser is a Tool whose requests can be rendered and whose answers can be judged. One that is none takes the word of
// the test for what becomes of an attempt.
type Rehearser interface {
	Tool
	// Rehearse goes the way of one operation: the request says which, with what input. A nil exchange is an error of the
	// request or of what was read.
	Rehearse(ctx context.Context, request connector.Request, answer func(Request) Reply) (Rehearsed, error)
}

// Request is a request as it would go to the target, without credentials.
type Request struct {
	// Operation is the operation that makes it: that of the mutation, or of the read before or after it.
	Operation string
	// Method, Path (escaped) and RawQuery are the request's.
	Method, Path, RawQuery string
	// Headers are its headers; of several of one name the first.
	Headers map[string]string
	// Body is its body.
	Body []byte
}

// Reply is how a target answers a request.
type Reply struct {
	// Lost: the answer never comes.
	Lost bool
	// Status, Headers and Body are the answer's.
	Status  int
	Headers map[string]string
	Body    []byte
	// Value, where Read is set, is what a read gives, in the place of an answer.
	Read  bool
	Value any
}

// Rehearsed is what came of a rehearsal, as far as it came.
type Rehearsed struct {
	Requests []Request
	Output   any
	Target   v1alpha1.Target
	Before   *connector.Observation
	Result   *connector.Result
	After    *connector.Observation
}

func named[T interface{ GetName() string }](kind string, all []T, name string) (T, error) {
	for _, one := range slices.Backward(all) {
		if one.GetName() == name {
			return one, nil
		}
	}
	var none T
	names := map[string]bool{}
	for _, one := range all {
		names[one.GetName()] = true
	}
	known := "there is none"
	if len(names) > 0 {
		known = "there are " + strings.Join(slices.Sorted(maps.Keys(names)), ", ")
	}
	return none, fmt.Errorf("no %s %q stands in the files beside the tests; %s", kind, name, known)
}

// tool is the tool behind an operation, and what it declares of it.
func (c *Catalog) tool(operation string) (Tool, connector.Operation, *v1alpha1.Connector, error) {
	connectorName, name, ok := strings.Cut(operation, "/")
	if !ok {
		return nil, connector.Operation{}, nil, fmt.Errorf("%q is no operation; write connector/operation", operation)
	}
	object, err := named("Connector", c.Connectors, connectorName)
	if err != nil {
		return nil, connector.Operation{}, nil, err
	}
	var tool Tool
	if c.Open != nil {
		if tool, err = c.Open(object); err != nil {
			return nil, connector.Operation{}, nil, err
		}
	}
	if tool == nil {
		return nil, connector.Operation{}, object, nil
	}
	declared, ok := connector.Find(tool.Operations(), name)
	if !ok {
		var names []string
		for _, o := range tool.Operations() {
			names = append(names, o.Name)
		}
		return nil, connector.Operation{}, nil, fmt.Errorf("connector %s has no operation %q; it has %s", connectorName, name, cmp.Or(strings.Join(names, ", "), "none"))
	}
	return tool, declared, object, nil
}

// lookUp gives what the test says of a lookup; false where it says nothing. A key may end in a value that the input has,
// as in "geo/locate 203.0.113.7": it goes before that of the operation alone, and that before "*".
func (l lookups) lookUp(operation string, input map[string]any) (value any, said bool, err error) {
	keys := []string{}
	for _, name := range sorted(input) {
		keys = append(keys, operation+" "+fmt.Sprint(input[name]))
	}
	for _, key := range append(keys, operation, everyLookup) {
		if value, said = l[key]; said {
			break
		}
	}
	if value == Unavailable {
		return nil, true, fmt.Errorf("%s is unavailable, as the test says", operation)
	}
	return value, said, nil
}

// allFail tells whether every lookup fails.
func (l lookups) allFail() bool {
	if l[everyLookup] != Unavailable {
		return false
	}
	for _, value := range l {
		if value != Unavailable {
			return false
		}
	}
	return true
}
