// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
)

// CompileError says where and why an expression does not compile.
type CompileError struct {
	// Expression is the source as it was written.
	Expression string
	// Line and Column are where it went wrong, in code points, counted from 1.
	Line, Column int
	// Message is what is wrong there and what to write instead, where that is known.
	Message string
}

// Error names the expression, the place and the cause. The text is the same each time.
func (e *CompileError) Error() string {
	place := fmt.Sprintf("column %d", e.Column)
	if e.Line > 1 || strings.Contains(e.Expression, "\n") {
		place = fmt.Sprintf("line %d, column %d", e.Line, e.Column)
	}
	return fmt.Sprintf("could not compile %q: %s: %s", shorten(e.Expression), place, e.Message)
}

// shorten keeps a message readable when the expression is not.
func shorten(s string) string {
	const most = 200
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

func (e *Env) compileError(source string, issues *cel.Issues) *CompileError {
	out := &CompileError{Expression: source, Line: 1, Column: 1, Message: issues.Err().Error()}
	all := issues.Errors()
	if len(all) == 0 {
		return out
	}
	first := all[0]
	out.Line, out.Column = max(first.Location.Line(), 1), max(first.Location.Column(), 0)+1
	out.Message = strings.ReplaceAll(first.Message, " (in container '')", "")
	switch {
	case strings.HasPrefix(first.Message, "undeclared reference"):
		out.Message += "; an expression here may read " + strings.Join(e.names, ", ")
	case strings.Contains(first.Message, "(int, string)"), strings.Contains(first.Message, "(string, int)"),
		strings.Contains(first.Message, "(int, list(string))"):
		out.Message += "; a number is not compared with text: severity is one of the constants Informational, Low, Medium, High, Critical"
	}
	return out
}

// Unavailable stands for a value that was asked for and did not come: put it into
// the variables in place of a lookup that failed, is late or was never made.
// Whatever touches it is Unknown, at any depth; an expression that does not need it
// is not disturbed. It is an error, found in what an evaluation returns with errors.AsType.
type Unavailable struct {
	// Reason says what is missing and why, in words for people.
	Reason string
}

// Error returns the reason.
func (u Unavailable) Error() string {
	if u.Reason == "" {
		return "unavailable"
	}
	return u.Reason
}

// Truth is the answer to a condition.
type Truth int

// The answers. The zero Truth is Unknown, so that nothing is true by omission.
const (
	Unknown Truth = iota
	False
	True
)

// String returns the name of the answer.
func (t Truth) String() string {
	switch t {
	case True:
		return "True"
	case False:
		return "False"
	}
	return "Unknown"
}
