// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"context"
	"fmt"
	"strings"
)

// CompileText compiles a string as [Env.CompileValue] does, for [Template.RenderText].
func (e *Env) CompileText(source string) (*Template, error) {
	return e.CompileValue(source)
}

// RenderText renders a template that was compiled from a string into text: what
// was written stays as it is, and each value that came out of an expression is
// written as in a longer string and then escaped, so that it cannot leave the
// place it was put in. An error of escape is in the [*TemplateError].
func (t *Template) RenderText(ctx context.Context, variables map[string]any, escape func(string) (string, error)) (string, error) {
	r := renderer{ctx: ctx, variables: variables, scale: newScale()}
	var out strings.Builder
	for _, part := range t.pieces() {
		program, ok := part.(*Program)
		if !ok {
			out.WriteString(plain(part))
			continue
		}
		value, err := r.eval(program, "")
		if err != nil {
			return "", err
		}
		piece, err := written(value)
		if err == nil {
			piece, err = escape(piece)
		}
		if err == nil {
			err = r.scale.add(len(piece))
		}
		if err != nil {
			return "", &TemplateError{Err: fmt.Errorf("could not write %q into text: %w", shorten(program.source), err)}
		}
		out.WriteString(piece)
	}
	return out.String(), nil
}

// Outline is a template that was compiled from a string, with value in the place
// of each expression: a way to check what was written around them.
func (t *Template) Outline(value string) string {
	var out strings.Builder
	for _, part := range t.pieces() {
		if _, ok := part.(*Program); ok {
			out.WriteString(value)
			continue
		}
		out.WriteString(plain(part))
	}
	return out.String()
}

func (t *Template) pieces() text {
	if parts, ok := t.root.(text); ok {
		return parts
	}
	return text{t.root}
}

func plain(part node) string {
	fixed, _ := part.(literal)
	written, _ := fixed.value.(string)
	return written
}
