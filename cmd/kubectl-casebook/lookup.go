// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// newLookup makes a read by hand, whose answer the case keeps.
func newLookup(o *options) *cobra.Command {
	d := &decision{options: o}
	var inputs []string
	cmd := &cobra.Command{
		Use:   "lookup CASE CONNECTOR/OPERATION [--input NAME=VALUE]",
		Short: "Look something up, and keep the answer with the case",
		Long: "Look something up with a connector of the namespace, and keep the answer with the case. It informs people; no " +
			"expression sees it.\n\nA value of --input that is a JSON number, boolean, list or object is taken as such, everything else as text.",
		Args:              exactly("CASE", "CONNECTOR/OPERATION"),
		ValidArgsFunction: completeThen(o, func(ctx context.Context, c *cluster) []string { return c.reads(ctx) }),
		RunE: func(cmd *cobra.Command, args []string) error {
			if connector, operation, slash := strings.Cut(args[1], "/"); !slash || connector == "" || operation == "" {
				return usagef("cannot look up %q: that is no operation", args[1]).so("Write CONNECTOR/OPERATION, for example directory/findUser.")
			}
			input, err := objectOf(inputs)
			if err != nil {
				return err
			}
			c, of, err := d.about(cmd, args[0])
			if err != nil {
				return err
			}
			made, err := d.make(cmd.Context(), c, of, v1alpha1.DecisionSpec{
				Verdict: v1alpha1.VerdictLookup, Lookup: &v1alpha1.LookupDecision{Operation: args[1], Input: input},
			})
			if err != nil {
				return err
			}
			var kept *v1alpha1.EnrichmentRecord
			err = d.finish(cmd.Context(), c, made, settled{
				inCase: func(now *v1alpha1.Case) bool {
					kept = recordOf(now, made.Name)
					return kept != nil
				},
				tells: func(o *report.Outcome) { o.Found(kept) },
			})
			if err == nil && kept != nil && kept.Error != "" {
				return refusedf("the lookup is recorded, but %s gave no answer: %s", args[1], kept.Error)
			}
			return err
		},
	}
	cmd.Flags().StringArrayVar(&inputs, "input", nil, "input of the operation as NAME=VALUE; may be repeated")
	d.addFlags(cmd, messageOptional)
	return cmd
}

func recordOf(of *v1alpha1.Case, decision string) *v1alpha1.EnrichmentRecord {
	for i := range of.Status.Enrichments {
		if of.Status.Enrichments[i].Decision == decision {
			return &of.Status.Enrichments[i]
		}
	}
	return nil
}

// newRun starts a playbook by hand.
func newRun(o *options) *cobra.Command {
	d := &decision{options: o}
	var inputs []string
	cmd := &cobra.Command{
		Use:   "run CASE PLAYBOOK [--input NAME=VALUE]",
		Short: "Start a playbook for a case",
		Long: "Start a playbook for a case, beside those that its type started. It runs under the same guardrails.\n\n" +
			"A value of --input that is a JSON number, boolean, list or object is taken as such, everything else as text. A user, " +
			"host, asset or indicator of the case is given by its name.",
		Args:              exactly("CASE", "PLAYBOOK"),
		ValidArgsFunction: completeThen(o, func(ctx context.Context, c *cluster) []string { return c.names(ctx, &v1alpha1.PlaybookList{}) }),
		RunE: func(cmd *cobra.Command, args []string) error {
			input, err := objectOf(inputs)
			if err != nil {
				return err
			}
			c, of, err := d.about(cmd, args[0])
			if err != nil {
				return err
			}
			made, err := d.make(cmd.Context(), c, of, v1alpha1.DecisionSpec{
				Verdict: v1alpha1.VerdictRun, Run: &v1alpha1.RunDecision{PlaybookRef: v1alpha1.LocalRef{Name: args[1]}, Inputs: input},
			})
			if err != nil {
				return err
			}
			var row v1alpha1.StartedPlaybook
			if err := d.finish(cmd.Context(), c, made, settled{inCase: func(now *v1alpha1.Case) bool {
				for _, started := range now.Status.Playbooks {
					if started.Item == made.Name {
						row = started
						return true
					}
				}
				return false
			}}); err != nil {
				return err
			}
			if row.Name != "" && row.Run == "" {
				return refusedf("the decision is recorded, but playbook %s was not started: %s", args[1], row.Message)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&inputs, "input", nil, "input of the playbook as NAME=VALUE; may be repeated")
	d.addFlags(cmd, messageOptional)
	return cmd
}

// objectOf reads --input flags as one JSON object; nil if there are none.
func objectOf(inputs []string) (*apiextensionsv1.JSON, error) {
	if len(inputs) == 0 {
		return nil, nil
	}
	object := map[string]any{}
	if err := given(inputs, object); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, usagef("cannot read --input: %w", err)
	}
	return &apiextensionsv1.JSON{Raw: raw}, nil
}
