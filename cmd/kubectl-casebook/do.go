// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// do is an action by hand.
type do struct {
	decision
	on     string
	inputs []string
}

func newDo(o *options) *cobra.Command {
	d := &do{decision: decision{options: o}}
	cmd := &cobra.Command{
		Use:   "do CASE [OPERATION] [--on TARGET] [--input NAME=VALUE]",
		Short: "List what may be done in a case, or do it under guardrails",
		Long: "Without an operation: list what the connectors offer for the things of the case.\n" +
			"With one, as CONNECTOR/OPERATION: ask for it. Guardrails decide whether it runs, asks another person or is denied.\n\n" +
			"A value of --input that is a JSON number, boolean, list or object is taken as such, everything else as text.",
		Args:              between(1, "CASE", "OPERATION"),
		ValidArgsFunction: completeThen(o, func(ctx context.Context, c *cluster) []string { return c.mutations(ctx) }),
		RunE:              d.run,
	}
	cmd.Flags().StringVar(&d.on, "on", "", "which thing of the case, for example a user or NAMESPACE/POD, where there are several")
	cmd.Flags().StringArrayVar(&d.inputs, "input", nil, "input of the operation as NAME=VALUE; may be repeated")
	d.addFlags(cmd, messageOptional)
	return cmd
}

func (d *do) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	c, of, err := d.about(cmd, args[0])
	if err != nil {
		return err
	}
	if len(args) == 1 {
		var connectors v1alpha1.ConnectorList
		if err := c.List(ctx, &connectors, client.InNamespace(of.Namespace)); err != nil {
			return apiError("list what may be done in case "+of.Name, err)
		}
		list := report.NewOperations(of, connectors.Items)
		c.would(ctx, of, c.viewer(ctx), connectors.Items, &list)
		return d.print(list)
	}
	operation := args[1]
	d.subject = of.Name + " " + operation
	input, err := d.input(ctx, c, of, operation)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(input)
	if err != nil {
		return usagef("cannot do %s: its input is no JSON: %w", d.subject, err)
	}
	made, err := d.make(ctx, c, of, v1alpha1.DecisionSpec{
		Verdict: v1alpha1.VerdictAct,
		Act:     &v1alpha1.ActDecision{Operation: operation, Input: &apiextensionsv1.JSON{Raw: raw}},
	})
	if err != nil {
		return err
	}
	return d.finish(ctx, c, made, settled{action: func(m *v1alpha1.Decision) string { return m.Status.Action }})
}

// input is what was given, and what the case knows of the thing that the operation is about.
func (d *do) input(ctx context.Context, c *cluster, of *v1alpha1.Case, operation string) (map[string]any, error) {
	name, verb, slash := strings.Cut(operation, "/")
	if !slash || name == "" || verb == "" {
		return nil, usagef("cannot do %q: that is no operation", operation).so("Write CONNECTOR/OPERATION; list them with: kubectl casebook do %s", of.Name)
	}
	connector := &v1alpha1.Connector{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: of.Namespace, Name: name}, connector); err != nil {
		return nil, apiError("read connector "+name+" of "+operation, err)
	}
	var known []string
	declared := v1alpha1.DeclaredOperation{Name: verb}
	for _, one := range connector.Status.Operations {
		known = append(known, one.Name)
		if one.Name == verb {
			declared = one
		}
	}
	if len(known) > 0 && !slices.Contains(known, verb) {
		return nil, usagef("cannot do %s: connector %s offers no such operation", operation, name).so("It offers: %s", strings.Join(known, ", "))
	}
	input := map[string]any{}
	if report.OnPods(connector.Status.Tool, verb) {
		pod, err := d.pod(of, operation)
		if err != nil {
			return nil, err
		}
		if pod != nil {
			input = pod.Input()
		}
	} else if err := d.thing(of, operation, declared, input); err != nil {
		return nil, err
	}
	return input, given(d.inputs, input)
}

// thing puts the thing of the case that an operation is about into its input, unless the input names it.
func (d *do) thing(of *v1alpha1.Case, operation string, declared v1alpha1.DeclaredOperation, input map[string]any) error {
	name, things := report.Things(of, declared)
	switch {
	case d.on != "" && name == "":
		return usagef("cannot do %s on %q: what this operation works on is part of its input", operation, d.on).so("Give it with --input NAME=VALUE.")
	case d.on != "" && !slices.Contains(things, d.on):
		known := "the case knows no " + declared.Target
		if len(things) > 0 {
			known = "the case knows " + strings.Join(things, ", ")
		}
		return usagef("cannot do %s on %q: %s", operation, d.on, known).so("Choose one of the case, or give --input %s=…", name)
	case d.on != "":
		input[name] = d.on
	case d.gives(name) || len(things) == 0:
	case len(things) == 1:
		input[name] = things[0]
	default:
		return usagef("cannot do %s: the case knows %s, and none is named", operation, strings.Join(things, ", ")).so("Nothing was done. Add --on %s", report.Argument(things[0]))
	}
	return nil
}

// pod chooses the pod of an operation; nil when the input names it.
func (d *do) pod(of *v1alpha1.Case, operation string) (*report.Pod, error) {
	pods := report.Pods(of)
	targets := make([]string, len(pods))
	for i, pod := range pods {
		targets[i] = pod.On()
		if d.on == pod.On() {
			return &pods[i], nil
		}
	}
	known := "no lookup of the case found a pod"
	if len(targets) > 0 {
		known = "the case knows " + strings.Join(targets, ", ")
	}
	switch {
	case d.on != "":
		return nil, usagef("cannot do %s on %s: %s", operation, d.on, known).
			so("Choose one of those, or give --input namespace=…, --input name=… and --input uid=….")
	case d.namesPod():
		return nil, nil
	case len(pods) == 1:
		return &pods[0], nil
	case len(pods) == 0:
		return nil, refusedf("cannot do %s: %s", operation, known).
			so("Name the pod: --input namespace=…, --input name=… and --input uid=….")
	default:
		return nil, usagef("cannot do %s: %s, and none is named", operation, known).so("Nothing was done. Add --on %s", targets[0])
	}
}

// namesPod tells whether the input names a pod itself: then nothing of the case's pod may be mixed into it.
func (d *do) namesPod() bool { return d.gives("namespace", "name", "uid") }

// gives tells whether --input gives any of some inputs.
func (d *do) gives(names ...string) bool {
	return slices.ContainsFunc(d.inputs, func(text string) bool {
		name, _, _ := strings.Cut(text, "=")
		return slices.Contains(names, name)
	})
}

// given puts what --input flags say into an input.
func given(inputs []string, input map[string]any) error {
	for _, text := range inputs {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return usagef("cannot read --input %q", text).so("Write --input NAME=VALUE.")
		}
		input[name] = value
		var typed any
		if json.Unmarshal([]byte(value), &typed) == nil && typed != nil {
			input[name] = json.RawMessage(value)
		}
	}
	return nil
}
