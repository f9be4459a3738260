// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"encoding/json"
	"slices"

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
			switch {
			case !OnPods(connector.Status.Tool, name):
				out.Operations = append(out.Operations, Operation{Operation: operation, Note: "give its input with --input"})
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
			command += " --on " + Escape(first.On)
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
