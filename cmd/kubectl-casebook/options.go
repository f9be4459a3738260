// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/casebook-dev/casebook/internal/report"
)

// options are what every command shares.
type options struct {
	genericiooptions.IOStreams
	kube   *genericclioptions.ConfigFlags
	output string
	now    func() time.Time
}

func newOptions(streams genericiooptions.IOStreams) *options {
	return &options{IOStreams: streams, kube: genericclioptions.NewConfigFlags(true), now: time.Now}
}

// view is what a command shows: a value for machines, with a text for people.
type view interface {
	Text(report.Screen) string
}

// print shows a view in the format that was asked for.
func (o *options) print(v view) error {
	if o.output != "" {
		return o.encode(v)
	}
	return o.write(v.Text(o.screen()))
}

func (o *options) encode(v any) error {
	raw, err := report.Encode(o.output, v)
	if err != nil {
		return usagef("%w", err)
	}
	return o.write(string(raw))
}

func (o *options) write(text string) error {
	if _, err := fmt.Fprint(o.Out, text); err != nil {
		return refusedf("cannot write the output: %w", err)
	}
	return nil
}

// tell shows a text in table output, and leaves it out where a machine reads.
func (o *options) tell(text string) error {
	if o.output != "" {
		return nil
	}
	return o.write(text)
}

// screen is the terminal; else no colours, and the columns that COLUMNS says, or 80 and tables that are not cut.
func (o *options) screen() report.Screen {
	screen := report.Screen{Now: o.now()}
	file, ok := o.Out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		width, err := strconv.Atoi(os.Getenv("COLUMNS"))
		screen.Width, screen.Whole = max(width, report.DefaultWidth), err != nil
		return screen
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil {
		screen.Width = max(width, report.DefaultWidth)
	}
	if _, never := os.LookupEnv("NO_COLOR"); !never && os.Getenv("TERM") != "dumb" {
		screen.Ink = report.Color
	}
	return screen
}

// addOutput gives a command the flag -o.
func (o *options) addOutput(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "json or yaml instead of text for people; field names are stable")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{report.FormatJSON, report.FormatYAML}, cobra.ShellCompDirectiveNoFileComp))
}

// checkOutput refuses a format that is none before anything is done.
func (o *options) checkOutput() error {
	switch o.output {
	case "", report.FormatJSON, report.FormatYAML:
		return nil
	default:
		return usagef("cannot write the output as %q: that is no format", o.output).so("Use -o json or -o yaml, or leave -o out.")
	}
}
