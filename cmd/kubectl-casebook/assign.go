// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func newAssign(o *options) *cobra.Command {
	d := &decision{options: o}
	to := v1alpha1.AssignDecision{}
	cmd := &cobra.Command{
		Use:               "assign CASE [--owner USER] [--queue QUEUE]",
		Short:             "Give a case another owner or queue",
		Args:              exactly("CASE"),
		ValidArgsFunction: completeCases(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to.Owner == "" && to.Queue == "" {
				return usagef("cannot assign %s: there is neither an owner nor a queue", args[0]).so("Add --owner USER, --queue QUEUE or both.")
			}
			c, of, err := d.about(cmd, args[0])
			if err != nil {
				return err
			}
			return d.assign(cmd.Context(), c, of, to)
		},
	}
	cmd.Flags().StringVar(&to.Owner, "owner", "", "username of the new owner")
	cmd.Flags().StringVar(&to.Queue, "queue", "", "the new queue")
	d.addFlags(cmd, messageOptional)
	return cmd
}

// about reads the case that a decision without a handle is about.
func (d *decision) about(cmd *cobra.Command, arg string) (*cluster, *v1alpha1.Case, error) {
	name, err := parseCase(cmd, arg)
	if err != nil {
		return nil, nil, err
	}
	c, err := d.connect()
	if err != nil {
		return nil, nil, err
	}
	of, err := c.findCase(cmd.Context(), name)
	if err != nil {
		return nil, nil, err
	}
	d.subject = of.Name
	return c, of, nil
}

func (d *decision) assign(ctx context.Context, c *cluster, of *v1alpha1.Case, to v1alpha1.AssignDecision) error {
	made, err := d.make(ctx, c, of, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictAssign, Assign: &to})
	if err != nil {
		return err
	}
	return d.finish(ctx, c, made, settled{inCase: func(now *v1alpha1.Case) bool {
		return (to.Owner == "" || now.Status.Owner == to.Owner) && (to.Queue == "" || now.Status.Queue == to.Queue)
	}})
}
