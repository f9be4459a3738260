// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/internal/report"
)

const rootLong = "Casebook's cases from the command line: see what waits, why it is as it is, and decide.\n\n" +
	"CASE is the name of a case, for example rt-0q9wd. An open question or an action of it is CASE/HANDLE, for example " +
	"rt-0q9wd/keep; where a case has one open question, CASE alone will do.\n\n" +
	"Exit codes: 0 done; 1 refused, failed or not verified; 2 the command or its input cannot be understood; 3 sent, but " +
	"the outcome was not known in time."

// newRoot makes the command with all its verbs.
func newRoot(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:               "kubectl-casebook",
		Short:             "Work on the cases of Casebook",
		Long:              rootLong,
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl casebook"},
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error { return o.checkOutput() },
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("cannot run %q: kubectl casebook has no such command", args[0]).so("List the commands with: kubectl casebook --help")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(o.In)
	root.SetOut(o.Out)
	root.SetErr(o.ErrOut)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("cannot read the command line: %w", err).so("See: %s --help", cmd.CommandPath())
	})
	o.kube.AddFlags(root.PersistentFlags())
	root.AddGroup(&cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "decide", Title: "Decide:"}, &cobra.Group{ID: "prove", Title: "Feed and prove:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	add("look", newQueue(o), newCase(o), newTimeline(o), newWhy(o), newGuardrail(o))
	add("decide", newTake(o), newAssign(o), newComment(o), newApprove(o), newDeny(o), newAnswer(o), newDo(o), newLookup(o), newRun(o), newSet(o), newAdd(o),
		newRollback(o), newResolve(o), newClose(o), newReopen(o), newFreeze(o), newThaw(o))
	add("prove", newSubmit(o), newNormalize(o), newTest(o), newEvidence(o))
	root.AddCommand(newVersion(o), newCompletion(o))
	fitHelp(root)
	return root
}

// fitHelp makes the help of a command and of all beneath it fit the width of every other text.
func fitHelp(cmd *cobra.Command) {
	cmd.Long = report.Fold(cmd.Long, report.DefaultWidth)
	cmd.DisableFlagsInUseLine = true
	cmd.SetUsageTemplate(strings.NewReplacer(
		".FlagUsages |", fmt.Sprintf(".FlagUsagesWrapped %d |", report.DefaultWidth),
		" for more information about a command.", " for more.",
	).Replace(cmd.UsageTemplate()))
	for _, child := range cmd.Commands() {
		fitHelp(child)
	}
}

// exactly wants a number of arguments, called by the names that the usage gives them.
func exactly(names ...string) cobra.PositionalArgs { return between(len(names), names...) }

// between wants at least some of the named arguments and no more than all.
func between(least int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("cannot run %s: %s is missing", cmd.CommandPath(), names[len(args)]).so("Write: %s", cmd.UseLine())
		case len(args) > len(names):
			return usagef("cannot run %s: %q is one argument too many", cmd.CommandPath(), args[len(names)]).so("Write: %s", cmd.UseLine())
		default:
			return nil
		}
	}
}
