// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/guard"
)

func twoAnHour(t testing.TB) []*guard.Policy {
	return []*guard.Policy{compileOf(t, func(spec *v1alpha1.GuardrailSpec) {
		spec.Budgets = []v1alpha1.Budget{budget("isolations", 2, time.Hour)}
	})}
}

func TestLedger(t *testing.T) {
	var l guard.Ledger
	policies := twoAnHour(t)
	reserve := func(uid string, at time.Time, listed ...guard.Usage) bool {
		t.Helper()
		_, ok := l.Reserve("soc", guard.Usage{Action: uid, Operation: "kubernetes/isolatePod", BeganTime: at}, policies, listed)
		return ok
	}
	expect := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %t", what, got)
		}
	}
	expect("the first", reserve("a", noon), true)
	expect("the second", reserve("b", noon.Add(time.Minute)), true)
	expect("the third", reserve("c", noon.Add(2*time.Minute)), false)
	expect("the second again", reserve("b", noon.Add(3*time.Minute)), true)
	expect("the third, when the first is listed as well", reserve("c", noon.Add(4*time.Minute), began(noon)...), false)
	expect("one that is listed", reserve("x", noon.Add(4*time.Minute), guard.Usage{Action: "x", Operation: "kubernetes/isolatePod", BeganTime: noon}), true)
	l.Release("soc", "x")
	expect("the third, when the first lapsed", reserve("c", noon.Add(time.Hour)), true)
	expect("the fourth, when the second moved", reserve("d", noon.Add(61*time.Minute)), false)
	l.Release("soc", "b")
	l.Release("soc", "nobody")
	expect("the fourth, when the second was released", reserve("d", noon.Add(61*time.Minute)), true)
	if got := l.Usage("soc", "d", nil); len(got) != 2 || slices.ContainsFunc(got, func(u guard.Usage) bool { return u.Action == "d" }) {
		t.Errorf("to d there is %+v, want a and c", got)
	}
	expect("the first, whose place lapsed and was taken", reserve("a", noon.Add(62*time.Minute)), false)
	_, elsewhere := l.Reserve("shop", guard.Usage{Action: "e", Operation: "kubernetes/isolatePod", BeganTime: noon.Add(time.Hour)}, policies, nil)
	expect("another namespace", elsewhere, true)
	if got := l.Usage("soc", "", nil); len(got) != 3 {
		t.Errorf("with another namespace there is %+v, want a, c and d", got)
	}
	l.Note("soc", guard.Usage{Action: "f", Operation: "kubernetes/isolatePod", BeganTime: noon.Add(time.Hour)})
	states, ok := l.Reserve("soc", guard.Usage{Action: "g", Operation: "kubernetes/isolatePod", BeganTime: noon.Add(2 * time.Hour)}, policies, nil)
	if !ok || len(states) != 1 || states[0].Used != 1 {
		t.Errorf("two hours after noon: %t, %+v", ok, states)
	}
	l.Note("soc", guard.Usage{Action: "h", BeganTime: noon.Add(26 * time.Hour)})
	if got := l.Usage("soc", "", nil); len(got) != 1 {
		t.Errorf("after a day it holds %+v", got)
	}
	if got := l.Usage("shop", "", nil); len(got) != 0 {
		t.Errorf("after a day it holds of another namespace %+v", got)
	}
}

func TestLedgerTakesAllBudgetsOrNone(t *testing.T) {
	var l guard.Ledger
	policies := append(twoAnHour(t), compileOf(t, func(spec *v1alpha1.GuardrailSpec) {
		spec.Budgets = []v1alpha1.Budget{budget("none", 0, time.Hour)}
	}))
	states, ok := l.Reserve("soc", guard.Usage{Action: "a", Operation: "kubernetes/isolatePod", BeganTime: noon}, policies, nil)
	if ok || len(states) != 2 || states[0].Over() || !states[1].Over() {
		t.Errorf("got %t, %+v", ok, states)
	}
	if got := l.Usage("soc", "", nil); len(got) != 0 {
		t.Errorf("it holds %+v", got)
	}
}

func TestLedgerUnderManyHands(t *testing.T) {
	var l guard.Ledger
	var won atomic.Int32
	var done sync.WaitGroup
	policies := twoAnHour(t)
	start := make(chan struct{})
	for hand := range 8 {
		done.Go(func() {
			<-start
			for i := range 200 {
				next := guard.Usage{Action: fmt.Sprint(hand, "-", i), Operation: "kubernetes/isolatePod", BeganTime: noon}
				if _, ok := l.Reserve("soc", next, policies, l.Usage("soc", next.Action, nil)); ok {
					won.Add(1)
				}
				l.Note("shop", next)
				l.Release("shop", next.Action)
			}
		})
	}
	close(start)
	done.Wait()
	if won.Load() != 2 {
		t.Errorf("%d began, want 2", won.Load())
	}
}

// world is a namespace whose budgets several actions use up, seen through lists that lag
// and by processes that end.
type world struct {
	ledger *guard.Ledger
	now    time.Time
	// announced is what is stored, in the order in which it was stored; listed, how much
	// of each is seen.
	announced []guard.Usage
	seen      map[string]bool
	// free are those that began without a person.
	free map[string]bool
}

func (w *world) listed() []guard.Usage {
	return slices.DeleteFunc(slices.Clone(w.announced), func(u guard.Usage) bool { return !w.seen[u.Action] })
}

func (w *world) has(uid string) bool {
	return slices.ContainsFunc(w.announced, func(u guard.Usage) bool { return u.Action == uid })
}

// I11: whatever the order, no window of a budget's length holds more than may begin,
// wherever it lies; what people approved counts, and is not held back.
func TestBudgetsHoldInAnyWindow(t *testing.T) {
	operations := []string{"kubernetes/isolatePod", "kubernetes/isolatePod", "kubernetes/releasePod", "idp/revoke"}
	rapid.Check(t, func(r *rapid.T) {
		var budgets []v1alpha1.Budget
		for i := range rapid.IntRange(1, 3).Draw(r, "budgets") {
			of := rapid.SampledFrom([][]string{nil, {"kubernetes/isolatePod"}, {"kubernetes/*"}}).Draw(r, "operations")
			per := time.Duration(rapid.SampledFrom([]int{1, 1, 3, 1440}).Draw(r, "per")) * time.Minute
			budgets = append(budgets, budget(fmt.Sprint("b", i), rapid.Int32Range(1, 3).Draw(r, "max"), per, of...))
		}
		half := rapid.IntRange(0, len(budgets)).Draw(r, "split")
		policies := []*guard.Policy{
			compileOf(t, func(spec *v1alpha1.GuardrailSpec) { spec.Budgets = budgets[:half] }),
			compileOf(t, func(spec *v1alpha1.GuardrailSpec) { spec.Budgets = budgets[half:] }),
		}
		w := &world{ledger: &guard.Ledger{}, now: noon, seen: map[string]bool{}, free: map[string]bool{}}
		made := 0
		action := func(r *rapid.T) guard.Usage { // a new one, or one of the last few again
			n := max(0, made-rapid.IntRange(0, 4).Draw(r, "again"))
			made = max(made, n+1)
			return guard.Usage{Action: fmt.Sprint("a", n), Operation: operations[n%len(operations)], BeganTime: w.now}
		}
		begin := func(r *rapid.T) {
			next := action(r)
			_, ok := w.ledger.Reserve("soc", next, policies, w.listed())
			stored := rapid.SampledFrom([]string{"stored", "stored", "conflict", "given up"}).Draw(r, "fence")
			switch {
			case !ok || w.has(next.Action): // an action begins once; its place is checked all the same
			case stored == "stored":
				w.announced, w.free[next.Action] = append(w.announced, next), true
			case stored == "given up":
				w.ledger.Release("soc", next.Action)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"begin": begin, "begin too": begin, "begin as well": begin, "and begin": begin,
			"time passes": func(r *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{1, 29, 31, 59, 60, 61, 180}).Draw(r, "seconds")) * time.Second)
			},
			"the clock is set back": func(r *rapid.T) {
				w.now = w.now.Add(-time.Duration(rapid.IntRange(1, 200).Draw(r, "seconds")) * time.Second)
			},
			"begin with approval": func(r *rapid.T) {
				if next := action(r); !w.has(next.Action) {
					w.ledger.Note("soc", next)
					w.announced = append(w.announced, next)
				}
			},
			"list": func(r *rapid.T) {
				if len(w.announced) > 0 {
					w.seen[rapid.SampledFrom(w.announced).Draw(r, "listed").Action] = true
				}
			},
			"restart": func(*rapid.T) { // a process reads live before it reserves
				w.ledger = &guard.Ledger{}
				for _, u := range w.announced {
					w.seen[u.Action] = true
				}
			},
			"": func(r *rapid.T) { w.check(r, budgets) },
		})
	})
}

// check holds every window that begins with an action against each budget: of those
// stored there, one that began unattended must have found a place when it did.
func (w *world) check(r *rapid.T, budgets []v1alpha1.Budget) {
	for _, b := range budgets {
		counts := func(u guard.Usage) bool {
			return u.Operation == "kubernetes/isolatePod" || len(b.Operations) == 0 && u.Operation == "kubernetes/releasePod" || slices.Contains(b.Operations, "kubernetes/*") && u.Operation == "kubernetes/releasePod"
		}
		for _, first := range w.announced {
			end := first.BeganTime.Add(b.Per.Duration)
			n := 0
			for _, u := range w.announced {
				if !counts(u) || u.BeganTime.Before(first.BeganTime) || !u.BeganTime.Before(end) {
					continue
				}
				if n++; n > int(*b.Max) && w.free[u.Action] {
					r.Fatalf("budget %s (%d in %s): %s began unattended as number %d of the window from %s\n%+v",
						b.Name, *b.Max, b.Per.Duration, u.Action, n, first.BeganTime, w.announced)
				}
			}
		}
	}
}
