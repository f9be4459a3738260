// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// classifications are what a case may turn out to be.
var classifications = []string{"TruePositive", "BenignPositive", "FalsePositive", "Duplicate", "Test", "InsufficientData"}

func newClose(o *options) *cobra.Command {
	d := &decision{options: o}
	as := v1alpha1.CloseDecision{}
	cmd := &cobra.Command{
		Use:               "close CASE --classification CLASSIFICATION -m MESSAGE",
		Short:             "Close a case",
		Long:              "Close a case as what it turned out to be: " + strings.Join(classifications, ", ") + ".",
		Args:              exactly("CASE"),
		ValidArgsFunction: completeCases(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(classifications, string(as.Classification)) {
				return usagef("cannot close %s as %q: that is no classification", args[0], as.Classification).
					so("Say what it turned out to be: --classification %s", strings.Join(classifications, "|"))
			}
			c, of, err := d.about(cmd, args[0])
			if err != nil {
				return err
			}
			made, err := d.make(cmd.Context(), c, of, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictClose, Close: &as})
			if err != nil {
				return err
			}
			return d.finish(cmd.Context(), c, made, settled{inCase: func(now *v1alpha1.Case) bool {
				return now.Status.State == v1alpha1.CaseClosed
			}})
		},
	}
	cmd.Flags().StringVar((*string)(&as.Classification), "classification", "", "what the case turned out to be (required)")
	cmd.Flags().StringVar(&as.RootCause, "root-cause", "", "what made it possible")
	_ = cmd.RegisterFlagCompletionFunc("classification", cobra.FixedCompletions(classifications, cobra.ShellCompDirectiveNoFileComp))
	d.addFlags(cmd, messageNeeded)
	return cmd
}
