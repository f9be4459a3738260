// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

const actorPolicy = "casebook-actor-is-the-requester"

// The actor of a Decision is the authenticated user, whatever the client wrote.
func TestStampActor(t *testing.T) {
	ns := namespace(t)
	ana := person{name: "ana", uid: "uid-of-ana", groups: []string{"soc-analysts", "staff"}}
	bob := person{name: "bob", groups: []string{"soc-analysts"}} // as most authenticators know people: without a uid
	for _, who := range []person{ana, bob} {
		grant(t, ns, who, on("decisions", "create"), onCases("comment"))
	}
	cases := map[string]struct {
		who   person
		actor string // what the client writes, as JSON; empty for nothing
	}{
		"nothing":                                {ana, ``},
		"null":                                   {ana, `null`},
		"an empty object":                        {ana, `{}`},
		"the truth":                              {ana, `{"username":"ana","uid":"uid-of-ana","groups":["soc-analysts","staff"]}`},
		"a forged username":                      {ana, `{"username":"lea","uid":"uid-of-ana","groups":["soc-analysts"]}`},
		"a forged uid":                           {ana, `{"username":"ana","uid":"uid-of-lea"}`},
		"a forged uid where the person has none": {bob, `{"username":"bob","uid":"uid-of-lea"}`},
		"a forged group beside the true ones":    {ana, `{"username":"ana","groups":["soc-analysts","staff","soc-leads"]}`},
		"forged groups":                          {bob, `{"username":"bob","groups":["system:masters"]}`},
		"no groups":                              {ana, `{"username":"ana","groups":[]}`},
		"everything forged, and what is not known": {ana, `{"username":"lea","uid":"1","groups":["soc-leads"],"extra":{"a":"b"}}`},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			d := decisionWithActor(t, ns, test.actor)
			must(t, clientFor(t, test.who).Create(t.Context(), d))
			stored := &v1alpha1.Decision{}
			must(t, clientFor(t, admin).Get(t.Context(), key(d), stored))
			got := stored.Spec.Actor
			if got == nil || got.Username != test.who.name || got.UID != test.who.uid || !sameGroups(got.Groups, test.who.groups) {
				t.Errorf("stored actor is %+v, want %+v", got, test.who)
			}
		})
	}
}

func decisionWithActor(t *testing.T, namespace, actor string) *unstructured.Unstructured {
	t.Helper()
	d := &unstructured.Unstructured{Object: map[string]any{}}
	d.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("Decision"))
	d.SetNamespace(namespace)
	d.SetGenerateName("d-")
	spec := map[string]any{"caseRef": map[string]any{"name": "rt-1", "uid": "2b0a"}, "verdict": "Comment", "message": "Seen."}
	if actor != "" {
		var value any
		must(t, json.Unmarshal([]byte(actor), &value))
		spec["actor"] = value
	}
	d.Object["spec"] = spec
	return d
}

// A person who is known by a client certificate, not by impersonation, is stamped as well.
func TestStampActorOfCertificate(t *testing.T) {
	ns := namespace(t)
	grant(t, ns, person{name: "cert-user"}, on("decisions", "create"), onCases("comment"))
	config, err := plane.User("cert-user", "soc-analysts")
	must(t, err)
	c, err := client.New(config, client.Options{Scheme: clientFor(t, admin).Scheme()})
	must(t, err)
	d := decision(ns, "by-certificate")
	d.Spec.Actor = &v1alpha1.Actor{Username: "lea", UID: "1", Groups: []string{"soc-leads"}}
	must(t, c.Create(t.Context(), d))
	if got := d.Spec.Actor; got.Username != "cert-user" || !sameGroups(got.Groups, []string{"soc-analysts"}) {
		t.Errorf("stored actor is %+v, want cert-user of soc-analysts", got)
	}
}

// A plugin that rewrites the actor gets the Decision refused, or achieves nothing.
func TestActorRewritten(t *testing.T) {
	ns := namespace(t)
	ana := person{name: "ana", uid: "uid-of-ana", groups: []string{"soc-analysts"}}
	grant(t, ns, ana, on("decisions", "create"), onCases("comment"))
	for name, words := range map[string]string{
		"rewrite-username":    "spec.actor.username is lea, but the request is ana's",
		"rewrite-uid":         "spec.actor.uid is not the uid of ana",
		"rewrite-groups":      "spec.actor.groups are not the groups of ana",
		"rewrite-groups-away": "spec.actor.groups are not the groups of ana",
		"rewrite-all-away":    "spec.actor.username is empty, but the request is ana's",
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, clientFor(t, ana).Create(t.Context(), decision(ns, name)), actorPolicy, words, "remove that plugin")
		})
	}
	t.Run("once, before or after the stamp", func(t *testing.T) {
		d := decision(ns, "once-rewritten")
		if err := clientFor(t, ana).Create(t.Context(), d); err != nil {
			refused(t, err, actorPolicy, "spec.actor.username is lea, but the request is ana's")
		} else if got := d.Spec.Actor; got == nil || got.Username != ana.name || got.UID != ana.uid || !sameGroups(got.Groups, ana.groups) {
			t.Errorf("stored actor is %+v, want ana", got)
		}
	})
}

// Where nothing stamps, a Decision counts only if it tells the truth to the letter.
func TestActorWithoutTheStamp(t *testing.T) {
	ns := namespace(t)
	ana := person{name: "ana", uid: "uid-of-ana", groups: []string{"soc-analysts"}}
	grant(t, ns, ana, on("decisions", "create"), onCases("comment"))
	truth := v1alpha1.Actor{Username: "ana", UID: "uid-of-ana", Groups: []string{"soc-analysts", "system:authenticated"}}
	attempt := func(change func(*v1alpha1.Actor)) error {
		d := decision(ns, "without-stamp")
		d.Spec.Actor = truth.DeepCopy()
		change(d.Spec.Actor)
		return clientFor(t, ana).Create(t.Context(), d, client.DryRunAll)
	}
	lie := func(a *v1alpha1.Actor) { a.Username = "lea" }
	defer unbind(t, &admissionregistrationv1.MutatingAdmissionPolicyBinding{}, "casebook-stamp-actor", func() bool { return attempt(lie) != nil })()

	must(t, attempt(func(*v1alpha1.Actor) {}))
	refused(t, attempt(lie), actorPolicy, "spec.actor.username is lea, but the request is ana's")
	for name, change := range map[string]func(*v1alpha1.Actor){
		"another uid": func(a *v1alpha1.Actor) { a.UID = "uid-of-lea" },
		"no uid":      func(a *v1alpha1.Actor) { a.UID = "" },
	} {
		t.Run(name, func(t *testing.T) { refused(t, attempt(change), actorPolicy, "spec.actor.uid is not the uid of ana") })
	}
	for name, change := range map[string]func(*v1alpha1.Actor){
		"a group more":        func(a *v1alpha1.Actor) { a.Groups = append(a.Groups, "soc-leads") },
		"a group less":        func(a *v1alpha1.Actor) { a.Groups = a.Groups[:1] },
		"another group":       func(a *v1alpha1.Actor) { a.Groups[0] = "soc-leads" },
		"no groups":           func(a *v1alpha1.Actor) { a.Groups = nil },
		"groups that are not": func(a *v1alpha1.Actor) { a.Groups = []string{} },
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, attempt(change), actorPolicy, "spec.actor.groups are not the groups of ana")
		})
	}
}

// A Decision that has no spec, or not a proper one, is refused by the schema, not by a failing patch.
func TestStampActorWithoutSpec(t *testing.T) {
	ns := namespace(t)
	for name, spec := range map[string]any{"absent": nil, "a string": "forged", "a list": []any{"forged"}} {
		t.Run(name, func(t *testing.T) {
			d := decisionWithActor(t, ns, "")
			delete(d.Object, "spec")
			if spec != nil {
				d.Object["spec"] = spec
			}
			err := clientFor(t, admin).Create(t.Context(), d)
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec") {
				t.Errorf("create = %v, want Invalid, naming spec", err)
			}
		})
	}
}

// Only persons decide, whatever RBAC grants.
func TestOnlyPersonsDecide(t *testing.T) {
	ns := namespace(t)
	for name, who := range map[string]person{
		"a service account of the tenant": serviceAccount(ns, "argocd"),
		"the controllers":                 serviceAccount("casebook-system", "casebook-controllers"),
		"a node":                          {name: "system:node:worker-1", groups: []string{"system:nodes"}},
		"the controller manager":          {name: "system:kube-controller-manager"},
		"the anonymous user":              {name: "system:anonymous", groups: []string{"system:unauthenticated"}},
		"a service account's group":       {name: "robot", groups: []string{"system:serviceaccounts"}},
		"a node's group":                  {name: "worker-1", groups: []string{"system:nodes"}},
	} {
		t.Run(name, func(t *testing.T) {
			grant(t, ns, who, on("decisions", "create"), onCases("comment"))
			err := clientFor(t, who).Create(t.Context(), decision(ns, "by-no-person"))
			refused(t, err, actorPolicy, who.name+" may not decide: a Decision is a person's judgement", "sign in as yourself")
		})
	}
	t.Run("a ServiceAccount's token in the group system:masters", func(t *testing.T) {
		who := serviceAccount(ns, "argocd")
		who.groups = append(who.groups, "system:masters")
		refused(t, clientFor(t, who).Create(t.Context(), decision(ns, "by-master")), actorPolicy, "may not decide")
	})
}

// verdictCase is a verdict, the verbs of which one is needed, the role that has the first, and what else its spec needs.
type verdictCase struct {
	verdict v1alpha1.Verdict
	verbs   []string
	role    string
	fill    func(*v1alpha1.DecisionSpec)
}

var verdicts = []verdictCase{
	{v1alpha1.VerdictApprove, []string{"approve"}, "casebook-approver", answer("")},
	{v1alpha1.VerdictDeny, []string{"approve"}, "casebook-approver", answer("")},
	{v1alpha1.VerdictAnswer, []string{"answer", "approve"}, "casebook-analyst", answer("keep")},
	{v1alpha1.VerdictAct, []string{"act"}, "casebook-analyst", func(s *v1alpha1.DecisionSpec) {
		s.Act = &v1alpha1.ActDecision{Operation: "kubernetes/isolatePod"}
	}},
	{v1alpha1.VerdictAssign, []string{"assign"}, "casebook-analyst", func(s *v1alpha1.DecisionSpec) {
		s.Assign = &v1alpha1.AssignDecision{Owner: "ana"}
	}},
	{v1alpha1.VerdictComment, []string{"comment"}, "casebook-analyst", func(*v1alpha1.DecisionSpec) {}},
	{v1alpha1.VerdictClose, []string{"close"}, "casebook-analyst", func(s *v1alpha1.DecisionSpec) {
		s.Close = &v1alpha1.CloseDecision{Classification: "TruePositive"}
	}},
	{v1alpha1.VerdictReopen, []string{"reopen"}, "casebook-analyst", func(*v1alpha1.DecisionSpec) {}},
	{v1alpha1.VerdictRollback, []string{"rollback"}, "casebook-approver", func(s *v1alpha1.DecisionSpec) {
		s.Rollback = &v1alpha1.RollbackDecision{ActionRef: v1alpha1.RecordRef{Name: "a", UID: "1"}}
	}},
	{v1alpha1.VerdictResolve, []string{"resolve"}, "casebook-approver", func(s *v1alpha1.DecisionSpec) {
		s.Resolve = &v1alpha1.ResolveDecision{ActionRef: v1alpha1.RecordRef{Name: "a", UID: "1"}, Outcome: v1alpha1.ResolveHappened}
	}},
	{v1alpha1.VerdictLookup, []string{"act"}, "casebook-analyst", func(s *v1alpha1.DecisionSpec) {
		s.Lookup = &v1alpha1.LookupDecision{Operation: "directory/findUser"}
	}},
	{v1alpha1.VerdictRun, []string{"run"}, "casebook-analyst", func(s *v1alpha1.DecisionSpec) {
		s.Run = &v1alpha1.RunDecision{PlaybookRef: v1alpha1.LocalRef{Name: "impossible-travel"}}
	}},
	{v1alpha1.VerdictSet, []string{"edit"}, "casebook-analyst", func(s *v1alpha1.DecisionSpec) {
		s.Set = &v1alpha1.SetDecision{Severity: v1alpha1.SeverityHigh}
	}},
	{v1alpha1.VerdictAdd, []string{"edit"}, "casebook-analyst", func(s *v1alpha1.DecisionSpec) {
		s.Add = &v1alpha1.AddDecision{Users: []v1alpha1.Entity{{Name: "ana@example.com"}}}
	}},
	{v1alpha1.VerdictFreeze, []string{"freeze"}, "casebook-freezer", func(s *v1alpha1.DecisionSpec) { s.CaseRef = v1alpha1.RecordRef{} }},
	{v1alpha1.VerdictThaw, []string{"freeze"}, "casebook-freezer", func(s *v1alpha1.DecisionSpec) { s.CaseRef = v1alpha1.RecordRef{} }},
}

var allVerbs = []string{"approve", "answer", "act", "assign", "comment", "close", "reopen", "rollback", "resolve", "run", "edit", "freeze"}

func answer(option string) func(*v1alpha1.DecisionSpec) {
	return func(s *v1alpha1.DecisionSpec) {
		s.Answer = &v1alpha1.AnswerDecision{Handle: "keep", Digest: strings.Repeat("ab", 32), Option: option}
	}
}

// Each verdict needs its own verb on the case: it alone is enough, and all others are not.
func TestVerdictNeedsItsVerb(t *testing.T) {
	ns := namespace(t)
	for _, test := range verdicts {
		t.Run(string(test.verdict), func(t *testing.T) {
			d := decision(ns, "")
			d.GenerateName = "d-"
			d.Spec.Verdict = test.verdict
			test.fill(&d.Spec)
			for _, verb := range test.verbs {
				who := person{name: "only-" + verb + "-for-" + strings.ToLower(string(test.verdict))}
				grant(t, ns, who, on("decisions", "create"), onCases(verb))
				if err := clientFor(t, who).Create(t.Context(), d.DeepCopy()); err != nil {
					t.Errorf("with the verb %s alone: %v", verb, err)
				}
			}
			others := slices.DeleteFunc(append(slices.Clone(allVerbs), test.verbs[0]+"-hosts", "get", "update"), func(verb string) bool {
				return slices.Contains(test.verbs, verb)
			})
			who := person{name: "all-but-" + strings.ToLower(string(test.verdict))}
			grant(t, ns, who, on("decisions", "create"), onCases(others...))
			in := " in case rt-1"
			if d.Spec.CaseRef.Name == "" {
				in = ""
			}
			want := who.name + " may not " + strings.ToLower(string(test.verdict)) + in + ": the verb \"" + test.verbs[0] +
				"\" on cases.casebook.dev is missing in namespace " + ns + "; ask an administrator for the role " + test.role
			refused(t, clientFor(t, who).Create(t.Context(), d.DeepCopy()), actorPolicy, want)
		})
	}
	t.Run("every verdict of the API is in this table", func(t *testing.T) {
		for _, verdict := range enumOf(t, "decisions", "spec", "verdict") {
			if !slices.ContainsFunc(verdicts, func(v verdictCase) bool { return string(v.verdict) == verdict }) {
				t.Errorf("verdict %s is in the CRD and not in the table", verdict)
			}
		}
	})
}

// A verb counts for the case and the namespace that it was granted for, and for no other.
func TestVerbIsBoundToTheCase(t *testing.T) {
	ns, other := namespace(t), namespace(t)
	who := person{name: "for-one-case"}
	grant(t, ns, who, on("decisions", "create"), rbacv1.PolicyRule{
		APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"cases"}, Verbs: []string{"comment"}, ResourceNames: []string{"rt-1"},
	})
	grant(t, other, who, on("decisions", "create"))
	must(t, clientFor(t, who).Create(t.Context(), decision(ns, "this-case")))
	d := decision(ns, "another-case")
	d.Spec.CaseRef.Name = "rt-2"
	refused(t, clientFor(t, who).Create(t.Context(), d), actorPolicy, "may not comment in case rt-2")
	refused(t, clientFor(t, who).Create(t.Context(), decision(other, "another-namespace")), actorPolicy, "is missing in namespace "+other)
}

// To stop a namespace is more than to hold one case of it: the verb on one case is not enough.
func TestFreezeNeedsTheWholeNamespace(t *testing.T) {
	ns := namespace(t)
	who := person{name: "freezes-one-case"}
	grant(t, ns, who, on("decisions", "create"), rbacv1.PolicyRule{
		APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"cases"}, Verbs: []string{"freeze"}, ResourceNames: []string{"rt-1"},
	})
	d := decision(ns, "stop")
	d.Spec.Verdict, d.Spec.CaseRef = v1alpha1.VerdictFreeze, v1alpha1.RecordRef{}
	refused(t, clientFor(t, who).Create(t.Context(), d), actorPolicy, "may not freeze: the verb \"freeze\"")
}

// What a person writes into a Decision's metadata cannot hold it, hand it over or file it under another case.
func TestDecisionMetadata(t *testing.T) {
	ns := namespace(t)
	ana := person{name: "ana"}
	grant(t, ns, ana, on("decisions", "create"), onCases("comment"))
	accepted := map[string]metav1.ObjectMeta{
		"labels of others":      {Labels: map[string]string{"team": "blue"}, Annotations: map[string]string{"note": "x"}},
		"the label of its case": {Labels: map[string]string{"casebook.dev/case": "rt-1"}},
	}
	for name, meta := range accepted {
		t.Run(name, func(t *testing.T) {
			d := decision(ns, "")
			d.GenerateName, d.Labels, d.Annotations = "d-", meta.Labels, meta.Annotations
			must(t, clientFor(t, ana).Create(t.Context(), d))
		})
	}
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "1"}
	rejected := map[string]struct {
		meta  metav1.ObjectMeta
		words string
	}{
		"a finalizer":               {metav1.ObjectMeta{Finalizers: []string{"example.com/hold"}}, "neither finalizers nor ownerReferences"},
		"an owner":                  {metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{owner}}, "neither finalizers nor ownerReferences"},
		"the label of another case": {metav1.ObjectMeta{Labels: map[string]string{"casebook.dev/case": "rt-2"}}, "the only label of casebook.dev"},
		"another label of casebook": {metav1.ObjectMeta{Labels: map[string]string{"casebook.dev/type": "x"}}, "the only label of casebook.dev"},
	}
	for name, test := range rejected {
		t.Run(name, func(t *testing.T) {
			d := decision(ns, "d")
			d.Labels, d.Finalizers, d.OwnerReferences = test.meta.Labels, test.meta.Finalizers, test.meta.OwnerReferences
			refused(t, clientFor(t, ana).Create(t.Context(), d), "casebook-decisions", test.words)
		})
	}
}
