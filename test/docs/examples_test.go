// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

const (
	tenant = "soc"
	sample = "config/samples/runtime-threat"
	// patience is how long the API server may take to know a role.
	patience = 60 * time.Second
)

// example is one object that a page shows.
type example struct {
	page   string
	line   int
	object *unstructured.Unstructured
}

// examples are the objects in the YAML blocks of a page. A block without a kind is
// no object, but it must be YAML all the same.
func examples(t *testing.T, p page) []example {
	t.Helper()
	var out []example
	fences, _ := p.split()
	for _, block := range fences {
		if block.language != "yaml" {
			continue
		}
		line := block.line
		for _, document := range strings.Split(block.text, "\n---\n") {
			content := map[string]any{}
			if err := yaml.UnmarshalStrict([]byte(document), &content); err != nil {
				t.Errorf("%s:%d: the example is not YAML: %v", p.path, line, err)
			} else if object := (&unstructured.Unstructured{Object: content}); object.GetAPIVersion() != "" && object.GetKind() != "Kustomization" {
				out = append(out, example{p.path, line, object})
			}
			line += strings.Count(document, "\n") + 2
		}
	}
	return out
}

// Every example of every page is one that the API server takes, field by field, from
// whoever writes such an object.
func TestExamples(t *testing.T) {
	world := start(t)
	shown := map[string]bool{}
	for _, p := range pages(t) {
		for _, e := range examples(t, p) {
			if e.page == "docs/kinds/"+strings.ToLower(e.object.GetKind())+".md" {
				shown[e.object.GetKind()] = true
			}
			if err := world.take(t.Context(), e.object); err != nil {
				t.Errorf("%s:%d: %s %s: %v", e.page, e.line, e.object.GetKind(), e.object.GetName(), err)
			}
		}
	}
	for kind := range definitions(t) {
		if !shown[kind] {
			t.Errorf("docs/kinds/%s.md has no example of its kind", strings.ToLower(kind))
		}
	}
}

// What the README shows of the sample tenant is what the sample has.
func TestReadmeShowsTheSample(t *testing.T) {
	have := map[string]*unstructured.Unstructured{}
	files, err := filepath.Glob(filepath.Join(root(t), sample, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(root(t), "config/library/falco/mapping.yaml")) {
		for _, e := range examples(t, page{file, "```yaml\n" + read(t, file) + "```\n"}) {
			have[e.object.GetKind()+" "+e.object.GetName()] = e.object
		}
	}
	for _, e := range examples(t, page{"README.md", read(t, filepath.Join(root(t), "README.md"))}) {
		if e.object.GroupVersionKind().Group != v1alpha1.GroupName || e.object.Object["spec"] == nil {
			continue
		}
		original := have[e.object.GetKind()+" "+e.object.GetName()]
		if original == nil {
			t.Errorf("README.md:%d: the sample has no %s %s", e.line, e.object.GetKind(), e.object.GetName())
			continue
		}
		for field, shown := range e.object.Object["spec"].(map[string]any) {
			if is := original.Object["spec"].(map[string]any)[field]; !part(shown, is) {
				t.Errorf("README.md:%d: spec.%s of %s %s is\n%v\nin the sample\n%v", e.line, field, e.object.GetKind(), e.object.GetName(), shown, is)
			}
		}
	}
}

// part tells whether a value is another, or a map that leaves some of its members out.
func part(shown, is any) bool {
	some, ok := shown.(map[string]any)
	all, both := is.(map[string]any)
	if !ok || !both {
		return reflect.DeepEqual(shown, is)
	}
	for name, value := range some {
		if !part(value, all[name]) {
			return false
		}
	}
	return true
}

// world is a control plane with the tenant of the examples and those who write there.
type world struct {
	admin, controllers, person client.Client
}

func start(t *testing.T) *world {
	t.Helper()
	plane, err := controlplane.Start(controlplane.Options{Manifests: site.Manifests()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := &world{admin: connect(t, plane.Config())}
	w.prepare(t)
	account, err := plane.ServiceAccount(t.Context(), "casebook-system", "casebook-controllers")
	if err != nil {
		t.Fatal(err)
	}
	mia, err := plane.User("mia", "soc-leads")
	if err != nil {
		t.Fatal(err)
	}
	w.controllers, w.person = connect(t, account), connect(t, mia)
	for _, verb := range []string{"comment", "approve"} {
		awaitVerb(t, w.person, verb)
	}
	return w
}

func connect(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(c, metav1.FieldValidationStrict)
}

// prepare makes the tenant: its namespaces, the Secrets that examples name, and the
// roles that the sample gives its people.
func (w *world) prepare(t *testing.T) {
	t.Helper()
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		secret("falco-webhook", "token"), secret("evidence-key", "key"),
	}
	for _, name := range []string{"casebook-analyst", "casebook-approver"} {
		objects = append(objects, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "docs-" + name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "soc-leads"}},
		})
	}
	for _, object := range objects {
		if err := w.admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

func secret(name, key string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name}, StringData: map[string]string{key: "secret"}}
}

// awaitVerb waits until the API server knows that a person has a verb on cases.
func awaitVerb(t *testing.T, c client.Client, verb string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: tenant, Verb: verb, Group: v1alpha1.GroupName, Resource: "cases"},
		}}
		err := c.Create(ctx, review)
		return review.Status.Allowed, err
	})
	if err != nil {
		t.Fatalf("wait until mia may %s: %v", verb, err)
	}
}

// take offers an object to the API server, as a dry run. The status of a record is
// offered too: for that, the record is made without it.
func (w *world) take(ctx context.Context, object *unstructured.Unstructured) error {
	as := w.admin
	switch object.GetKind() {
	case "Signal", "Case", "PlaybookRun", "Action":
		as = w.controllers
	case "Decision":
		as = w.person
	}
	if err := as.Create(ctx, object.DeepCopy(), client.DryRunAll); err != nil {
		return fmt.Errorf("it is refused: %w", err)
	}
	status, ok := object.Object["status"]
	if !ok || object.GroupVersionKind().Group != v1alpha1.GroupName {
		return nil
	}
	made := object.DeepCopy()
	unstructured.RemoveNestedField(made.Object, "status")
	made.SetName("")
	made.SetGenerateName("docs-")
	if err := as.Create(ctx, made); err != nil {
		return fmt.Errorf("it cannot be made: %w", err)
	}
	made.Object["status"] = status
	if err := w.controllers.Status().Update(ctx, made, client.DryRunAll); err != nil {
		return fmt.Errorf("its status is refused: %w", err)
	}
	return nil
}
