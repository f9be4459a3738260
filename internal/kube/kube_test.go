// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/test/fixture"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// A derived name is a DNS label whatever the prefix, the same for the same parts, and another for others.
func TestChildName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.StringMatching(`[a-z]([a-z0-9.-]{0,100}[a-z0-9])?`).Draw(t, "prefix")
		label := strings.ReplaceAll(prefix, ".", "-")
		parts := rapid.SliceOf(rapid.String()).Draw(t, "parts")
		name := kube.ChildName(label, parts...)
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Fatalf("%q is no DNS label: %v", name, problems)
		}
		if again := kube.ChildName(label, parts...); again != name {
			t.Fatalf("%q, then %q", name, again)
		}
		if other := kube.ChildName(label, append(parts, "more")...); other == name {
			t.Fatalf("%q for two different records", name)
		}
	})
}

// A prefix that is cut does not make two records one.
func TestChildNameOfLongPrefixes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 60)
	if one, two := kube.ChildName(long+"1", "x"), kube.ChildName(long+"2", "y"); one == two || len(one) > 63 {
		t.Errorf("%q and %q", one, two)
	}
}

func playbookRun(namespace, revision string) *v1alpha1.PlaybookRun {
	return &v1alpha1.PlaybookRun{
		ObjectMeta: metav1.ObjectMeta{Name: "rt-1-isolate-pod", Namespace: namespace},
		Spec: v1alpha1.PlaybookRunSpec{
			CaseRef: v1alpha1.RecordRef{Name: "rt-1", UID: "2b0a"}, PlaybookRef: v1alpha1.LocalRef{Name: "isolate-pod"}, Revision: revision,
		},
	}
}

// Making a record again meets the one that is there; another record of its name is an error that names it.
func TestCreateAgain(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	c := fixture.Controllers(t)
	same := func(revision string) func(*v1alpha1.PlaybookRun) bool {
		return func(existing *v1alpha1.PlaybookRun) bool { return existing.Spec.Revision == revision }
	}
	for range 2 {
		if err := kube.Create(t.Context(), c, playbookRun(namespace, "r-1"), same("r-1")); err != nil {
			t.Fatal(err)
		}
	}
	err := kube.Create(t.Context(), c, playbookRun(namespace, "r-2"), same("r-2"))
	if err == nil || !strings.Contains(err.Error(), namespace+"/rt-1-isolate-pod") || !strings.Contains(err.Error(), "another object has its name") {
		t.Errorf("the error is %v", err)
	}
}

// The authorizer is asked as the person who decided, in the groups of that moment.
func TestReview(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	c := fixture.Controllers(t)
	for name, test := range map[string]struct {
		actor v1alpha1.Actor
		verb  string
		want  bool
	}{
		"a lead may approve":                      {v1alpha1.Actor{Username: "mia", Groups: []string{"soc-leads"}}, "approve", true},
		"an analyst may not":                      {v1alpha1.Actor{Username: "ana", Groups: []string{"soc-analysts"}}, "approve", false},
		"a lead who is in no group any more":      {v1alpha1.Actor{Username: "mia"}, "approve", false},
		"a finer verb is another verb":            {v1alpha1.Actor{Username: "mia", Groups: []string{"soc-leads"}}, "approve-hosts", false},
		"who is in system:masters may everything": {v1alpha1.Actor{Username: "root", Groups: []string{"system:masters"}}, "approve-hosts", true},
	} {
		access, err := kube.Review(t.Context(), c, test.actor, test.verb, w.Namespace, "rt-1")
		if err != nil || access.Allowed != test.want {
			t.Errorf("%s: %+v, %v; want %t", name, access, err, test.want)
		}
	}
}

// What stands in the way of a Secret is said with what mends it, and never with its value.
func TestSecret(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	controllers := fixture.Controllers(t)
	value, err := kube.Secret(t.Context(), controllers, w.Namespace, v1alpha1.SecretKeyRef{Name: "falco-webhook", Key: "token"})
	if err != nil || string(value) != w.Token() {
		t.Errorf("it is %q, %v", value, err)
	}
	for name, test := range map[string]struct {
		reader client.Reader
		ref    v1alpha1.SecretKeyRef
		reason string
		words  string
	}{
		"it may not be read": {controllers, v1alpha1.SecretKeyRef{Name: "others", Key: "token"}, v1alpha1.SecretForbiddenReason, "kubectl -n " + w.Namespace + " create role read-others"},
		"it is not there":    {fixture.Admin(), v1alpha1.SecretKeyRef{Name: "others", Key: "token"}, v1alpha1.SecretNotFoundReason, "create it"},
		"it lacks the key":   {fixture.Admin(), v1alpha1.SecretKeyRef{Name: "falco-webhook", Key: "tokken"}, v1alpha1.SecretNotFoundReason, "no key tokken"},
	} {
		_, err := kube.Secret(t.Context(), test.reader, w.Namespace, test.ref)
		terminal, ok := errors.AsType[*fault.Terminal](err)
		if !ok || terminal.Reason != test.reason || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), w.Token()) {
			t.Errorf("%s: %v; want %s, saying %q", name, err, test.reason, test.words)
		}
	}
}

func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kube-"}}
	if err := fixture.Admin().Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return ns.Name
}
