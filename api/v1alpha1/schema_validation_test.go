// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

// server is a client of the one control plane of this package, which has the kinds and no policies.
var server client.Client

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	log.SetLogger(logr.Discard())
	plane, err := controlplane.Start(controlplane.Options{Manifests: []string{"config/crd"}})
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
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	config := plane.Config()
	config.QPS = -1
	if server, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// base is the valid object of a kind, to be changed at will.
func base(t *testing.T, plural string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal([]byte(bases[plural]), &u.Object))
	u.SetAPIVersion(v1alpha1.SchemeGroupVersion.String())
	u.SetNamespace("default")
	u.SetName("subject")
	return u
}

// value reads YAML.
func value(t *testing.T, text string) any {
	t.Helper()
	var v any
	must(t, yaml.Unmarshal([]byte(text), &v))
	return v
}

// tryCreate asks the server whether it would take an object.
func tryCreate(t *testing.T, u *unstructured.Unstructured) error {
	t.Helper()
	return server.Create(t.Context(), u.DeepCopy(), client.DryRunAll)
}

var part = regexp.MustCompile(`^([^\[]+)((?:\[\d+\])*)$`)

// steps are the names and indexes of a path such as spec.rules[0].name.
func steps(t *testing.T, path string) []any {
	t.Helper()
	var out []any
	for _, name := range strings.Split(path, ".") {
		match := part.FindStringSubmatch(name)
		if match == nil {
			t.Fatalf("%q is no path", path)
		}
		out = append(out, match[1])
		for _, index := range strings.Split(match[2], "[") {
			if index = strings.TrimSuffix(index, "]"); index != "" {
				n, err := strconv.Atoi(index)
				must(t, err)
				out = append(out, n)
			}
		}
	}
	return out
}

// put sets what is at a path within an object.
func put(t *testing.T, object map[string]any, path string, v any) {
	t.Helper()
	at, store := locate(t, object, path)
	if at == nil {
		t.Fatalf("the base has nothing at %s", path)
	}
	store(v)
}

// locate gives what is at a path, and how to replace it.
func locate(t *testing.T, object map[string]any, path string) (at any, store func(any)) {
	t.Helper()
	at = object
	for _, step := range steps(t, path) {
		switch s := step.(type) {
		case string:
			m, _ := at.(map[string]any)
			at, store = m[s], func(v any) { m[s] = v }
		case int:
			l, _ := at.([]any)
			if s >= len(l) {
				return nil, nil
			}
			at, store = l[s], func(v any) { l[s] = v }
		}
	}
	return at, store
}

// rejected checks that an object was refused for a field, in these words.
func rejected(t *testing.T, err error, field, words string) {
	t.Helper()
	status := (*apierrors.StatusError)(nil)
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		t.Errorf("the server says %v, want Invalid for %s: %s", err, field, words)
		return
	}
	if !slices.ContainsFunc(status.ErrStatus.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Field == field && strings.Contains(c.Message, words)
	}) {
		t.Errorf("the server says\n%v\nwant, for %s: %s", err, field, words)
	}
}

// schemas are the schemas of config/crd by plural name.
func schemas(t *testing.T) map[string]*schemaProps {
	t.Helper()
	found := map[string]*schemaProps{}
	for plural, version := range versions(t) {
		found[plural] = version.Schema.OpenAPIV3Schema
	}
	return found
}

// versions are the only versions of the kinds of config/crd by plural name.
func versions(t *testing.T) map[string]apiextensionsv1.CustomResourceDefinitionVersion {
	t.Helper()
	root, err := controlplane.Root()
	must(t, err)
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "*.yaml"))
	must(t, err)
	found := map[string]apiextensionsv1.CustomResourceDefinitionVersion{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		must(t, err)
		crd := &apiextensionsv1.CustomResourceDefinition{}
		must(t, yaml.Unmarshal(raw, crd))
		if crd.Kind == "CustomResourceDefinition" {
			found[crd.Spec.Names.Plural] = crd.Spec.Versions[0]
		}
	}
	if len(found) != len(bases) {
		t.Fatalf("config/crd has %d kinds, the tests %d", len(found), len(bases))
	}
	return found
}

type schemaProps = apiextensionsv1.JSONSchemaProps

// walk visits a schema and all within it, each with its path.
func walk(schema *schemaProps, path string, visit func(path string, schema *schemaProps)) {
	visit(path, schema)
	for name, inner := range schema.Properties {
		walk(&inner, path+"."+name, visit)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		walk(schema.Items.Schema, path+"[*]", visit)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
