// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// operator is the real program, run as its own ServiceAccount with nothing but that account's rights. It keeps its
// address and its stream over restarts, as it would in a cluster.
type operator struct {
	address string
	args    []string
	log     *os.File

	mu   sync.Mutex
	cmd  *exec.Cmd // nil while it does not run
	done chan error
}

func newOperator(ctx context.Context) (*operator, error) {
	config, err := stage.plane.ServiceAccount(ctx, "casebook-system", "casebook-controllers")
	if err != nil {
		return nil, err
	}
	kubeconfig, err := stage.plane.WriteKubeconfig("operator", config)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &operator{address: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		return nil, err
	}
	o.args = []string{
		"--kubeconfig", kubeconfig, "--stream-dir", filepath.Join(stage.dir, "stream"), "--gateway-address", o.address, "--verbose",
		// A killed process is waited for before the next one starts, so there is certainly no other; with the election it
		// would first wait until the dead one's lease is over.
		"--without-leader-election",
	}
	o.log, err = os.Create(filepath.Join(stage.dir, "operator.log"))
	return o, err
}

// start runs the operator unless it runs, and returns when its gateway keeps payloads.
func (o *operator) start() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cmd != nil {
		return nil
	}
	cmd := exec.Command(filepath.Join(stage.dir, "bin", "casebook"), o.args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = o.log, o.log, dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	o.cmd, o.done = cmd, make(chan error, 1)
	go func(done chan error) { done <- cmd.Wait() }(o.done)
	return eventually("the operator to be ready", func() (bool, string) {
		answer, err := http.Get(o.url() + "/readyz")
		if err != nil {
			return false, err.Error() + "\n" + o.lines("")
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK, answer.Status
	})
}

// url is where the gateway is.
func (o *operator) url() string { return "http://" + o.address }

// stop asks the operator to end and waits until it has.
func (o *operator) stop() error { return o.end(syscall.SIGTERM) }

// kill ends the operator at once, as a power cut would.
func (o *operator) kill() error { return o.end(syscall.SIGKILL) }

func (o *operator) end(by syscall.Signal) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cmd == nil {
		return nil
	}
	if err := o.cmd.Process.Signal(by); err != nil {
		return fmt.Errorf("end the operator: %w", err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-o.done:
		o.cmd = nil
		if err != nil && by != syscall.SIGKILL {
			return fmt.Errorf("the operator did not end well: %w\n%s", err, o.lines(""))
		}
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("the operator did not end within %s of %s", patience, by), o.cmd.Process.Kill())
	}
}

// logged is all that the operator has logged.
func (o *operator) logged() string {
	raw, err := os.ReadFile(o.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// lines are the last of the operator's log that hold a text.
func (o *operator) lines(about string) string {
	var out []string
	for line := range strings.Lines(o.logged()) {
		if strings.Contains(line, about) {
			out = append(out, line)
		}
	}
	return "the operator's last words:\n" + strings.Join(out[max(0, len(out)-30):], "")
}
