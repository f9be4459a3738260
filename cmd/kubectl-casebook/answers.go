// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// answer is approve, deny and answer: what they have in common is that they answer an open question.
type answer struct {
	decision
	verdict v1alpha1.Verdict
	option  string // for the verdict Answer
}

func (a *answer) run(cmd *cobra.Command, arg string) error {
	verb := strings.ToLower(string(a.verdict))
	name, handle, err := parseHandle(cmd, arg)
	if err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	of, err := c.findCase(ctx, name)
	if err != nil {
		return err
	}
	q, err := question(a.options, of, handle, verb)
	if err != nil {
		return err
	}
	a.subject, a.who = of.Name+"/"+q.Handle, report.WhoMayAnswer(q.Question)
	a.choose(q)
	if err := a.fits(q); err != nil {
		return err
	}
	shown, err := plan(ctx, c, of, q)
	if err != nil {
		return err
	}
	doing := fmt.Sprintf("You %s, as %s, for case %s:", verb, c.viewer(ctx).Text(), of.Name)
	if a.option != "" {
		doing = fmt.Sprintf("You answer %q, as %s, for case %s:", a.option, c.viewer(ctx).Text(), of.Name)
	}
	if err := a.tell(shown.Text(a.screen(), doing)); err != nil {
		return err
	}
	return a.send(ctx, c, of, q, shown.Digest)
}

// choose lets approve and deny answer a question of two options: approve takes the first, deny the second.
func (a *answer) choose(q v1alpha1.CaseQuestion) {
	if q.Kind != v1alpha1.QuestionChoice || len(q.Options) != 2 || a.verdict == v1alpha1.VerdictAnswer {
		return
	}
	a.option = q.Options[0]
	if a.verdict == v1alpha1.VerdictDeny {
		a.option = q.Options[1]
	}
	a.verdict = v1alpha1.VerdictAnswer
}

// fits refuses the wrong verb for a kind of question, and an option that is none.
func (a *answer) fits(q v1alpha1.CaseQuestion) error {
	choice := q.Kind == v1alpha1.QuestionChoice
	switch {
	case q.Kind == v1alpha1.QuestionResolution:
		return usagef("cannot %s %s: whether it happened is not known, and that is what it asks", strings.ToLower(string(a.verdict)), a.subject).
			so("Look at the target, then: kubectl casebook resolve %s --happened|--did-not|--retry -m \"…\"", a.subject)
	case choice && a.verdict != v1alpha1.VerdictAnswer:
		return usagef("cannot %s %s: it is a question with the options %s", strings.ToLower(string(a.verdict)), a.subject, strings.Join(q.Options, ", ")).
			so("Write: kubectl casebook answer %s %s -m \"…\"", a.subject, strings.Join(q.Options, "|"))
	case !choice && a.verdict == v1alpha1.VerdictAnswer:
		return usagef("cannot answer %s with %q: it asks for an approval", a.subject, a.option).
			so("Write: kubectl casebook approve %s -m \"…\", or deny", a.subject)
	case choice && !slices.Contains(q.Options, a.option):
		return usagef("cannot answer %s with %q: that is no option", a.subject, a.option).so("Options: %s", strings.Join(q.Options, ", "))
	default:
		return nil
	}
}

func (a *answer) send(ctx context.Context, c *cluster, of *v1alpha1.Case, q v1alpha1.CaseQuestion, digest string) error {
	made, err := a.make(ctx, c, of, v1alpha1.DecisionSpec{
		Verdict: a.verdict,
		Answer:  &v1alpha1.AnswerDecision{Handle: q.Handle, Digest: digest, Option: a.option},
	})
	if err != nil {
		return err
	}
	if q.ActionRef != nil {
		return a.finish(ctx, c, made, settled{action: func(*v1alpha1.Decision) string { return q.ActionRef.Name }})
	}
	if q.Count > 1 {
		return a.finish(ctx, c, made, settled{})
	}
	return a.finish(ctx, c, made, settled{inCase: func(now *v1alpha1.Case) bool {
		return !slices.ContainsFunc(now.Status.Questions, func(open v1alpha1.CaseQuestion) bool { return open.Digest == q.Digest })
	}})
}
