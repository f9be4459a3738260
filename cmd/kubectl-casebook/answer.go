// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func newAnswer(o *options) *cobra.Command {
	a := &answer{decision: decision{options: o}, verdict: v1alpha1.VerdictAnswer}
	cmd := &cobra.Command{
		Use:               "answer CASE[/HANDLE] OPTION [-m MESSAGE]",
		Short:             "Answer a question of a playbook with one of its options",
		Args:              exactly("CASE[/HANDLE]", "OPTION"),
		ValidArgsFunction: completeQuestions(o, v1alpha1.QuestionChoice),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.option = args[1]
			return a.run(cmd, args[0])
		},
	}
	a.addFlags(cmd, messageOptional)
	return cmd
}
