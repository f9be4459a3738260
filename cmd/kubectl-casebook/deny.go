// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func newDeny(o *options) *cobra.Command {
	a := &answer{decision: decision{options: o}, verdict: v1alpha1.VerdictDeny}
	cmd := &cobra.Command{
		Use:               "deny CASE[/HANDLE] -m MESSAGE",
		Short:             "Deny what a case asks about",
		Long:              "Deny an action that waits for people. It will not run. Who may approve may deny. Of a question with two options, deny takes the second.",
		Args:              exactly("CASE[/HANDLE]"),
		ValidArgsFunction: completeQuestions(o, v1alpha1.QuestionApproval, v1alpha1.QuestionChoice),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.run(cmd, args[0]) },
	}
	a.addFlags(cmd, messageNeeded)
	return cmd
}
