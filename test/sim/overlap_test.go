// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// TestOverlap has two processes that both believe to lead, in schedules that once broke an invariant.
func TestOverlap(t *testing.T) {
	one := int32(1)
	allow := v1alpha1.GuardrailRule{Allow: "it is fine"}
	soon := func(w *world, d time.Duration) {
		w.after(d, func() { w.begin() })
	}
	for name, tell := range map[string]func(w *world){
		"a clock that goes back after an attempt was announced does not let it be sent for longer": func(w *world) {
			w.guard(allow)
			w.at(afterFence, func(p *process) fault {
				p.ahead = 0
				soon(w, time.Second)
				return nothing
			})
			w.at(sentBytes, func(*process) fault { return delay })
			w.after(time.Second, func() {
				w.processes[0].ahead = time.Hour
				w.intend("a1", "file", "t1", 3*time.Hour, false, nil)
			})
		},
		"a clock that goes forward takes over nobody's attempt": func(w *world) {
			w.guard(allow)
			w.at(sentBytes, func(*process) fault {
				second := w.begin()
				w.after(time.Second, func() { second.ahead = time.Hour; second.resync() })
				return delay
			})
			w.intend("a1", "file", "t1", 3*time.Hour, false, nil)
		},
		"a clock that goes forward settles nothing": func(w *world) {
			w.guard(allow)
			w.at(sentBytes, func(p *process) fault {
				w.after(timeout+500*time.Millisecond, func() { p.ahead = time.Hour; p.resync() })
				return delay
			})
			w.intend("a1", "file", "t1", 3*time.Hour, false, nil)
		},
		"two that take the last place of a budget do not both act": func(w *world) {
			w.guard(allow, v1alpha1.Budget{Name: "one", Max: &one, Per: metav1.Duration{Duration: time.Hour}})
			soon(w, 0)
			w.later(5*time.Second, func() { // each hears first of another one, or not
				w.intend("a1", "file", "t1", 10*time.Minute, false, nil)
				w.intend("a2", "file", "t2", 10*time.Minute, false, nil)
			})
		},
		"a lookup that comes back lets no more begin than a budget has": func(w *world) {
			w.guard(v1alpha1.GuardrailRule{If: "lookups.it.found", Allow: "it is fine"}, v1alpha1.Budget{Name: "one", Max: &one, Per: metav1.Duration{Duration: time.Hour}})
			w.away = 30 * time.Second
			soon(w, 0)
			for i := range 3 {
				w.intend(fmt.Sprintf("a%d", i), "file", "t1", 10*time.Minute, false, nil)
			}
		},
		"an approval that comes as another judges takes no more than its own place": func(w *world) {
			w.guard(v1alpha1.GuardrailRule{Ask: &v1alpha1.Ask{}}, v1alpha1.Budget{Name: "one", Max: &one, Per: metav1.Duration{Duration: time.Hour}})
			soon(w, 0)
			for i := range 3 {
				w.intend(fmt.Sprintf("a%d", i), "file", "t1", 10*time.Minute, true, nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for n := range uint64(20) {
				synctest.Test(t, func(*testing.T) {
					w := newWorld(n)
					w.plan = func(point, *process) fault { return nothing }
					tell(w)
					w.begin()
					w.people(20 * time.Second)
					w.run(2*time.Minute, func() bool { return false })
					w.calm()
					if found := w.finish(); len(found) > 0 {
						w.tell(t, fmt.Sprintf("telling %d", n), found)
					}
				})
			}
		})
	}
}

// at has something happen the first time that a point is reached.
func (w *world) at(here point, do func(*process) fault) {
	before, done := w.plan, false
	w.plan = func(at point, p *process) fault {
		if at != here || done {
			return before(at, p)
		}
		done = true
		return do(p)
	}
}
