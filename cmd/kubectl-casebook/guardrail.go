// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/report"
)

func newGuardrail(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "guardrail",
		Short: "Explain what guardrails say, and why",
		Args:  exactly(),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGuardrailExplain(o))
	return cmd
}

// explain is a proposed action that nobody asks for: guardrails are only asked about it.
type explain struct {
	*options
	about                   string
	inputs, target, lookups []string
}

func newGuardrailExplain(o *options) *cobra.Command {
	e := &explain{options: o}
	cmd := &cobra.Command{
		Use:   "explain CONNECTOR/OPERATION [--case CASE]",
		Short: "Show how each guardrail would answer if you asked for an operation",
		Long: "Show how each rule of each guardrail would answer if you asked for an operation, what of budgets is used, and the " +
			"verdict. Nothing is done and nothing is decided.\n\n" +
			"No lookup is made here: what needs one is Unknown, and the verdict shown is on the safe side. Give what a lookup would " +
			"say with --lookup, for example --lookup vip='{\"found\": false}'. What is left out is Unknown too: conditions over the " +
			"case need --case, and those over the target --input, from which the connector tells it, or --target.",
		Args:              exactly("CONNECTOR/OPERATION"),
		ValidArgsFunction: completeMutations(o),
		RunE:              e.run,
	}
	cmd.Flags().StringVar(&e.about, "case", "", "the case that the operation would be for")
	cmd.Flags().StringArrayVar(&e.target, "target", nil, "what it would change, as type=…, name=…, namespace=… or uid=…; may be repeated")
	cmd.Flags().StringArrayVar(&e.inputs, "input", nil, "input of the operation as NAME=VALUE; may be repeated")
	cmd.Flags().StringArrayVar(&e.lookups, "lookup", nil, "what a lookup of a guardrail would give, as NAME=JSON; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("case", complete(o, func(ctx context.Context, c *cluster, _ []string) []string {
		var out []string
		for _, of := range c.cases(ctx) {
			out = append(out, cobra.CompletionWithDesc(of.Name, report.Prose(of.Spec.Title)))
		}
		return out
	}))
	o.addOutput(cmd)
	return cmd
}

// completeMutations gives the operations that guardrails are asked about.
func completeMutations(o *options) completer {
	return complete(o, func(ctx context.Context, c *cluster, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return c.mutations(ctx)
	})
}

func (e *explain) run(cmd *cobra.Command, args []string) error {
	ctx, operation := cmd.Context(), args[0]
	given, err := e.given(operation)
	if err != nil {
		return err
	}
	c, err := e.connect()
	if err != nil {
		return err
	}
	spec, unnamed, err := e.proposed(ctx, c, operation)
	if err != nil {
		return err
	}
	vars := map[string]any{}
	if e.about != "" {
		of, err := c.findCase(ctx, e.about)
		if err != nil {
			return err
		}
		vars = c.caseVars(ctx, of)
	}
	in, err := guard.InputOf(vars, spec)
	if err != nil {
		return usagef("cannot explain %s: %w", operation, err)
	}
	heard, err := c.hear(ctx, &in, e.now())
	if err != nil {
		return err
	}
	lookups, err := heard.answer(ctx, &in, given)
	if err != nil {
		return err
	}
	view := report.NewGuardrails(guard.Evaluate(ctx, heard.tenant, heard.operator, in), spec.Requester, func(namespace, guardrail string) []report.GuardrailLookup {
		return lookups[namespace+"/"+guardrail]
	})
	view.Namespace, view.Operation, view.Case, view.NotHeard, view.Freeze = c.namespace, operation, e.about, heard.not, heard.freeze
	if t := spec.Target; t != (v1alpha1.Target{}) {
		view.Target = &report.Target{Type: t.Type, Namespace: t.Namespace, Name: t.Name, UID: t.UID}
	}
	view.Input, _ = in.Vars["input"].(map[string]any)
	view.Unnamed = unnamed
	return e.print(view)
}

// given reads what --lookup says.
func (e *explain) given(operation string) (map[string]any, error) {
	out := map[string]any{}
	for _, text := range e.lookups {
		name, raw, found := strings.Cut(text, "=")
		var value any
		decoder := json.NewDecoder(strings.NewReader(raw))
		decoder.UseNumber()
		if !found || name == "" || decoder.Decode(&value) != nil || decoder.More() {
			return nil, usagef("cannot explain %s: cannot read --lookup %q", operation, text).so("Write --lookup NAME=JSON, for example --lookup vip='{\"found\": false}'")
		}
		out[name] = value
	}
	return out, nil
}

// proposed is the action, as far as it was given, wanted by whoever asks, and why its target has no name if it has none.
func (e *explain) proposed(ctx context.Context, c *cluster, operation string) (out v1alpha1.ActionSpec, unnamed string, err error) {
	object, declared, err := c.declared(ctx, operation)
	if err != nil {
		return out, "", err
	}
	input := map[string]any{}
	if err := given(e.inputs, input); err != nil {
		return out, "", err
	}
	raw, err := json.Marshal(input)
	if err != nil {
		return out, "", usagef("cannot explain %s: its input is no JSON: %w", operation, err)
	}
	viewer := c.viewer(ctx)
	out = v1alpha1.ActionSpec{
		Operation: operation, Input: apiextensionsv1.JSON{Raw: raw}, Target: v1alpha1.Target{Type: declared.Target},
		Requester: v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: viewer.Username, Groups: viewer.Groups},
	}
	if target, err := targetOf(object, declared.Name, raw); err == nil {
		out.Target = target
	} else {
		unnamed = err.Error()
	}
	fields := map[string]*string{"type": &out.Target.Type, "name": &out.Target.Name, "namespace": &out.Target.Namespace, "uid": &out.Target.UID}
	for _, text := range e.target {
		name, value, _ := strings.Cut(text, "=")
		field := fields[name]
		if field == nil || value == "" {
			return out, "", usagef("cannot explain %s: cannot read --target %q", operation, text).
				so("Write --target type=…, --target name=…, --target namespace=… or --target uid=…")
		}
		*field = value
	}
	if out.Target.Name != "" {
		unnamed = ""
	}
	return out, unnamed, nil
}

// declared is the connector of an operation and what it says of it; only its name where the connector has not told its
// operations yet.
func (c *cluster) declared(ctx context.Context, operation string) (*v1alpha1.Connector, v1alpha1.DeclaredOperation, error) {
	none := v1alpha1.DeclaredOperation{}
	name, verb, _ := strings.Cut(operation, "/")
	if name == "" || verb == "" {
		return nil, none, usagef("cannot explain %q: that is no operation", operation).so("Write CONNECTOR/OPERATION")
	}
	connector := &v1alpha1.Connector{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, connector); err != nil {
		return nil, none, apiError("read connector "+name+" of "+operation, err)
	}
	operations := connector.Status.Operations
	if len(operations) == 0 {
		return connector, v1alpha1.DeclaredOperation{Name: verb}, nil
	}
	var known []string
	for _, declared := range operations {
		switch {
		case declared.Name != verb:
			known = append(known, declared.Name)
		case declared.Effect == v1alpha1.EffectRead:
			return nil, none, usagef("cannot explain %s: it only reads, and guardrails are not asked about that", operation)
		default:
			return connector, declared, nil
		}
	}
	slices.Sort(known)
	return nil, none, usagef("cannot explain %s: connector %s offers no such operation", operation, name).
		so("It offers: %s", strings.Join(known, ", "))
}

// answer hands over what was given for lookups, and lists those that the guardrails want.
func (h *heard) answer(ctx context.Context, in *guard.Input, given map[string]any) (map[string][]report.GuardrailLookup, error) {
	out := map[string][]report.GuardrailLookup{}
	used, names := map[string]bool{}, []string{}
	for _, p := range slices.Concat(h.operator, h.tenant) {
		for _, l := range p.Lookups(ctx, *in) {
			view := report.GuardrailLookup{Name: l.Name, Operation: l.Operation, Input: l.Input}
			if l.Err != nil {
				view.Error = l.Err.Error()
			}
			if value, ok := given[l.Name]; ok {
				in.Facts.Answer(p, l.Name, value, nil)
				view.Given, used[l.Name] = report.RawOf(value), true
			}
			out[p.Namespace+"/"+p.Name] = append(out[p.Namespace+"/"+p.Name], view)
			names = append(names, l.Name)
		}
	}
	for name := range given {
		if !used[name] {
			slices.Sort(names)
			known := "No guardrail over this operation declares one."
			if len(names) > 0 {
				known = "Declared: " + strings.Join(slices.Compact(names), ", ")
			}
			return nil, usagef("cannot explain %s: no guardrail looks up %q", in.Operation, name).so("%s", known)
		}
	}
	return out, nil
}

func notHeard(what, namespace, so string) string {
	return fmt.Sprintf("%s of namespace %s: you may not read them, %s", what, namespace, so)
}
