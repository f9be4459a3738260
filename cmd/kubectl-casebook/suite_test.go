// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

// started is the control plane of this package, once a test has asked for it.
var started *controlplane.Plane

var plane = sync.OnceValues(func() (*controlplane.Plane, error) {
	var err error
	started, err = controlplane.Start(controlplane.Options{Manifests: site.Manifests()})
	return started, err
})

func TestMain(m *testing.M) {
	flag.Parse()
	_ = os.Setenv("COLUMNS", "80") // tables too
	code := m.Run()
	if started != nil {
		if err := started.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// noStreams are for commands that are looked at, not run.
func noStreams() genericiooptions.IOStreams {
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	return streams
}

// result is what a command line gave.
type result struct {
	out, err string
	code     int
}

// command runs a command line as main does, without a cluster unless the arguments name one.
func command(t *testing.T, in string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(in), Out: &out, ErrOut: &errOut}
	code := run(t.Context(), streams, args)
	return result{out: out.String(), err: errOut.String(), code: code}
}

// want fails the test unless the command ended with a code and its output and errors hold some texts.
func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.err)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.err, text) {
			t.Errorf("%q is not in the output\nstdout: %s\nstderr: %s", text, r.out, r.err)
		}
	}
	for _, line := range strings.Split(r.out, "\n") {
		if n := len([]rune(line)); n > 80 && !strings.HasPrefix(strings.TrimSpace(line), "\"") {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
	if code != exitDone && !strings.HasPrefix(r.err, "error: ") {
		t.Errorf("the error does not begin as every error does: %q", r.err)
	}
}

// tenant is a namespace with people who have roles in it, and the controllers' power over its records.
type tenant struct {
	client.WithWatch
	t         *testing.T
	namespace string
}

// newTenant makes a namespace in which soc-analysts are analysts and soc-leads approve as well.
func newTenant(t *testing.T) *tenant {
	t.Helper()
	p, err := plane()
	if err != nil {
		t.Fatal(err)
	}
	admin := tenant{WithWatch: clientOf(t, p.Config()), t: t}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "soc-"}}
	admin.create(namespace)
	for role, groups := range map[string][]string{"casebook-analyst": {"soc-analysts", "soc-leads"}, "casebook-approver": {"soc-leads"}} {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		}
		for _, group := range groups {
			binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: group})
		}
		admin.create(binding)
	}
	controllers := p.Config()
	controllers.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:casebook-system:casebook-controllers", Groups: []string{"system:masters"},
	}
	return &tenant{WithWatch: clientOf(t, controllers), t: t, namespace: namespace.Name}
}

func clientOf(t *testing.T, config *rest.Config) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, rbacv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (n *tenant) create(object client.Object) {
	n.t.Helper()
	if err := n.Create(n.t.Context(), object); err != nil {
		n.t.Fatal(err)
	}
}

// admin makes an object as the administrator: configuration, which people write.
func (n *tenant) admin(object client.Object) {
	n.t.Helper()
	p, err := plane()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := clientOf(n.t, p.Config()).Create(n.t.Context(), object); err != nil {
		n.t.Fatal(err)
	}
}

// status stores an object's status as the controllers would.
func (n *tenant) status(object client.Object) {
	n.t.Helper()
	if err := n.Status().Update(n.t.Context(), object); err != nil {
		n.t.Fatal(err)
	}
}

// as runs a command line as a person with groups.
func (n *tenant) as(name, group string, args ...string) result {
	n.t.Helper()
	p, err := plane()
	if err != nil {
		n.t.Fatal(err)
	}
	path, err := p.Kubeconfig(name, group)
	if err != nil {
		n.t.Fatal(err)
	}
	return command(n.t, "", append([]string{"--kubeconfig", path, "-n", n.namespace}, args...)...)
}

// ana is an analyst, mia a lead.
func (n *tenant) ana(args ...string) result {
	n.t.Helper()
	return n.as("ana", "soc-analysts", args...)
}
func (n *tenant) mia(args ...string) result { n.t.Helper(); return n.as("mia", "soc-leads", args...) }

// decisions lists the decisions of the namespace.
func (n *tenant) decisions() []v1alpha1.Decision {
	n.t.Helper()
	var list v1alpha1.DecisionList
	if err := n.List(n.t.Context(), &list, client.InNamespace(n.namespace)); err != nil {
		n.t.Fatal(err)
	}
	return list.Items
}

// judge plays the controllers for the rest of the test: each new decision is given to act, which says what becomes of it.
func (n *tenant) judge(act func(*v1alpha1.Decision) v1alpha1.DecisionStatus) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	watcher, err := n.Watch(ctx, &v1alpha1.DecisionList{}, client.InNamespace(n.namespace))
	if err != nil {
		cancel()
		n.t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for event := range watcher.ResultChan() {
			d, ok := event.Object.(*v1alpha1.Decision)
			if !ok || event.Type != watch.Added {
				continue
			}
			d.Status = act(d)
			if err := n.Status().Update(ctx, d); err != nil && ctx.Err() == nil {
				n.t.Errorf("judge decision %s: %v", d.Name, err)
			}
		}
	})
	n.t.Cleanup(func() { cancel(); watcher.Stop(); done.Wait() })
}

// counts is a decision that counts.
func counts(*v1alpha1.Decision) v1alpha1.DecisionStatus {
	return v1alpha1.DecisionStatus{State: v1alpha1.DecisionCounted, Reason: v1alpha1.CountedReason}
}

// later is a time in the future, for what is due.
func later() metav1.MicroTime { return metav1.NewMicroTime(time.Now().Add(time.Hour)) }
