// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

func newRollback(o *options) *cobra.Command {
	d := &decision{options: o}
	cmd := &cobra.Command{
		Use:   "rollback CASE/HANDLE -m MESSAGE",
		Short: "Take an action back",
		Long: "Take an action back by the operation it declares for that. It runs only while the target is as the action left " +
			"it, and under the same guardrails.",
		Args:              exactly("CASE/HANDLE"),
		ValidArgsFunction: completeActions(o, canRollBack),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, handle, err := parseHandle(cmd, args[0])
			if err != nil {
				return err
			}
			c, err := d.connect()
			if err != nil {
				return err
			}
			records, err := c.records(cmd.Context(), name)
			if err != nil {
				return err
			}
			action, err := toRollBack(records, handle)
			if err != nil {
				return err
			}
			d.subject = name + "/" + action.Spec.Handle
			doing := fmt.Sprintf("You take back, as %s, for case %s:", c.viewer(cmd.Context()).Text(), report.Escape(name))
			if err := d.tell(report.ActionView(name, action).Undo(d.screen(), doing)); err != nil {
				return err
			}
			made, err := d.make(cmd.Context(), c, &records.Case, v1alpha1.DecisionSpec{
				Verdict:  v1alpha1.VerdictRollback,
				Rollback: &v1alpha1.RollbackDecision{ActionRef: v1alpha1.RecordRef{Name: action.Name, UID: string(action.UID)}},
			})
			if err != nil {
				return err
			}
			return d.finish(cmd.Context(), c, made, settled{action: func(m *v1alpha1.Decision) string { return m.Status.Action }})
		},
	}
	d.addFlags(cmd, messageNeeded)
	return cmd
}

// toRollBack finds the action that a handle means: of several, the newest that was not taken back yet.
func toRollBack(records *report.Records, handle string) (*v1alpha1.Action, error) {
	name := records.Case.Name
	var found *v1alpha1.Action
	var handles []string
	for i := range records.Actions {
		action := &records.Actions[i]
		if action.Spec.RollbackOf == nil {
			handles = append(handles, name+"/"+action.Spec.Handle)
		}
		fresh := found == nil || records.RolledBackBy(found.Name) != nil || records.RolledBackBy(action.Name) == nil
		if action.Spec.Handle == handle && fresh {
			found = action
		}
	}
	switch {
	case found != nil:
		return found, nil
	case len(handles) == 0:
		return nil, refusedf("cannot roll back %s: nothing was done in this case", strings.TrimSuffix(name+"/"+handle, "/"))
	case handle == "":
		return nil, usagef("cannot roll back %s: no action is named", name).so("Nothing was done. Name one of: %s", strings.Join(handles, ", "))
	default:
		return nil, refusedf("cannot roll back %s/%s: no action has that handle", name, handle).so("Actions: %s", strings.Join(handles, ", "))
	}
}
