// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller"
)

// process is an operator that believes to lead: the real controller, its cache, its clock, and its queue.
type process struct {
	w          *world
	holder     string
	dead       bool
	sees       int64         // the version of the store that its cache is at
	ahead      time.Duration // of its wall clock
	controller reconcile.ObjectReconciler[*v1alpha1.Action]
	busy       map[string]bool // by action: a pass is under way
	again      map[string]bool // and another is wanted
	failures   map[string]int
}

// begin starts a process. What it sees first may be a moment old.
func (w *world) begin() *process {
	w.count++
	p := &process{w: w, holder: fmt.Sprintf("op-%d", w.count), busy: map[string]bool{}, again: map[string]bool{}, failures: map[string]int{}}
	p.sees = max(w.born, w.store.version-int64(w.random.IntN(3)))
	p.controller = controller.ActionReconciler(controller.ActionOptions{
		Client: &view{process: p}, Live: &view{process: p, live: true}, Connectors: tool{p}, Namespace: operator, Holder: p.holder,
		Clock: p, Events: silent{}, Heads: sealed{},
	})
	w.processes = append(w.processes, p)
	w.note("%s begins to lead", p.holder)
	w.catchUp(p, w.store.version)
	p.resync()
	return p
}

// kill ends a process: all that it remembered is gone.
func (p *process) kill(where string) {
	if p.dead {
		return
	}
	p.dead = true
	p.w.note("%s dies %s", p.holder, where)
	for i, other := range p.w.processes {
		if other == p {
			p.w.processes = append(p.w.processes[:i:i], p.w.processes[i+1:]...)
		}
	}
	if len(p.w.processes) == 0 {
		p.w.after(p.w.upTo(20*time.Second), func() {
			if len(p.w.processes) == 0 {
				p.w.begin()
			}
		})
	}
}

// Now implements clock.PassiveClock: the wall clock of this process.
func (p *process) Now() time.Time {
	return time.Now().Round(0).Add(p.ahead).Truncate(time.Microsecond)
}

// Since implements clock.PassiveClock.
func (p *process) Since(t time.Time) time.Duration { return p.Now().Sub(t) }

// resync looks at every action.
func (p *process) resync() {
	for _, a := range p.w.store.actions() {
		p.want(a.Name)
	}
}

// want makes a pass on an action as soon as none is under way.
func (p *process) want(name string) {
	switch {
	case p.dead:
	case p.busy[name]:
		p.again[name] = true
	default:
		p.busy[name] = true
		p.w.spawn(p, func(ctx context.Context) { p.pass(ctx, name) })
	}
}

func (p *process) wantAfter(name string, d time.Duration) {
	p.w.after(d, func() { p.want(name) })
}

// pass makes one pass, on what the cache has.
func (p *process) pass(ctx context.Context, name string) {
	p.w.passes++
	var a v1alpha1.Action
	cache := &view{process: p}
	if cache.Get(ctx, client.ObjectKey{Namespace: tenant, Name: name}, &a) == nil {
		result, err := p.controller.Reconcile(ctx, &a)
		switch {
		case err != nil:
			p.failures[name]++
			p.wantAfter(name, min(10*time.Millisecond<<min(p.failures[name], 12), 30*time.Second))
		case result.RequeueAfter > 0:
			p.failures[name] = 0
			p.wantAfter(name, result.RequeueAfter)
		default:
			p.failures[name] = 0
		}
	}
	p.busy[name] = false
	if p.again[name] {
		p.again[name] = false
		p.wantAfter(name, 0)
	}
}

// changed tells every process, each a little later, that something was written.
func (w *world) changed(o client.Object, version int64) {
	for _, p := range w.processes {
		w.after(w.lag(), func() {
			w.sees(p, version)
			if a, ok := o.(*v1alpha1.Action); ok {
				p.want(a.Name)
				return
			}
			p.resync()
		})
	}
}

func (w *world) sees(p *process, version int64) { p.sees = max(p.sees, version) }

func (w *world) catchUp(p *process, version int64) {
	w.after(w.lag(), func() { w.sees(p, version); p.resync() })
}

// silent takes events and tells nobody.
type silent struct{}

// Eventf implements events.EventRecorder.
func (silent) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}

// sealed is an evidence log that has sealed all there is.
type sealed struct{}

// Head implements loop.Heads.
func (sealed) Head(context.Context, types.UID) (int64, bool) { return 1 << 40, true }
