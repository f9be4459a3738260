// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Operations is what may be done by hand in a case.
type Operations struct {
	Case       string      `json:"case"`
	Operations []Operation `json:"operations"`
	// NotReady names the connectors that offer nothing, with why.
	NotReady []string `json:"notReady,omitempty"`
	// Silent names what could not be asked for a verdict.
	Silent string `json:"silent,omitempty"`
}

// Operation is one operation, on one thing of the case where its target is known.
type Operation struct {
	Operation string `json:"operation"`
	// On is the target as --on takes it, empty where the operation's target is not among the case's things.
	On string `json:"on,omitempty"`
	// Input is what the case knows of the operation's input.
	Input map[string]any `json:"input,omitempty"`
	// Target is what it would change, Verdict what guardrails would say of that; nil where they are not known.
	Target  *Target  `json:"target,omitempty"`
	Verdict *Verdict `json:"verdict,omitempty"`
	// Note says what is missing.
	Note string `json:"note,omitempty"`
}

// Pod is a pod that a lookup of the case found.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// On is the pod as --on takes it.
func (p Pod) On() string { return p.Namespace + "/" + p.Name }

// Input is the pod as the input of an operation of the Kubernetes connector.
func (p Pod) Input() map[string]any {
	return map[string]any{"namespace": p.Namespace, "name": p.Name, "uid": p.UID}
}

// Pods lists the pods that the lookups of a case found, by uid: those an operation can be pinned to.
func Pods(c *v1alpha1.Case) []Pod {
	var pods []Pod
	for _, e := range c.Status.Enrichments {
		var result struct {
			Found *bool `json:"found"`
			Pod   Pod   `json:"pod"`
		}
		if json.Unmarshal(raw(e.Result), &result) != nil || result.Found != nil && !*result.Found {
			continue
		}
		if result.Pod.UID != "" && result.Pod.Name != "" && !slices.Contains(pods, result.Pod) {
			pods = append(pods, result.Pod)
		}
	}
	return pods
}

// OnPods tells whether an operation changes a pod, and so takes namespace, name and uid: the API shows only the names
// of operations, so those of the Kubernetes connector are known here.
func OnPods(tool, operation string) bool {
	return tool == "kubernetes" && slices.Contains([]string{"isolatePod", "releasePod"}, operation)
}

// Things are what a case knows of the type that an operation changes: users, hosts, assets and indicators, by name. An
// operation whose one input that must be given is text is taken to be told them by it; of others nothing is known.
func Things(c *v1alpha1.Case, declared v1alpha1.DeclaredOperation) (input string, names []string) {
	for _, in := range declared.Input {
		switch {
		case in.Optional:
		case in.Type != "String" || input != "":
			return "", nil
		default:
			input = in.Name
		}
	}
	if input == "" || declared.Target == "" {
		return "", nil
	}
	add := func(kind, name string) {
		if strings.EqualFold(kind, declared.Target) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, user := range c.Status.Users {
		add("User", user.Name)
	}
	for _, host := range c.Status.Hosts {
		add("Host", host.Name)
	}
	for _, asset := range c.Status.Assets {
		if asset.Namespace == "" {
			add(asset.Type, asset.Name)
		}
	}
	for _, indicator := range c.Status.Indicators {
		add(string(indicator.Type), indicator.Value)
	}
	return input, names
}

// Argument is a text as a word of a command that people copy. What a shell might read as anything but that word is left
// out: the names of things are other people's text.
func Argument(text string) string {
	if text == "" || strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-") != "" || text[0] == '-' {
		return "…"
	}
	return text
}

// NewOperations lists what the connectors of a namespace offer for a case.
func NewOperations(c *v1alpha1.Case, connectors []v1alpha1.Connector) Operations {
	out := Operations{Case: c.Name, Operations: []Operation{}}
	pods := Pods(c)
	for _, connector := range connectors {
		if len(connector.Status.Operations) == 0 {
			out.NotReady = append(out.NotReady, connector.Name+": "+readyMessage(&connector))
			continue
		}
		for _, declared := range connector.Status.Operations {
			name := declared.Name
			if declared.Effect == v1alpha1.EffectRead {
				continue
			}
			operation := connector.Name + "/" + name
			input, things := Things(c, declared)
			for _, thing := range things {
				out.Operations = append(out.Operations, Operation{
					Operation: operation, On: thing, Input: map[string]any{input: thing}, Target: &Target{Type: declared.Target, Name: thing},
				})
			}
			switch {
			case len(things) > 0:
			case !OnPods(connector.Status.Tool, name):
				out.Operations = append(out.Operations, Operation{Operation: operation, Note: needs(declared)})
			case len(pods) == 0:
				out.Operations = append(out.Operations, Operation{Operation: operation, Note: "no lookup found a pod"})
			}
			for _, pod := range pods {
				if OnPods(connector.Status.Tool, name) {
					out.Operations = append(out.Operations, Operation{
						Operation: operation, On: pod.On(), Input: pod.Input(),
						Target: &Target{Type: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
					})
				}
			}
		}
	}
	return out
}

// needs says what must be given to an operation.
func needs(declared v1alpha1.DeclaredOperation) string {
	note := "needs"
	for _, in := range declared.Input {
		if !in.Optional {
			note += " --input " + in.Name + "=…"
		}
	}
	if note == "needs" {
		return "give its input with --input"
	}
	return note
}

func readyMessage(c *v1alpha1.Connector) string {
	for _, condition := range c.Status.Conditions {
		if condition.Type == v1alpha1.ReadyCondition && condition.Message != "" {
			return condition.Message
		}
	}
	return "its controller has not looked at it yet"
}

// Text is the list as a table, with the command that does the first.
func (o Operations) Text(s Screen) string {
	p := s.page()
	if len(o.Operations) == 0 {
		p.line("No connector of this namespace offers an operation.")
	} else {
		rows := make([][]cell, len(o.Operations))
		for i, operation := range o.Operations {
			rows[i] = []cell{{text: Escape(operation.Operation)}, {text: Escape(cmp.Or(operation.On, "-"))}, operation.would()}
		}
		p.table([]column{{head: "OPERATION", least: 14}, {head: "ON", least: 12}, {head: "GUARDRAILS WOULD SAY", least: 20}}, rows)
	}
	for _, connector := range o.NotReady {
		p.tell("Connector " + Prose(connector))
	}
	if o.Silent != "" {
		p.tell("Not heard: " + Prose(o.Silent))
	}
	if len(o.Operations) > 0 {
		first := o.Operations[0]
		command := "kubectl casebook do " + Escape(o.Case) + " " + Escape(first.Operation)
		if first.On != "" {
			command += " --on " + Argument(first.On)
		} else if _, input, found := strings.Cut(first.Note, "needs "); found {
			command += " " + Escape(input)
		}
		p.line("To ask for one, for example:")
		p.line("  " + command + " -m \"…\"")
	}
	return p.String()
}

// would is what guardrails would say, or what is missing to know.
func (o Operation) would() cell {
	if o.Verdict == nil {
		return cell{text: Prose(o.Note)}
	}
	c := cell{text: Prose(o.Verdict.Answer + "  " + cmp.Or(o.Verdict.Rule, o.Verdict.Because))}
	switch v1alpha1.Answer(o.Verdict.Answer) {
	case v1alpha1.AnswerDeny:
		c.tone = bad
	case v1alpha1.AnswerAsk:
		c.tone = warn
	case v1alpha1.AnswerAllow:
		c.tone = good
	}
	return c
}
