// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest"
	"github.com/casebook-dev/casebook/internal/ingest/intake"
	"github.com/casebook-dev/casebook/internal/ingest/stream"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

// api is the administrator's client of this package's control plane.
var api client.WithWatch

func TestMain(m *testing.M) {
	plane, err := controlplane.Start(controlplane.Options{Manifests: []string{"config/crd"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	config := plane.Config()
	config.QPS = -1 // the order of calls is under test, not their rate
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	code := 1
	if api, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err == nil {
		code = m.Run()
	}
	if err := plane.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const configuration = `
apiVersion: casebook.dev/v1alpha1
kind: Source
metadata: {name: falco}
spec:
  webhook: {authentication: {bearer: {secretRef: {name: hook, key: token}}}}
  mappingRef: {name: falco}
  only: signal.severity >= Low
  with: [{name: cluster, value: prod-1}]
---
apiVersion: casebook.dev/v1alpha1
kind: Source
metadata: {name: unmapped}
spec:
  webhook: {authentication: {bearer: {secretRef: {name: hook, key: token}}}}
  mappingRef: {name: none}
---
apiVersion: casebook.dev/v1alpha1
kind: Source
metadata: {name: miscompiled}
spec:
  webhook: {authentication: {bearer: {secretRef: {name: hook, key: token}}}}
  mappingRef: {name: miscompiled}
---
apiVersion: casebook.dev/v1alpha1
kind: Mapping
metadata: {name: miscompiled}
spec:
  product: Falco
  signal: {category: "'Runtime'", title: "payload.rule +", severity: High}
---
apiVersion: casebook.dev/v1alpha1
kind: Mapping
metadata: {name: falco}
spec:
  product: Falco
  items: "payload.?events.orValue([payload])"
  finding: item.priority != 'Debug'
  signal:
    category: "'Runtime'"
    title: item.rule
    severity: "item.priority == 'Critical' ? Critical : item.priority == 'Notice' ? Informational : High"
    ruleId: item.rule
    assets: "[pod(item.ns, item.pod)]"
---
apiVersion: casebook.dev/v1alpha1
kind: CaseType
metadata: {name: runtime-threat}
spec:
  match: signal.category == 'Runtime'
  correlate: {by: [assets], within: 4h}
  queue: runtime
`

// world is a tenant with a stream, before which intakes come and go.
type world struct {
	t         *testing.T
	namespace string
	dir       string
	stream    *stream.Stream

	mu       sync.Mutex
	archived map[string]string // digest to payload
	skipped  map[string]int
}

var namespaces atomic.Int64

func newWorld(t *testing.T, dropped ...string) *world {
	t.Helper()
	w := &world{t: t, namespace: fmt.Sprintf("tenant-%d", namespaces.Add(1)), dir: t.TempDir(), archived: map[string]string{}, skipped: map[string]int{}}
	w.must(api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	for _, document := range strings.Split(configuration, "\n---\n") {
		var object client.Object
		switch {
		case slices.ContainsFunc(dropped, func(line string) bool { return strings.Contains(document, line) }):
			continue
		case strings.Contains(document, "kind: Source"):
			object = &v1alpha1.Source{}
		case strings.Contains(document, "kind: Mapping"):
			object = &v1alpha1.Mapping{}
		default:
			object = &v1alpha1.CaseType{}
		}
		w.must(yaml.UnmarshalStrict([]byte(document), object))
		object.SetNamespace(w.namespace)
		w.must(api.Create(t.Context(), object))
	}
	w.openStream()
	t.Cleanup(func() { _ = w.stream.Close() })
	return w
}

func (w *world) openStream() {
	w.t.Helper()
	s, err := stream.Open(w.t.Context(), stream.Options{Dir: w.dir})
	w.must(err)
	w.stream = s
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// publish keeps a payload as the gateway does.
func (w *world) publish(source, body string, at time.Time) ingest.Kept {
	w.t.Helper()
	kept, err := w.stream.Publish(w.t.Context(), ingest.Seal(w.namespace, source, at, "application/json", "", []byte(body)))
	w.must(err)
	return kept
}

// options are those of an intake that reads and writes through a client.
func (w *world) options(c client.Client) intake.Options {
	return intake.Options{
		Stream: w.stream, Client: c, Live: c, FlushEvery: 20 * time.Millisecond,
		Record: func(ctx context.Context, _, after *v1alpha1.Signal, _ string) error {
			return c.Status().Update(ctx, after)
		},
		Archive: func(_ context.Context, namespace string, payload []byte, digest string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if namespace == w.namespace {
				w.archived[digest] = string(payload)
			}
			return nil
		},
		Skipped: func(_, _, reason string, n int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.skipped[reason] += n
		},
	}
}

// start runs an intake until the returned function has stopped it.
func (w *world) start(options intake.Options) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := intake.New(options).Start(ctx); err != nil {
			w.t.Errorf("the intake ended with %v", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// rest runs an intake until nothing waits on the stream.
func (w *world) rest() {
	w.t.Helper()
	stop := w.start(w.options(api))
	defer stop()
	w.await("an empty stream", func() bool { return w.waiting() == 0 })
}

// waiting is how many payloads are not dealt with.
func (w *world) waiting() uint64 {
	w.t.Helper()
	waiting, err := w.stream.Waiting(w.t.Context())
	w.must(err)
	return waiting
}

func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	const patience = 60 * time.Second
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-ticker.C {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s did not come about within %s", what, patience)
		}
	}
}

func (w *world) signals() []v1alpha1.Signal {
	w.t.Helper()
	var list v1alpha1.SignalList
	w.must(api.List(w.t.Context(), &list, client.InNamespace(w.namespace)))
	return list.Items
}

func (w *world) cases() []v1alpha1.Case {
	w.t.Helper()
	var list v1alpha1.CaseList
	w.must(api.List(w.t.Context(), &list, client.InNamespace(w.namespace)))
	return list.Items
}

func (w *world) dead() []ingest.DeadLetter {
	w.t.Helper()
	var out []ingest.DeadLetter
	for letter, err := range w.stream.DeadLetters(w.t.Context()) {
		w.must(err)
		out = append(out, letter)
	}
	return out
}

func event(rule, priority, pod string) string {
	return fmt.Sprintf(`{"rule":%q,"priority":%q,"pod":%q,"ns":"shop"}`, rule, priority, pod)
}
