// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Template is a JSON value whose strings may hold expressions. It is immutable and
// safe for concurrent use.
type Template struct {
	root  node
	paths []string
}

// TemplateError says where in a value an expression does not compile or evaluate.
type TemplateError struct {
	// Path is the place in the value, as `body.Operations[0].value`; empty for the value itself.
	Path string
	// Err is what is wrong there: a [*CompileError], or what [Program.Eval] returns.
	Err error
}

// Error names the place and the cause.
func (e *TemplateError) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *TemplateError) Unwrap() error {
	return e.Err
}

// CompileValue compiles a JSON value (nil, bool, string, numbers or json.Number,
// []any, map[string]any). In its strings, "${" begins an expression and the "}"
// that closes it ends it: braces, quotes and comments of CEL are understood. A
// string that is one expression and nothing else gives that expression's value
// with its type; otherwise the string is put together from its parts. "$${" is a
// "${" that begins nothing. Keys of maps are literal and may not hold "${".
// The error is a [*TemplateError].
func (e *Env) CompileValue(value any) (*Template, error) {
	c := compiler{env: e}
	root, err := c.compile(value, "", 0)
	if err != nil {
		return nil, err
	}
	return &Template{root: root, paths: c.paths}, nil
}

// Render evaluates the expressions over variables, as [Program.Eval] takes them,
// and returns plain JSON in Go types as it returns them. It is one pass: nothing
// that came out of an expression is read as a template or an expression again. Put
// into a string, a number or boolean is its JSON text, a list or map is compact
// JSON, and what is null or absent is an error. The error is a [*TemplateError];
// an [Unavailable] that was touched is in it.
func (t *Template) Render(ctx context.Context, variables map[string]any) (any, error) {
	r := renderer{ctx: ctx, variables: variables, scale: newScale()}
	return r.render(t.root, "")
}

// References returns what the template reads from its variables, as
// [Program.Paths] does; maps in the order of their keys.
func (t *Template) References() []string {
	return slices.Clone(t.paths)
}

// Names returns the first-level names read below a variable, as [Program.Names] does.
func (t *Template) Names(variable string) []string {
	return namesBelow(t.paths, variable)
}

// node is one of: literal, *Program, text, list, object.
type node any

type (
	literal struct{ value any }
	// text is a string put together from literal strings and programs.
	text   []node
	list   []node
	object struct {
		keys   []string
		values []node
	}
)

type compiler struct {
	env   *Env
	paths []string
}

func (c *compiler) compile(value any, path string, depth int) (node, error) {
	if depth > MaxDepth {
		return nil, &TemplateError{Path: path, Err: errTooDeep}
	}
	switch v := value.(type) {
	case string:
		return c.compileString(v, path)
	case []any:
		out := make(list, len(v))
		for i, element := range v {
			var err error
			if out[i], err = c.compile(element, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		return c.compileMap(v, path, depth)
	}
	value, err := literalNumber(value)
	if err != nil {
		return nil, &TemplateError{Path: path, Err: err}
	}
	return literal{value}, nil
}

func (c *compiler) compileMap(value map[string]any, path string, depth int) (node, error) {
	var out object
	for _, key := range slices.Sorted(maps.Keys(value)) {
		below := below(path, key)
		if strings.Contains(key, "${") {
			return nil, &TemplateError{Path: below, Err: fmt.Errorf("a key is literal and may not hold ${: write the expression into a value")}
		}
		child, err := c.compile(value[key], below, depth+1)
		if err != nil {
			return nil, err
		}
		out.keys, out.values = append(out.keys, key), append(out.values, child)
	}
	return out, nil
}

func (c *compiler) compileString(source, path string) (node, error) {
	parts, err := split(source)
	if err != nil {
		return nil, &TemplateError{Path: path, Err: err}
	}
	out := make(text, len(parts))
	for i, part := range parts {
		if !part.expression {
			out[i] = literal{part.text}
			continue
		}
		program, err := c.env.Compile(part.text)
		if err != nil {
			return nil, &TemplateError{Path: path, Err: err}
		}
		for _, read := range program.paths {
			if !slices.Contains(c.paths, read) {
				c.paths = append(c.paths, read)
			}
		}
		out[i] = program
	}
	switch len(out) {
	case 0:
		return literal{""}, nil
	case 1:
		return out[0], nil
	}
	return out, nil
}

// below is the path of a key.
func below(path, key string) string {
	switch {
	case !identifier.MatchString(key):
		return fmt.Sprintf("%s[%q]", path, key)
	case path == "":
		return key
	}
	return path + "." + key
}

// literalNumber gives a literal number the types that expressions give theirs.
func literalNumber(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, int64:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("the number %v cannot be written in JSON", v)
		}
		return v, nil
	case json.Number:
		return scalar(number(v))
	}
	return nil, fmt.Errorf("a %T is not a JSON value", value)
}

type renderer struct {
	ctx       context.Context
	variables map[string]any
	scale     *scale
}

func (r *renderer) render(n node, path string) (any, error) {
	switch v := n.(type) {
	case literal:
		content, _ := v.value.(string)
		return v.value, r.weigh(path, content)
	case *Program:
		return r.eval(v, path)
	case text:
		return r.renderText(v, path)
	case list:
		out := make([]any, len(v))
		for i, element := range v {
			var err error
			if out[i], err = r.render(element, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return nil, err
			}
		}
		return out, r.weigh(path, "")
	case object:
		out := make(map[string]any, len(v.keys))
		for i, key := range v.keys {
			var err error
			if out[key], err = r.render(v.values[i], below(path, key)); err != nil {
				return nil, err
			}
		}
		return out, r.weigh(path, "")
	}
	return nil, &TemplateError{Path: path, Err: fmt.Errorf("could not render a %T: use CompileValue", n)}
}

func (r *renderer) weigh(path, content string) error {
	if err := r.scale.add(len(content)); err != nil {
		return &TemplateError{Path: path, Err: err}
	}
	return nil
}

// eval evaluates one expression into the budget that the whole template has.
func (r *renderer) eval(p *Program, path string) (any, error) {
	out, _, err := p.program.ContextEval(r.ctx, activation(r.variables))
	var value any
	if err == nil {
		value, err = r.scale.convert(out, 0)
	}
	if err != nil {
		return nil, &TemplateError{Path: path, Err: fmt.Errorf("could not evaluate %q: %w", shorten(p.source), err)}
	}
	return value, nil
}

func (r *renderer) renderText(parts text, path string) (any, error) {
	var out strings.Builder
	for _, part := range parts {
		if fixed, ok := part.(literal); ok {
			out.WriteString(fixed.value.(string))
			continue
		}
		program := part.(*Program)
		value, err := r.eval(program, path)
		if err != nil {
			return nil, err
		}
		written, err := written(value)
		if err != nil {
			return nil, &TemplateError{Path: path, Err: fmt.Errorf("could not write %q into text: %w", shorten(program.source), err)}
		}
		out.WriteString(written)
	}
	return out.String(), r.weigh(path, out.String())
}

// written is a value as it reads inside a string.
func written(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", fmt.Errorf("it is null or absent: give it a value with orValue() or a conditional")
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return writeJSON(value)
}
