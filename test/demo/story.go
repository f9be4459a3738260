// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

const podName = "web-6d4f9-x2x8p"

// tell plays the use case from the alert to the verified evidence.
func (s *stage) tell(ctx context.Context) error {
	var err error
	if s.before, err = s.writes(ctx); err != nil {
		return err
	}
	chapter("A Falco alert arrives at the webhook")
	if err := s.alert(ctx); err != nil {
		return err
	}
	name, err := s.awaitCase(ctx)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context, string) error{
		s.contained, s.guarded, s.forged, s.kept, s.rolledBack, s.closed, s.verified, s.tampered, s.cost,
	} {
		if err := part(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func chapter(text string) { fmt.Printf("\n── %s\n", text) }

// alert posts the payload, first without credentials.
func (s *stage) alert(ctx context.Context) error {
	payload, err := json.Marshal(falcoAlert(time.Now()))
	if err != nil {
		return err
	}
	for token, want := range map[string]int{"guessed": http.StatusUnauthorized} {
		if err := s.post(ctx, "falco", payload, token, want); err != nil {
			return err
		}
	}
	return s.post(ctx, "falco", payload, s.Token, http.StatusAccepted)
}

func (s *stage) post(ctx context.Context, source string, payload []byte, token string, want int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Gateway+"/v1/soc/"+source, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil {
		return err
	}
	fmt.Printf("POST /v1/soc/%s  %d  %s\n", source, answer.StatusCode, strings.TrimSpace(string(body)))
	if answer.StatusCode != want {
		return fmt.Errorf("the gateway answered %d, not %d", answer.StatusCode, want)
	}
	return nil
}

// falcoAlert is an alert in Falco's documented JSON output.
func falcoAlert(at time.Time) map[string]any {
	return map[string]any{
		"uuid":     "6f1c1f5e-0b43-4c0e-9c39-3f3f0a4d7d11",
		"hostname": "node-3", "priority": "Error", "rule": "Reverse shell in container", "source": "syscall",
		"tags": []string{"container", "mitre_execution", "network", "T1059"}, "time": at.UTC().Format(time.RFC3339Nano),
		"output": "Reverse shell connection (command=bash -i connection=10.0.3.7:41200->198.51.100.7:4444 pod=" + podName + " ns=shop)",
		"output_fields": map[string]any{
			"evt.type": "dup2", "user.name": "root", "proc.name": "bash", "proc.cmdline": "bash -i", "proc.pname": "node",
			"fd.name": "10.0.3.7:41200->198.51.100.7:4444", "fd.rip": "198.51.100.7", "container.id": "7a2566e8e462",
			"container.image.repository": "registry.example.com/shop/web", "k8s.ns.name": "shop", "k8s.pod.name": podName,
		},
	}
}

func (s *stage) awaitCase(ctx context.Context) (name string, err error) {
	err = site.Await(ctx, "the pod to be isolated and the question to be asked", func() (bool, string) {
		var list v1alpha1.CaseList
		if err := s.Admin.List(ctx, &list, client.InNamespace(site.Tenant)); err != nil || len(list.Items) == 0 {
			return false, fmt.Sprintf("%d cases (%v)", len(list.Items), err)
		}
		c := list.Items[0]
		name = c.Name
		return len(c.Status.Questions) == 1 && c.Status.State == v1alpha1.CaseContained, fmt.Sprintf("case %s: %+v", c.Name, c.Status)
	})
	return name, err
}

// contained shows what stands after the playbook has acted.
func (s *stage) contained(ctx context.Context, name string) error {
	chapter("It became a case; the playbook isolated the pod under the guardrail, and asks")
	if err := s.isolated(ctx, true); err != nil {
		return err
	}
	return s.run(ctx, "ana", []string{"casebook", "queue"}, []string{"casebook", "case", name}, []string{"casebook", "why", name})
}

// isolated wants the pod to be cut off, or not.
func (s *stage) isolated(ctx context.Context, want bool) error {
	var pod corev1.Pod
	if err := s.Admin.Get(ctx, types.NamespacedName{Namespace: "shop", Name: podName}, &pod); err != nil {
		return err
	}
	var policies networkingv1.NetworkPolicyList
	if err := s.Admin.List(ctx, &policies, client.InNamespace("shop")); err != nil {
		return err
	}
	label := pod.Labels["casebook.dev/isolated"]
	fmt.Printf("pod shop/%s: label casebook.dev/isolated=%q, %d NetworkPolicy\n", podName, label, len(policies.Items))
	if got := label != "" && len(policies.Items) == 1; got != want {
		return fmt.Errorf("the pod's isolation is %v, not %v", got, want)
	}
	return nil
}

// guarded shows that a person meets the same guardrail by hand.
func (s *stage) guarded(ctx context.Context, name string) error {
	chapter("An analyst acts by hand, under the same guardrail: kube-system is protected")
	return s.refused(ctx, "ana", "protected", "casebook", "do", name, "kubernetes/isolatePod", "--input", "namespace=kube-system",
		"--input", "name=coredns", "--input", "uid=00000000-0000-0000-0000-000000000000", "-m", "looks odd")
}

// forged shows that who may not decide cannot, and that a written actor is worth nothing.
func (s *stage) forged(ctx context.Context, name string) error {
	chapter("An analyst may not answer the leads' question")
	return s.refused(ctx, "ana", "ana", "casebook", "approve", name+"/keep", "-m", "ok")
}

// kept lets a lead answer.
func (s *stage) kept(ctx context.Context, name string) error {
	chapter("A lead keeps the pod isolated")
	return s.run(ctx, "mia", []string{"casebook", "approve", name + "/keep", "-m", "Confirmed with the shop team: keep it cut off"})
}

func (s *stage) rolledBack(ctx context.Context, name string) error {
	chapter("It was a planned test after all: one decision takes the isolation back")
	if err := s.run(ctx, "mia", []string{"casebook", "rollback", name + "/isolate", "-m", "Red team exercise RT-118, announced late"}); err != nil {
		return err
	}
	return s.isolated(ctx, false)
}

func (s *stage) closed(ctx context.Context, name string) error {
	chapter("The analyst takes the case and closes it")
	if err := s.run(ctx, "ana",
		[]string{"casebook", "take", name},
		[]string{"casebook", "close", name, "--classification", "BenignPositive", "--root-cause", "Exercise not announced to the SOC", "-m", "Red team exercise RT-118"},
		[]string{"casebook", "timeline", name}); err != nil {
		return err
	}
	return site.Await(ctx, "the case to be closed", func() (bool, string) {
		var c v1alpha1.Case
		err := s.get(ctx, name, &c)
		return err == nil && c.Status.State == v1alpha1.CaseClosed, string(c.Status.State)
	})
}

// verified exports the evidence and verifies it with nothing but the public key.
func (s *stage) verified(ctx context.Context, name string) error {
	chapter("The evidence, verified offline with the public key")
	bundle := filepath.Join(s.Dir, name)
	var out string
	err := site.Await(ctx, "the evidence to be sealed", func() (bool, string) {
		if err := os.RemoveAll(bundle); err != nil {
			return false, err.Error()
		}
		if out, err := s.kubectl(ctx, "admin", "casebook", "evidence", "export", name, "-o", bundle, "-n", site.Tenant); err != nil {
			return false, out
		}
		var err error
		out, err = s.kubectl(ctx, "ana", "casebook", "evidence", "verify", bundle, "--key", s.keyFile())
		return err == nil && !strings.Contains(out, "open case"), out
	})
	if err != nil {
		return err
	}
	fmt.Printf("$ kubectl casebook evidence verify %s --key %s\n%s", s.short(bundle), s.short(s.keyFile()), out)
	return nil
}

// tampered changes one byte of a copy.
func (s *stage) tampered(ctx context.Context, name string) error {
	chapter("One changed byte is named")
	forged, err := os.MkdirTemp("", "casebook-forged-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(forged) }()
	if err := os.CopyFS(forged, os.DirFS(filepath.Join(s.Dir, name))); err != nil {
		return err
	}
	path := filepath.Join(forged, "entries", "000002.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return err
	}
	return s.refused(ctx, "ana", "000002", "casebook", "evidence", "verify", forged, "--key", s.keyFile())
}

// run shows commands of a user and what they print; each must succeed.
func (s *stage) run(ctx context.Context, user string, commands ...[]string) error {
	for _, args := range commands {
		out, err := s.show(ctx, user, args)
		if err != nil {
			return fmt.Errorf("%s could not: %w\n%s", user, err, out)
		}
	}
	return nil
}

// refused shows a command that must fail and say why.
func (s *stage) refused(ctx context.Context, user, because string, args ...string) error {
	out, err := s.show(ctx, user, args)
	if err == nil {
		return fmt.Errorf("%s was not refused", user)
	}
	if !strings.Contains(out, because) {
		return fmt.Errorf("the refusal does not say %q", because)
	}
	return nil
}

func (s *stage) show(ctx context.Context, user string, args []string) (string, error) {
	out, err := s.kubectl(ctx, user, append(slices.Clone(args), "-n", site.Tenant)...)
	shown := make([]string, len(args))
	for i, arg := range args {
		if shown[i] = s.short(arg); strings.ContainsAny(arg, " ") {
			shown[i] = fmt.Sprintf("%q", arg)
		}
	}
	fmt.Printf("\n%s$ kubectl %s\n%s", user, strings.Join(shown, " "), out)
	return out, err
}

func (s *stage) short(path string) string {
	return strings.TrimPrefix(path, s.Root+string(filepath.Separator))
}
