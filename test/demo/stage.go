// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

// stage is where the story plays: a control plane, the operator, and real users.
type stage struct {
	root, dir string
	plane     *controlplane.Plane
	admin     client.Client
	gateway   string // URL
	token     string // of the webhook
	users     map[string]string
	operator  *exec.Cmd
	before    map[string]float64 // API writes before the story
	systems   *systems
}

// people of the story and their groups.
var people = map[string][]string{"ana": {"soc-analysts"}, "mia": {"soc-leads"}}

const (
	tenant = "soc"
	patch  = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../../config/samples/runtime-threat
patches:
- target: {kind: EvidenceLog}
  patch: '[{"op": "replace", "path": "/spec/bucket/dir/path", "value": %q}]'
`
)

// prepare brings up the tenant, the workload and the operator.
func (s *stage) prepare(ctx context.Context) error {
	if err := os.RemoveAll(s.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	var err error
	if s.admin, err = client.New(s.plane.Config(), client.Options{Scheme: kube.Scheme()}); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{s.addUsers, s.startSystems, s.addTenant, s.addIdentity, s.addWorkload, s.startOperator, s.awaitReady} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) addUsers(context.Context) error {
	s.users = map[string]string{}
	var err error
	for name, groups := range people {
		if s.users[name], err = s.plane.Kubeconfig(name, groups...); err != nil {
			return err
		}
	}
	s.users["admin"], err = s.plane.Kubeconfig("admin", "system:masters")
	return err
}

// addTenant applies the sample as a platform team would: with kubectl.
func (s *stage) addTenant(ctx context.Context) error {
	signing, verifier, err := evidence.GenerateKey(rand.Reader, "casebook.example.com/soc")
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.keyFile(), []byte(verifier+"\n"), 0o644); err != nil {
		return err
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	s.token = hex.EncodeToString(secret)
	overlay := fmt.Sprintf(patch, filepath.Join(s.dir, "bucket"))
	if err := os.WriteFile(filepath.Join(s.dir, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"create", "namespace", tenant},
		{"-n", tenant, "create", "secret", "generic", "falco-webhook", "--from-literal=token=" + s.token},
		{"-n", tenant, "create", "secret", "generic", "evidence-key", "--from-literal=key=" + signing},
		{"apply", "-k", s.dir},
		{"-n", tenant, "apply", "-f", filepath.Join(s.root, "config/library/falco/mapping.yaml")},
	} {
		if out, err := s.kubectl(ctx, "admin", args...); err != nil {
			return fmt.Errorf("kubectl %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

func (s *stage) keyFile() string { return filepath.Join(s.dir, "soc-evidence.vkey") }

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
	if err := s.admin.Create(ctx, deployment); err != nil {
		return err
	}
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web-6d4f9", Namespace: "shop", OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(deployment, appsv1.SchemeGroupVersion.WithKind("Deployment")),
		}},
		Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template},
	}
	if err := s.admin.Create(ctx, set); err != nil {
		return err
	}
	return s.admin.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-6d4f9-x2x8p", Namespace: "shop", Labels: labels, OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet")),
		}},
		Spec: template.Spec,
	})
}

// startOperator runs the operator as its ServiceAccount, with nothing but that account's rights.
func (s *stage) startOperator(ctx context.Context) error {
	config, err := s.plane.ServiceAccount(ctx, "casebook-system", "casebook-controllers")
	if err != nil {
		return err
	}
	kubeconfig, err := s.plane.WriteKubeconfig("operator", config)
	if err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s.gateway = "http://" + address
	log, err := os.Create(filepath.Join(s.dir, "operator.log"))
	if err != nil {
		return err
	}
	s.operator = exec.Command(filepath.Join(s.root, "bin", "casebook"), "--kubeconfig", kubeconfig,
		"--stream-dir", filepath.Join(s.dir, "stream"), "--gateway-address", address,
		"--data-dir", filepath.Join(s.dir, "data"), "--allow-addresses", "127.0.0.0/8")
	s.operator.Stdout, s.operator.Stderr = log, log
	return s.operator.Start()
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// awaitReady waits until every configuration object of the tenant is in use, and the gateway keeps payloads.
func (s *stage) awaitReady(ctx context.Context) error {
	return await(ctx, "the configuration to be ready", func() (bool, string) {
		for _, list := range []client.ObjectList{
			&v1alpha1.SourceList{}, &v1alpha1.MappingList{}, &v1alpha1.ConnectorList{}, &v1alpha1.GuardrailList{},
			&v1alpha1.CaseTypeList{}, &v1alpha1.PlaybookList{}, &v1alpha1.EvidenceLogList{},
		} {
			if err := s.admin.List(ctx, list, client.InNamespace(tenant)); err != nil {
				return false, err.Error()
			}
			if unready := firstUnready(list); unready != "" {
				return false, unready
			}
		}
		answer, err := http.Get(s.gateway + "/readyz")
		if err != nil {
			return false, err.Error()
		}
		defer func() { _ = answer.Body.Close() }()
		return answer.StatusCode == http.StatusOK, "the gateway answers " + answer.Status
	})
}

func firstUnready(list client.ObjectList) (what string) {
	items, _ := meta.ExtractList(list)
	for _, item := range items {
		o := item.(interface {
			client.Object
			Head() *v1alpha1.StatusHead
		})
		if ready := meta.FindStatusCondition(o.Head().Conditions, v1alpha1.ReadyCondition); ready == nil || ready.Status != metav1.ConditionTrue {
			return fmt.Sprintf("%T %s: %+v", o, o.GetName(), ready)
		}
	}
	if len(items) == 0 {
		return fmt.Sprintf("there is nothing in %T", list)
	}
	return ""
}

// await waits until something holds, and says what was last seen when it does not.
func await(ctx context.Context, what string, holds func() (ok bool, seen string)) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, seen := holds()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited a minute for %s; last seen: %s", what, seen)
		}
	}
}

// kubectl runs kubectl as one of the users, with the plugin on its path.
func (s *stage) kubectl(ctx context.Context, user string, args ...string) (string, error) {
	bin := filepath.Join(s.root, "bin")
	command := exec.CommandContext(ctx, filepath.Join(bin, "assets", "kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+s.users[user], "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

// get reads one object of the tenant as the admin.
func (s *stage) get(ctx context.Context, name string, into client.Object) error {
	return s.admin.Get(ctx, types.NamespacedName{Namespace: tenant, Name: name}, into)
}

// end stops what was started, the operator first.
func (s *stage) end() error {
	var errs []error
	if s.operator != nil && s.operator.Process != nil {
		_ = s.operator.Process.Signal(os.Interrupt)
		if err := s.operator.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("the operator ended: %w", err))
		}
	}
	return errors.Join(append(errs, s.systems.stop(), s.plane.Stop())...)
}

// lastWords is the end of the operator's log, for when the story went wrong.
func (s *stage) lastWords() error {
	raw, err := os.ReadFile(filepath.Join(s.dir, "operator.log"))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return fmt.Errorf("the operator's last words:\n%s", strings.Join(lines[max(0, len(lines)-15):], "\n"))
}

// explain says how to look around.
func (s *stage) explain() {
	fmt.Printf(`
Everything is still up. In another terminal:

  export PATH=%s:%s:$PATH
  export KUBECONFIG=%s      # mia, who leads; ana's is %s
  kubectl casebook queue -n soc
  kubectl -n soc get casebook

Ctrl-C ends it.
`, filepath.Join(s.root, "bin"), filepath.Join(s.root, "bin", "assets"), s.users["mia"], s.users["ana"])
}
