// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/internal/report"
)

func newWhy(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why CASE[/FIELD]",
		Short: "Explain a case: which rule, expression or person made what is so",
		Long: "Explain a case, or one thing of it: a field of its signals (for example severity or users), or an action or " +
			"question by its handle.",
		Args:              exactly("CASE[/FIELD]"),
		ValidArgsFunction: completeCases(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, topic, err := parseHandle(cmd, args[0])
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
			why := report.NewWhy(records)
			if topic == "" {
				return o.print(why)
			}
			one, found := why.Only(topic)
			if !found {
				return refusedf("cannot explain %s/%s: the case knows no such field or handle", name, topic).
					so("It knows: %s", strings.Join(why.Topics(), ", "))
			}
			return o.print(one)
		},
	}
	o.addOutput(cmd)
	return cmd
}
