// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func TestLook(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	n.succeed(n.action(c, "isolate"))
	n.choosing(c, "keep")
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"the queue of an analyst":    {[]string{"queue"}, []string{"rt-1", "soc-leads: Keep", "0 of 1 open case asks you."}},
		"another queue":              {[]string{"queue", "other"}, []string{"No cases."}},
		"the queue in JSON":          {[]string{"queue", "-o", "json"}, []string{`"handle": "rt-1/keep"`}},
		"the page":                   {[]string{"case", "rt-1"}, []string{`\x1b[2J\x1b[31mweb \u202egnp.exe\u202c`, "no owner", "rollback rt-1/isolate"}},
		"the page in YAML":           {[]string{"case", "rt-1", "-o", "yaml"}, []string{"state: Triage", `\u202e`}},
		"the timeline":               {[]string{"timeline", "rt-1"}, []string{"kubernetes/isolatePod on Pod"}},
		"why":                        {[]string{"why", "rt-1"}, []string{}},
		"why of an unknown field":    {[]string{"why", "rt-1/nothing"}, []string{"It knows: grouping, queue, severity"}},
		"a case that is not there":   {[]string{"case", "rt-9"}, []string{"there is no such object", "kubectl casebook queue --all"}},
		"a connector not there":      {[]string{"do", "rt-1", "nothing/there"}, []string{"read connector nothing", "kubectl get connectors,"}},
		"a reason not there":         {[]string{"reopen", "rt-1"}, []string{"there is no reason given", `add -m "…"`}},
		"a queue that is unknown":    {[]string{"set", "rt-1", "--queue", "a b", "-m", "x"}, []string{"cannot set rt-1: spec.set.queue: Invalid value"}},
		"why it waits where it does": {[]string{"why", "rt-1/queue"}, []string{"QUEUE  runtime\n  that of type runtime-threat"}},
		"what may be done by hand":   {[]string{"do", "rt-1"}, []string{"No connector of this namespace offers an operation."}},
		"completion of a choice":     {[]string{"__complete", "answer", "rt-1/keep", ""}, []string{"keep\nrelease\n"}},
		"completion of a case":       {[]string{"__complete", "case", ""}, []string{"rt-1\tshell in"}},
		"completion of a rollback":   {[]string{"__complete", "rollback", ""}, []string{"rt-1/isolate"}},
		"completion of an approval":  {[]string{"__complete", "approve", ""}, []string{":4"}},
	} {
		t.Run(name, func(t *testing.T) {
			code := exitDone
			if strings.Contains(name, "unknown") || strings.Contains(name, "not there") {
				code = exitRefused
			}
			if tt.args[0] == "reopen" || tt.args[0] == "set" {
				code = exitUsage
			}
			got := n.ana(tt.args...)
			if tt.args[0] == "__complete" {
				got.err = "" // where cobra tells its directive
			}
			got.want(t, code, tt.want...)
			if strings.ContainsAny(got.out+got.err, "\x1b\u202e") {
				t.Errorf("a control character reached the output: %q", got.out+got.err)
			}
		})
	}
	n.mia("queue", "--mine").want(t, exitDone, "you: Keep", "1 of 1 open case asks you.")
	n.ana("queue", "--mine").want(t, exitDone, "No cases.")

	// What reads a pipe is given whole rows, unless it says how wide it is.
	t.Setenv("COLUMNS", "")
	if got := n.ana("queue"); !strings.Contains(got.out, "soc-leads: Keep pod shop/web-6d4f9 isolated?\n") {
		t.Errorf("a row was cut: %s", got.out)
	}
}

func TestTakeCloseReopen(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
		switch d.Spec.Verdict {
		case v1alpha1.VerdictAssign:
			c.Status.Owner = d.Spec.Assign.Owner
		case v1alpha1.VerdictClose:
			c.Status.State = v1alpha1.CaseClosed
		case v1alpha1.VerdictReopen:
			c.Status.State = v1alpha1.CaseTriage
		default:
		}
		n.status(c)
		return counts(d)
	})
	n.ana("take", "rt-1").want(t, exitDone, "Assigned.")
	if c.Status.Owner != "ana" {
		t.Errorf("the owner is %q, want ana", c.Status.Owner)
	}
	n.ana("assign", "rt-1").want(t, exitUsage, "neither an owner nor a queue")
	n.ana("comment", "rt-1", "-m", "looks like a debug session").want(t, exitDone, "Noted.")
	n.ana("close", "rt-1", "--classification", "Fine", "-m", "x").want(t, exitUsage, "TruePositive|BenignPositive")
	n.ana("close", "rt-1", "--classification", "FalsePositive", "-m", "a debug session").want(t, exitDone, "Closed.")
	n.ana("queue").want(t, exitDone, "No cases.")
	n.ana("queue", "--all").want(t, exitDone, "rt-1", "Closed")
	n.ana("reopen", "rt-1", "-m", "it came back").want(t, exitDone, "Reopened.")
	n.ana("rollback", "rt-1/isolate", "-m", "x").want(t, exitRefused, "nothing was done in this case")
}
