// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// peopleRoles are the roles for people, and those of Kubernetes that namespaces' users have.
var peopleRoles = []string{
	"casebook-viewer", "casebook-analyst", "casebook-approver", "casebook-freezer", "casebook-config-editor", "casebook-guardrail-editor", "view", "edit", "admin",
}

var (
	// apiVerbs are the verbs that requests use.
	apiVerbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	// caseVerbs are the powers over cases that the design names, and a finer one.
	caseVerbs = []string{
		"approve", "approve-hosts", "answer", "act", "run", "edit", "assign", "comment", "close", "reopen", "merge", "split", "rollback",
		"resolve", "declare", "override", "freeze", "thaw", "retain", "release",
	}
	// foreign are resources beyond Casebook's own, by group, and verbs beyond the usual ones.
	foreign = []struct {
		group, resource string
		verbs           []string
	}{
		{"", "secrets", nil},
		{"", "configmaps", nil},
		{"", "pods", nil},
		{"", "pods/exec", nil},
		{"", "namespaces", nil},
		{"", "nodes", nil},
		{"", "serviceaccounts", []string{"impersonate"}},
		{"", "serviceaccounts/token", nil},
		{"", "users", []string{"impersonate"}},
		{"", "groups", []string{"impersonate"}},
		{"", "events", nil},
		{"events.k8s.io", "events", nil},
		{"apps", "controllerrevisions", nil},
		{"apps", "deployments", nil},
		{"networking.k8s.io", "networkpolicies", nil},
		{"networking.k8s.io", "servicecidrs", nil},
		{"discovery.k8s.io", "endpointslices", nil},
		{"coordination.k8s.io", "leases", nil},
		{"rbac.authorization.k8s.io", "roles", []string{"bind", "escalate"}},
		{"rbac.authorization.k8s.io", "rolebindings", nil},
		{"rbac.authorization.k8s.io", "clusterroles", []string{"bind", "escalate"}},
		{"rbac.authorization.k8s.io", "clusterrolebindings", nil},
		{"authorization.k8s.io", "subjectaccessreviews", nil},
		{"admissionregistration.k8s.io", "validatingadmissionpolicies", nil},
		{"admissionregistration.k8s.io", "mutatingadmissionpolicies", nil},
		{"apiextensions.k8s.io", "customresourcedefinitions", nil},
	}
)

// What every shipped role may do with Casebook's kinds, as the authorizer says.
func TestRolesOfPeople(t *testing.T) {
	ns := namespace(t)
	var matrix strings.Builder
	for _, role := range peopleRoles {
		who := person{name: "has-" + role}
		bind(t, ns, who, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}, firstRule(t, role))
		fmt.Fprintf(&matrix, "%s\n", role)
		casebookRows(t, &matrix, who, ns)
	}
	golden(t, "people.golden", matrix.String())
}

// What the operator may do anywhere before a tenant grants it anything, and in its own namespace.
func TestRolesOfTheOperator(t *testing.T) {
	var matrix strings.Builder
	tenant := namespace(t)
	for _, name := range []string{"casebook-controllers", "casebook-gateway"} {
		for _, where := range []struct{ label, namespace string }{{"a tenant's namespace", tenant}, {"casebook-system", "casebook-system"}, {"the cluster", ""}} {
			who := serviceAccount("casebook-system", name)
			fmt.Fprintf(&matrix, "%s in %s\n", name, where.label)
			casebookRows(t, &matrix, who, where.namespace)
			for _, r := range foreign {
				row(t, &matrix, who, where.namespace, r.group, r.resource, slices.Concat(apiVerbs, r.verbs))
			}
		}
	}
	golden(t, "operator.golden", matrix.String())
}

// The controllers hold their own lease, and no other.
func TestLeaderElection(t *testing.T) {
	for _, test := range []struct {
		namespace, name string
		want            bool
	}{{"casebook-system", "casebook-controllers", true}, {"casebook-system", "another", false}, {"kube-system", "casebook-controllers", false}} {
		for _, verb := range []string{"get", "update"} {
			got, err := allowed(t.Context(), t, serviceAccount("casebook-system", "casebook-controllers"), authorizationv1.ResourceAttributes{
				Namespace: test.namespace, Verb: verb, Group: "coordination.k8s.io", Resource: "leases", Name: test.name,
			})
			must(t, err)
			if got != test.want {
				t.Errorf("%s lease %s/%s: allowed is %t, want %t", verb, test.namespace, test.name, got, test.want)
			}
		}
	}
}

// The controllers read the addresses of the API server, and of nothing else that has endpoints.
func TestAddressesOfTheAPIServer(t *testing.T) {
	for _, test := range []struct {
		namespace, name string
		want            bool
	}{{"default", "kubernetes", true}, {"default", "another", false}, {"default", "", false}, {"kube-system", "kubernetes", false}} {
		for _, verb := range []string{"get", "list", "watch"} {
			got, err := allowed(t.Context(), t, serviceAccount("casebook-system", "casebook-controllers"), authorizationv1.ResourceAttributes{
				Namespace: test.namespace, Verb: verb, Group: "discovery.k8s.io", Resource: "endpointslices", Name: test.name,
			})
			must(t, err)
			if got != test.want {
				t.Errorf("%s endpointslice %s/%s: allowed is %t, want %t", verb, test.namespace, test.name, got, test.want)
			}
		}
	}
}

// casebookRows writes what a person may do with each kind and its status, and with cases.
func casebookRows(t *testing.T, matrix *strings.Builder, who person, ns string) {
	t.Helper()
	for _, plural := range slices.Concat(configKinds, recordKinds, []string{"decisions"}) {
		verbs := apiVerbs
		if plural == "cases" {
			verbs = slices.Concat(apiVerbs, caseVerbs)
		}
		row(t, matrix, who, ns, v1alpha1.GroupName, plural, verbs)
		row(t, matrix, who, ns, v1alpha1.GroupName, plural+"/status", apiVerbs)
	}
}

// row writes the verbs that are granted, if any.
func row(t *testing.T, matrix *strings.Builder, who person, ns, group, resource string, verbs []string) {
	t.Helper()
	var granted []string
	for _, verb := range verbs {
		ok, err := allowed(t.Context(), t, who, authorizationv1.ResourceAttributes{Namespace: ns, Verb: verb, Group: group, Resource: resource})
		must(t, err)
		if ok {
			granted = append(granted, verb)
		}
	}
	if len(granted) > 0 {
		if group != "" && group != v1alpha1.GroupName {
			resource += "." + group
		}
		fmt.Fprintf(matrix, "  %-38s %s\n", resource, strings.Join(granted, " "))
	}
}

// firstRule is a rule of a role to wait for, if it has any.
func firstRule(t *testing.T, role string) []rbacv1.PolicyRule {
	t.Helper()
	found := &rbacv1.ClusterRole{}
	must(t, clientFor(t, admin).Get(t.Context(), client.ObjectKey{Name: role}, found))
	if len(found.Rules) == 0 {
		return nil // Kubernetes' own view, edit and admin are put together by a controller that does not run here
	}
	return found.Rules[:1]
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); if that is right, run go test ./test/policy -update\n%s", path, diff)
	}
}

// What is aggregated to Kubernetes' own roles reads Casebook's kinds, and does nothing else.
func TestAggregatedRolesOnlyRead(t *testing.T) {
	aggregated := 0
	for _, u := range manifests(t, "config/rbac") {
		if u.GetKind() != "ClusterRole" {
			continue
		}
		role := &rbacv1.ClusterRole{}
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, role))
		for label := range role.Labels {
			if !strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-") {
				continue
			}
			aggregated++
			for _, rule := range role.Rules {
				for _, verb := range rule.Verbs {
					if !slices.Contains([]string{"get", "list", "watch"}, verb) {
						t.Errorf("ClusterRole %s has %s and grants %s on %v: aggregate only what reads", role.Name, label, verb, rule.Resources)
					}
				}
			}
		}
	}
	if aggregated == 0 {
		t.Error("no role is aggregated: viewers of a namespace do not see its cases")
	}
}

// No shipped role has a wildcard, which would grant verbs that are yet to come.
func TestRolesHaveNoWildcards(t *testing.T) {
	for _, dir := range []string{"config/rbac", "config/samples/runtime-threat"} {
		for _, u := range manifests(t, dir) {
			if u.GetKind() != "ClusterRole" && u.GetKind() != "Role" {
				continue
			}
			role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{}}
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, role))
			for _, rule := range role.Rules {
				if slices.Contains(slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs), "*") {
					t.Errorf("%s %s has a wildcard in %+v", u.GetKind(), u.GetName(), rule)
				}
			}
		}
	}
}
