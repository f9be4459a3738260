// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package playbook

import (
	"errors"
	"fmt"
	"strings"

	"github.com/casebook-dev/casebook/internal/expr"
)

// What the schema of a run takes, in code points.
const (
	maxMessage = 1024
	maxNote    = 2048
)

func (n *next) text(s *step) (string, error) {
	if s.text == nil {
		return "", nil
	}
	text, err := n.render(s.text)
	if err == nil && strings.TrimSpace(text) == "" {
		err = errors.New("nothing comes out of it")
	}
	if err != nil {
		return "", fmt.Errorf("its text cannot be made: %w", err)
	}
	return text, nil
}

func (n *next) render(t *expr.Template) (string, error) {
	return t.RenderText(n.ctx, n.vars(), func(text string) (string, error) { return text, nil })
}

// vars are the facts' variables and the steps so far.
func (n *next) vars() map[string]any {
	out := make(map[string]any, len(n.facts.Vars)+1)
	for name, value := range n.facts.Vars {
		out[name] = value
	}
	steps := map[string]any{}
	for _, at := range n.status.Steps {
		deliveries := make([]any, len(at.Deliveries))
		for i, d := range at.Deliveries {
			deliveries[i] = map[string]any{"to": d.To, "state": string(d.State), "message": d.Message}
		}
		steps[at.Name] = map[string]any{
			"state": string(at.State), "answer": at.Answer, "message": at.Message, "action": at.Action, "deliveries": deliveries,
		}
	}
	out["steps"] = steps
	if n.inputs != nil {
		out["inputs"] = n.inputs
	}
	return out
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// cut keeps a message within the schema's bound.
func cut(message string) string {
	return cutTo(message, maxMessage)
}

// cutTo shortens text to a number of code points.
func cutTo(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return strings.TrimSpace(string(runes[:most-1])) + "…"
	}
	return text
}
