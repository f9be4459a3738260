// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package playbook

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// isolate is the playbook of the first use case: isolate, ask whether to keep it so, release if not.
func isolate() v1alpha1.PlaybookSpec {
	return v1alpha1.PlaybookSpec{
		Inputs: []v1alpha1.PlaybookInput{{Name: "pod", Type: "Object"}},
		Steps: []v1alpha1.Step{
			{Name: "isolate", Action: &v1alpha1.ActionStep{
				Operation: "kubernetes/isolatePod", Input: &apiextensionsv1.JSON{Raw: []byte(`{"name":"${inputs.pod.name}"}`)},
			}},
			{Name: "contained", Set: &v1alpha1.SetStep{State: v1alpha1.CaseContained}},
			{Name: "keep", Decision: &v1alpha1.DecisionStep{
				Question: "Keep ${inputs.pod.name} isolated?", Options: []string{"keep", "release"}, Verb: "approve",
				Within: metav1.Duration{Duration: 4 * time.Hour}, OnSilence: "release",
			}},
			{Name: "release", If: "steps.keep.answer == 'release'", Action: &v1alpha1.ActionStep{RollbackOf: "isolate"}},
			{Name: "done", Close: &v1alpha1.CloseStep{Classification: "TruePositive", Note: "Pod ${inputs.pod.name} was handled."}},
		},
	}
}

func compiled(t testing.TB, spec v1alpha1.PlaybookSpec) *Compiled {
	t.Helper()
	c, err := Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func facts() Facts {
	return Facts{
		Run: "run-uid", Actor: v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "playbookrun"},
		Vars: map[string]any{"inputs": map[string]any{"pod": map[string]any{"name": "web-1"}}}, Actions: map[string]v1alpha1.Action{},
	}
}

func actionIn(state v1alpha1.ActionState) v1alpha1.Action {
	return v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Name: "act"}, Status: v1alpha1.ActionStatus{State: state, Message: "so it went"}}
}

func TestNextTellsTheStory(t *testing.T) {
	c, f := compiled(t, isolate()), facts()
	var status v1alpha1.PlaybookRunStatus

	got := c.Next(t.Context(), &status, f, now)
	want := []Want{{Step: "isolate", Operation: "kubernetes/isolatePod", Input: map[string]any{"name": "web-1"}, Deadline: now.Add(DefaultTimeout)}}
	if diff := cmp.Diff(want, got.Wants); diff != "" {
		t.Fatal(diff)
	}
	f.Actions["isolate"] = actionIn(v1alpha1.ActionExecuting)
	if got := c.Next(t.Context(), &status, f, now); len(got.Wants) > 0 || status.State != v1alpha1.RunWaiting {
		t.Fatalf("while the action runs: %+v, state %s", got, status.State)
	}
	f.Actions["isolate"] = actionIn(v1alpha1.ActionSucceeded)
	got = c.Next(t.Context(), &status, f, now)
	if status.Step != "keep" || status.CaseState != v1alpha1.CaseContained || got.Recheck != 4*time.Hour {
		t.Fatalf("after the action: step %s, case %s, recheck %s", status.Step, status.CaseState, got.Recheck)
	}
	question := status.Steps[2].Question
	if question == nil || question.Prompt != "Keep web-1 isolated?" || question.Verb != "approve" {
		t.Fatalf("the question: %+v", question)
	}
	got = c.Next(t.Context(), &status, f, now.Add(4*time.Hour))
	if len(got.Wants) != 1 || got.Wants[0].RollbackOf != "isolate" || status.Steps[2].Answer != "release" {
		t.Fatalf("after silence: %+v, answer %q", got.Wants, status.Steps[2].Answer)
	}
	f.Actions["release"] = actionIn(v1alpha1.ActionNotNeeded)
	c.Next(t.Context(), &status, f, now.Add(5*time.Hour))
	if status.State != v1alpha1.RunSucceeded || status.Closure == nil || status.Closure.Note != "Pod web-1 was handled." {
		t.Fatalf("at the end: state %s, closure %+v", status.State, status.Closure)
	}
}

func TestNext(t *testing.T) {
	step := func(s v1alpha1.Step) v1alpha1.PlaybookSpec {
		s.Name = "only"
		return v1alpha1.PlaybookSpec{Steps: []v1alpha1.Step{s, {Name: "after", Set: &v1alpha1.SetStep{State: v1alpha1.CaseResolved}}}}
	}
	operation := &v1alpha1.ActionStep{Operation: "kubernetes/isolatePod"}
	type want struct {
		State v1alpha1.RunState
		Steps []v1alpha1.StepState
	}
	for name, tt := range map[string]struct {
		spec  v1alpha1.PlaybookSpec
		facts func(*Facts)
		later time.Duration
		want  want
	}{
		"a step whose condition is false is skipped": {
			spec: step(v1alpha1.Step{If: "1 > 2", Action: operation}),
			want: want{v1alpha1.RunSucceeded, []v1alpha1.StepState{v1alpha1.StepSkipped, v1alpha1.StepSucceeded}},
		},
		"a condition that cannot be decided fails the step": {
			spec:  step(v1alpha1.Step{If: "enrichment.trips.exists(t, t.found)", Action: operation}),
			facts: unavailable,
			want:  want{v1alpha1.RunFailed, []v1alpha1.StepState{v1alpha1.StepFailed}},
		},
		"a condition that cannot be decided skips the step if it says so": {
			spec:  step(v1alpha1.Step{If: "enrichment.trips.exists(t, t.found)", OrElse: v1alpha1.OrElseSkip, Action: operation}),
			facts: unavailable,
			want:  want{v1alpha1.RunSucceeded, []v1alpha1.StepState{v1alpha1.StepSkipped, v1alpha1.StepSucceeded}},
		},
		"a condition that cannot be decided runs the step if it says so": {
			spec:  step(v1alpha1.Step{If: "enrichment.trips.exists(t, t.found)", OrElse: v1alpha1.OrElseRun, Action: operation}),
			facts: unavailable,
			want:  want{v1alpha1.RunWaiting, []v1alpha1.StepState{v1alpha1.StepWaiting}},
		},
		"a failed action fails the run": {
			spec: step(v1alpha1.Step{Action: operation}), facts: only(v1alpha1.ActionFailed),
			want: want{v1alpha1.RunFailed, []v1alpha1.StepState{v1alpha1.StepFailed}},
		},
		"an action of unknown outcome waits for a person": {
			spec: step(v1alpha1.Step{Action: operation}), facts: only(v1alpha1.ActionUnknown),
			want: want{v1alpha1.RunWaiting, []v1alpha1.StepState{v1alpha1.StepWaiting}},
		},
		"but no longer than its step may take": {
			spec: step(v1alpha1.Step{Action: operation}), facts: only(v1alpha1.ActionUnknown), later: DefaultTimeout,
			want: want{v1alpha1.RunFailed, []v1alpha1.StepState{v1alpha1.StepFailed}},
		},
		"a failed action is passed over if the step says so": {
			spec: step(v1alpha1.Step{Action: operation, OnFailure: v1alpha1.FailureContinue}), facts: only(v1alpha1.ActionFailed),
			want: want{v1alpha1.RunSucceeded, []v1alpha1.StepState{v1alpha1.StepFailed, v1alpha1.StepSucceeded}},
		},
		"a denied action is passed over if the action says so": {
			spec:  step(v1alpha1.Step{Action: &v1alpha1.ActionStep{Operation: "k/x", OnDenied: v1alpha1.FailureContinue}}),
			facts: only(v1alpha1.ActionDenied),
			want:  want{v1alpha1.RunSucceeded, []v1alpha1.StepState{v1alpha1.StepDenied, v1alpha1.StepSucceeded}},
		},
		"a run without an input that its playbook declares fails, and says which": {
			spec: isolate(), facts: func(f *Facts) { f.Vars["inputs"] = map[string]any{} },
			want: want{v1alpha1.RunFailed, nil},
		},
		"a run with an input that its playbook does not declare fails": {
			spec: step(v1alpha1.Step{Action: operation}), facts: func(f *Facts) { f.Vars["inputs"] = map[string]any{"host": "x"} },
			want: want{v1alpha1.RunFailed, nil},
		},
		"a case that somebody closed aborts the run": {
			spec: step(v1alpha1.Step{Action: operation}), facts: func(f *Facts) { f.CaseClosed = true },
			want: want{v1alpha1.RunAborted, nil},
		},
		"a wait passes when its time has come": {
			spec: step(v1alpha1.Step{Wait: &v1alpha1.WaitStep{For: metav1.Duration{Duration: time.Minute}}}), later: time.Minute,
			want: want{v1alpha1.RunSucceeded, []v1alpha1.StepState{v1alpha1.StepSucceeded, v1alpha1.StepSucceeded}},
		},
		"a failing step ends the run": {
			spec: step(v1alpha1.Step{Fail: &v1alpha1.FailStep{Message: "no way on"}}),
			want: want{v1alpha1.RunFailed, []v1alpha1.StepState{v1alpha1.StepFailed}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := compiled(t, tt.spec), facts()
			if len(tt.spec.Inputs) == 0 {
				f.Vars["inputs"] = map[string]any{}
			}
			if tt.facts != nil {
				tt.facts(&f)
			}
			var status v1alpha1.PlaybookRunStatus
			c.Next(t.Context(), &status, f, now)
			c.Next(t.Context(), &status, f, now.Add(tt.later))
			got := want{State: status.State}
			for _, s := range status.Steps {
				got.Steps = append(got.Steps, s.State)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func unavailable(f *Facts) {
	f.Vars["enrichment"] = map[string]any{"trips": expr.Unavailable{Reason: "the travel service is down"}}
}

func only(state v1alpha1.ActionState) func(*Facts) {
	return func(f *Facts) { f.Actions["only"] = actionIn(state) }
}

func TestCompileNamesTheField(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*v1alpha1.PlaybookSpec)
		want   string
	}{
		"a condition that is no CEL":             {func(s *v1alpha1.PlaybookSpec) { s.Steps[3].If = "steps.keep.answer ==" }, "spec.steps[3] (release): if"},
		"a step that comes later":                {func(s *v1alpha1.PlaybookSpec) { s.Steps[1].If = "steps.keep.answer == 'keep'" }, "steps.keep is read"},
		"an input that is not declared":          {func(s *v1alpha1.PlaybookSpec) { s.Inputs = nil }, "inputs.pod is read"},
		"a rollback of a step that did nothing":  {func(s *v1alpha1.PlaybookSpec) { s.Steps[3].Action.RollbackOf = "keep" }, "keep is not an earlier step"},
		"a text whose expression does not parse": {func(s *v1alpha1.PlaybookSpec) { s.Steps[2].Decision.Question = "${" }, "decision.question"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := isolate()
			tt.change(&spec)
			if _, err := Compile(spec); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want it to say %q", err, tt.want)
			}
		})
	}
}

// TestNextProperties: whatever the facts and their order, the engine stays in its states, is deterministic, ends for
// good, and does not change when nothing does.
func TestNextProperties(t *testing.T) {
	spec := isolate()
	spec.Steps = slices.Insert(spec.Steps, 2, v1alpha1.Step{Name: "tell", OnFailure: v1alpha1.FailureContinue, Notify: &v1alpha1.NotifyStep{
		Connector: "mail", To: []string{"a@x.example", "${case.boss}"}, Subject: "s", Message: "m ${steps.isolate.state}",
	}})
	c := compiled(t, spec)
	ids := []string{MessageID("run-uid", "tell", "a@x.example"), MessageID("run-uid", "tell", "b@x.example")}
	states := []v1alpha1.ActionState{
		v1alpha1.ActionPending, v1alpha1.ActionAsking, v1alpha1.ActionExecuting, v1alpha1.ActionSucceeded, v1alpha1.ActionNotNeeded,
		v1alpha1.ActionFailed, v1alpha1.ActionUnknown, v1alpha1.ActionDenied, v1alpha1.ActionExpired, "FromTheFuture",
	}
	rapid.Check(t, func(t *rapid.T) {
		var status v1alpha1.PlaybookRunStatus
		at := now
		for range rapid.IntRange(1, 12).Draw(t, "passes") {
			f := facts()
			for _, step := range []string{"isolate", "release", "nobody"} {
				if rapid.Bool().Draw(t, step) {
					f.Actions[step] = actionIn(rapid.SampledFrom(states).Draw(t, "state"))
				}
			}
			if rapid.Bool().Draw(t, "answered") {
				f.Answers = map[string]Answer{"keep": {Option: rapid.SampledFrom([]string{"keep", "release", "neither"}).Draw(t, "option")}}
			}
			f.Vars["case"] = map[string]any{"boss": rapid.SampledFrom([]any{nil, "b@x.example", expr.Unavailable{Reason: "gone"}}).Draw(t, "boss")}
			f.Sent = map[string]Sent{}
			for _, id := range ids {
				if rapid.Bool().Draw(t, "sent") {
					f.Sent[id] = Sent{
						Attempt: rapid.Int32Range(0, 6).Draw(t, "attempt"), Message: "so it went", Time: at,
						State: rapid.SampledFrom([]v1alpha1.DeliveryState{"Announced", "Accepted", "Refused", "FromTheFuture"}).Draw(t, "delivery"),
					}
				}
			}
			f.CaseClosed = rapid.IntRange(0, 9).Draw(t, "closed") == 0
			at = at.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "minutes")) * 10 * time.Minute)

			before, twin := *status.DeepCopy(), *status.DeepCopy()
			got := c.Next(t.Context(), &status, f, at)
			for _, send := range got.Sends {
				if !announcedIn(&before)[send.MessageID] {
					t.Fatalf("sends what was not announced: %+v", send)
				}
			}
			for _, d := range delivered(before) {
				if now := delivered(status)[d.MessageID]; d.State != v1alpha1.DeliveryAnnounced && !cmp.Equal(d, now) || attempts(&now) > attempts(&d)+1 {
					t.Fatalf("a message that was %+v is %+v", d, now)
				}
			}
			c.Next(t.Context(), &twin, f, at)
			if diff := cmp.Diff(status, twin); diff != "" {
				t.Fatal("not deterministic:\n" + diff)
			}
			again := *status.DeepCopy()
			c.Next(t.Context(), &again, f, at)
			if diff := cmp.Diff(status, again); diff != "" {
				t.Fatal("an unchanged world changed the run:\n" + diff)
			}
			if before.State.Ended() && !cmp.Equal(before, status) {
				t.Fatal("a run that had ended changed")
			}
			if len(status.Steps) > len(c.steps) || status.State == "" {
				t.Fatalf("left its states: %+v", status)
			}
		}
	})
}

func delivered(status v1alpha1.PlaybookRunStatus) map[string]v1alpha1.Delivery {
	out := map[string]v1alpha1.Delivery{}
	for _, s := range status.Steps {
		for _, d := range s.Deliveries {
			out[d.MessageID] = d
		}
	}
	return out
}
