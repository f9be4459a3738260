// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

const (
	kills  = 10
	alerts = 6
)

// process is the operator as people run it: gateway, stream, intake and controllers in one process.
type process struct {
	t       *testing.T
	binary  string
	args    []string
	log     *os.File
	running *exec.Cmd
}

// newProcess builds the operator; start starts it. It reaches the API server by this kubeconfig.
func newProcess(t *testing.T, kubeconfig, address string) *process {
	t.Helper()
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/casebook")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the operator: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "operator.log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, binary: filepath.Join(dir, "casebook"), log: log, args: []string{
		"--kubeconfig", kubeconfig, "--stream-dir", filepath.Join(dir, "stream"), "--gateway-address", address, "--allow-addresses", "127.0.0.0/8",
		"--without-leader-election", // a killed process leaves its lease for 15 seconds, which is not what is tested
	}}
	t.Cleanup(func() {
		p.kill()
		_ = log.Close()
		if t.Failed() {
			raw, _ := os.ReadFile(log.Name())
			t.Logf("the operator's last words:\n%s", raw[max(0, len(raw)-6000):])
		}
	})
	return p
}

// freeAddress is one on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func (p *process) start() {
	p.t.Helper()
	p.running = exec.Command(p.binary, p.args...)
	p.running.Stdout, p.running.Stderr = p.log, p.log
	if err := p.running.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends the process as a lost node would: it is told nothing.
func (p *process) kill() {
	if p.running != nil {
		_ = p.running.Process.Kill()
		_ = p.running.Wait()
		p.running = nil
	}
}

// post sends one alert until the gateway has it, as senders do, or the test is over.
func post(t *testing.T, address, token string, w *fixture.World, pod string) error {
	payload, err := json.Marshal(map[string]any{
		"uuid": "6f1c1f5e-0b43-4c0e-9c39-" + fmt.Sprintf("%012d", len(pod)), "hostname": "node-3", "priority": "Error",
		"rule": "Reverse shell in container", "source": "syscall", "tags": []string{"container", "T1059"},
		"time": time.Now().UTC().Format(time.RFC3339Nano), "output": "Reverse shell in " + pod,
		"output_fields": map[string]any{"proc.name": "bash", "k8s.ns.name": w.Shop, "k8s.pod.name": pod, "container.id": "7a2566e8e462"},
	})
	if err != nil {
		return err
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v1/"+w.Namespace+"/falco", bytes.NewReader(payload))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		if answer, err := http.DefaultClient.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusAccepted {
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			return t.Context().Err()
		}
	}
}

// TestKilledAtRandom kills the real process at random moments while alerts come in. Every alert that was taken becomes one
// case; every pod is isolated once; all evidence verifies.
func TestKilledAtRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	w := fixture.NewTenant(t, unattended)
	address := freeAddress(t)
	p := newProcess(t, w.Kubeconfig(nil), address)
	p.start()
	w.AwaitReady()

	var pods []*corev1.Pod
	for i := range alerts {
		pods = append(pods, w.Pod(fmt.Sprintf("web-%d", i+1)))
	}
	l := keepLedger(t, w, pods[0])
	sent := make(chan error, 1)
	go func() {
		for _, pod := range pods {
			if err := post(t, address, w.Token(), w, pod.Name); err != nil {
				sent <- err
				return
			}
			<-time.After(2 * time.Second) // so that kills meet stories at every stage
		}
		sent <- nil
	}()
	for range kills {
		<-time.After(200*time.Millisecond + time.Duration(chance.Int64N(int64(2500*time.Millisecond))))
		p.kill()
		p.start()
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}

	cases := closedCases(t, w)
	for _, c := range cases {
		report := w.Evidence(&c, true)
		if report.Records["Action"] != 1 || report.Payloads < 1 {
			t.Errorf("case %s: %s", c.Name, report)
		}
	}
	for _, pod := range pods {
		if !w.Isolated(pod) {
			t.Errorf("pod %s is not isolated", pod.Name)
		}
	}
	var policies networkingv1.NetworkPolicyList
	if err := fixture.Admin().List(t.Context(), &policies, client.InNamespace(w.Shop)); err != nil {
		t.Fatal(err)
	}
	if made := l.made(); made != alerts || len(policies.Items) != alerts {
		t.Errorf("%d network policies were made and %d are there, want %d", made, len(policies.Items), alerts)
	}
	w.Check()
}

// closedCases waits until every alert has a case of its own that is closed.
func closedCases(t *testing.T, w *fixture.World) []v1alpha1.Case {
	t.Helper()
	var cases v1alpha1.CaseList
	w.Eventually("every case to be closed", func() (bool, string) {
		if err := fixture.Admin().List(t.Context(), &cases, client.InNamespace(w.Namespace)); err != nil {
			return false, err.Error()
		}
		closed, seen := 0, fmt.Sprintf("%d cases\n", len(cases.Items))
		for i := range cases.Items {
			if cases.Items[i].Status.State == v1alpha1.CaseClosed {
				closed++
			} else {
				seen += fixture.Show(&cases.Items[i])
			}
		}
		return closed == alerts, seen
	})
	if len(cases.Items) != alerts {
		t.Errorf("there are %d cases for %d alerts", len(cases.Items), alerts)
	}
	return cases.Items
}
