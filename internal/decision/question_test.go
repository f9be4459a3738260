// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package decision_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/decision"
)

func at(minute int, d v1alpha1.Decision) v1alpha1.Decision {
	d.Name = fmt.Sprint(d.Name, "-", minute)
	d.Status.Journal = []v1alpha1.JournalEntry{{Sequence: 1, Time: metav1.NewMicroTime(asked.Add(time.Duration(minute) * time.Minute))}}
	return d
}

func choosing(option string, d v1alpha1.Decision) v1alpha1.Decision {
	d.Spec.Answer.Option = option
	return d
}

func TestQuorum(t *testing.T) {
	other := at(1, decided(approve, eve))
	other.Spec.Answer.Digest = changed
	tests := map[string]struct {
		count            int32
		counted          []v1alpha1.Decision
		approved, denied bool
		by               []string
	}{
		"nobody":                       {count: 1},
		"one of one":                   {count: 1, counted: []v1alpha1.Decision{at(1, decided(approve, mia))}, approved: true, by: []string{"mia"}},
		"no count is one":              {counted: []v1alpha1.Decision{at(1, decided(approve, mia))}, approved: true, by: []string{"mia"}},
		"one of two":                   {count: 2, counted: []v1alpha1.Decision{at(1, decided(approve, mia))}, by: []string{"mia"}},
		"two of two, in order of time": {count: 2, counted: []v1alpha1.Decision{at(2, decided(approve, mia)), at(1, decided(approve, eve))}, approved: true, by: []string{"eve", "mia"}},
		"one person twice":             {count: 2, counted: []v1alpha1.Decision{at(1, decided(approve, mia)), at(2, decided(approve, mia))}, by: []string{"mia"}},
		"one person with two accounts": {count: 2, counted: []v1alpha1.Decision{at(1, decided(approve, mia)), at(2, decided(approve, v1alpha1.Actor{Username: "root", UID: "2"}))}, by: []string{"mia"}},
		"one person with three accounts, of which two and two share": {count: 2, by: []string{"mia"}, counted: []v1alpha1.Decision{
			at(1, decided(approve, mia)), at(2, decided(approve, v1alpha1.Actor{Username: "root", UID: "2"})), at(3, decided(approve, v1alpha1.Actor{Username: "root"})),
		}},
		"one denial overrules approvals":   {count: 1, counted: []v1alpha1.Decision{at(1, decided(approve, mia)), at(2, decided(deny, eve))}, denied: true, by: []string{"mia"}},
		"an approval of what asked before": {count: 1, counted: []v1alpha1.Decision{at(-1, decided(approve, mia))}},
		"an approval of something else":    {count: 1, counted: []v1alpha1.Decision{other}},
		"other verdicts are no approvals":  {count: 1, counted: []v1alpha1.Decision{at(1, decided(comment, mia)), at(2, decided(answer, mia))}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			q := v1alpha1.Question{Kind: v1alpha1.QuestionApproval, Count: tc.count, Digest: digest, AskedTime: metav1.NewMicroTime(asked)}
			approved, denied, approvals := decision.Quorum(q, tc.counted)
			var by []string
			for _, a := range approvals {
				by = append(by, a.Actor.Username)
			}
			if approved != tc.approved || denied != tc.denied || !slices.Equal(by, tc.by) {
				t.Errorf("got approved %v, denied %v by %q; want %v, %v by %q", approved, denied, by, tc.approved, tc.denied, tc.by)
			}
		})
	}
}

func TestChosen(t *testing.T) {
	tests := map[string]struct {
		count   int32
		counted []v1alpha1.Decision
		want    string
		by      int
	}{
		"nobody":                       {count: 1},
		"the first to choose":          {count: 1, counted: []v1alpha1.Decision{at(2, choosing("keepIt", decided(answer, mia))), at(1, choosing("release", decided(answer, eve)))}, want: "release", by: 1},
		"two who agree":                {count: 2, counted: []v1alpha1.Decision{at(1, decided(answer, mia)), at(2, decided(answer, eve))}, want: "keepIt", by: 2},
		"two who do not":               {count: 2, counted: []v1alpha1.Decision{at(1, decided(answer, mia)), at(2, choosing("release", decided(answer, eve)))}},
		"one person has one voice":     {count: 2, counted: []v1alpha1.Decision{at(1, decided(answer, mia)), at(2, decided(answer, mia))}},
		"what is no option is no vote": {count: 1, counted: []v1alpha1.Decision{at(1, choosing("burnIt", decided(answer, mia)))}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			q := v1alpha1.Question{Kind: v1alpha1.QuestionChoice, Options: []string{"keepIt", "release"}, Count: tc.count, Digest: digest}
			if got, by := decision.Chosen(q, tc.counted); got != tc.want || len(by) != tc.by {
				t.Errorf("got %q by %d, want %q by %d", got, len(by), tc.want, tc.by)
			}
			if approved, _, _ := decision.Quorum(q, tc.counted); approved {
				t.Error("a choice was approved")
			}
		})
	}
}

// TestNobodyAgreesAlone feeds each decision through Judge as the controller does: what
// counts never gives one person two voices, nor the requester one.
func TestNobodyAgreesAlone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		count := rapid.Int32Range(1, 4).Draw(r, "count")
		var earlier []v1alpha1.Decision
		for i := range rapid.IntRange(0, 10).Draw(r, "decisions") {
			actor := v1alpha1.Actor{
				Username: rapid.SampledFrom([]string{"ana", "mia", "eve", "author", "bob"}).Draw(r, "name"),
				UID:      rapid.SampledFrom([]string{"", "1", "2", "3"}).Draw(r, "uid"), Groups: []string{"soc-managers"},
			}
			verdict := rapid.SampledFrom([]v1alpha1.Verdict{approve, approve, approve, deny, answer}).Draw(r, "verdict")
			in := judged(approve)
			d := at(i, decided(verdict, actor))
			in.Decision, in.Question.Count, in.Earlier = &d, count, earlier
			if decision.Judge(in, asked.Add(3*time.Minute)).State == v1alpha1.DecisionCounted {
				earlier = append(earlier, d)
			}
		}
		q := judged(approve).Question.Question
		q.Count = count
		approved, denied, approvals := decision.Quorum(q, earlier)
		uids, names := map[string]bool{"1": true}, map[string]bool{"ana": true, "author": true}
		for _, a := range approvals {
			if names[a.Actor.Username] || a.Actor.UID != "" && uids[a.Actor.UID] {
				r.Fatalf("%+v has a voice beside %v %v", a.Actor, names, uids)
			}
			names[a.Actor.Username], uids[a.Actor.UID] = true, true
		}
		if approved != (!denied && len(approvals) >= int(count)) || len(approvals) > int(count) {
			r.Fatalf("approved %v, denied %v with %d of %d", approved, denied, len(approvals), count)
		}
		slices.Reverse(earlier)
		_, _, again := decision.Quorum(q, earlier)
		if diff := cmp.Diff(approvals, again); diff != "" {
			r.Fatalf("the order of decisions matters:\n%s", diff)
		}
	})
}

func TestFind(t *testing.T) {
	asking := func(name string, s v1alpha1.ActionState, d string) v1alpha1.Action {
		a := v1alpha1.Action{Spec: v1alpha1.ActionSpec{Handle: "suspend", Requester: v1alpha1.JournalActor{Name: "ana"}}}
		a.Name, a.Status.State, a.Status.Question = name, s, &v1alpha1.Question{Kind: v1alpha1.QuestionApproval, Digest: d}
		return a
	}
	waiting := func(name string, s v1alpha1.RunState, step v1alpha1.StepState, d string) v1alpha1.PlaybookRun {
		r := v1alpha1.PlaybookRun{}
		r.Name, r.Status.State = name, s
		r.Status.Steps = []v1alpha1.StepStatus{{Name: "other"}, {Name: "suspend", State: step, Question: &v1alpha1.Question{Kind: v1alpha1.QuestionChoice, Digest: d}}}
		return r
	}
	tests := map[string]struct {
		runs    []v1alpha1.PlaybookRun
		actions []v1alpha1.Action
		want    string // holder, and whether it is open
	}{
		"nothing asks":                       {actions: []v1alpha1.Action{{Spec: v1alpha1.ActionSpec{Handle: "suspend"}}}},
		"an action asks":                     {actions: []v1alpha1.Action{asking("a", v1alpha1.ActionAsking, digest)}, want: "a true"},
		"an action asked":                    {actions: []v1alpha1.Action{asking("a", v1alpha1.ActionReady, digest)}, want: "a false"},
		"what became of it is asked":         {actions: []v1alpha1.Action{asking("a", v1alpha1.ActionUnknown, digest)}, want: "a true"},
		"a run asks":                         {runs: []v1alpha1.PlaybookRun{waiting("r", v1alpha1.RunWaiting, v1alpha1.StepWaiting, digest)}, want: "r true"},
		"a run asked":                        {runs: []v1alpha1.PlaybookRun{waiting("r", v1alpha1.RunRunning, v1alpha1.StepSucceeded, digest)}, want: "r false"},
		"a run that ended asks nothing":      {runs: []v1alpha1.PlaybookRun{waiting("r", v1alpha1.RunAborted, v1alpha1.StepWaiting, digest)}, want: "r false"},
		"of two, the one that was shown":     {actions: []v1alpha1.Action{asking("a", v1alpha1.ActionAsking, changed), asking("b", v1alpha1.ActionAsking, digest)}, want: "b true"},
		"even if it is over":                 {actions: []v1alpha1.Action{asking("a", v1alpha1.ActionAsking, changed), asking("b", v1alpha1.ActionDenied, digest)}, want: "b false"},
		"of two that were not, the open one": {actions: []v1alpha1.Action{asking("a", v1alpha1.ActionDenied, changed), asking("b", v1alpha1.ActionAsking, changed)}, want: "b true"},
		"of two alike, the first by name":    {actions: []v1alpha1.Action{asking("b", v1alpha1.ActionAsking, digest), asking("a", v1alpha1.ActionAsking, digest)}, want: "a true"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			if h := decision.Find("suspend", digest, tc.runs, tc.actions); h != nil {
				got = fmt.Sprint(h.Holder, " ", h.Open)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	h := decision.Find("suspend", digest, nil, []v1alpha1.Action{asking("a", v1alpha1.ActionAsking, digest)})
	if h.Requester.Name != "ana" {
		t.Errorf("got requester %+v", h.Requester)
	}
}

func TestMessagesFitTheSchema(t *testing.T) {
	in := judged(approve, func(in *decision.Input) {
		in.Question.Digest, in.Question.Prompt = changed, strings.Repeat("ä", 1024)
	})
	if got := decision.Judge(in, asked); len([]rune(got.Message)) != 1024 {
		t.Errorf("%d code points", len([]rune(got.Message)))
	}
}
