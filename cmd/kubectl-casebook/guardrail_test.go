// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// containment makes a guardrail that looks up who must not be touched, counts, and allows the rest.
func (n *tenant) containment() {
	n.t.Helper()
	one := int32(1)
	n.admin(&v1alpha1.Guardrail{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "pods"},
		Spec: v1alpha1.GuardrailSpec{
			Covers:  []string{"kubernetes/releasePod", "kubernetes/isolatePod"},
			Lookups: []v1alpha1.GuardrailLookup{{Name: "owner", Lookup: "owners/find", Input: &apiextensionsv1.JSON{Raw: []byte(`{"key":"${target.name}"}`)}}},
			Rules: []v1alpha1.GuardrailRule{
				{Name: "of-the-bank", If: "lookups.owner.found && lookups.owner.team == 'bank'", Deny: "Call the bank's on-call."},
				{Name: "severe", If: "severity >= Medium && input.force == true", Allow: "Releasing gives back."},
			},
			Budgets: []v1alpha1.Budget{{Name: "releases", Max: &one, Per: metav1.Duration{Duration: time.Hour}}},
			Breaker: &v1alpha1.Breaker{WrongPercent: &one, OutOf: 20},
		},
	})
}

func TestGuardrailExplain(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	n.connector()
	n.containment()
	release := []string{"guardrail", "explain", "kubernetes/releasePod", "--case", "rt-1", "--input", "force=true", "--target", "name=web"}
	explain := func(more ...string) result { return n.ana(append(release[:len(release):len(release)], more...)...) }

	explain().want(t, exitDone, "kubernetes/releasePod on Pod web for case rt-1, wanted by ana (soc-analysts)",
		`lookup   owner = owners/find {"key":"web"}: not made here`, "of-the-bank: Unknown, so it asks", "severe: allows",
		"budget   0 of 1 releases in the last hour", "breaker  no action has ended, and at most 0 of 20 may turn out wrong", "do not cover the operation: containment",
		"the guardrails of namespace casebook-system: you may not read them", "VERDICT  Ask  pods/of-the-bank")
	explain("--lookup", `owner={"found":false}`).want(t, exitDone, `taken to be {"found":false}`, "of-the-bank: silent", "VERDICT  Allow  pods/severe")
	explain("--lookup", `owner={"found":true,"team":"bank"}`).want(t, exitDone, "of-the-bank: denies", "VERDICT  Deny  pods/of-the-bank", "Call the bank's on-call.")
	explain("--lookup", `vip={}`).want(t, exitUsage, `no guardrail looks up "vip"`, "Declared: owner")
	n.ana("guardrail", "explain", "kubernetes/releasePod").want(t, exitDone, "cannot be made: could not render its input", "VERDICT  Ask  pods/of-the-bank")
	n.ana("guardrail", "explain", "kubernetes/releasePod", "--lookup", `owner={"found":false}`).want(t, exitDone,
		"severe: Unknown, so it is silent", "VERDICT  Ask\n", "because  no rule answers")
	n.ana("guardrail", "explain", "kubernetes/scaleToZero", "--lookup", "owner={}").want(t, exitUsage, "No guardrail over this operation declares one.")
	n.ana("guardrail", "explain", "kubernetes/nothing").want(t, exitUsage, "It offers: getPod, isolatePod, releasePod, scaleToZero")
	n.ana("guardrail", "explain", "kubernetes/getPod").want(t, exitUsage, "it only reads")
	n.ana("guardrail", "explain", "other/isolatePod").want(t, exitRefused, "read connector other")
	n.ana("guardrail", "explain", "kubernetes/releasePod", "--case", "rt-9").want(t, exitRefused, "read case")

	began := n.action(c, "isolate")
	began.Status.State, began.Status.Attempts = v1alpha1.ActionExecuting, []v1alpha1.Attempt{{
		Number: 1, Key: began.Spec.PlanDigest, Holder: "operator", StartTime: metav1.NowMicro(), DeadlineTime: later(),
	}}
	n.status(began)
	explain("--lookup", `owner={"found":false}`).want(t, exitDone, "asks: 1 of 1 releases in the last hour; the next is free at", "VERDICT  Ask  pods/releases")

	n.admin(&v1alpha1.Decision{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "freeze"},
		Spec:       v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictFreeze, Message: "a playbook runs wild"},
	})
	got := explain("-o", "json")
	got.want(t, exitDone, `"message": "a playbook runs wild"`, `"truth": "Unknown"`, `"answer": "Ask"`, `"used": 1`)
	explain().want(t, exitDone, "FREEZE  namespace "+n.namespace, "Nothing is sent until it is thawed")
	if strings.Contains(got.out, "VERDICT") {
		t.Errorf("a text stands in the JSON: %s", got.out)
	}
	if made := n.decisions(); len(made) != 1 {
		t.Errorf("explaining decided something: %v", made)
	}
	complete := n.ana("__complete", "guardrail", "explain", "")
	complete.err = ""
	complete.want(t, exitDone, "kubernetes/isolatePod\nkubernetes/releasePod\nkubernetes/scaleToZero")
}

// One that does not compile asks here as it does for the controllers.
func TestGuardrailExplainOfOneThatIsBroken(t *testing.T) {
	n := newTenant(t)
	n.connector()
	n.admin(&v1alpha1.Guardrail{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "broken"},
		Spec: v1alpha1.GuardrailSpec{Covers: []string{"kubernetes/*"}, Rules: []v1alpha1.GuardrailRule{
			{Name: "typo", If: "severty >= High", Allow: "anything"},
		}},
	})
	n.ana("guardrail", "explain", "kubernetes/scaleToZero").want(t, exitDone,
		"does-not-compile: asks", "guardrail broken does not compile", "column 1: undeclared reference", "VERDICT  Ask  broken/does-not-compile")
}

func TestGuardrailUsage(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	command(t, "", "guardrail").want(t, exitDone, "explain")
	command(t, "", "guardrail", "explain", "--help").want(t, exitDone, "--lookup")
	command(t, "", "guardrail", "explain").want(t, exitUsage, "CONNECTOR/OPERATION is missing")
	for _, lookup := range []string{"vip", "=1", "vip=", "vip={", "vip={} {}"} {
		command(t, "", "guardrail", "explain", "a/b", "--lookup", lookup).want(t, exitUsage, "cannot read --lookup", "Write --lookup NAME=JSON")
	}
}
