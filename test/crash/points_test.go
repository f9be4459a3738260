// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture"
	"github.com/casebook-dev/casebook/test/history"
)

//go:embed testdata/tool.yaml
var toolManifest string

// moment is when the operator dies in the life of an action.
type moment string

// The moments, in order: each is the request that the process is making as it dies.
const (
	creating   moment = "creating the action"
	announcing moment = "announcing the attempt"
	sending    moment = "sending"
	telling    moment = "telling the outcome"
)

// point is one place to die: before what the process asks for is done, or after, when it was not told yet.
type point struct {
	operation string
	at        moment
	after     bool
}

func (p point) String() string {
	if p.after {
		return fmt.Sprintf("%s: after %s, before it was told", p.operation, p.at)
	}
	return fmt.Sprintf("%s: %s", p.operation, p.at)
}

func points() (out []point) {
	for _, operation := range []string{"set", "order", "file", "fire"} {
		for _, at := range []moment{creating, announcing, sending, telling} {
			out = append(out, point{operation, at, false}, point{operation, at, true})
		}
	}
	return out
}

// playbooks are those of the manifest, by the operation that each runs.
var playbooks = map[string]string{"set": "idempotent", "order": "keyed", "file": "readback", "fire": "atmostonce"}

// oneForEach has a case about a thing run the playbook that the thing's name begins with, and nothing else.
func oneForEach(o client.Object) {
	ct, ok := o.(*v1alpha1.CaseType)
	if !ok {
		return
	}
	ct.Spec.Enrich, ct.Spec.Severity, ct.Spec.Playbooks = nil, nil, nil
	for operation, name := range playbooks {
		ct.Spec.Playbooks = append(ct.Spec.Playbooks, v1alpha1.CasePlaybook{
			Name: name, When: fmt.Sprintf("case.assets[0].name.startsWith('%s-')", operation),
		})
	}
}

// TestKilledAtEveryPoint kills the real process (SIGKILL) as it makes each request of an action's life, for each of the
// semantics, and starts it again. What came to the target and what was stored, over all of it, is held against the
// invariants of the protocol: each effect was announced, none happened twice, and what is said is so.
func TestKilledAtEveryPoint(t *testing.T) {
	w := fixture.NewTenant(t, oneForEach)
	story := newFront(t)
	target := httptest.NewServer(http.HandlerFunc(story.target))
	t.Cleanup(target.Close)
	api := httptest.NewTLSServer(story.api(t))
	t.Cleanup(api.Close)
	w.Apply(strings.ReplaceAll(toolManifest, "BASE_URL", target.URL))
	p := newProcess(t, w.Kubeconfig(api), freeAddress(t))
	p.start()
	w.AwaitReady()

	all := points()
	for i, at := range all {
		thing := fmt.Sprintf("%s-%d", at.operation, i)
		dead := story.arm(thing, at)
		w.Alert(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: thing, Namespace: w.Shop}})
		select {
		case <-story.reached:
		case <-time.After(time.Minute):
			t.Fatalf("nothing came to the point %q", at)
		}
		p.kill()
		close(dead)
		p.start()
	}
	actions := resolveAll(t, w, story, len(all))
	<-time.After(2 * time.Second) // what is written once all has ended comes within that
	story.add(history.Event{Kind: history.Rest})

	for _, v := range history.Check(story.log.Events()) {
		t.Error(v)
	}
	for _, a := range actions {
		want := v1alpha1.ActionSucceeded
		if len(story.effects(a.Spec.Target.Name)) == 0 {
			want = v1alpha1.ActionFailed // a person found that it did not happen
		}
		if a.Status.State != want {
			t.Errorf("%s of %s is %s, want %s", a.Spec.Operation, a.Spec.Target.Name, a.Status.State, want)
		}
	}
	w.Check()
	if t.Failed() {
		t.Log(story)
	}
	t.Logf("%d kills, %d events, %d effects", len(all), len(story.log.Events()), len(story.effects("")))
}

// resolveAll waits until every action has ended. A lead looks at the target for those whose outcome is unknown, and says
// what happened. Only what may run at most once may come to that.
func resolveAll(t *testing.T, w *fixture.World, story *front, want int) []v1alpha1.Action {
	t.Helper()
	var list v1alpha1.ActionList
	resolved := map[string]bool{}
	w.Eventually("every action to end", func() (bool, string) {
		if err := fixture.Admin().List(t.Context(), &list, client.InNamespace(w.Namespace)); err != nil {
			return false, err.Error()
		}
		open, seen := want-len(list.Items), fmt.Sprintf("%d actions, want %d\n", len(list.Items), want)
		for i := range list.Items {
			a := &list.Items[i]
			if a.Status.State != v1alpha1.ActionUnknown {
				if !a.Status.State.Ended() {
					open, seen = open+1, seen+fixture.Show(a)
				}
				continue
			}
			open, seen = open+1, seen+fixture.Show(a)
			if resolved[a.Name] {
				continue
			}
			resolved[a.Name] = true
			if a.Spec.Semantics != v1alpha1.AtMostOnce {
				t.Errorf("%s of %s ended as unknown: %s", a.Spec.Operation, a.Spec.Target.Name, a.Status.Message)
			}
			resolve(w, story, a)
		}
		return open == 0, seen
	})
	return list.Items
}

func resolve(w *fixture.World, story *front, a *v1alpha1.Action) {
	outcome := v1alpha1.ResolveDidNot
	if len(story.effects(a.Spec.Target.Name)) > 0 {
		outcome = v1alpha1.ResolveHappened
	}
	story.add(history.Event{Kind: history.Decided, Verdict: v1alpha1.VerdictResolve, Action: a.Name, Outcome: outcome})
	c := &v1alpha1.Case{ObjectMeta: metav1.ObjectMeta{Name: a.Spec.CaseRef.Name, Namespace: a.Namespace}}
	fixture.Await(w, c, "to be there", func(*v1alpha1.Case) bool { return true })
	w.Decide(fixture.Lead, c, v1alpha1.DecisionSpec{
		Verdict: v1alpha1.VerdictResolve, Message: "The tool's own log says so",
		Resolve: &v1alpha1.ResolveDecision{ActionRef: v1alpha1.RecordRef{Name: a.Name, UID: string(a.UID)}, Outcome: outcome},
	})
}

// effects are those on one thing, or on all.
func (f *front) effects(thing string) []history.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.log.Events()), func(e history.Event) bool {
		return e.Kind != history.Effect || thing != "" && e.Target != thing
	})
}
