// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

// kustomize renders a folder of the repository with the control plane's own kubectl.
func kustomize(t *testing.T, dir string) []byte {
	t.Helper()
	root, err := controlplane.Root()
	must(t, err)
	command := exec.CommandContext(t.Context(), plane.Kubectl(), "kustomize", filepath.Join(root, dir))
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		t.Fatalf("kubectl kustomize %s: %v\n%s", dir, err, problems.String())
	}
	return out.Bytes()
}

// The API server takes everything that config/default and the sample render, field by field.
func TestRenderedManifestsAreValid(t *testing.T) {
	for dir, least := range map[string]int{"config/default": 40, sample: 20, "config/samples/impossible-travel": 24} {
		t.Run(dir, func(t *testing.T) {
			for _, name := range []string{"soc", "shop"} {
				ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
				must(t, client.IgnoreAlreadyExists(clientFor(t, admin).Create(t.Context(), ns)))
			}
			objects := decode(t, kustomize(t, dir))
			if len(objects) < least {
				t.Errorf("%d objects were rendered, want at least %d", len(objects), least)
			}
			strict := client.WithFieldValidation(clientFor(t, admin), metav1.FieldValidationStrict)
			for _, u := range objects {
				err := strict.Create(t.Context(), u, client.DryRunAll)
				if err != nil && !apierrors.IsAlreadyExists(err) {
					t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
				}
			}
		})
	}
}

// Every manifest is in its folder's kustomization.
func TestKustomizationsAreComplete(t *testing.T) {
	root, err := controlplane.Root()
	must(t, err)
	for _, dir := range []string{"config/crd", "config/policy", "config/rbac", "config/manager", sample, "config/samples/impossible-travel"} {
		raw, err := os.ReadFile(filepath.Join(root, dir, "kustomization.yaml"))
		must(t, err)
		var kustomization struct {
			Resources []string `json:"resources"`
		}
		must(t, yaml.Unmarshal(raw, &kustomization))
		files, err := filepath.Glob(filepath.Join(root, dir, "*.yaml"))
		must(t, err)
		for _, file := range files {
			name := filepath.Base(file)
			if name != "kustomization.yaml" && !strings.HasSuffix(name, ".test.yaml") && !slices.Contains(kustomization.Resources, name) {
				t.Errorf("%s/%s is not in the kustomization", dir, name)
			}
		}
	}
}

// The operator's pod keeps to the restricted Pod Security Standard, and has the ServiceAccount that the policies know.
func TestOperatorPod(t *testing.T) {
	for _, u := range manifests(t, "config/manager") {
		if u.GetKind() != "StatefulSet" {
			continue
		}
		raw, err := yaml.Marshal(u.Object["spec"].(map[string]any)["template"])
		must(t, err)
		template := corev1.PodTemplateSpec{}
		must(t, yaml.UnmarshalStrict(raw, &template))
		if got := "system:serviceaccount:" + u.GetNamespace() + ":" + template.Spec.ServiceAccountName; got != controllersName {
			t.Errorf("the operator runs as %s, and the policies know %s", got, controllersName)
		}
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "restricted", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
		must(t, clientFor(t, admin).Create(t.Context(), ns))
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: template.Spec.ServiceAccountName}}
		must(t, clientFor(t, admin).Create(t.Context(), account))
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "casebook"}, Spec: template.Spec}
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "data"}) // the StatefulSet's claim
		must(t, clientFor(t, admin).Create(t.Context(), pod, client.DryRunAll))
		pod.Spec.SecurityContext.RunAsNonRoot = nil
		err = clientFor(t, admin).Create(t.Context(), pod, client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "PodSecurity") {
			t.Errorf("without runAsNonRoot the server says %v, want a refusal by PodSecurity", err)
		}
		return
	}
	t.Error("config/manager has no StatefulSet")
}
