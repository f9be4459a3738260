// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

// manifests reads the objects of every YAML file directly in a directory of the repository.
func manifests(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	root, err := controlplane.Root()
	must(t, err)
	files, err := filepath.Glob(filepath.Join(root, dir, "*.yaml"))
	must(t, err)
	if len(files) == 0 {
		t.Fatalf("no YAML file in %s", dir)
	}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		raw, err := os.ReadFile(file)
		must(t, err)
		objects = append(objects, decode(t, raw)...)
	}
	return objects
}

// decode reads the objects of a YAML stream, but kustomize's own.
func decode(t *testing.T, raw []byte) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		must(t, err)
		if u.GetKind() != "Kustomization" && len(u.Object) > 0 {
			objects = append(objects, u)
		}
	}
}

// crds are the custom resource definitions of config/crd by plural name.
func crds(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	found := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, u := range manifests(t, "config/crd") {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, crd))
		found[crd.Spec.Names.Plural] = crd
	}
	return found
}

// enumOf are the values that a field of a kind may have.
func enumOf(t *testing.T, plural string, path ...string) []string {
	t.Helper()
	schema := *crds(t)[plural].Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, name := range path {
		schema = schema.Properties[name]
	}
	var values []string
	for _, raw := range schema.Enum {
		values = append(values, string(bytes.Trim(raw.Raw, `"`)))
	}
	if len(values) == 0 {
		t.Fatalf("%s has no enumeration at %v", plural, path)
	}
	return values
}

// recordKinds are the plurals of the records but Decision; configKinds those of the configuration.
var (
	recordKinds = []string{"signals", "cases", "playbookruns", "actions"}
	configKinds = []string{"sources", "mappings", "connectors", "guardrails", "casetypes", "playbooks", "evidencelogs"}
)

// Every kind of the API is one that these tests, and so the policies, know of.
func TestEveryKindIsKnown(t *testing.T) {
	known := append(append([]string{"decisions"}, recordKinds...), configKinds...)
	for plural := range crds(t) {
		if !slices.Contains(known, plural) {
			t.Errorf("kind %s is neither a record nor configuration here: add it to the policies and to this test", plural)
		}
	}
}

// Every policy fails closed, is bound, and denies.
func TestPoliciesFailClosed(t *testing.T) {
	bound := map[string]bool{}
	objects := manifests(t, "config/policy")
	for _, u := range objects {
		name, _, _ := unstructured.NestedString(u.Object, "spec", "policyName")
		switch u.GetKind() {
		case "ValidatingAdmissionPolicyBinding":
			actions, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "validationActions")
			bound["Validating"+name] = slices.Equal(actions, []string{"Deny"})
		case "MutatingAdmissionPolicyBinding":
			bound["Mutating"+name] = true
		}
	}
	for _, u := range objects {
		var family string
		switch u.GetKind() {
		case "ValidatingAdmissionPolicy":
			family = "Validating"
		case "MutatingAdmissionPolicy":
			family = "Mutating"
		default:
			continue
		}
		if policy, _, _ := unstructured.NestedString(u.Object, "spec", "failurePolicy"); policy != "Fail" {
			t.Errorf("%s %s has failurePolicy %q, want Fail", u.GetKind(), u.GetName(), policy)
		}
		if !bound[family+u.GetName()] {
			t.Errorf("%s %s has no binding that denies", u.GetKind(), u.GetName())
		}
	}
}

type schemaProps = apiextensionsv1.JSONSchemaProps

// walk visits a schema and all within it, each with its path.
func walk(schema *schemaProps, path string, visit func(path string, schema schemaProps)) {
	visit(path, *schema)
	for name, inner := range schema.Properties {
		walk(&inner, path+"."+name, visit)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		walk(schema.Items.Schema, path+"[*]", visit)
	}
}
