// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/test/history"
)

const (
	tenant   = "soc"
	operator = "casebook-system"
)

// world is one run.
type world struct {
	schedule
	random *rand.Rand
	rates  rates
	// plan gives the fault at a point; nil: by the rates.
	plan func(point, *process) fault

	store     *store
	things    map[string]*thing
	wants     map[string]string // operation and mark, to the action
	processes []*process
	count     int   // of processes
	born      int64 // the version of the store with which everything begins
	budgets   []history.Budget
	planned   int           // actions that are to come
	away      time.Duration // until when lookups fail

	log    history.Log
	trace  []string
	passes int
	states map[string]int // distinct states that were written
	// unheeded is what was sent while all was frozen.
	unheeded []history.Violation
}

// rates are how often what goes wrong does, of a thousand times.
type rates struct {
	crash, failure, delay, lostReply, rival int // at every point
	wire                                    int // more at the points of an exchange
	read, look, late, refuse, limit         int
	lag                                     time.Duration // of caches, at most
}

// sum is how often anything goes wrong at a point.
func (r rates) sum() int { return r.crash + r.failure + r.delay + r.lostReply + r.rival }

// point is where something can go wrong.
type point string

// The points of an attempt, in order, and those of any other write.
const (
	beforeFence   point = "before the fence write"
	afterFence    point = "after the fence write"
	beforeSend    point = "before the first byte"
	sentBytes     point = "after the last byte"
	received      point = "with the answer received"
	beforeOutcome point = "before the outcome write"
	afterOutcome  point = "after the outcome write"
	beforeWrite   point = "before another write"
	afterWrite    point = "after another write"
)

// fault is what goes wrong.
type fault string

// The faults. What each is differs from point to point.
const (
	nothing   fault = ""
	crash     fault = "crash"
	failure   fault = "error"
	delay     fault = "delay"
	lostReply fault = "lost reply"
	rival     fault = "rival write"
)

func newWorld(seed uint64) *world {
	w := &world{
		random: rand.New(rand.NewPCG(seed, 0)),
		things: map[string]*thing{}, wants: map[string]string{}, states: map[string]int{},
	}
	w.start = time.Now()
	w.log.Now = time.Now
	w.store = &store{w: w}
	w.store.create(&v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "tool", UID: "c1"}, Spec: v1alpha1.ConnectorSpec{
		Settle: &metav1.Duration{Duration: settle}, Timeout: &metav1.Duration{Duration: timeout},
	}})
	return w
}

// guard gives the tenant one Guardrail, of one rule.
func (w *world) guard(rule v1alpha1.GuardrailRule, budgets ...v1alpha1.Budget) {
	rule.Name = "rule"
	g := &v1alpha1.Guardrail{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "tool", UID: "g1"}}
	if rule.If != "" {
		g.Spec.Lookups = []v1alpha1.GuardrailLookup{{Name: "it", Lookup: "tool/find"}}
	}
	g.Spec.Covers, g.Spec.Rules, g.Spec.Budgets = []string{"tool/*"}, []v1alpha1.GuardrailRule{rule}, budgets
	w.store.create(g)
	w.born = w.store.version
	for _, b := range budgets {
		w.budgets = append(w.budgets, history.Budget{Name: b.Name, Operations: b.Operations, Max: int(*b.Max), Per: b.Per.Duration})
	}
}

// later makes something happen in a while, at rest at the latest.
func (w *world) later(within time.Duration, do func()) {
	w.planned++
	w.after(w.upTo(within), func() {
		w.planned--
		do()
	})
}

// intend makes an action, as a playbook would.
func (w *world) intend(name, operation, target string, lasts time.Duration, asks bool, rollbackOf *v1alpha1.Action) *v1alpha1.Action {
	a := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.Now()}}
	a.Spec = v1alpha1.ActionSpec{
		CaseRef: v1alpha1.RecordRef{Name: "case", UID: "k1"}, Handle: name, ConnectorRef: v1alpha1.RecordRef{Name: "tool", UID: "c1"},
		Operation: "tool/" + operation, Input: apiextensionsv1.JSON{Raw: []byte(fmt.Sprintf(`{"name":%q}`, target))},
		Target: v1alpha1.Target{Type: "Thing", Name: target}, Rollback: v1alpha1.RollbackPlan{NotPossible: "it is not"},
		Requester:    v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "playbook"},
		DeadlineTime: metav1.NewMicroTime(time.Now().Round(0).Add(lasts)),
	}
	verifiable := true
	for _, o := range operations {
		if o.Name == operation {
			a.Spec.Semantics, a.Spec.Effect, verifiable = o.Semantics, o.Effect, !o.AcknowledgedOnly
		}
	}
	if rollbackOf != nil {
		a.Spec.RollbackOf = &v1alpha1.RecordRef{Name: rollbackOf.Name, UID: string(rollbackOf.UID)}
	}
	a.Spec.PlanDigest, _ = action.PlanDigest(a.Spec)
	w.wants[operation+action.Mark(name, a.Spec)] = name
	intended := history.IntentOf(a)
	intended.Verifiable, intended.Asks = verifiable, asks
	w.log.Add(intended)
	w.note("%s is to %s %s", name, operation, target)
	w.store.create(a)
	return a
}

func (w *world) thing(name string) *thing {
	if w.things[name] == nil {
		w.things[name] = &thing{keys: map[string]time.Duration{}}
	}
	return w.things[name]
}

// note adds a line to the trace.
func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%10.3fs ", w.now().Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) strikes(perMille int) bool { return w.random.IntN(1000) < perMille }

// upTo is a time below a bound.
func (w *world) upTo(bound time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(bound)))
}

// latency is how long one way to the API server or a target takes.
func (w *world) latency() time.Duration { return w.upTo(40*time.Millisecond) + time.Microsecond }

// long is a delay in which other things happen.
func (w *world) long() time.Duration { return w.upTo(45 * time.Second) }

// lag is how old what a cache has is.
func (w *world) lag() time.Duration {
	if w.strikes(150) && w.rates.lag > 0 {
		return w.upTo(w.rates.lag)
	}
	return w.upTo(30 * time.Millisecond)
}

// fault is what goes wrong here.
func (w *world) fault(at point, p *process) fault {
	if w.plan != nil {
		f := w.plan(at, p)
		if f != nothing {
			w.note("%s: %s %s", p.holder, f, at)
		}
		return f
	}
	draw := w.random.IntN(1000)
	if at == sentBytes && w.strikes(w.rates.wire) {
		draw = w.random.IntN(w.rates.sum() + 1)
	}
	for _, next := range []struct {
		fault fault
		rate  int
	}{{crash, w.rates.crash}, {failure, w.rates.failure}, {delay, w.rates.delay}, {lostReply, w.rates.lostReply}, {rival, w.rates.rival}} {
		if draw -= next.rate; draw < 0 {
			w.note("%s: %s %s", p.holder, next.fault, at)
			return next.fault
		}
	}
	return nothing
}

// calm ends all faults: what is not as it should be now must become so.
func (w *world) calm() {
	w.rates, w.plan = rates{}, nil
	w.note("no more faults")
	for _, p := range w.processes {
		p.ahead = 0
	}
}

// ended tells whether every action that was planned has ended.
func (w *world) ended() bool {
	if w.planned > 0 {
		return false
	}
	for _, a := range w.store.actions() {
		if !a.Status.State.Ended() {
			return false
		}
	}
	return true
}

// finish lets everything end, looks again at all of it, and gives what breaks an invariant.
func (w *world) finish() []history.Violation {
	w.run(w.now()+3*time.Hour, w.ended)
	w.run(w.now()+3*time.Minute, func() bool { return false }) // what was written last is seen, and people have spoken
	w.log.Add(history.Event{Kind: history.Rest})
	w.note("rest")
	for range 2 {
		for _, p := range w.processes {
			p.resync()
		}
		w.run(w.now()+time.Hour, func() bool { return false })
	}
	w.stop()
	return append(history.Check(w.log.Events(), w.budgets...), w.unheeded...)
}

// tell says what went wrong in a run, and how it came to it.
func (w *world) tell(t testing.TB, run string, found []history.Violation) {
	t.Helper()
	var text strings.Builder
	for _, v := range found {
		fmt.Fprintln(&text, v)
	}
	t.Errorf("%s: %d violations\n%s\n%s", run, len(found), &text, strings.Join(w.trace, "\n"))
}
