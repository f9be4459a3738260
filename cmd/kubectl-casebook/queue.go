// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// queueFlags narrow the queue.
type queueFlags struct {
	*options
	all, everywhere, mine bool
}

func newQueue(o *options) *cobra.Command {
	f := &queueFlags{options: o}
	cmd := &cobra.Command{
		Use:     "queue [QUEUE]",
		Aliases: []string{"cases", "ls"},
		Short:   "List the cases that wait, the most urgent first",
		Args:    between(0, "QUEUE"),
		RunE:    f.run,
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "show closed and merged cases too")
	cmd.Flags().BoolVar(&f.mine, "mine", false, "show only cases that you own or that ask you")
	cmd.Flags().BoolVarP(&f.everywhere, "all-namespaces", "A", false, "show the cases of every namespace")
	o.addOutput(cmd)
	return cmd
}

func (f *queueFlags) run(cmd *cobra.Command, args []string) error {
	c, err := f.connect()
	if err != nil {
		return err
	}
	namespace := c.namespace
	if f.everywhere {
		namespace = ""
	}
	options := []client.ListOption{client.InNamespace(namespace)}
	if len(args) > 0 {
		options = append(options, client.MatchingFields{"status.queue": args[0]})
	}
	var cases v1alpha1.CaseList
	if err := c.List(cmd.Context(), &cases, options...); err != nil {
		return apiError("list the cases", err)
	}
	viewer := c.viewer(cmd.Context())
	c.learn(cmd.Context(), viewer, namespace, cases.Items...)
	cases.Items = slices.DeleteFunc(cases.Items, func(of v1alpha1.Case) bool { return !f.shows(&of, viewer) })
	return f.print(report.NewQueue(cases.Items, viewer, f.now()))
}

func (f *queueFlags) shows(of *v1alpha1.Case, viewer report.Viewer) bool {
	if !f.all && !report.Waits(of) {
		return false
	}
	asked := slices.ContainsFunc(of.Status.Questions, func(q v1alpha1.CaseQuestion) bool { return viewer.May(q.Question) })
	return !f.mine || asked || viewer.Username != "" && of.Status.Owner == viewer.Username
}
