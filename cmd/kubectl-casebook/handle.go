// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// parseHandle splits CASE/HANDLE; the handle is empty where only a case is named.
func parseHandle(cmd *cobra.Command, arg string) (caseName, handle string, err error) {
	caseName, handle, slash := strings.Cut(arg, "/")
	if caseName == "" || slash && (handle == "" || strings.Contains(handle, "/")) {
		return "", "", usagef("cannot read %q as a case and a handle", arg).so("Write: %s, for example rt-0q9wd/keep", cmd.UseLine())
	}
	return caseName, handle, nil
}

// parseCase refuses a handle where only a case can be meant.
func parseCase(cmd *cobra.Command, arg string) (string, error) {
	caseName, handle, err := parseHandle(cmd, arg)
	if err != nil {
		return "", err
	}
	if handle != "" {
		return "", usagef("cannot read %q as a case: it has a handle", arg).so("Write: %s, for example %s %s", cmd.UseLine(), cmd.CommandPath(), caseName)
	}
	return caseName, nil
}

// question finds the question that is meant: by its handle, or the only one that is open.
func question(o *options, c *v1alpha1.Case, handle string, doing string) (v1alpha1.CaseQuestion, error) {
	open := answerable(c.Status.Questions)
	if handle == "" && len(open) == 1 {
		return open[0], nil
	}
	if handle == "" && len(open) > 1 {
		list := report.Questions(report.QuestionsOf(c, report.Viewer{}))
		if err := o.tell(list.Text(o.screen())); err != nil {
			return v1alpha1.CaseQuestion{}, err
		}
		return v1alpha1.CaseQuestion{}, usagef("cannot %s %s: it has %d open questions, and none is named", doing, c.Name, len(open)).
			so("Nothing was decided. Name one of them, for example %s/%s", c.Name, open[0].Handle)
	}
	for _, q := range c.Status.Questions {
		if q.Handle == handle {
			return q, nil
		}
	}
	if len(open) == 0 {
		return v1alpha1.CaseQuestion{}, refusedf("cannot %s %s: the case asks nothing now", doing, strings.TrimSuffix(c.Name+"/"+handle, "/")).
			so("See what became of it: kubectl casebook timeline %s", c.Name)
	}
	handles := make([]string, len(open))
	for i, q := range open {
		handles[i] = c.Name + "/" + q.Handle
	}
	return v1alpha1.CaseQuestion{}, refusedf("cannot %s %s/%s: no open question has that handle", doing, c.Name, handle).
		so("Open: %s", strings.Join(handles, ", "))
}

// answerable leaves out what only resolve answers, unless there is nothing else: then what is said of it names resolve.
func answerable(open []v1alpha1.CaseQuestion) []v1alpha1.CaseQuestion {
	out := slices.DeleteFunc(slices.Clone(open), func(q v1alpha1.CaseQuestion) bool { return q.Kind == v1alpha1.QuestionResolution })
	if len(out) == 0 {
		return open
	}
	return out
}
