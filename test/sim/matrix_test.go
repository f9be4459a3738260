// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

var (
	points = []point{beforeFence, afterFence, beforeSend, sentBytes, received, beforeOutcome, afterOutcome}
	faults = []fault{crash, failure, delay, lostReply, rival}
)

// TestCrashMatrix has each fault once at each point of an attempt, for every operation, alone and with a second process
// that believes to lead since just before.
func TestCrashMatrix(t *testing.T) {
	runs, passes, violations := 0, 0, 0
	for _, o := range operations {
		for _, at := range points {
			for _, f := range faults {
				for _, two := range []bool{false, true} {
					name := fmt.Sprintf("%s, %s %s, two=%t", o.Name, f, at, two)
					synctest.Test(t, func(*testing.T) {
						w := newWorld(uint64(runs))
						hit := w.once(at, f, two)
						w.guard(v1alpha1.GuardrailRule{Allow: "it is fine"})
						if o.Name == "unset" {
							w.meddle("t1") // so that there is something to do
						}
						w.begin()
						w.people(20 * time.Second)
						w.later(time.Second, func() {
							a := w.intend("a1", o.Name, "t1", 10*time.Minute, false, nil)
							if o.Rollback != "" && o.Name == "set" {
								w.later(30*time.Second, func() { w.intend("a2", o.Rollback, "t1", 10*time.Minute, false, a) })
							}
						})
						w.run(2*time.Minute, func() bool { return false })
						w.calm()
						if found := w.finish(); len(found) > 0 {
							violations += len(found)
							w.tell(t, name, found)
						}
						if !*hit {
							t.Errorf("%s: nothing came to this point", name)
						}
						passes += w.passes
					})
					runs++
				}
			}
		}
	}
	t.Logf("%d runs, %d passes, %d violations", runs, passes, violations)
}

// once has a fault at the first time that a point is reached, and a second process begin before.
func (w *world) once(at point, f fault, two bool) *bool {
	hit := new(bool)
	w.plan = func(here point, _ *process) fault {
		if here != at || *hit {
			return nothing
		}
		*hit = true
		if two {
			w.after(w.upTo(2*time.Second), func() { w.begin() })
		}
		return f
	}
	return hit
}
