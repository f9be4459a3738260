// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// connector makes a connector that offers operations, and a guardrail over them.
func (n *tenant) connector() {
	n.t.Helper()
	c := &v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "kubernetes"}}
	c.Spec.Kubernetes = &v1alpha1.KubernetesConnector{ServiceAccountRef: v1alpha1.LocalRef{Name: "responder"}}
	n.admin(c)
	c.Status.Tool, c.Status.Operations = "kubernetes", []v1alpha1.DeclaredOperation{
		{Name: "getPod", Effect: v1alpha1.EffectRead}, {Name: "isolatePod", Effect: v1alpha1.EffectReversible, Target: "Pod"},
		{Name: "releasePod", Effect: v1alpha1.EffectReversible, Target: "Pod"}, {Name: "scaleToZero", Effect: v1alpha1.EffectReversible, Target: "Deployment"},
	}
	n.status(c)
	n.admin(&v1alpha1.Guardrail{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "containment"},
		Spec: v1alpha1.GuardrailSpec{Covers: []string{"kubernetes/isolatePod"}, Rules: []v1alpha1.GuardrailRule{
			{Name: "not-in-shop", If: "target.namespace == 'shop' && severity >= High", Deny: "Call the shop's on-call."},
		}},
	})
}

// directory makes a declared connector whose operation is about a user, and a guardrail that denies one of them.
func (n *tenant) directory() {
	n.t.Helper()
	input := []v1alpha1.OperationInput{{Name: "user", Type: "String"}, {Name: "why", Type: "String", Optional: true}}
	d := &v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "directory"}}
	d.Spec.HTTP = &v1alpha1.HTTPConnector{BaseURL: "https://127.0.0.1:8443"} // the operator may dial it
	d.Spec.Operations = []v1alpha1.ConnectorOperation{{
		Name: "suspend", Effect: v1alpha1.EffectIrreversible, Semantics: v1alpha1.Idempotent, Input: input,
		Target:   &v1alpha1.OperationTarget{Type: "User", Name: "${input.user}"},
		Request:  v1alpha1.OperationRequest{Method: "PUT", Path: "/users/${input.user}/suspended"},
		Rollback: &v1alpha1.OperationRollback{NotPossible: "nobody can"},
	}}
	n.admin(d)
	d.Status.Tool, d.Status.Operations = "http", []v1alpha1.DeclaredOperation{
		{Name: "suspend", Effect: v1alpha1.EffectIrreversible, Target: "User", Input: input},
		{Name: "rename", Effect: v1alpha1.EffectIrreversible, Target: "User", Input: append(input[:1:1], v1alpha1.OperationInput{Name: "to", Type: "String"})},
	}
	n.status(d)
	n.admin(&v1alpha1.Guardrail{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "people"},
		Spec: v1alpha1.GuardrailSpec{Covers: []string{"directory/*"}, Rules: []v1alpha1.GuardrailRule{
			{Name: "not-eve", If: "target.name == 'eve@example.com'", Deny: "Eve keeps the lights on."},
			{Name: "others", If: "target.name != ''", Allow: "It is fine."},
		}},
	})
}

// What a declared operation is about is found among the things of the case.
func TestDoOnThings(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("ida-1")
	n.directory()
	n.ana("do", "ida-1").want(t, exitDone, "directory/suspend  -   needs --input user=…", "directory/rename   -   needs --input user=… --input to=…",
		"kubectl casebook do ida-1 directory/suspend --input user=… -m")
	n.ana("guardrail", "explain", "directory/suspend", "--input", "user=eve@example.com").want(t, exitDone,
		"directory/suspend on User eve@example.com, wanted by ana", "VERDICT  Deny  people/not-eve")
	n.ana("guardrail", "explain", "directory/suspend").want(t, exitDone, "TARGET  has no name, so what needs it is Unknown", `field "user" is missing`)

	c.Status.Users = []v1alpha1.Entity{{Name: "ana@example.com"}, {Name: "eve@example.com"}}
	n.status(c)
	n.ana("do", "ida-1").want(t, exitDone, "directory/suspend  ana@example.com  Allow  people/others", "directory/suspend  eve@example.com  Deny  people/not-eve",
		"directory/rename   -                needs", "do ida-1 directory/suspend --on ana@example.com -m")
	for args, want := range map[string]string{"do": "directory/suspend\n", "lookup": ":4", "run": ":4"} {
		got := n.ana("__complete", args, "ida-1", "")
		got.err = ""
		got.want(t, exitDone, want)
	}
	n.ana("do", "ida-1", "directory/suspend").want(t, exitUsage, "the case knows ana@example.com, eve@example.com, and none is named", "Add --on ana@example.com")
	n.ana("do", "ida-1", "directory/suspend", "--on", "bob").want(t, exitUsage, "the case knows ana@example.com", "or give --input user=…")
	n.ana("do", "ida-1", "directory/rename", "--on", "eve@example.com").want(t, exitUsage, "part of its input")
	n.ana("do", "ida-1", "directory/suspend", "--on", "eve@example.com", "--wait=false").want(t, exitDone)
	n.ana("do", "ida-1", "directory/suspend", "--input", "user=bob@example.com", "--wait=false").want(t, exitDone)
	c.Status.Users = c.Status.Users[:1]
	n.status(c)
	n.ana("do", "ida-1", "directory/suspend", "--input", "why=x", "--wait=false").want(t, exitDone)
	inputs := map[string]bool{}
	for _, d := range n.decisions() {
		inputs[string(d.Spec.Act.Input.Raw)] = true
	}
	want := map[string]bool{`{"user":"eve@example.com"}`: true, `{"user":"bob@example.com"}`: true, `{"user":"ana@example.com","why":"x"}`: true}
	if diff := cmp.Diff(want, inputs); diff != "" {
		t.Errorf("the inputs (-want +got):\n%s", diff)
	}
}

// What a lookup gives reaches people, and programs in the one JSON document they read.
func TestLookup(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("ida-1")
	kept := v1alpha1.EnrichmentRecord{Name: "findUser", Lookup: "directory/findUser", Time: metav1.NowMicro()}
	n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
		kept.Decision = d.Name
		c.Status.Enrichments = []v1alpha1.EnrichmentRecord{kept}
		n.status(c)
		return counts(d)
	})
	kept.Result = &apiextensionsv1.JSON{Raw: []byte(`{"name":"Ana \u202e","found":true}`)}
	n.ana("lookup", "ida-1", "directory/findUser").want(t, exitDone, "Asked; the case shows the answer", `"name": "Ana \u202e"`)
	got := n.ana("lookup", "ida-1", "directory/findUser", "-o", "json")
	got.want(t, exitDone)
	var outcome struct{ Result struct{ Found bool } }
	if err := json.Unmarshal([]byte(got.out), &outcome); err != nil || !outcome.Result.Found {
		t.Errorf("the JSON has no result (%v): %s", err, got.out)
	}
	kept.Result, kept.Error = nil, "the directory is down"
	failed := n.ana("lookup", "ida-1", "directory/findUser")
	failed.want(t, exitRefused, "Recorded;", "gave no answer: the directory is down")
	n.ana("lookup", "ida-1", "directory/findUser", "-o", "json").want(t, exitRefused, `"error": "the directory is down"`)
}

func TestDoLists(t *testing.T) {
	n := newTenant(t)
	n.openCase("rt-1")
	n.connector()
	n.ana("do", "rt-1").want(t, exitDone,
		"kubernetes/isolatePod   shop/web-6d4f9  Deny  containment/not-in-shop",
		"kubernetes/releasePod   shop/web-6d4f9  Ask  no rule answers",
		"kubernetes/scaleToZero  -               give its input with --input", "Not heard: the operator's own guardrails")
	n.ana("do", "rt-1", "kubernetes/nothing").want(t, exitUsage, "It offers: getPod, isolatePod")
	n.ana("do", "rt-1", "isolatePod").want(t, exitUsage, "Write CONNECTOR/OPERATION")
	n.ana("do", "rt-1", "other/isolatePod").want(t, exitRefused, "read connector other")
	n.ana("do", "rt-1", "kubernetes/isolatePod", "--on", "shop/other").want(t, exitUsage, "the case knows shop/web-6d4f9")
	n.ana("do", "rt-1", "kubernetes/scaleToZero", "--on", "web").want(t, exitUsage, "Give it with --input")
	n.ana("do", "rt-1", "kubernetes/scaleToZero", "--input", "web").want(t, exitUsage, "Write --input NAME=VALUE.")
	if made := n.decisions(); len(made) != 0 {
		t.Errorf("there are decisions: %v", made)
	}
}

func TestDo(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	n.connector()
	end := n.succeed
	n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
		a := n.action(c, "by-hand-"+d.Name[len(d.Name)-4:])
		end(a)
		status := counts(d)
		status.Action = a.Name
		return status
	})
	n.ana("do", "rt-1", "kubernetes/isolatePod", "-m", "it talks to a miner").want(t, exitDone, "Accepted.", "Succeeded, verified", "To take it back:")
	n.ana("do", "rt-1", "kubernetes/scaleToZero", "--input", "name=web", "--input", "replicas=0", "--input", `labels={"a":"b"}`).want(t, exitDone, "Accepted.")
	end = func(a *v1alpha1.Action) {
		a.Status.State, a.Status.Message = v1alpha1.ActionDenied, "Call the shop's on-call."
		n.status(a)
	}
	n.ana("do", "rt-1", "kubernetes/isolatePod").want(t, exitRefused, "kubernetes/isolatePod is Denied: Call the shop's on-call.")
	end = func(a *v1alpha1.Action) {
		a.Status.State = v1alpha1.ActionAsking
		a.Status.Question = &v1alpha1.Question{
			Kind: v1alpha1.QuestionApproval, Prompt: "?", Verb: "approve", Count: 1, Excluded: []string{"ana"}, Digest: a.Spec.PlanDigest,
			AskedTime: metav1.NowMicro(), DueTime: later(),
		}
		n.status(a)
	}
	n.ana("do", "rt-1", "kubernetes/isolatePod").want(t, exitDone, "waits for one person with the verb approve, not ana")

	n.ana("do", "rt-1", "kubernetes/releasePod", "--input", "namespace=kube-system", "--input", "name=dns").want(t, exitDone)

	inputs := map[string]any{}
	for _, d := range n.decisions() {
		inputs[d.Spec.Act.Operation] = plain(t, d.Spec.Act.Input)
	}
	want := map[string]any{
		"kubernetes/isolatePod":  map[string]any{"namespace": "shop", "name": "web-6d4f9", "uid": "4b1f6d0e"},
		"kubernetes/releasePod":  map[string]any{"namespace": "kube-system", "name": "dns"}, // nothing of another pod mixed in
		"kubernetes/scaleToZero": map[string]any{"name": "web", "replicas": 0.0, "labels": map[string]any{"a": "b"}},
	}
	if diff := cmp.Diff(want, inputs); diff != "" {
		t.Errorf("the inputs (-want +got):\n%s", diff)
	}
}

// A person says what became of an action; that it did not happen is what was said, not a failure of saying it.
func TestResolve(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	done := n.action(c, "isolate")
	n.succeed(done)
	a := n.action(c, "page")
	a.Status.State, a.Status.Message = v1alpha1.ActionUnknown, "it may or may not have happened"
	n.status(a)
	become := map[v1alpha1.ResolveOutcome]v1alpha1.ActionState{
		v1alpha1.ResolveHappened: v1alpha1.ActionSucceeded, v1alpha1.ResolveDidNot: v1alpha1.ActionFailed, v1alpha1.ResolveRetry: v1alpha1.ActionUnknown,
	}
	var settling sync.WaitGroup
	n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
		settling.Go(func() {
			<-time.After(200 * time.Millisecond) // the action's controller comes after the decision's
			a.Status.State, a.Status.Message = become[d.Spec.Resolve.Outcome], "as was said"
			a.Status.Resolutions = append(a.Status.Resolutions, v1alpha1.Resolution{
				Decision: d.Name, Outcome: d.Spec.Resolve.Outcome, Actor: *d.Spec.Actor, Time: metav1.NowMicro(),
			})
			n.status(a)
		})
		return counts(d)
	})
	for _, tt := range []struct {
		say  string
		code int
		want []string
	}{
		{"--retry", exitRefused, []string{"that it did not happen and is\n  to be tried again:", "is Unknown: as was said", "kubectl casebook resolve rt-1/page --happened|--did-not|--retry"}},
		{"--did-not", exitDone, []string{"Resolved.", "Failed: as was said"}},
		{"--happened", exitDone, []string{"that it happened:", "Resolved.", "Succeeded"}},
	} {
		a.Status.State = v1alpha1.ActionUnknown
		n.status(a)
		got := n.mia("resolve", "rt-1/page", tt.say, "-m", "looked at the pager")
		got.want(t, tt.code, tt.want...)
		if strings.Contains(got.out, "kubernetes/releasePod") {
			t.Errorf("%s: how it is taken back is no part of what became of it: %s", tt.say, got.out)
		}
		settling.Wait()
	}
	a.Status.State = v1alpha1.ActionUnknown
	n.status(a)
	for _, tt := range []struct{ verb, want, not string }{{"resolve", "rt-1/page", "rt-1/isolate"}, {"rollback", "rt-1/isolate", "rt-1/page"}} {
		if got := n.mia("__complete", tt.verb, ""); !strings.Contains(got.out, tt.want) || strings.Contains(got.out, tt.not) {
			t.Errorf("completion of %s: %s", tt.verb, got.out)
		}
	}
}

// An action whose outcome is unknown is among what a case asks; only resolve answers it, and everything else says so.
func TestAnUnknownOutcomeIsAsked(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	a := n.action(c, "page")
	a.Status.State, a.Status.Message = v1alpha1.ActionUnknown, "it may or may not have happened"
	n.status(a)
	c.Status.Questions = casefile.Questions(nil, []v1alpha1.Action{*a})
	n.status(c)
	const asks = "Did kubernetes/isolatePod on pod shop/web-6d4f9 happen?"
	n.mia("queue", "--mine").want(t, exitDone, "you: Did kubernet", "1 of 1 open case asks you.")
	n.mia("case", "rt-1").want(t, exitDone, asks, "because it may or may not have happened", "one person with the verb resolve",
		`kubectl casebook resolve rt-1/page --happened -m "…"`, `--did-not -m "…"`, `--retry -m "…"`)
	const remedy = "Look at the target, then: kubectl casebook resolve rt-1/page --happened|--did-not|--retry"
	for _, words := range [][]string{{"approve", "rt-1"}, {"deny", "rt-1/page"}, {"answer", "rt-1/page", "yes"}} {
		n.mia(append(words, "-m", "ok")...).want(t, exitUsage, "cannot "+words[0]+" rt-1/page: whether it happened is not known", remedy)
	}
	if got := n.mia("__complete", "approve", ""); strings.Contains(got.out, "rt-1/page") {
		t.Errorf("completion of approve: %s", got.out)
	}
	n.asking(c, "isolate")
	n.mia("approve", "rt-1", "-m", "ok", "--wait=false").want(t, exitDone, "for case rt-1:", "is recorded") // it is the only one to approve
	c.Status.State, c.Status.Questions = v1alpha1.CaseClosed, c.Status.Questions[:1]
	n.status(c)
	n.mia("queue").want(t, exitDone, "Closed", "you: Did kubernet")
}

func plain(t *testing.T, in *apiextensionsv1.JSON) any {
	t.Helper()
	var out any
	if err := json.Unmarshal(in.Raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRollback(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	done := n.action(c, "isolate")
	n.succeed(done)
	n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
		back := n.action(c, "rollback-isolate")
		n.succeed(back)
		status := counts(d)
		status.Action = back.Name
		return status
	})
	n.ana("rollback", "rt-1/isolate", "-m", "a false alarm").want(t, exitRefused, "ana may not rollback in case rt-1")
	n.mia("rollback", "rt-1", "-m", "a false alarm").want(t, exitUsage, "Name one of: rt-1/isolate")
	n.mia("rollback", "rt-1/nothing", "-m", "a false alarm").want(t, exitRefused, "Actions: rt-1/isolate")
	n.mia("rollback", "rt-1/isolate", "-m", "a false alarm").want(t, exitDone,
		"You take back, as mia (group soc-leads), for case rt-1:", "by          kubernetes/releasePod", "Succeeded, verified")
	made := n.decisions()
	if len(made) != 1 || made[0].Spec.Rollback.ActionRef != (v1alpha1.RecordRef{Name: done.Name, UID: string(done.UID)}) {
		t.Errorf("decisions: %+v", made)
	}
}
