// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/test/fixture"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// script is a Kind that does what it is told.
type script[T loop.Object] struct {
	observe func() error
	decide  func(T) loop.Plan[string]
	act     func(T, string) error
}

// Observe implements loop.Kind.
func (s *script[T]) Observe(context.Context, T) (struct{}, error) {
	if s.observe == nil {
		return struct{}{}, nil
	}
	return struct{}{}, s.observe()
}

// Decide implements loop.Kind.
func (s *script[T]) Decide(_ context.Context, o T, _ struct{}, _ time.Time) loop.Plan[string] {
	return s.decide(o)
}

// Act implements loop.Kind.
func (s *script[T]) Act(_ context.Context, o T, command string) error { return s.act(o, command) }

// announcements are the events that a loop emitted.
type announcements struct {
	mu   sync.Mutex
	said []string
}

// Eventf implements events.EventRecorder.
func (a *announcements) Eventf(_, _ runtime.Object, kind, reason, _, note string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, kind+" "+reason+" "+fmt.Sprintf(note, args...))
}

// sealedTo is a log that has sealed every object up to a sequence.
type sealedTo int64

// Head implements loop.Heads.
func (s sealedTo) Head(context.Context, types.UID) (int64, bool) { return int64(s), true }

// driven is a loop under test, with its object on the API server.
type driven[T loop.Object] struct {
	t      *testing.T
	loop   *loop.Loop[T, struct{}, string]
	kind   *script[T]
	events *announcements
	object T
}

func drive[T loop.Object](t *testing.T, object T, record bool, headline string) *driven[T] {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "loop-"}}
	must(t, fixture.Admin().Create(t.Context(), ns))
	object.SetNamespace(ns.Name)
	controllers := fixture.Controllers(t)
	if record {
		must(t, controllers.Create(t.Context(), object)) // records are the controllers' own
	} else {
		must(t, fixture.Admin().Create(t.Context(), object))
	}
	d := &driven[T]{t: t, kind: &script[T]{}, events: &announcements{}, object: object}
	d.loop = &loop.Loop[T, struct{}, string]{
		Kind: d.kind, Headline: headline, Record: record, Client: controllers, Events: d.events, Actor: "tester", Clock: &fixture.Clock{},
	}
	return d
}

// read reads the object as it is stored.
func (d *driven[T]) read() T {
	d.t.Helper()
	o := d.object.DeepCopyObject().(T)
	must(d.t, fixture.Admin().Get(d.t.Context(), client.ObjectKeyFromObject(d.object), o))
	return o
}

// pass makes one pass on the object as it is stored, and tells whether it wrote.
func (d *driven[T]) pass() (wrote bool, result ctrl.Result, err error) {
	d.t.Helper()
	o := d.read()
	before := o.GetResourceVersion()
	result, err = d.loop.Reconcile(d.t.Context(), o)
	return d.read().GetResourceVersion() != before, result, err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mapping() *v1alpha1.Mapping {
	return &v1alpha1.Mapping{
		ObjectMeta: metav1.ObjectMeta{Name: "falco"},
		Spec: v1alpha1.MappingSpec{Product: "Falco", Signal: v1alpha1.SignalMapping{
			Category: "'Runtime'", Title: "payload.rule", Severity: "High",
		}},
	}
}

func run() *v1alpha1.PlaybookRun {
	return &v1alpha1.PlaybookRun{
		ObjectMeta: metav1.ObjectMeta{Name: "rt-1-isolate-pod"},
		Spec: v1alpha1.PlaybookRunSpec{
			CaseRef: v1alpha1.RecordRef{Name: "rt-1", UID: "2b0a"}, PlaybookRef: v1alpha1.LocalRef{Name: "isolate-pod"}, Revision: "isolate-pod-0011223344",
		},
	}
}
