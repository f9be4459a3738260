// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"

	"github.com/google/cel-go/common/ast"
)

// maxTypeDepth bounds the product of comprehensions and the lists, maps and
// optionals nested in one another. Each comprehension can put what it walks into as
// many lists again, and the time to check such types grows with the cube of their
// depth: a few lines could keep a compiler busy for hours, where no deadline reaches.
const maxTypeDepth = 128

// typeDepth is an upper bound of how deep a type in the expression can get.
func typeDepth(root ast.Expr) int {
	var comprehensions, deepest int
	var walk func(e ast.Expr, depth int)
	walk = func(e ast.Expr, depth int) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			comprehensions++
		case ast.ListKind, ast.MapKind:
			depth++
		case ast.CallKind:
			if isOptionalOf(e.AsCall()) {
				depth++
			}
		}
		deepest = max(deepest, depth)
		for _, child := range children(e) {
			walk(child, depth)
		}
	}
	walk(root, 0)
	return max(comprehensions, 1) * deepest
}

func isOptionalOf(call ast.CallExpr) bool {
	return strings.HasPrefix(call.FunctionName(), "optional") || call.IsMemberFunction() && call.Target().Kind() == ast.IdentKind && call.Target().AsIdent() == "optional"
}

// children are the direct parts of an expression, in source order.
func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.CallKind:
		if call := e.AsCall(); call.IsMemberFunction() {
			return append([]ast.Expr{call.Target()}, call.Args()...)
		}
		return e.AsCall().Args()
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var out []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			out = append(out, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return out
	case ast.StructKind:
		var out []ast.Expr
		for _, field := range e.AsStruct().Fields() {
			out = append(out, field.AsStructField().Value())
		}
		return out
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	}
	return nil
}
