// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func newComment(o *options) *cobra.Command {
	d := &decision{options: o}
	cmd := &cobra.Command{
		Use:               "comment CASE -m MESSAGE",
		Short:             "Put a note on the record of a case",
		Args:              exactly("CASE"),
		ValidArgsFunction: completeCases(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, of, err := d.about(cmd, args[0])
			if err != nil {
				return err
			}
			made, err := d.make(cmd.Context(), c, of, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictComment})
			if err != nil {
				return err
			}
			return d.finish(cmd.Context(), c, made, settled{})
		},
	}
	d.addFlags(cmd, messageNeeded)
	return cmd
}
