// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func newApprove(o *options) *cobra.Command {
	a := &answer{decision: decision{options: o}, verdict: v1alpha1.VerdictApprove}
	cmd := &cobra.Command{
		Use:   "approve CASE[/HANDLE] -m MESSAGE",
		Short: "Approve what a case asks about",
		Long: "Approve an action that waits for people. What is approved is shown in full, and the approval counts for exactly " +
			"that: if it changes, the approval is void. Of a question with two options, approve takes the first.",
		Args:              exactly("CASE[/HANDLE]"),
		ValidArgsFunction: completeQuestions(o, v1alpha1.QuestionApproval, v1alpha1.QuestionChoice),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.run(cmd, args[0]) },
	}
	a.addFlags(cmd, messageNeeded)
	return cmd
}
