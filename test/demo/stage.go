// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/test/fixture/site"
)

// stage is where the story plays: the site, real users, and the systems that the second one is about.
type stage struct {
	*site.Site
	users   map[string]string  // kubeconfig files by name
	before  map[string]float64 // API writes before the story
	systems *systems
}

// people of the story and their groups.
var people = map[string][]string{"ana": {"soc-analysts"}, "mia": {"soc-leads"}}

// prepare brings up the tenant, the workload and the operator.
func (s *stage) prepare(ctx context.Context) error {
	if err := os.RemoveAll(s.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{s.addUsers, s.startSystems, s.addTenant, s.addIdentity, s.addWorkload, s.start, s.AwaitReady} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) addUsers(context.Context) error {
	s.users = map[string]string{"admin": s.Kubeconfig}
	for name, groups := range people {
		var err error
		if s.users[name], err = s.Plane.Kubeconfig(name, groups...); err != nil {
			return err
		}
	}
	return nil
}

// addTenant adds the first use case, and writes the key that verifies its evidence to a file, as an auditor would have it.
func (s *stage) addTenant(ctx context.Context) error {
	if err := s.AddTenant(ctx); err != nil {
		return err
	}
	return os.WriteFile(s.keyFile(), []byte(s.EvidenceKey+"\n"), 0o644)
}

func (s *stage) keyFile() string { return filepath.Join(s.Dir, "soc-evidence.vkey") }

func (s *stage) start(ctx context.Context) error {
	return s.StartOperator(ctx, "--data-dir", filepath.Join(s.Dir, "data"))
}

// addWorkload makes what the alert will be about: a pod of a deployment, as its controllers would.
func (s *stage) addWorkload(ctx context.Context) error {
	labels := map[string]string{"app": "web"}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "registry.example.com/shop/web:1.4.2"}}},
	}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", Labels: map[string]string{"app": "web", "criticality": "high"}},
		Spec:       appsv1.DeploymentSpec{Selector: selector, Template: template},
	}
	if err := s.Admin.Create(ctx, deployment); err != nil {
		return err
	}
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web-6d4f9", Namespace: "shop", OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(deployment, appsv1.SchemeGroupVersion.WithKind("Deployment")),
		}},
		Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template},
	}
	if err := s.Admin.Create(ctx, set); err != nil {
		return err
	}
	return s.Admin.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-6d4f9-x2x8p", Namespace: "shop", Labels: labels, OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet")),
		}},
		Spec: template.Spec,
	})
}

// kubectl runs kubectl as one of the users, with the plugin on its path.
func (s *stage) kubectl(ctx context.Context, user string, args ...string) (string, error) {
	bin := filepath.Join(s.Root, "bin")
	command := exec.CommandContext(ctx, filepath.Join(bin, "assets", "kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+s.users[user], "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

// get reads one object of the tenant as the admin.
func (s *stage) get(ctx context.Context, name string, into client.Object) error {
	return s.Admin.Get(ctx, types.NamespacedName{Namespace: site.Tenant, Name: name}, into)
}

// end stops what was started, the operator first.
func (s *stage) end() error { return errors.Join(s.End(), s.systems.stop()) }

// explain says how to look around.
func (s *stage) explain() {
	fmt.Printf(`
Everything is still up. In another terminal:

  export PATH=%s:%s:$PATH
  export KUBECONFIG=%s      # mia, who leads; ana's is %s
  kubectl casebook queue -n soc
  kubectl -n soc get casebook

Ctrl-C ends it.
`, filepath.Join(s.Root, "bin"), filepath.Join(s.Root, "bin", "assets"), s.users["mia"], s.users["ana"])
}
