// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture"
)

// settled is how long after its end a story may still write: its evidence is sealed in batches.
const settled = 3 * time.Second

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

// tell tells the story of an isolation that closes its case, with an operator that the wire cuts and another after it, and
// wants everything to be as if there had been one.
func tell(t *testing.T, wire *wire) outcome {
	t.Helper()
	w := fixture.NewTenant(t, unattended)
	pod := w.Pod("web-1")
	l := keepLedger(t, w, pod)
	first := w.Run(fixture.Faults{Transport: wire.transport, Bucket: wire.bucket, Connectors: l.connectors})
	w.AwaitReady()
	wire.arm()
	c := w.Alert(pod)
	if wire.cut > 0 {
		await(t, wire, w, c)
		first.Stop()
		w.Run(fixture.Faults{Connectors: l.connectors})
	}
	w.AwaitState(c, v1alpha1.CaseClosed)
	w.Evidence(c, true)
	w.Check()
	l.check(2) // isolating again is harmless: the operation is idempotent
	return outcomeOf(t, w, c, pod)
}

// await waits for the operator to die, or for the story to end where there are fewer writes this time.
func await(t *testing.T, wire *wire, w *fixture.World, c *v1alpha1.Case) {
	t.Helper()
	fixture.Await(w, c.DeepCopy(), "to end, or the operator to die", func(now *v1alpha1.Case) bool {
		select {
		case <-wire.died:
			return true
		default:
			return now.Status.State == v1alpha1.CaseClosed && metav1.Now().Sub(now.Status.Closure.Time.Time) > settled
		}
	})
}

// TestCrashAtEveryWrite cuts the operator off before and after every write of the story: to the API server, to the target,
// and to the bucket.
func TestCrashAtEveryWrite(t *testing.T) {
	uncut := newWire(0, false)
	want := tell(t, uncut)
	if want.Case != v1alpha1.CaseClosed || want.Run != v1alpha1.RunSucceeded || !want.Isolated || want.Actions["isolate"] != v1alpha1.ActionSucceeded {
		t.Fatalf("the story does not end well: %+v", want)
	}
	t.Logf("writes of the story: %q", uncut.writes())
	for i, write := range uncut.writes() {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%02d after=%t %s", i+1, after, write), func(t *testing.T) {
				t.Parallel()
				if diff := cmp.Diff(want, tell(t, newWire(i+1, after))); diff != "" {
					t.Errorf("it comes to something else (-uncut +cut):\n%s", diff)
				}
			})
		}
	}
}
