// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/internal/report"
)

func newTimeline(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "timeline CASE",
		Short:             "Show all that happened in a case, and who or what did it",
		Args:              exactly("CASE"),
		ValidArgsFunction: completeCases(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := parseCase(cmd, args[0])
			if err != nil {
				return err
			}
			c, err := o.connect()
			if err != nil {
				return err
			}
			records, err := c.records(cmd.Context(), name)
			if err != nil {
				return err
			}
			return o.print(report.NewTimeline(records))
		},
	}
	o.addOutput(cmd)
	return cmd
}
