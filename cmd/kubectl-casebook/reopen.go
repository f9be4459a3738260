// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

func newReopen(o *options) *cobra.Command {
	d := &decision{options: o}
	cmd := &cobra.Command{
		Use:               "reopen CASE -m MESSAGE",
		Short:             "Open a closed case again",
		Args:              exactly("CASE"),
		ValidArgsFunction: completeCases(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, of, err := d.about(cmd, args[0])
			if err != nil {
				return err
			}
			made, err := d.make(cmd.Context(), c, of, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictReopen})
			if err != nil {
				return err
			}
			return d.finish(cmd.Context(), c, made, settled{inCase: report.Open})
		},
	}
	d.addFlags(cmd, messageNeeded)
	return cmd
}
