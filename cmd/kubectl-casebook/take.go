// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func newTake(o *options) *cobra.Command {
	d := &decision{options: o}
	cmd := &cobra.Command{
		Use:               "take CASE",
		Short:             "Become the owner of a case",
		Args:              exactly("CASE"),
		ValidArgsFunction: completeCases(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, of, err := d.about(cmd, args[0])
			if err != nil {
				return err
			}
			viewer := c.viewer(cmd.Context())
			if viewer.Username == "" {
				return refusedf("cannot take %s: the API server does not say who you are", of.Name).
					so("Name yourself: kubectl casebook assign %s --owner USER", of.Name)
			}
			return d.assign(cmd.Context(), c, of, v1alpha1.AssignDecision{Owner: viewer.Username})
		},
	}
	d.addFlags(cmd, messageOptional)
	return cmd
}
