// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package table is the connector to a table of rows: an inventory of assets, watch
// lists, known travel. The table is CSV, JSON or YAML in a ConfigMap, a Secret or a
// bucket, and is read at each use, so a change is noticed at once. What was parsed is
// kept by its content, with an index, so a lookup costs the same in a large table.
//
// Operations: find gives the one row of a key, with found: true, or {found: false};
// that several rows match is an error. list gives all rows of a key. Both take key
// and around.
//
// # Rows
//
// A row matches where one of the key columns is the key, without regard to the case
// of letters (Unicode case folding) or to white space around it. Where the table has
// columns for it, the row must be valid around the time asked for, which is now if none
// is given: from its from on, and before its until. Both are an RFC 3339 time or a
// date; a date alone in until means the end of that day, in UTC. A date alone in around
// asks for a row that is valid at any time of that day.
//
// # Values
//
// A cell of CSV is a string, but true and false, however capitalised, are booleans.
// Nothing else is guessed: 007, 1e3 and 2026-11-24 stay as they are written, and an
// empty cell is "". JSON and YAML have the types they write; a whole number is an
// int64, and a date in YAML is a string.
package table

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Tool is the name of the system behind this connector, for status.tool.
const Tool = "table"

// The operations.
const (
	// Find reads the one row of a key.
	Find = "find"
	// List reads all rows of a key.
	List = "list"
)

// maxListed is how many rows list gives; more are an error, for a list that lacks
// some would be counted as if it were complete.
const maxListed = 1000

// The inputs.
const (
	keyInput    = "key"
	aroundInput = "around"
)

// operations are what every table offers. A function and not a variable, so that no
// caller can change another's.
func operations() []connector.Operation {
	inputs := func() []connector.Input {
		return []connector.Input{
			{Name: keyInput, Type: connector.StringInput, Required: true, Want: "what a key column has, for example ana@example.com"},
			{Name: aroundInput, Type: connector.StringInput, MaxLength: 64, Want: wantTime},
		}
	}
	return []connector.Operation{
		{Name: Find, Effect: v1alpha1.EffectRead, Inputs: inputs()},
		{Name: List, Effect: v1alpha1.EffectRead, Inputs: inputs()},
	}
}

// connection implements connector.Connector for one table.
type connection struct {
	connector.ReadOnly

	content content
	shape   shape
	cache   *cache
	clock   clock.PassiveClock
	timeout time.Duration
}

var _ connector.Connector = (*connection)(nil)

// Operations implements connector.Connector.
func (*connection) Operations() []connector.Operation { return operations() }

// Read implements connector.Connector.
func (c *connection) Read(ctx context.Context, operation string, input map[string]any) (any, error) {
	declared, err := connector.FindRead(operations(), operation)
	if err != nil {
		return nil, err
	}
	if err := declared.CheckInput(input); err != nil {
		return nil, err
	}
	key := newFolder().fold(connector.String(input, keyInput))
	if key == "" {
		return nil, fault.Terminalf(connector.InvalidInputReason, "could not use the input of %s: field %q is blank: want what a key column has", operation, keyInput)
	}
	around, err := c.around(operation, connector.String(input, aroundInput))
	if err != nil {
		return nil, err
	}
	rows, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	matches := rows.match(key, around)
	if operation == List {
		return c.list(rows, matches)
	}
	return c.find(rows, matches)
}

// around is the span of time that a row's validity must meet.
func (c *connection) around(operation, text string) (span, error) {
	if text == "" {
		now := c.clock.Now()
		return span{now, now}, nil
	}
	at, ok := parseSpan(text)
	if !ok {
		return span{}, fault.Terminalf(connector.InvalidInputReason, "could not use the input of %s: field %q is not a time: want %s", operation, aroundInput, wantTime)
	}
	return at, nil
}

func (c *connection) find(rows *table, matches []int) (any, error) {
	switch len(matches) {
	case 0:
		return map[string]any{foundMember: false}, nil
	case 1:
		record := rows.rows[matches[0]].record()
		record[foundMember] = true
		return record, nil
	}
	return nil, fault.Terminalf(connector.InvalidDataReason,
		"could not find the one row of the key in %s: %d rows match, %s and %s first: give each its own key or its own time, or use list",
		c.content.name, len(matches), rows.where(matches[0]), rows.where(matches[1]))
}

func (c *connection) list(rows *table, matches []int) (any, error) {
	if len(matches) > maxListed {
		return nil, fault.Terminalf(connector.InvalidDataReason, "could not list the rows of the key in %s: %d match, more than %d: use a narrower key",
			c.content.name, len(matches), maxListed)
	}
	out := make([]any, len(matches))
	for i, at := range matches {
		out[i] = rows.rows[at].record()
	}
	return out, nil
}

// read reads the content and parses it, unless this content was parsed before.
func (c *connection) read(ctx context.Context) (*table, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	data, err := c.content.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, problem := c.cache.table(data, c.shape)
	if problem != nil {
		return nil, fault.Terminalf(connector.InvalidDataReason, "could not read %s as %s: %s", c.content.name, c.shape.format, problem.text(c.content.shown))
	}
	return rows, nil
}

// Probe implements connector.Connector: the table can be read, and is one.
func (c *connection) Probe(ctx context.Context) error {
	_, err := c.read(ctx)
	return err
}

// problem is what is wrong with a table's content, in words that hold nothing of it,
// and a detail that may.
type problem struct {
	message, detail string
}

func problemf(format string, args ...any) *problem {
	return &problem{message: fmt.Sprintf(format, args...)}
}

// with adds a detail that quotes the content.
func (p *problem) with(format string, args ...any) *problem {
	p.detail = fmt.Sprintf(format, args...)
	return p
}

// text is the message, with the detail where the content may be shown.
func (p *problem) text(shown showing) string {
	if p.detail == "" || shown != showContent {
		return p.message
	}
	return p.message + fmt.Sprintf(" (%.200s)", strings.Join(strings.Fields(p.detail), " "))
}
