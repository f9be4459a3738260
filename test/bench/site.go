// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
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

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

//go:embed testdata
var testdata embed.FS

// manifests are what a cluster has before the operator comes; those of the demo, so that both start from one copy.
var manifests = []string{"config/crd", "config/policy", "config/rbac"}

const (
	tenant = "soc"
	shop   = "shop" // where the sample's workload runs
)

// site is a control plane with the sample tenant and the operator at work.
type site struct {
	root, dir  string
	plane      *controlplane.Plane
	admin      client.Client
	kubeconfig string // the administrator's
	gateway    string // URL
	token      string // of the webhook
	operator   *exec.Cmd
}

// open returns the site, which it starts if no measurement did.
func (b *bench) open(ctx context.Context) (*site, error) {
	if b.site != nil {
		return b.site, nil
	}
	plane, err := controlplane.Start(controlplane.Options{Root: b.root, Manifests: manifests})
	if err != nil {
		return nil, err
	}
	s := &site{root: b.root, dir: filepath.Join(plane.Dir(), "bench"), plane: plane}
	b.site = s
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	if s.admin, err = client.New(plane.Config(), client.Options{Scheme: kube.Scheme()}); err != nil {
		return nil, err
	}
	if s.kubeconfig, err = plane.Kubeconfig("admin", "system:masters"); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{s.addTenant, s.startOperator, s.awaitReady} {
		if err := step(ctx); err != nil {
			return nil, s.withLog(err)
		}
	}
	return s, nil
}

// overlay is the sample tenant with its evidence where this process may write.
const overlay = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [%s]
patches:
- target: {kind: EvidenceLog}
  patch: '[{"op": "replace", "path": "/spec/bucket/dir/path", "value": %q}]'
`

func (s *site) addTenant(ctx context.Context) error {
	signing, _, err := evidence.GenerateKey(rand.Reader, "casebook.example.com/soc")
	if err != nil {
		return err
	}
	secret := make([]byte, 24)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	s.token = hex.EncodeToString(secret)
	sample, err := filepath.Rel(s.dir, filepath.Join(s.root, "config/samples/runtime-threat"))
	if err != nil {
		return err
	}
	text := fmt.Sprintf(overlay, sample, filepath.Join(s.dir, "bucket"))
	if err := os.WriteFile(filepath.Join(s.dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	return s.kubectl(ctx, nil,
		[]string{"create", "namespace", tenant},
		[]string{"-n", tenant, "create", "secret", "generic", "falco-webhook", "--from-literal=token=" + s.token},
		[]string{"-n", tenant, "create", "secret", "generic", "evidence-key", "--from-literal=key=" + signing},
		[]string{"apply", "-k", s.dir},
		[]string{"-n", tenant, "apply", "-f", filepath.Join(s.root, "config/library/falco/mapping.yaml")})
}

// kubectl runs commands as the administrator, each with the same input.
func (s *site) kubectl(ctx context.Context, input []byte, commands ...[]string) error {
	for _, args := range commands {
		command := exec.CommandContext(ctx, s.plane.Kubectl(), args...)
		command.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
		command.Stdin = bytes.NewReader(input)
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

// apply applies one file of testdata.
func (s *site) apply(ctx context.Context, name string) error {
	text, err := testdata.ReadFile("testdata/" + name)
	if err != nil {
		return err
	}
	return s.kubectl(ctx, text, []string{"apply", "-f", "-"})
}

// startOperator runs bin/casebook as its ServiceAccount, as the demo does.
func (s *site) startOperator(ctx context.Context) error {
	config, err := s.plane.ServiceAccount(ctx, "casebook-system", "casebook-controllers")
	if err != nil {
		return err
	}
	kubeconfig, err := s.plane.WriteKubeconfig("operator", config)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	s.gateway = "http://" + address
	log, err := os.Create(filepath.Join(s.dir, "operator.log"))
	if err != nil {
		return err
	}
	operator := exec.Command(filepath.Join(s.root, "bin", "casebook"), "--kubeconfig", kubeconfig,
		"--stream-dir", filepath.Join(s.dir, "stream"), "--gateway-address", address,
		"--allow-addresses", "127.0.0.0/8")
	operator.Stdout, operator.Stderr = log, log
	if err := errors.Join(operator.Start(), log.Close()); err != nil {
		return fmt.Errorf("start the operator: %w; build it with `make build`", err)
	}
	s.operator = operator
	return nil
}

// awaitReady waits until the tenant's configuration is in use and the gateway keeps payloads.
func (s *site) awaitReady(ctx context.Context) error {
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
		ready := meta.FindStatusCondition(o.Head().Conditions, v1alpha1.ReadyCondition)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != o.GetGeneration() {
			return fmt.Sprintf("%T %s: %+v", o, o.GetName(), ready)
		}
	}
	if len(items) == 0 {
		return fmt.Sprintf("there is nothing in %T", list)
	}
	return ""
}

// quiet waits until nothing but leases has been written for some seconds, and returns the counts then.
func (s *site) quiet(ctx context.Context, seconds int) (counts, error) {
	const patience = 60
	last, err := countWrites(ctx, s.plane)
	if err != nil {
		return nil, err
	}
	still := 0
	for range patience {
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
		now, err := countWrites(ctx, s.plane)
		if err != nil {
			return nil, err
		}
		still++
		if now.minus(last).sum(func(w write) bool { return !w.lease() }) > 0 {
			still = 0
		}
		if last = now; still == seconds {
			return now, nil
		}
	}
	return nil, errors.New("wait for the operator to be done: something was written every few seconds for a minute")
}

// pause lets time pass: what is measured over an interval needs one.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await waits until something holds, and says what was last seen when it does not.
func await(ctx context.Context, what string, holds func() (ok bool, seen string)) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		ok, seen := holds()
		if ok {
			return nil
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("waited a minute for %s; last seen: %s", what, seen)
		}
	}
}

// end stops what was started, the operator first. There may be no site.
func (s *site) end() error {
	if s == nil {
		return nil
	}
	var errs []error
	if s.operator != nil {
		_ = s.operator.Process.Signal(os.Interrupt)
		if err := s.operator.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("the operator ended: %w", err))
		}
	}
	return errors.Join(append(errs, s.plane.Stop())...)
}

// withLog adds the end of the operator's log to an error: the log leaves with the site.
func (s *site) withLog(err error) error {
	raw, readErr := os.ReadFile(filepath.Join(s.dir, "operator.log"))
	if readErr != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return fmt.Errorf("%w\n--- end of the operator's log\n%s", err, strings.Join(lines[max(0, len(lines)-10):], "\n"))
}
