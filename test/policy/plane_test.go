// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	controllersName = "system:serviceaccount:casebook-system:casebook-controllers"
	// patience is how long a test waits for a condition before it fails with what it saw.
	patience = 60 * time.Second
	glance   = 20 * time.Millisecond
)

// plane is the one control plane of this package, and mapper what its resources are called.
var (
	plane  *controlplane.Plane
	mapper meta.RESTMapper
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	log.SetLogger(logr.Discard())
	var err error
	plane, err = controlplane.Start(controlplane.Options{
		Manifests:   []string{"config/crd", "config/policy", "config/rbac", "test/policy/testdata/rewriters"},
		Controllers: controlplane.Cleanup,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	c, err := client.New(plane.Config(), client.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mapper = c.RESTMapper()
	return m.Run()
}

// person is who makes a request, as the API server knows them.
type person struct {
	name   string
	uid    string
	groups []string
}

// admin is a member of system:masters, whom RBAC denies nothing.
var admin = person{name: "admin", groups: []string{"system:masters"}}

// clientFor acts as a person by impersonation, which is how a test can have a
// uid: certificates of this control plane carry none.
func clientFor(t *testing.T, p person) client.Client {
	t.Helper()
	config := plane.Config()
	config.QPS = -1
	if p.name != admin.name {
		config.Impersonate = rest.ImpersonationConfig{UserName: p.name, UID: p.uid, Groups: p.groups}
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// controllers acts as the controllers' ServiceAccount, with its real roles.
func controllers(t *testing.T) client.Client {
	t.Helper()
	return clientFor(t, serviceAccount("casebook-system", "casebook-controllers"))
}

func serviceAccount(namespace, name string) person {
	return person{
		name:   "system:serviceaccount:" + namespace + ":" + name,
		groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
}

// namespace makes a namespace of the test's own and returns its name.
func namespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "tenant-"}}
	must(t, clientFor(t, admin).Create(t.Context(), ns))
	return ns.Name
}

// grant gives a person rules in a namespace and returns once the API server
// knows of each.
func grant(t *testing.T, namespace string, who person, rules ...rbacv1.PolicyRule) {
	t.Helper()
	c := clientFor(t, admin)
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "test-"}, Rules: rules}
	must(t, c.Create(t.Context(), role))
	bind(t, namespace, who, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}, rules)
}

// bind binds a role to a person and returns once the API server knows of each of
// the role's rules.
func bind(t *testing.T, namespace string, who person, ref rbacv1.RoleRef, rules []rbacv1.PolicyRule) {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "test-"},
		RoleRef:    ref,
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: who.name}},
	}
	must(t, clientFor(t, admin).Create(t.Context(), binding))
	for _, rule := range rules {
		name := ""
		if len(rule.ResourceNames) > 0 {
			name = rule.ResourceNames[0]
		}
		eventually(t, fmt.Sprintf("%s may %v %v", who.name, rule.Verbs, rule.Resources), func(ctx context.Context) (bool, error) {
			return allowed(ctx, t, who, authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: rule.Resources[0], Name: name,
			})
		})
	}
}

// allowed asks the API server's authorizer by SubjectAccessReview.
func allowed(ctx context.Context, t *testing.T, who person, attributes authorizationv1.ResourceAttributes) (bool, error) {
	t.Helper()
	resource, subresource, _ := strings.Cut(attributes.Resource, "/")
	attributes.Resource, attributes.Subresource = resource, subresource
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: who.name, UID: who.uid, Groups: who.groups, ResourceAttributes: &attributes,
	}}
	err := clientFor(t, admin).Create(ctx, review)
	return review.Status.Allowed, err
}

// onCases is a rule for verbs on cases, as roles for people have.
func onCases(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"cases"}, Verbs: verbs}
}

// on is a rule for a resource of Casebook.
func on(resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{resource}, Verbs: verbs}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func(context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), glance, patience, true, holds); err != nil {
		t.Fatalf("wait until %s: %v", what, err)
	}
}

// unbind takes a policy's binding away and returns once gone says so; what it returns puts it back the same way.
func unbind(t *testing.T, binding client.Object, name string, gone func() bool) (bind func()) {
	t.Helper()
	c := clientFor(t, admin)
	must(t, c.Get(t.Context(), client.ObjectKey{Name: name}, binding))
	must(t, c.Delete(t.Context(), binding.DeepCopyObject().(client.Object)))
	eventually(t, name+" is out of force", func(context.Context) (bool, error) { return gone(), nil })
	return func() {
		binding.SetResourceVersion("")
		binding.SetUID("")
		must(t, c.Create(t.Context(), binding))
		eventually(t, name+" is in force again", func(context.Context) (bool, error) { return !gone(), nil })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks that the API server forbade a request by a policy, in these words.
func refused(t *testing.T, err error, policy string, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("the request was let through, want it refused by %s", policy)
	}
	if !apierrors.IsForbidden(err) {
		t.Errorf("error is %v, want Forbidden", err)
	}
	for _, word := range append([]string{"ValidatingAdmissionPolicy '" + policy + "'"}, words...) {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error is\n%v\nwant it to say\n%s", err, word)
		}
	}
}

// decision is a valid Comment on case rt-1, without an actor.
func decision(namespace, name string) *v1alpha1.Decision {
	return &v1alpha1.Decision{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.DecisionSpec{
			CaseRef: v1alpha1.RecordRef{Name: "rt-1", UID: "2b0a"},
			Verdict: v1alpha1.VerdictComment,
			Message: "Seen.",
		},
	}
}

// sameGroups compares without order: the API server adds system:authenticated.
func sameGroups(got, want []string) bool {
	got, want = slices.Clone(got), append(slices.Clone(want), "system:authenticated")
	slices.Sort(got)
	slices.Sort(want)
	return slices.Equal(slices.Compact(got), slices.Compact(want))
}

func key(o client.Object) types.NamespacedName { return client.ObjectKeyFromObject(o) }
