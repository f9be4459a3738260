// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture"
)

// unattended makes the playbook isolate the pod and close the case, so that a story ends by itself.
func unattended(o client.Object) {
	if pb, ok := o.(*v1alpha1.Playbook); ok {
		pb.Spec.Steps = append(pb.Spec.Steps[:2], v1alpha1.Step{
			Name: "done", Close: &v1alpha1.CloseStep{Classification: "TruePositive", Note: "Isolated; the shop team was told"},
		})
	}
}

// outcome is what a story comes to, without what differs from one telling to the next.
type outcome struct {
	Case     v1alpha1.CaseState
	Severity v1alpha1.Severity
	Closed   v1alpha1.Classification
	Run      v1alpha1.RunState
	Steps    map[string]v1alpha1.StepState
	Actions  map[string]v1alpha1.ActionState
	Isolated bool
}

func outcomeOf(t *testing.T, w *fixture.World, c *v1alpha1.Case, pod *corev1.Pod) outcome {
	t.Helper()
	out := outcome{
		Case: c.Status.State, Severity: c.Status.Severity, Closed: c.Status.Closure.Classification, Isolated: w.Isolated(pod),
		Steps: map[string]v1alpha1.StepState{}, Actions: map[string]v1alpha1.ActionState{},
	}
	var runs v1alpha1.PlaybookRunList
	var actions v1alpha1.ActionList
	for _, list := range []client.ObjectList{&runs, &actions} {
		if err := fixture.Admin().List(t.Context(), list, client.InNamespace(w.Namespace)); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range runs.Items {
		out.Run = run.Status.State
		for _, step := range run.Status.Steps {
			out.Steps[step.Name] = step.State
		}
	}
	for _, a := range actions.Items {
		out.Actions[a.Spec.Handle] = a.Status.State
	}
	if len(runs.Items) != 1 {
		t.Errorf("there are %d runs, want one", len(runs.Items))
	}
	return out
}

// story is what happens in a world once an alert is there.
type story struct {
	edits []fixture.Edit
	// people do what only people can, and return when the case is closed.
	people func(w *fixture.World, c *v1alpha1.Case)
	// policies made and deleted, and marks of the pod one after the other, that are left in the ledger.
	made, deleted, marks int
	isolated             bool
}

const byPlaybook = "isolated, and closed by the playbook"

var stories = map[string]story{
	byPlaybook: {
		edits: []fixture.Edit{unattended}, made: 1, marks: 2, isolated: true,
		people: func(w *fixture.World, c *v1alpha1.Case) { w.AwaitState(c, v1alpha1.CaseClosed) },
	},
	"isolated, and released and closed by people": {
		made: 1, deleted: 1, marks: 3,
		people: func(w *fixture.World, c *v1alpha1.Case) {
			q := w.AwaitQuestion(c, "keep")
			w.Judged(w.Decide(fixture.Lead, c, fixture.Answer(q, "release")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
			w.AwaitRest(c)
			w.Judged(w.Decide(fixture.Analyst, c, fixture.Close("FalsePositive", "A test")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
			w.AwaitState(c, v1alpha1.CaseClosed)
		},
	},
}

// tell tells a story with an operator that the wire cuts and another that takes over, and wants everything to be as if
// there had been one.
func (s story) tell(t *testing.T, wire *wire) outcome {
	t.Helper()
	w := fixture.NewTenant(t, s.edits...)
	pod := w.Pod("web-1")
	l := keepLedger(t, w, pod)
	first := w.Run(fixture.Faults{Transport: wire.transport, Bucket: wire.bucket, Connectors: l.connectors})
	w.AwaitReady()
	wire.arm()
	over, replaced := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(replaced)
		select {
		case <-wire.died:
			first.Stop()
			w.Run(fixture.Faults{Connectors: l.connectors})
		case <-over:
		}
	}()
	c := w.Alert(pod)
	s.people(w, c)
	w.Evidence(c, true)
	close(over)
	<-replaced
	w.Evidence(c, true) // the operator may have died after the last write
	w.Check()
	l.check(s)
	return outcomeOf(t, w, c, pod)
}

// TestCrashAtEveryWrite cuts the operator off before and after every write of each story: to the API server, to the
// target, and to the bucket.
func TestCrashAtEveryWrite(t *testing.T) {
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			uncut := newWire(0, false)
			want := story.tell(t, uncut)
			if want.Case != v1alpha1.CaseClosed || want.Run != v1alpha1.RunSucceeded || want.Isolated != story.isolated || want.Actions["isolate"] != v1alpha1.ActionSucceeded {
				t.Fatalf("the story does not end well: %+v", want)
			}
			t.Logf("writes of the story: %q", uncut.writes())
			for i, write := range uncut.writes() {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("%02d after=%t %s", i+1, after, write), func(t *testing.T) {
						t.Parallel()
						if diff := cmp.Diff(want, story.tell(t, newWire(i+1, after))); diff != "" {
							t.Errorf("it comes to something else (-uncut +cut):\n%s", diff)
						}
					})
				}
			}
		})
	}
}

// TestEveryAnswerLost loses the answer of each write in turn, carried out or not, and lets the operator live: it must find
// out what became of it.
func TestEveryAnswerLost(t *testing.T) {
	story := stories[byPlaybook]
	uncut := newWire(0, false)
	want := story.tell(t, uncut)
	for i, write := range uncut.writes() {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%02d after=%t %s", i+1, after, write), func(t *testing.T) {
				t.Parallel()
				wire := newWire(i+1, after)
				wire.lives = true
				if diff := cmp.Diff(want, story.tell(t, wire)); diff != "" {
					t.Errorf("it comes to something else (-answered +lost):\n%s", diff)
				}
			})
		}
	}
}

// TestTwoOperatorsAtOnce has two that both believe to be the only one: one announces and sends, the other finds it so.
func TestTwoOperatorsAtOnce(t *testing.T) {
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fixture.NewTenant(t, story.edits...)
			pod := w.Pod("web-1")
			l := keepLedger(t, w, pod)
			w.Run(fixture.Faults{Connectors: l.connectors})
			w.Run(fixture.Faults{Connectors: l.connectors})
			w.AwaitReady()
			c := w.Alert(pod)
			story.people(w, c)
			w.Evidence(c, true)
			w.Check()
			l.check(story)
			if got := outcomeOf(t, w, c, pod); got.Isolated != story.isolated || got.Actions["isolate"] != v1alpha1.ActionSucceeded {
				t.Errorf("it comes to %+v", got)
			}
		})
	}
}
