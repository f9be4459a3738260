// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/internal/report"
)

func newCase(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "case CASE",
		Short:             "Show one case: what is known, what was done, what it asks",
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
			records.Log = c.log(cmd.Context(), &records.Case)
			viewer := c.viewer(cmd.Context())
			c.learn(cmd.Context(), viewer, c.namespace, records.Case)
			return o.print(report.NewCase(records, viewer))
		},
	}
	o.addOutput(cmd)
	return cmd
}
