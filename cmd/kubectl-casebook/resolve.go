// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// newResolve says what became of an action whose outcome is unknown.
func newResolve(o *options) *cobra.Command {
	r := &resolving{decision: decision{options: o}}
	cmd := &cobra.Command{
		Use:   "resolve CASE/HANDLE --happened|--did-not|--retry -m MESSAGE",
		Short: "Say what became of an action whose outcome is unknown",
		Long: "Say what became of an action whose outcome is unknown: it may or may not have happened, and repeating it by itself " +
			"would not be safe. Look at the target first; what you found is kept as evidence.\n\n" +
			"--happened: it did, and the action has succeeded. --did-not: it did not, and the action has failed. --retry: it did not, " +
			"and is to be tried again, under the same guardrails.",
		Args:              exactly("CASE/HANDLE"),
		ValidArgsFunction: completeActions(o, unknown),
		RunE:              func(cmd *cobra.Command, args []string) error { return r.run(cmd, args[0]) },
	}
	cmd.Flags().BoolVar(&r.happened, "happened", false, "the target did it")
	cmd.Flags().BoolVar(&r.didNot, "did-not", false, "the target did not do it")
	cmd.Flags().BoolVar(&r.retry, "retry", false, "the target did not do it, and it is to be tried again")
	r.addFlags(cmd, messageNeeded)
	return cmd
}

// resolving is a decision that says what became of an action.
type resolving struct {
	decision
	happened, didNot, retry bool
}

func (r *resolving) run(cmd *cobra.Command, of string) error {
	outcome, one := r.outcome()
	if !one {
		return usagef("cannot resolve %s: say exactly one of --happened, --did-not and --retry", of).so("Nothing was decided.")
	}
	name, handle, err := parseHandle(cmd, of)
	if err != nil {
		return err
	}
	c, err := r.connect()
	if err != nil {
		return err
	}
	records, err := c.records(cmd.Context(), name)
	if err != nil {
		return err
	}
	action, err := toResolve(records, handle)
	if err != nil {
		return err
	}
	r.subject = name + "/" + action.Spec.Handle
	doing := fmt.Sprintf("You say, as %s, for case %s, that it %s:", c.viewer(cmd.Context()).Text(), report.Escape(name), found[outcome])
	if err := r.tell(report.ActionView(name, action).Resolve(r.screen(), doing)); err != nil {
		return err
	}
	made, err := r.make(cmd.Context(), c, &records.Case, v1alpha1.DecisionSpec{
		Verdict: v1alpha1.VerdictResolve,
		Resolve: &v1alpha1.ResolveDecision{ActionRef: v1alpha1.RecordRef{Name: action.Name, UID: string(action.UID)}, Outcome: outcome},
	})
	if err != nil {
		return err
	}
	return r.finish(cmd.Context(), c, made, settled{action: func(*v1alpha1.Decision) string { return action.Name }})
}

// outcome is what the flags say, if they say one thing.
func (r *resolving) outcome() (outcome v1alpha1.ResolveOutcome, one bool) {
	said := 0
	for of, given := range map[v1alpha1.ResolveOutcome]bool{
		v1alpha1.ResolveHappened: r.happened, v1alpha1.ResolveDidNot: r.didNot, v1alpha1.ResolveRetry: r.retry,
	} {
		if given {
			outcome, said = of, said+1
		}
	}
	return outcome, said == 1
}

// found is an outcome in words.
var found = map[v1alpha1.ResolveOutcome]string{
	v1alpha1.ResolveHappened: "happened", v1alpha1.ResolveDidNot: "did not happen", v1alpha1.ResolveRetry: "did not happen and is to be tried again",
}

// unknown tells whether what became of an action is for a person to say.
func unknown(a *v1alpha1.Action) bool { return a.Status.State == v1alpha1.ActionUnknown }

// toResolve finds the action that is meant: by its handle, or the only one whose outcome is unknown.
func toResolve(records *report.Records, handle string) (*v1alpha1.Action, error) {
	name := records.Case.Name
	var open []*v1alpha1.Action
	for i := range records.Actions {
		if unknown(&records.Actions[i]) {
			open = append(open, &records.Actions[i])
		}
	}
	handles := make([]string, len(open))
	for i, a := range open {
		handles[i] = name + "/" + a.Spec.Handle
	}
	at := slices.IndexFunc(open, func(a *v1alpha1.Action) bool { return a.Spec.Handle == handle })
	switch {
	case at >= 0:
		return open[at], nil
	case handle == "" && len(open) == 1:
		return open[0], nil
	case len(open) == 0:
		return nil, refusedf("cannot resolve %s: no action of this case has an unknown outcome", strings.TrimSuffix(name+"/"+handle, "/")).
			so("See what became of them: kubectl casebook timeline %s", name)
	default:
		return nil, usagef("cannot resolve %s: no action of that handle has an unknown outcome", strings.TrimSuffix(name+"/"+handle, "/")).
			so("Nothing was decided. Unknown: %s", strings.Join(handles, ", "))
	}
}
