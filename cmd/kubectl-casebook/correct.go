// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/normalize"
)

// newSet corrects what the case says of itself.
func newSet(o *options) *cobra.Command {
	d := &decision{options: o}
	var severity, typeName, queue string
	cmd := &cobra.Command{
		Use:   "set CASE [--severity S] [--type TYPE] [--queue QUEUE] -m WHY",
		Short: "Correct a case's severity, type or queue",
		Long: "Correct a case's severity, type or queue. What a person set stays until a person sets it again, whatever the " +
			"factors of the type say; playbooks are judged by it anew.",
		Args:              exactly("CASE"),
		ValidArgsFunction: completeCases(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			to := &v1alpha1.SetDecision{Severity: v1alpha1.Severity(severity), Queue: queue}
			if typeName != "" {
				to.TypeRef = &v1alpha1.LocalRef{Name: typeName}
			}
			switch {
			case severity == "" && typeName == "" && queue == "":
				return usagef("cannot set %s: there is nothing to set", args[0]).so("Add --severity, --type or --queue.")
			case severity != "" && to.Severity.Rank() == 0:
				return usagef("cannot set %s: %q is no severity", args[0], severity).so("Choose one of %s.", strings.Join(severityNames(), ", "))
			}
			c, of, err := d.about(cmd, args[0])
			if err != nil {
				return err
			}
			made, err := d.make(cmd.Context(), c, of, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictSet, Set: to})
			if err != nil {
				return err
			}
			return d.finish(cmd.Context(), c, made, settled{inCase: func(now *v1alpha1.Case) bool {
				return (severity == "" || now.Status.Severity == to.Severity) && (queue == "" || now.Status.Queue == queue) &&
					(typeName == "" || casefile.TypeName(now) == typeName)
			}})
		},
	}
	cmd.Flags().StringVar(&severity, "severity", "", "the severity: "+strings.Join(severityNames(), ", "))
	cmd.Flags().StringVar(&typeName, "type", "", "the CaseType that the case is of from now on")
	cmd.Flags().StringVar(&queue, "queue", "", "where the case waits")
	_ = cmd.RegisterFlagCompletionFunc("type", complete(o, func(ctx context.Context, c *cluster, _ []string) []string {
		return c.names(ctx, &v1alpha1.CaseTypeList{})
	}))
	_ = cmd.RegisterFlagCompletionFunc("queue", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("severity", cobra.FixedCompletions(severityNames(), cobra.ShellCompDirectiveNoFileComp))
	d.addFlags(cmd, messageNeeded)
	return cmd
}

func severityNames() []string {
	var out []string
	for rank := 1; rank <= v1alpha1.SeverityCritical.Rank(); rank++ {
		out = append(out, string(v1alpha1.SeverityOfRank(rank)))
	}
	return out
}

// newAdd adds what the case is about.
func newAdd(o *options) *cobra.Command {
	d := &decision{options: o}
	var users, hosts, indicators []string
	cmd := &cobra.Command{
		Use:   "add CASE [--user NAME] [--host NAME] [--indicator VALUE]",
		Short: "Add a user, a host or an indicator to a case",
		Long: "Add a user, a host or an indicator to a case. A user who joins gets the runs that the type starts for each user. " +
			"An indicator is an address, a domain, a URL, a hash, a mail address or a CVE; its type is found.",
		Args:              exactly("CASE"),
		ValidArgsFunction: completeCases(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := toAdd(args[0], users, hosts, indicators)
			if err != nil {
				return err
			}
			c, of, err := d.about(cmd, args[0])
			if err != nil {
				return err
			}
			made, err := d.make(cmd.Context(), c, of, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictAdd, Add: to})
			if err != nil {
				return err
			}
			return d.finish(cmd.Context(), c, made, settled{inCase: func(now *v1alpha1.Case) bool { return has(now, to) }})
		},
	}
	cmd.Flags().StringArrayVar(&users, "user", nil, "login or address of a user; may be repeated")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "name of a host; may be repeated")
	cmd.Flags().StringArrayVar(&indicators, "indicator", nil, "an indicator, defanged or not; may be repeated")
	d.addFlags(cmd, messageOptional)
	return cmd
}

// toAdd reads what is to be added, indicators in their canonical form.
func toAdd(subject string, users, hosts, indicators []string) (*v1alpha1.AddDecision, error) {
	to := &v1alpha1.AddDecision{}
	for _, name := range users {
		to.Users = append(to.Users, v1alpha1.Entity{Name: strings.TrimSpace(name)})
	}
	for _, name := range hosts {
		to.Hosts = append(to.Hosts, v1alpha1.Entity{Name: strings.TrimSpace(name)})
	}
	if slices.ContainsFunc(slices.Concat(to.Users, to.Hosts), func(e v1alpha1.Entity) bool { return e.Name == "" }) {
		return nil, usagef("cannot add to %s: a name is empty", subject)
	}
	for _, text := range indicators {
		found := normalize.Indicators(text)
		if len(found) != 1 {
			return nil, usagef("cannot add %q to %s: it is not one indicator", text, subject).
				so("Write an address, a domain, a URL, a hash, a mail address or a CVE; repeat --indicator for several.")
		}
		to.Indicators = append(to.Indicators, found[0])
	}
	if len(to.Users)+len(to.Hosts)+len(to.Indicators) == 0 {
		return nil, usagef("cannot add to %s: there is nothing to add", subject).so("Add --user, --host or --indicator.")
	}
	return to, nil
}

// has tells whether a case shows what was added: names are compared as the case folds them, by letters of either case.
func has(now *v1alpha1.Case, added *v1alpha1.AddDecision) bool {
	named := func(all, some []v1alpha1.Entity) bool {
		return !slices.ContainsFunc(some, func(s v1alpha1.Entity) bool {
			return !slices.ContainsFunc(all, func(a v1alpha1.Entity) bool { return strings.EqualFold(a.Name, s.Name) })
		})
	}
	return named(now.Status.Users, added.Users) && named(now.Status.Hosts, added.Hosts) &&
		!slices.ContainsFunc(added.Indicators, func(i v1alpha1.Indicator) bool { return !slices.Contains(now.Status.Indicators, i) })
}
