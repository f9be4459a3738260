// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// newFreeze is the stop switch.
func newFreeze(o *options) *cobra.Command {
	return stopSwitch(o, v1alpha1.VerdictFreeze, "freeze -m MESSAGE", "Stop every action of the namespace before its next byte",
		"Stop every action of the namespace before its next byte, whoever wanted it and whatever was allowed or approved. What "+
			"was sent already is seen to its end. In the namespace of Casebook itself (-n "+operatorNamespace+") it stops the actions of all "+
			"namespaces. It stands until somebody thaws it.")
}

// newThaw lifts it.
func newThaw(o *options) *cobra.Command {
	return stopSwitch(o, v1alpha1.VerdictThaw, "thaw -m MESSAGE", "Let the actions of a frozen namespace go on",
		"Let the actions of a frozen namespace go on. Guardrails and approvals are heard anew, and what is too late by now has expired.")
}

func stopSwitch(o *options, verdict v1alpha1.Verdict, use, short, long string) *cobra.Command {
	d := &decision{options: o}
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := d.connect()
			if err != nil {
				return err
			}
			d.subject = "namespace " + c.namespace
			made, err := d.makeForNamespace(cmd.Context(), c, verdict)
			if err != nil {
				return err
			}
			return d.finish(cmd.Context(), c, made, settled{})
		},
	}
	d.addFlags(cmd, messageNeeded)
	return cmd
}

// makeForNamespace creates a Decision about the whole namespace.
func (d *decision) makeForNamespace(ctx context.Context, c *cluster, verdict v1alpha1.Verdict) (*v1alpha1.Decision, error) {
	made := &v1alpha1.Decision{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, GenerateName: strings.ToLower(string(verdict)) + "-"},
		Spec:       v1alpha1.DecisionSpec{Verdict: verdict, Message: d.message},
	}
	if err := c.Create(ctx, made); err != nil {
		return nil, apiError(doing(verdict, d.subject), err)
	}
	return made, nil
}
