// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/test/history"
)

// store is the API server: objects with every version that they had, in the order of their making.
type store struct {
	w       *world
	version int64
	objects []*object
}

type object struct {
	kind     reflect.Type
	key      client.ObjectKey
	versions []client.Object
}

func versionOf(o client.Object) int64 {
	v, _ := strconv.ParseInt(o.GetResourceVersion(), 10, 64)
	return v
}

// at is an object as it was at a version of the store; nil if it was not there yet.
func (o *object) at(version int64) client.Object {
	for _, v := range slices.Backward(o.versions) {
		if versionOf(v) <= version {
			return v
		}
	}
	return nil
}

func (o *object) newest() client.Object { return o.versions[len(o.versions)-1] }

func (s *store) find(kind reflect.Type, key client.ObjectKey) *object {
	for _, o := range s.objects {
		if o.kind == kind && o.key == key {
			return o
		}
	}
	return nil
}

func (s *store) keep(to *object, o client.Object) {
	s.version++
	o.SetResourceVersion(strconv.FormatInt(s.version, 10))
	to.versions = append(to.versions, o.DeepCopyObject().(client.Object))
	s.w.changed(o, s.version)
}

// create makes an object, as of now.
func (s *store) create(o client.Object) {
	to := &object{kind: reflect.TypeOf(o), key: client.ObjectKeyFromObject(o)}
	s.objects = append(s.objects, to)
	s.keep(to, o)
}

// touch writes an action as somebody else would, who changes nothing of it that the controller owns.
func (s *store) touch(a *v1alpha1.Action) {
	to := s.find(reflect.TypeOf(a), client.ObjectKeyFromObject(a))
	o := to.newest().DeepCopyObject().(client.Object)
	o.SetLabels(map[string]string{"touched": strconv.FormatInt(s.version, 10)})
	s.keep(to, o)
}

var actions = schema.GroupResource{Group: v1alpha1.GroupName, Resource: "actions"}

// update stores the status of an action if nobody wrote it since.
func (s *store) update(a *v1alpha1.Action) error {
	to := s.find(reflect.TypeOf(a), client.ObjectKeyFromObject(a))
	if to == nil {
		return apierrors.NewNotFound(actions, a.Name)
	}
	was := to.newest().(*v1alpha1.Action)
	if was.ResourceVersion != a.ResourceVersion {
		return apierrors.NewConflict(actions, a.Name, fmt.Errorf("it is at %s", was.ResourceVersion))
	}
	is := was.DeepCopy()
	a.Status.DeepCopyInto(&is.Status)
	s.w.record(was, is)
	s.keep(to, is)
	a.ResourceVersion = is.ResourceVersion
	return nil
}

// actions are all as they are now.
func (s *store) actions() []*v1alpha1.Action {
	var out []*v1alpha1.Action
	for _, o := range s.objects {
		if a, ok := o.newest().(*v1alpha1.Action); ok {
			out = append(out, a)
		}
	}
	return out
}

// view is what a process reads and writes through: its cache, or past it.
type view struct {
	client.Client // what is not simulated is not called
	process       *process
	live          bool
}

// Get implements client.Reader.
func (v *view) Get(ctx context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if err := v.read(ctx); err != nil {
		return err
	}
	if found := v.process.w.store.find(reflect.TypeOf(into), key); found != nil {
		if o := found.at(v.horizon()); o != nil {
			reflect.ValueOf(into).Elem().Set(reflect.ValueOf(o.DeepCopyObject()).Elem())
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: fmt.Sprintf("%T", into)}, key.Name)
}

// List implements client.Reader.
func (v *view) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	if err := v.read(ctx); err != nil {
		return err
	}
	var options client.ListOptions
	options.ApplyOptions(opts)
	var items []runtime.Object
	for _, found := range v.process.w.store.objects {
		o := found.at(v.horizon())
		if o != nil && listOf(found.kind) == reflect.TypeOf(into) && o.GetNamespace() == options.Namespace && selected(o, &options) {
			items = append(items, o.DeepCopyObject())
		}
	}
	return meta.SetList(into, items)
}

// listOf is the type of lists of a kind.
func listOf(kind reflect.Type) reflect.Type {
	return map[reflect.Type]reflect.Type{
		reflect.TypeFor[*v1alpha1.Action]():    reflect.TypeFor[*v1alpha1.ActionList](),
		reflect.TypeFor[*v1alpha1.Decision]():  reflect.TypeFor[*v1alpha1.DecisionList](),
		reflect.TypeFor[*v1alpha1.Guardrail](): reflect.TypeFor[*v1alpha1.GuardrailList](),
	}[kind]
}

// selected tells whether an object is of the case that is asked for; no other field is.
func selected(o client.Object, options *client.ListOptions) bool {
	if options.FieldSelector == nil {
		return true
	}
	of, asked := options.FieldSelector.RequiresExactMatch(kube.ByCase)
	d, decision := o.(*v1alpha1.Decision)
	return asked && decision && d.Spec.CaseRef.Name == of
}

func (v *view) horizon() int64 {
	if v.live {
		return v.process.w.store.version
	}
	return v.process.sees
}

// read costs time, and may fail, where it goes past the cache.
func (v *view) read(ctx context.Context) error {
	if !v.live {
		return nil
	}
	t, w := taskOf(ctx), v.process.w
	t.wait(w.latency())
	if w.strikes(w.rates.read) {
		w.note("%s cannot read past its cache", v.process.holder)
		return apierrors.NewInternalError(errLost)
	}
	return nil
}

// Status implements client.StatusClient.
func (v *view) Status() client.SubResourceWriter { return statusWriter{v: v} }

type statusWriter struct {
	client.SubResourceWriter // what is not simulated is not called
	v                        *view
}

var errLost = fmt.Errorf("the connection to the API server was lost")

// Update implements client.SubResourceWriter.
func (s statusWriter) Update(ctx context.Context, o client.Object, _ ...client.SubResourceUpdateOption) error {
	a, t, w := o.(*v1alpha1.Action), taskOf(ctx), s.v.process.w
	before, after := pointsOf(w.store, a)
	lost := false
	switch w.fault(before, t.process) {
	case crash:
		t.process.kill(string(before))
		t.wait(0)
	case failure:
		return apierrors.NewInternalError(errLost)
	case delay:
		t.wait(w.long())
	case lostReply:
		lost = true
	case rival:
		w.store.touch(a)
	}
	t.wait(w.latency())
	if err := w.store.update(a); err != nil {
		w.note("%s does not write %s: %v", t.process.holder, a.Name, apierrors.ReasonForError(err))
		return err
	}
	w.note("%s writes %s: %s", t.process.holder, a.Name, describe(a))
	switch w.fault(after, t.process) {
	case crash:
		t.process.kill(string(after))
	case failure, lostReply:
		lost = true
	case delay:
		t.wait(w.long())
	case rival:
		w.store.touch(a)
	}
	t.wait(w.latency())
	if lost {
		w.note("%s is not told", t.process.holder)
		return apierrors.NewTimeoutError("the write was sent", 1)
	}
	return nil
}

// pointsOf names the points before and after a write.
func pointsOf(s *store, a *v1alpha1.Action) (before, after point) {
	executing := func(o *v1alpha1.Action) bool { return o.Status.State == v1alpha1.ActionExecuting }
	was := s.find(reflect.TypeOf(a), client.ObjectKeyFromObject(a)).at(versionOf(a)).(*v1alpha1.Action)
	switch {
	case executing(a) && !executing(was):
		return beforeFence, afterFence
	case executing(was) && !executing(a):
		return beforeOutcome, afterOutcome
	default:
		return beforeWrite, afterWrite
	}
}

func describe(a *v1alpha1.Action) string {
	text := string(a.Status.State)
	if n := len(a.Status.Attempts); n > 0 {
		last := a.Status.Attempts[n-1]
		text += fmt.Sprintf(" #%d by %s %s", last.Number, last.Holder, last.Outcome)
	}
	if c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ExecutedCondition); c != nil {
		text += " (" + c.Reason + ")"
	}
	return text + " " + a.Status.Message
}

// record adds to the history what a write says.
func (w *world) record(was, is *v1alpha1.Action) {
	for _, e := range history.StatusOf(was, is) {
		w.log.Add(e)
		if e.Kind == history.Wrote {
			w.states[fmt.Sprint(is.Spec.Semantics, e.State, e.Attempt, e.Reason)]++
		}
	}
}
