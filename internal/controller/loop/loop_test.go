// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/test/fixture"
)

// stand is a condition's status and reason; empty if it is absent.
func stand(o loop.Object, kind string) string {
	c := meta.FindStatusCondition(o.Head().Conditions, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

// outcomes are what a pass may come to, and what must then be seen of configuration and of a record.
var outcomes = map[string]struct {
	plan                         loop.Plan[string]
	observe                      error
	headline, abnormal, observed string // of configuration
	milestone, stalled           string // of a record
	configWrites, recordWrites   [5]bool
	after                        time.Duration
	terminal, failed             bool
}{
	"done": {
		plan:     loop.Plan[string]{Headline: metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReadyReason, Message: "in use"}, Recheck: time.Hour},
		headline: "True Ready", observed: "yes", milestone: "True Ready", configWrites: [5]bool{true}, recordWrites: [5]bool{true}, after: time.Hour,
	},
	"wait": {
		plan:     loop.Plan[string]{Fault: fault.Waitf(v1alpha1.ApprovalRequiredReason, time.Minute, "waits for a person")},
		headline: "Unknown ApprovalRequired", abnormal: v1alpha1.ReconcilingCondition, observed: "yes", configWrites: [5]bool{true}, after: time.Minute,
	},
	"terminal": {
		plan:     loop.Plan[string]{Fault: fault.Terminalf(v1alpha1.InvalidSpecReason, "spec.x is wrong: write another")},
		headline: "False InvalidSpec", abnormal: v1alpha1.StalledCondition, observed: "yes",
		milestone: "False InvalidSpec", stalled: "True InvalidSpec", configWrites: [5]bool{true}, recordWrites: [5]bool{true}, terminal: true,
	},
	"terminal while observing": {
		observe:  fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "there is no such thing: apply it"),
		headline: "False ReferenceNotFound", abnormal: v1alpha1.StalledCondition, observed: "yes",
		milestone: "False ReferenceNotFound", stalled: "True ReferenceNotFound", configWrites: [5]bool{true}, recordWrites: [5]bool{true}, terminal: true,
	},
	"transient, written from the third in a row": {
		observe:  errors.New("the API server is away"),
		headline: "Unknown Retrying", abnormal: v1alpha1.ReconcilingCondition, configWrites: [5]bool{2: true}, failed: true,
	},
}

func TestOutcomeOfConfiguration(t *testing.T) {
	t.Parallel()
	for name, test := range outcomes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, mapping(), false, v1alpha1.ReadyCondition)
			d.kind.observe = func() error { return test.observe }
			d.kind.decide = func(*v1alpha1.Mapping) loop.Plan[string] { return test.plan }
			for pass, want := range test.configWrites {
				wrote, result, err := d.pass()
				if wrote != want {
					t.Errorf("pass %d wrote: %t, want %t", pass+1, wrote, want)
				}
				wantAnswer(t, result, err, test.after, test.terminal, test.failed)
			}
			o := d.read()
			if got := stand(o, v1alpha1.ReadyCondition); got != test.headline {
				t.Errorf("Ready is %q, want %q", got, test.headline)
			}
			for _, kind := range []string{v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition} {
				if got := stand(o, kind) != ""; got != (kind == test.abnormal) {
					t.Errorf("%s is present: %t", kind, got)
				}
			}
			if got := o.Status.ObservedGeneration == o.Generation; got != (test.observed != "") {
				t.Errorf("the generation is observed: %t", got)
			}
			if len(d.events.said) != 1 {
				t.Errorf("events are %q, want one", d.events.said)
			}
			fixture.CheckReplay(t, o)
		})
	}
}

func TestOutcomeOfARecord(t *testing.T) {
	t.Parallel()
	for name, test := range outcomes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := drive(t, run(), true, v1alpha1.CompleteCondition)
			d.kind.observe = func() error { return test.observe }
			d.kind.decide = func(*v1alpha1.PlaybookRun) loop.Plan[string] { return test.plan }
			for pass, want := range test.recordWrites {
				wrote, result, err := d.pass()
				if wrote != want {
					t.Errorf("pass %d wrote: %t, want %t", pass+1, wrote, want)
				}
				wantAnswer(t, result, err, test.after, test.terminal, test.failed)
			}
			o := d.read()
			if got := stand(o, v1alpha1.CompleteCondition); got != test.milestone {
				t.Errorf("Complete is %q, want %q", got, test.milestone)
			}
			if got := stand(o, v1alpha1.StalledCondition); got != test.stalled {
				t.Errorf("Stalled is %q, want %q", got, test.stalled)
			}
			if got := stand(o, v1alpha1.ReconcilingCondition); got != "" {
				t.Errorf("a record has Reconciling: %q", got)
			}
			fixture.CheckReplay(t, o)
		})
	}
}

func wantAnswer(t *testing.T, result ctrl.Result, err error, after time.Duration, terminal, failed bool) {
	t.Helper()
	if result.RequeueAfter != after {
		t.Errorf("it looks again after %s, want %s", result.RequeueAfter, after)
	}
	if got := errors.Is(err, reconcile.TerminalError(nil)); got != terminal {
		t.Errorf("the error is terminal: %t, want %t (%v)", got, terminal, err)
	}
	if (err != nil) != (terminal || failed) {
		t.Errorf("the error is %v", err)
	}
}

// What hangs on a grant is looked at again although nothing that is watched changes, and is then in use.
func TestStalledIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	d := drive(t, mapping(), false, v1alpha1.ReadyCondition)
	d.loop.StalledRecheck = time.Minute
	granted := false
	d.kind.observe = func() error {
		if granted {
			return nil
		}
		return fault.Terminalf(v1alpha1.SecretForbiddenReason, "the operator may not read secret x: grant it")
	}
	d.kind.decide = func(*v1alpha1.Mapping) loop.Plan[string] { return outcomes["done"].plan }
	for pass := range 3 {
		wrote, result, err := d.pass()
		if wrote != (pass == 0) {
			t.Errorf("pass %d wrote: %t", pass+1, wrote)
		}
		wantAnswer(t, result, err, time.Minute, false, false)
	}
	granted = true
	if wrote, _, err := d.pass(); !wrote || err != nil || stand(d.read(), v1alpha1.ReadyCondition) != "True Ready" {
		t.Errorf("it stands at %q, %v", stand(d.read(), v1alpha1.ReadyCondition), err)
	}
}

// An outcome that changes is written and announced once, and the entries tell the way.
func TestOutcomesInTurn(t *testing.T) {
	t.Parallel()
	d := drive(t, mapping(), false, v1alpha1.ReadyCondition)
	var now string
	d.kind.observe = func() error { return outcomes[now].observe }
	d.kind.decide = func(*v1alpha1.Mapping) loop.Plan[string] { return outcomes[now].plan }
	for _, now = range []string{"terminal", "terminal", "done", "wait", "done", "done"} {
		_, _, _ = d.pass() // their answers are tested above
	}
	if got, want := strings.Join(d.events.said, "\n"), "Warning InvalidSpec spec.x is wrong: write another\nNormal Ready in use\nNormal ApprovalRequired waits for a person\nNormal Ready in use"; got != want {
		t.Errorf("events are\n%s\nwant\n%s", got, want)
	}
	o := d.read()
	if len(o.Status.Journal) != 4 {
		t.Errorf("there are %d entries, want 4", len(o.Status.Journal))
	}
	fixture.CheckReplay(t, o)
}

// One success in between and counting begins anew: only errors in a row are told.
func TestTransientErrorsNotInARowAreNotTold(t *testing.T) {
	t.Parallel()
	d := drive(t, mapping(), false, v1alpha1.ReadyCondition)
	var failing bool
	d.kind.observe = func() error {
		if failing {
			return errors.New("away")
		}
		return nil
	}
	d.kind.decide = func(*v1alpha1.Mapping) loop.Plan[string] { return outcomes["done"].plan }
	for i, fails := range []bool{false, true, true, false, true, true} {
		failing = fails
		if wrote, _, err := d.pass(); wrote != (i == 0) || (err != nil) != fails {
			t.Errorf("pass %d wrote: %t, %v", i+1, wrote, err)
		}
	}
}

// Somebody wrote since the read: nothing is written and nothing announced, and the next pass decides anew.
func TestConflictIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	d := drive(t, run(), true, v1alpha1.CompleteCondition)
	d.kind.decide = func(o *v1alpha1.PlaybookRun) loop.Plan[string] {
		o.Status.State = v1alpha1.RunSucceeded
		return loop.Plan[string]{Headline: metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.StepsDoneReason, Message: "every step is done"}}
	}
	stale := d.read()
	rival := d.read()
	rival.Status.Step = "isolate"
	must(t, loop.Record(t.Context(), d.loop.Client, d.read(), rival, v1alpha1.JournalEntry{
		Time: metav1.NowMicro(), Actor: v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "rival"}, Reason: "Stepped",
	}))
	version := d.read().ResourceVersion

	result, err := d.loop.Reconcile(t.Context(), stale)
	if err != nil || result.RequeueAfter == 0 {
		t.Errorf("it answers %+v, %v; want to look again soon", result, err)
	}
	if got := d.read().ResourceVersion; got != version || len(d.events.said) != 0 {
		t.Errorf("it wrote (%s, was %s) or announced %q", got, version, d.events.said)
	}
	if wrote, _, err := d.pass(); !wrote || err != nil {
		t.Errorf("the next pass wrote: %t, %v", wrote, err)
	}
	o := d.read()
	if o.Status.State != v1alpha1.RunSucceeded || o.Status.Step != "isolate" || len(o.Status.Journal) != 2 || len(d.events.said) != 1 {
		t.Errorf("it stands at %+v; announced %q", o.Status, d.events.said)
	}
	fixture.CheckReplay(t, o)
}

// What was decided is not recorded if it could not all be done.
func TestFailedCommandRecordsNothing(t *testing.T) {
	t.Parallel()
	d := drive(t, run(), true, v1alpha1.CompleteCondition)
	fails := true
	d.kind.decide = func(o *v1alpha1.PlaybookRun) loop.Plan[string] {
		o.Status.State = v1alpha1.RunRunning
		return loop.Plan[string]{Commands: []string{"isolate"}}
	}
	d.kind.act = func(o *v1alpha1.PlaybookRun, command string) error {
		if fails {
			return errors.New("the API server is away")
		}
		o.Status.Step = command
		return nil
	}
	for range 4 {
		if wrote, _, err := d.pass(); wrote || err == nil {
			t.Fatalf("it wrote: %t, %v", wrote, err)
		}
	}
	fails = false
	if wrote, _, err := d.pass(); !wrote || err != nil {
		t.Fatalf("it wrote: %t, %v", wrote, err)
	}
	o := d.read()
	if o.Status.Step != "isolate" || o.Status.State != v1alpha1.RunRunning || len(o.Status.Journal) != 1 {
		t.Errorf("it stands at %+v", o.Status)
	}
	fixture.CheckReplay(t, o)
}
