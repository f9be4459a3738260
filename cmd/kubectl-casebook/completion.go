// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// completionScript is what kubectl looks for on the PATH to complete the words of a plugin.
const completionScript = `#!/bin/sh
# Completion of "kubectl casebook". kubectl runs the first file of the name
# kubectl_complete-casebook on the PATH; install it beside kubectl-casebook:
#   kubectl casebook completion > kubectl_complete-casebook
#   chmod +x kubectl_complete-casebook
# and have kubectl's own completion for your shell, for example:
#   source <(kubectl completion bash)
exec kubectl-casebook __complete "$@"
`

func newCompletion(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "completion",
		Short: "Print the script that completes case names and handles",
		Long:  "Print the script kubectl_complete-casebook, which kubectl runs to complete the words of this plugin; how to install it stands in the script.",
		Args:  exactly(),
		RunE:  func(*cobra.Command, []string) error { return o.write(completionScript) },
	}
}

// completionTime is how long a person waits for a tab.
const completionTime = 3 * time.Second

type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// complete makes a completer of what the cases of the namespace give for the argument after some others.
func complete(o *options, give func(ctx context.Context, c *cluster, args []string) []string) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		c, err := o.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return give(ctx, c, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// cases lists the cases of the namespace; none if they cannot be read, for completion has nobody to tell.
func (c *cluster) cases(ctx context.Context) []v1alpha1.Case {
	var list v1alpha1.CaseList
	if c.List(ctx, &list, client.InNamespace(c.namespace)) != nil {
		return nil
	}
	return list.Items
}

func completeCases(o *options) completer {
	return complete(o, func(ctx context.Context, c *cluster, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		var out []string
		for _, of := range c.cases(ctx) {
			out = append(out, cobra.CompletionWithDesc(of.Name, report.Prose(of.Spec.Title)))
		}
		return out
	})
}

// completeQuestions gives the open questions of a kind, and for a choice its options.
func completeQuestions(o *options, kinds ...v1alpha1.QuestionKind) completer {
	return complete(o, func(ctx context.Context, c *cluster, args []string) []string {
		var out []string
		for _, of := range c.cases(ctx) {
			for _, q := range of.Status.Questions {
				handle := of.Name + "/" + q.Handle
				switch {
				case !slices.Contains(kinds, q.Kind):
				case len(args) == 0:
					out = append(out, cobra.CompletionWithDesc(handle, report.Prose(q.Prompt)))
				case len(args) == 1 && (args[0] == handle || args[0] == of.Name):
					out = append(out, q.Options...)
				}
			}
		}
		return out
	})
}

// canRollBack tells whether an action can be taken back.
func canRollBack(a *v1alpha1.Action) bool {
	return a.Status.State == v1alpha1.ActionSucceeded && a.Spec.Rollback.Operation != ""
}

// completeActions gives the actions that are as they must be.
func completeActions(o *options, fit func(*v1alpha1.Action) bool) completer {
	return complete(o, func(ctx context.Context, c *cluster, args []string) []string {
		var list v1alpha1.ActionList
		if len(args) > 0 || c.List(ctx, &list, client.InNamespace(c.namespace)) != nil {
			return nil
		}
		var out []string
		for _, action := range list.Items {
			if fit(&action) {
				out = append(out, cobra.CompletionWithDesc(action.Spec.CaseRef.Name+"/"+action.Spec.Handle, report.Escape(action.Spec.Operation)))
			}
		}
		return out
	})
}

// completeThen gives cases, then what there is beside them.
func completeThen(o *options, give func(context.Context, *cluster) []string) completer {
	cases := completeCases(o)
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return cases(cmd, args, word)
		case 1:
			return complete(o, func(ctx context.Context, c *cluster, _ []string) []string { return give(ctx, c) })(cmd, args, word)
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// mutations are the operations that connectors offer and guardrails are asked about, reads those that change nothing.
func (c *cluster) mutations(ctx context.Context) []string {
	return c.operations(ctx, func(e v1alpha1.Effect) bool { return e != v1alpha1.EffectRead })
}

func (c *cluster) reads(ctx context.Context) []string {
	return c.operations(ctx, func(e v1alpha1.Effect) bool { return e == v1alpha1.EffectRead })
}

func (c *cluster) operations(ctx context.Context, fit func(v1alpha1.Effect) bool) []string {
	var list v1alpha1.ConnectorList
	if c.List(ctx, &list, client.InNamespace(c.namespace)) != nil {
		return nil
	}
	var out []string
	for _, connector := range list.Items {
		for _, declared := range connector.Status.Operations {
			if fit(declared.Effect) {
				out = append(out, connector.Name+"/"+declared.Name)
			}
		}
	}
	return out
}

// names are those of the objects of a kind.
func (c *cluster) names(ctx context.Context, list client.ObjectList) []string {
	if c.List(ctx, list, client.InNamespace(c.namespace)) != nil {
		return nil
	}
	var out []string
	_ = meta.EachListItem(list, func(object runtime.Object) error {
		if named, ok := object.(client.Object); ok {
			out = append(out, named.GetName())
		}
		return nil
	})
	return out
}
