// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/history"
)

var (
	seed  = flag.Int64("seed", -1, "the one seed to run")
	seeds = flag.Int64("seeds", 2000, "how many seeds to run, from 0")
)

// most is how many runs that go wrong are told at length.
const most = 3

// tally is what several runs came to.
type tally struct {
	sync.Mutex
	passes int
	states map[string]bool
	broken map[string]int // violations by invariant
	told   int
}

// TestSeeds runs random schedules. One that breaks an invariant prints its seed and its trace; -seed runs it again.
func TestSeeds(t *testing.T) {
	sum := &tally{states: map[string]bool{}, broken: map[string]int{}}
	if *seed >= 0 {
		w := sum.run(t, *seed)
		t.Log(strings.Join(w.trace, "\n"))
		return
	}
	workers := int64(runtime.GOMAXPROCS(0))
	t.Run("all", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for n := worker; n < *seeds; n += workers {
					sum.run(t, n)
				}
			})
		}
	})
	t.Logf("%d seeds, %d passes, %d distinct states written, violations %v", *seeds, sum.passes, len(sum.states), sum.broken)
}

func (s *tally) run(t *testing.T, n int64) *world {
	var w *world
	synctest.Test(t, func(*testing.T) {
		var found []history.Violation
		w, found = chaos(uint64(n))
		s.Lock()
		defer s.Unlock()
		s.passes += w.passes
		for state := range w.states {
			s.states[state] = true
		}
		for _, v := range found {
			s.broken[v.Invariant]++
		}
		if s.told < most && len(found) > 0 {
			s.told++
			w.tell(t, fmt.Sprintf("seed %d", n), found)
		}
	})
	return w
}

// TestSameSeedSameRun holds that a seed gives the same run again: else it would be worth nothing.
func TestSameSeedSameRun(t *testing.T) {
	for n := range uint64(30) {
		var traces [2][]string
		for i := range traces {
			synctest.Test(t, func(*testing.T) {
				w, _ := chaos(n)
				traces[i] = w.trace
			})
		}
		if diff := cmp.Diff(traces[0], traces[1]); diff != "" {
			t.Errorf("seed %d is not the same twice:\n%s", n, diff)
		}
	}
}

// chaos is one random schedule.
func chaos(n uint64) (*world, []history.Violation) {
	defer func() {
		if cause := recover(); cause != nil {
			panic(fmt.Sprintf("seed %d: %v", n, cause))
		}
	}()
	w := newWorld(n)
	w.rates = rates{
		crash: w.random.IntN(30), failure: w.random.IntN(60), delay: w.random.IntN(60), lostReply: w.random.IntN(60), rival: w.random.IntN(40),
		read: w.random.IntN(40), look: w.random.IntN(150), late: w.random.IntN(400), refuse: w.random.IntN(60), limit: w.random.IntN(60), lag: w.upTo(20 * time.Second),
		wire: w.random.IntN(500),
	}
	asks, budgeted := w.strikes(250), w.strikes(300)
	w.protect(asks, budgeted)
	w.begin()
	w.people(30 * time.Second)
	if w.strikes(500) {
		w.begin() // two lead from the beginning
	}
	for i := range 1 + w.random.IntN(4) {
		w.something(fmt.Sprintf("a%d", i+1), asks)
	}
	lasts := 30*time.Second + w.upTo(4*time.Minute)
	w.trouble(lasts, !budgeted)
	w.run(lasts, func() bool { return false })
	w.calm()
	return w, w.finish()
}

// protect sets up the guardrail.
func (w *world) protect(asks, budgeted bool) {
	rule := v1alpha1.GuardrailRule{Allow: "it is fine"}
	if asks {
		rule = v1alpha1.GuardrailRule{Ask: &v1alpha1.Ask{ValidFor: &metav1.Duration{Duration: time.Minute}}}
	}
	if !budgeted {
		w.guard(rule)
		return
	}
	limit := int32(1 + w.random.IntN(2))
	w.guard(rule, v1alpha1.Budget{Name: "few", Max: &limit, Per: metav1.Duration{Duration: time.Hour}})
}

// something is an action on one of few targets, and maybe its rollback.
func (w *world) something(name string, asks bool) {
	o := operations[w.random.IntN(len(operations))]
	target := fmt.Sprintf("t%d", w.random.IntN(3))
	lasts := 2*time.Minute + w.upTo(20*time.Minute)
	w.later(20*time.Second, func() {
		a := w.intend(name, o.Name, target, lasts, asks, nil)
		if o.Rollback != "" && w.strikes(600) {
			w.later(40*time.Second, func() { w.intend(name+"-back", o.Rollback, target, lasts, asks, a) })
		}
	})
}

// trouble comes from outside: other leaders, crashes, freezes, rivals, clocks.
func (w *world) trouble(lasts time.Duration, jumps bool) {
	sometime := func(most int, do func()) {
		for range w.random.IntN(most + 1) {
			w.after(w.upTo(lasts), do)
		}
	}
	sometime(2, func() { // a leader that does not know yet that it is none
		old := w.one()
		w.begin()
		if old != nil {
			w.after(w.upTo(40*time.Second), func() { old.kill("as it learns that it does not lead") })
		}
	})
	sometime(2, func() {
		if p := w.one(); p != nil {
			p.kill("at any moment")
		}
	})
	sometime(2, func() { w.freeze(w.upTo(3 * time.Minute)) })
	sometime(2, func() { w.meddle(fmt.Sprintf("t%d", w.random.IntN(3))) })
	if jumps && w.strikes(400) {
		sometime(20, func() {
			if p := w.one(); p != nil {
				p.ahead += []time.Duration{time.Hour, -time.Hour}[w.random.IntN(2)]
				w.note("the clock of %s jumps: it is %s ahead", p.holder, p.ahead)
			}
		})
	}
}

// one is any process that believes to lead; nil if there is none.
func (w *world) one() *process {
	if len(w.processes) == 0 {
		return nil
	}
	return w.processes[w.random.IntN(len(w.processes))]
}
