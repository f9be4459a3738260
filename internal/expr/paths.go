// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// pathsOf lists what an expression reads below the given variables.
func pathsOf(root ast.Expr, variables []string) []string {
	r := &reader{}
	names := map[string]string{}
	for _, name := range variables {
		names[name] = name
	}
	r.read(root, names)
	return r.paths
}

// reader collects paths in source order.
type reader struct {
	paths []string
}

func (r *reader) add(path string) {
	if path != "" && !slices.Contains(r.paths, path) {
		r.paths = append(r.paths, path)
	}
}

// read walks an expression. Names says what path a name in scope stands for; empty
// for one that stands for none.
func (r *reader) read(e ast.Expr, names map[string]string) {
	if path, ok := r.path(e, names); ok {
		r.add(path)
		return
	}
	if e.Kind() == ast.ComprehensionKind {
		r.readComprehension(e.AsComprehension(), names)
		return
	}
	for _, child := range children(e) {
		r.read(child, names)
	}
}

// readComprehension gives an iteration variable the path of the list it walks, and
// a bound name (cel.bind) the path of what it is bound to.
func (r *reader) readComprehension(c ast.ComprehensionExpr, names map[string]string) {
	inner := maps.Clone(names)
	source, isPath := r.path(c.IterRange(), names)
	if isPath {
		r.add(source)
		if source != "" {
			source += "[]"
		}
	} else {
		r.read(c.IterRange(), names)
	}
	bound, isPath := r.path(c.AccuInit(), names)
	if isPath {
		r.add(bound)
	} else {
		r.read(c.AccuInit(), names)
	}
	inner[c.IterVar()] = source
	if c.HasIterVar2() {
		inner[c.IterVar()], inner[c.IterVar2()] = "", source
	}
	inner[c.AccuVar()] = bound
	r.read(c.LoopCondition(), inner)
	r.read(c.LoopStep(), inner)
	r.read(c.Result(), inner)
}

// path is the path an expression stands for, if it is a variable with selections
// and constant indexes only. Where an index is computed, it reads that and stops there.
func (r *reader) path(e ast.Expr, names map[string]string) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		path, ok := names[e.AsIdent()]
		return path, ok
	case ast.SelectKind:
		s := e.AsSelect()
		base, ok := r.path(s.Operand(), names)
		return extend(base, types.String(s.FieldName())), ok
	case ast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.Index, operators.OptIndex, operators.OptSelect:
		default:
			return "", false
		}
		base, ok := r.path(call.Args()[0], names)
		if !ok || call.Args()[1].Kind() != ast.LiteralKind {
			return "", false
		}
		return extend(base, call.Args()[1].AsLiteral()), true
	}
	return "", false
}

// extend adds a step to a path; below what is no path it stays empty.
func extend(base string, key any) string {
	if base == "" {
		return ""
	}
	if name, ok := key.(types.String); ok {
		if identifier.MatchString(string(name)) {
			return base + "." + string(name)
		}
		return fmt.Sprintf("%s[%q]", base, string(name))
	}
	return fmt.Sprintf("%s[%v]", base, key)
}

// namesBelow picks the first-level names below a variable out of paths.
func namesBelow(paths []string, variable string) []string {
	var out []string
	for _, path := range paths {
		rest, ok := strings.CutPrefix(path, variable+".")
		if !ok {
			continue
		}
		if end := strings.IndexAny(rest, ".["); end >= 0 {
			rest = rest[:end]
		}
		if !slices.Contains(out, rest) {
			out = append(out, rest)
		}
	}
	return out
}
