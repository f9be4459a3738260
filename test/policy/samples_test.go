// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

const sample = "config/samples/runtime-threat"

// The sample tenant: its administrator applies namespaces and roles, its people the rest, each what is theirs.
func TestSampleTenant(t *testing.T) {
	people := map[string]person{
		"Source":      {name: "erin", groups: []string{"soc-engineers"}},
		"Connector":   {name: "erin", groups: []string{"soc-engineers"}},
		"CaseType":    {name: "erin", groups: []string{"soc-engineers"}},
		"Playbook":    {name: "erin", groups: []string{"soc-engineers"}},
		"Guardrail":   {name: "piet", groups: []string{"soc-platform"}},
		"EvidenceLog": {name: "piet", groups: []string{"soc-platform"}},
	}
	objects := manifests(t, sample)
	for _, kinds := range [][]string{{"Namespace"}, {"ServiceAccount", "Role"}, {"RoleBinding"}} {
		for _, u := range objects {
			for _, kind := range kinds {
				if u.GetKind() == kind {
					must(t, client.IgnoreAlreadyExists(clientFor(t, admin).Create(t.Context(), u)))
				}
			}
		}
	}
	for _, u := range objects {
		who, ok := people[u.GetKind()]
		if !ok {
			continue
		}
		delete(people, u.GetKind())
		// The server may still be learning the roles that were just made.
		eventually(t, who.name+" has made "+u.GetKind(), func(ctx context.Context) (bool, error) {
			err := clientFor(t, who).Create(ctx, u.DeepCopy())
			if apierrors.IsForbidden(err) && ctx.Err() == nil {
				return false, nil
			}
			return err == nil, err
		})
	}
	for kind := range people {
		t.Errorf("the sample has no %s", kind)
	}
	t.Run("people", samplePeople)
	t.Run("the operator", sampleOperator)
	t.Run("the responder", sampleResponder)
}

// samplePeople checks who may decide what in the tenant.
func samplePeople(t *testing.T) {
	ana, lea := person{name: "ana", groups: []string{"soc-analysts"}}, person{name: "lea", groups: []string{"soc-leads"}}
	for _, test := range verdicts {
		for _, who := range []person{ana, lea} {
			d := decision("soc", "")
			d.GenerateName = "d-"
			d.Spec.Verdict = test.verdict
			test.fill(&d.Spec)
			err := clientFor(t, who).Create(t.Context(), d)
			if who.name == "ana" && test.role != "casebook-analyst" {
				refused(t, err, actorPolicy, "ask an administrator for the role "+test.role)
			} else if err != nil {
				t.Errorf("%s may not %s: %v", who.name, test.verdict, err)
			}
		}
	}
	eve := person{name: "eve", groups: []string{"shop-developers"}}
	if err := clientFor(t, eve).Create(t.Context(), decision("soc", "d")); !apierrors.IsForbidden(err) {
		t.Errorf("eve decides: %v, want Forbidden", err)
	}
}

// sampleOperator checks that the operator may do what the tenant granted, and no more.
func sampleOperator(t *testing.T) {
	controllers, gateway := serviceAccount("casebook-system", "casebook-controllers"), serviceAccount("casebook-system", "casebook-gateway")
	for _, test := range []struct {
		who                           person
		verb, resource, name, inspace string
		want                          bool
	}{
		{gateway, "get", "secrets", "falco-webhook", "soc", true},
		{gateway, "get", "secrets", "evidence-key", "soc", false},
		{gateway, "impersonate", "serviceaccounts", "casebook-responder", "soc", false},
		{controllers, "get", "secrets", "falco-webhook", "soc", true},
		{controllers, "get", "secrets", "evidence-key", "soc", true},
		{controllers, "get", "secrets", "another", "soc", false},
		{controllers, "list", "secrets", "", "soc", false},
		{controllers, "get", "secrets", "falco-webhook", "shop", false},
		{controllers, "impersonate", "serviceaccounts", "casebook-responder", "soc", true},
		{controllers, "impersonate", "serviceaccounts", "default", "soc", false},
		{controllers, "impersonate", "serviceaccounts", "casebook-responder", "shop", false},
		{controllers, "get", "pods", "web", "shop", false},
		{controllers, "patch", "pods", "web", "shop", false},
	} {
		got, err := allowed(t.Context(), t, test.who, authorizationv1.ResourceAttributes{
			Namespace: test.inspace, Verb: test.verb, Resource: test.resource, Name: test.name,
		})
		must(t, err)
		if got != test.want {
			t.Errorf("%s %s %s %s/%s: allowed is %t, want %t", test.who.name, test.verb, test.resource, test.inspace, test.name, got, test.want)
		}
	}
}

// sampleResponder acts with the controllers' own token as the tenant's ServiceAccount, as an isolation does.
func sampleResponder(t *testing.T) {
	config, err := plane.ServiceAccount(t.Context(), "casebook-system", "casebook-controllers")
	must(t, err)
	config.Impersonate.UserName = "system:serviceaccount:soc:casebook-responder"
	responder, err := client.New(config, client.Options{Scheme: clientFor(t, admin).Scheme(), Mapper: mapper})
	must(t, err)
	pod := func(ns string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
			Spec:       corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "web", Image: "web"}}},
		}
	}
	for _, ns := range []string{"shop", "default"} {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"}}
		must(t, client.IgnoreAlreadyExists(clientFor(t, admin).Create(t.Context(), account)))
		must(t, clientFor(t, admin).Create(t.Context(), pod(ns)))
	}
	label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"isolated":"yes"}}}`))
	must(t, responder.Get(t.Context(), key(pod("shop")), pod("shop")))
	must(t, responder.Patch(t.Context(), pod("shop"), label))
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "isolate"}}
	must(t, responder.Create(t.Context(), policy))
	must(t, responder.Delete(t.Context(), policy))
	if err := responder.Patch(t.Context(), pod("default"), label); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "casebook-responder") {
		t.Errorf("patch in a namespace that granted nothing = %v, want Forbidden, naming the responder", err)
	}
	if err := responder.Delete(t.Context(), pod("shop")); !apierrors.IsForbidden(err) {
		t.Errorf("delete a pod = %v, want Forbidden", err)
	}
	other := &v1alpha1.CaseList{}
	if err := responder.List(t.Context(), other, client.InNamespace("soc")); !apierrors.IsForbidden(err) {
		t.Errorf("the responder lists cases = %v, want Forbidden: it has no power over Casebook", err)
	}
}
