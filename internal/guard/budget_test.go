// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/guard"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func budget(name string, most int32, per time.Duration, operations ...string) v1alpha1.Budget {
	return v1alpha1.Budget{Name: name, Max: &most, Per: metav1.Duration{Duration: per}, Operations: operations}
}

// began lists actions a, b, c … that isolated a pod at some times.
func began(times ...time.Time) []guard.Usage {
	out := make([]guard.Usage, len(times))
	for i, at := range times {
		out[i] = guard.Usage{Action: string(rune('a' + i)), Operation: "kubernetes/isolatePod", BeganTime: at}
	}
	return out
}

func TestBudgets(t *testing.T) {
	other := guard.Usage{Action: "x", Operation: "kubernetes/releasePod", BeganTime: ago(time.Minute)}
	foreign := guard.Usage{Action: "y", Operation: "idp/isolatePod", BeganTime: ago(time.Minute)}
	tests := map[string]struct {
		budget v1alpha1.Budget
		usage  []guard.Usage
		self   string
		used   int
		over   bool
		frees  time.Time
		text   string
	}{
		"nothing began":     {budget: budget("isolations", 1, time.Hour), text: "0 of 1 isolations in the last hour"},
		"one below the max": {budget: budget("isolations", 2, time.Hour), usage: began(ago(0)), used: 1, text: "1 of 2 isolations in the last hour"},
		"the max":           {budget: budget("isolations", 2, time.Hour), usage: began(ago(10*time.Minute), ago(56*time.Minute)), used: 2, over: true, frees: noon.Add(4 * time.Minute), text: "2 of 2 isolations in the last hour; the next is free at 12:04 UTC"},
		"beyond the max, more than one must lapse":       {budget: budget("isolations", 1, time.Hour), usage: began(ago(10*time.Minute), ago(56*time.Minute)), used: 2, over: true, frees: noon.Add(50 * time.Minute), text: "2 of 1 isolations in the last hour; the next is free at 12:50 UTC"},
		"exactly the time ago is over":                   {budget: budget("isolations", 1, time.Hour), usage: began(ago(time.Hour))},
		"a moment less is not":                           {budget: budget("isolations", 1, time.Hour), usage: began(ago(time.Hour - 1)), used: 1, over: true, frees: noon.Add(1), text: "the next is free at 12:01 UTC"},
		"a clock that was set back":                      {budget: budget("isolations", 1, time.Minute), usage: began(noon.Add(time.Hour)), used: 1, over: true, frees: noon.Add(61 * time.Minute), text: "in the last minute"},
		"a budget of none":                               {budget: budget("isolations", 0, time.Hour), over: true, text: "0 of 0 isolations in the last hour; none is ever free"},
		"another operation that the guardrail covers":    {budget: budget("isolations", 1, time.Hour), usage: []guard.Usage{other}, used: 1, over: true, frees: noon.Add(59 * time.Minute)},
		"another operation that the budget leaves out":   {budget: budget("isolations", 1, time.Hour, "kubernetes/isolatePod"), usage: []guard.Usage{other}},
		"another connector's operation of the same name": {budget: budget("isolations", 1, time.Hour, "kubernetes/*"), usage: []guard.Usage{foreign}},
		"an action that began is not over":               {budget: budget("isolations", 1, time.Hour), usage: began(ago(time.Minute), ago(2*time.Minute)), self: "a", used: 1, text: "1 of 1 isolations in the last hour, besides this one, which has begun"},
		"nor one that began so long ago":                 {budget: budget("isolations", 1, time.Minute), usage: began(ago(time.Hour), ago(time.Second)), self: "a", used: 1},
		"an action without a uid is not another without": {budget: budget("isolations", 1, time.Hour), usage: []guard.Usage{{Operation: "kubernetes/isolatePod", BeganTime: ago(0)}}, used: 1, over: true, frees: noon.Add(time.Hour)},
		"a day names the day":                            {budget: budget("isolations", 1, 24*time.Hour), usage: began(ago(time.Hour)), used: 1, over: true, frees: noon.Add(23 * time.Hour), text: "in the last 24 hours; the next is free at 11:00 UTC on 2026-11-25"},
		"half an hour":                                   {budget: budget("isolations", 3, 30*time.Minute), text: "in the last 30 minutes"},
		"an odd time":                                    {budget: budget("isolations", 3, 90*time.Second), text: "in the last 1m30s"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := compileOf(t, func(spec *v1alpha1.GuardrailSpec) { spec.Budgets = []v1alpha1.Budget{tc.budget} })
			got := p.Budgets("kubernetes/isolatePod", noon, tc.usage, tc.self)
			if len(got) != 1 || got[0].Used != tc.used || got[0].Over() != tc.over || !got[0].Frees.Equal(tc.frees) {
				t.Fatalf("got %+v, want %d used, over %t, frees %s", got, tc.used, tc.over, tc.frees)
			}
			if !strings.Contains(got[0].String(), tc.text) {
				t.Errorf("%q does not contain %q", got[0], tc.text)
			}
		})
	}
	p := compileOf(t, func(spec *v1alpha1.GuardrailSpec) {
		spec.Budgets = []v1alpha1.Budget{budget("b", 0, time.Hour, "kubernetes/releasePod")}
	})
	for _, operation := range []string{"kubernetes/isolatePod", "idp/releasePod"} {
		if got := p.Budgets(operation, noon, nil, ""); len(got) != 0 {
			t.Errorf("a budget that does not count %s says %+v", operation, got)
		}
	}
}

func TestEvaluateWithBudgets(t *testing.T) {
	strict := v1alpha1.Ask{Count: 2, ValidFor: minutes(600), Because: "think"}
	full := &guard.History{Usage: began(ago(time.Minute))}
	const over = "1 of 1 isolations in the last hour; the next is free at 12:59 UTC"
	tests := map[string]struct {
		rules         []v1alpha1.GuardrailRule
		history       *guard.History
		self          string
		want          v1alpha1.Answer
		rule, because string
		count, valid  int32
	}{
		"within it":                     {rules: []v1alpha1.GuardrailRule{allow("yes", "")}, history: &guard.History{}, want: "Allow", rule: "g/yes", because: "it is yes"},
		"beyond it":                     {rules: []v1alpha1.GuardrailRule{allow("yes", "")}, history: full, want: "Ask", rule: "g/isolations", because: over, count: 1, valid: 60},
		"of the action that used it up": {rules: []v1alpha1.GuardrailRule{allow("yes", "")}, history: full, self: "a", want: "Allow", rule: "g/yes", because: "it is yes"},
		"a rule that asks says whom":    {rules: []v1alpha1.GuardrailRule{ask("q", "", strict)}, history: full, want: "Ask", rule: "g/q", because: "think; " + over, count: 2, valid: 600},
		"a rule that denies":            {rules: []v1alpha1.GuardrailRule{deny("no", "")}, history: full, want: "Deny", rule: "g/no", because: "it is no"},
		"silence beyond it":             {history: full, want: "Ask", rule: "g/isolations", because: over, count: 1, valid: 60},
		"nothing was read": {rules: []v1alpha1.GuardrailRule{allow("yes", "")}, want: "Ask", rule: "g/isolations",
			because: "isolations in the last hour cannot be counted, at most 1 may begin: what ran in the namespace was not read", count: 1, valid: 60},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := compileOf(t, func(spec *v1alpha1.GuardrailSpec) {
				spec.Rules, spec.Budgets = tc.rules, []v1alpha1.Budget{budget("isolations", 1, time.Hour)}
			})
			for side, policies := range map[string][2][]*guard.Policy{"tenant": {{p}, nil}, "operator": {nil, {p}}} {
				in := isolate(t)
				in.Facts.Now, in.Facts.Self, in.Facts.History = noon, tc.self, tc.history
				got := guard.Evaluate(t.Context(), policies[0], policies[1], in)
				if got.Answer != tc.want || got.Rule != tc.rule || got.Because != tc.because {
					t.Errorf("of the %s: got %s by %q: %q\nwant %s by %q: %q", side, got.Answer, got.Rule, got.Because, tc.want, tc.rule, tc.because)
				}
				if got.Ask != nil && (got.Ask.Count != tc.count || got.Ask.ValidFor.Duration != time.Duration(tc.valid)*time.Minute) {
					t.Errorf("of the %s: asks %+v", side, got.Ask)
				}
			}
		})
	}
}

func TestBaseline(t *testing.T) {
	required := func(rules ...v1alpha1.GuardrailRule) *guard.Policy {
		return compileOf(t, func(spec *v1alpha1.GuardrailSpec) { spec.Rules, spec.Baseline = rules, v1alpha1.RequireAllow })
	}
	yes := compile(t, "yes", all, allow("yes", ""))
	tests := map[string]struct {
		tenant, operator *guard.Policy
		want             v1alpha1.Answer
		rule             string
	}{
		"the operator's silence asks":                     {yes, required(deny("no", "false")), "Ask", "g/baseline"},
		"so does what it cannot decide":                   {yes, required(allow("gold", "case.gone.x")), "Ask", "g/baseline"},
		"its allow is enough":                             {yes, required(allow("ok", "")), "Allow", "g/ok"},
		"its allow is enough without the tenant's":        {nil, required(allow("ok", "")), "Allow", "g/ok"},
		"its deny denies":                                 {yes, required(deny("no", "")), "Deny", "g/no"},
		"a tenant's own baseline says nothing":            {required(allow("no", "false")), yes, "Allow", "yes/yes"},
		"one that does not cover the operation is silent": {yes, compile(t, "away", []string{"idp/*"}), "Allow", "yes/yes"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var tenant, operator []*guard.Policy
			if tc.tenant != nil {
				tenant = append(tenant, tc.tenant)
			}
			if tc.operator != nil {
				operator = append(operator, tc.operator)
			}
			got := guard.Evaluate(t.Context(), tenant, operator, isolate(t))
			if got.Answer != tc.want || got.Rule != tc.rule || got.Because == "" {
				t.Errorf("got %s by %q: %q, want %s by %q", got.Answer, got.Rule, got.Because, tc.want, tc.rule)
			}
		})
	}
}

// ran is an action that ran and ended so many minutes before noon.
func ran(uid string, state v1alpha1.ActionState, minutes int, outcomes ...v1alpha1.AttemptOutcome) v1alpha1.Action {
	end := metav1.NewMicroTime(ago(time.Duration(minutes) * time.Minute))
	a := v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}}
	a.Spec.Operation, a.Spec.Handle, a.Spec.CaseRef.Name = "kubernetes/isolatePod", uid, "rt"
	a.Status.State, a.Status.EndTime = state, &end
	for _, outcome := range outcomes {
		a.Status.Attempts = append(a.Status.Attempts, v1alpha1.Attempt{Outcome: outcome, StartTime: end})
	}
	return a
}

// back is the rollback of an action.
func back(of string, state v1alpha1.ActionState, by v1alpha1.ActorType) v1alpha1.Action {
	a := ran("back-"+of, state, 0, v1alpha1.OutcomeAcknowledged)
	a.Spec.RollbackOf = &v1alpha1.RecordRef{UID: of}
	a.Spec.Requester = v1alpha1.JournalActor{Type: by, Name: "mia"}
	return a
}

func TestHistoryOf(t *testing.T) {
	const ack, refused, unsent, doubt = v1alpha1.OutcomeAcknowledged, v1alpha1.OutcomeRefused, v1alpha1.OutcomeNotSent, v1alpha1.OutcomeInDoubt
	person, machine := v1alpha1.ActorPerson, v1alpha1.ActorAutomation
	tests := map[string]struct {
		actions []v1alpha1.Action
		began   int
		ended   []string // uid, and what was wrong
	}{
		"nothing":                               {},
		"one that succeeded":                    {[]v1alpha1.Action{ran("a", "Succeeded", 1, ack)}, 1, []string{"a:"}},
		"one that asks":                         {[]v1alpha1.Action{ran("a", "Asking", 1)}, 0, nil},
		"one under way":                         {[]v1alpha1.Action{ran("a", "Executing", 1, "")}, 1, nil},
		"one that was denied":                   {[]v1alpha1.Action{ran("a", "Denied", 1)}, 0, nil},
		"one that was not needed":               {[]v1alpha1.Action{ran("a", "NotNeeded", 1)}, 0, nil},
		"one whose target was gone":             {[]v1alpha1.Action{ran("a", "Failed", 1)}, 0, nil},
		"one that never reached its target":     {[]v1alpha1.Action{ran("a", "Failed", 1, unsent, unsent)}, 0, nil},
		"one that reached it at last":           {[]v1alpha1.Action{ran("a", "Executing", 1, unsent, "")}, 1, nil},
		"one that the target refused":           {[]v1alpha1.Action{ran("a", "Failed", 1, unsent, refused)}, 1, []string{"a:Failed"}},
		"one that was not as desired":           {[]v1alpha1.Action{ran("a", "Failed", 1, ack)}, 1, []string{"a:Failed"}},
		"one that is unknown":                   {[]v1alpha1.Action{ran("a", "Unknown", 1, doubt)}, 1, []string{"a:Unknown"}},
		"one that a person took back":           {[]v1alpha1.Action{ran("a", "Succeeded", 1, ack), back("a", "Succeeded", person)}, 2, []string{"a:taken back by mia", "back-a:"}},
		"one that is back without doing":        {[]v1alpha1.Action{ran("a", "Succeeded", 1, ack), back("a", "NotNeeded", person)}, 2, []string{"a:taken back by mia", "back-a:"}},
		"one that a person could not take back": {[]v1alpha1.Action{ran("a", "Succeeded", 1, ack), back("a", "Failed", person)}, 2, []string{"a:", "back-a:Failed"}},
		"one that a playbook took back":         {[]v1alpha1.Action{ran("a", "Succeeded", 1, ack), back("a", "Succeeded", machine)}, 2, []string{"a:", "back-a:"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			h := guard.HistoryOf(tc.actions)
			var ended []string
			for _, e := range h.Ended {
				ended = append(ended, e.Action+":"+e.Wrong)
			}
			if diff := cmp.Diff(tc.ended, ended); diff != "" || len(h.Usage) != tc.began {
				t.Errorf("%d began, want %d; ended (-want +got):\n%s", len(h.Usage), tc.began, diff)
			}
		})
	}
}

func TestBreaker(t *testing.T) {
	list := func(wrong string) []guard.Ended { // from the newest to the oldest; X is wrong
		out := make([]guard.Ended, len(wrong))
		for i, c := range wrong {
			out[i] = guard.Ended{Action: string(rune('a' + i)), Handle: "rt/" + string(rune('a'+i)), Operation: "kubernetes/isolatePod", Time: ago(time.Duration(i) * time.Minute)}
			if c == 'X' {
				out[i].Wrong = "Failed"
			}
		}
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
		return out
	}
	foreign := guard.Ended{Action: "f", Operation: "idp/x", Wrong: "Failed", Time: noon}
	tests := map[string]struct {
		percent, outOf int32
		ended          []guard.Ended
		open           bool
		text           string
	}{
		"nothing ended":                            {5, 20, nil, false, "no action has ended, and at most 1 of 20 may turn out wrong"},
		"exactly what may be":                      {5, 20, list("X..................."), false, "1 of the last 20 actions turned out wrong, at most 1 of 20 may: rt/a Failed"},
		"one more":                                 {5, 20, list("X..................X"), true, "2 of the last 20 actions turned out wrong, at most 1 of 20 may: rt/a Failed, rt/t Failed"},
		"what is older is forgotten":               {5, 20, list("X...................XXXX"), false, "1 of the last 20"},
		"few are held against outOf":               {50, 4, list("XX"), false, "2 of the last 2 actions turned out wrong, at most 2 of 4 may: rt/a"},
		"a part of an action rounds down":          {99, 2, list("XX"), true, "2 of the last 2 actions turned out wrong, at most 1 of 2 may"},
		"the first action":                         {5, 20, list("X"), false, "1 of the last 1 action turned out wrong, at most 1 of 20 may"},
		"few that are enough":                      {50, 4, list("XXX"), true, "3 of the last 3"},
		"none may be":                              {0, 3, list("..X"), true, "1 of the last 3 actions turned out wrong, at most 0 of 3 may: rt/c Failed"},
		"all may be":                               {100, 2, list("XX"), false, "2 of the last 2"},
		"it names the newest":                      {0, 9, list("XXXXX"), true, ": rt/a Failed, rt/b Failed, rt/c Failed and 2 more"},
		"what the guardrail does not cover is not": {0, 9, []guard.Ended{foreign}, false, "no action has ended"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := compileOf(t, func(spec *v1alpha1.GuardrailSpec) {
				spec.Rules = []v1alpha1.GuardrailRule{allow("yes", "")}
				spec.Breaker = &v1alpha1.Breaker{WrongPercent: &tc.percent, OutOf: tc.outOf}
			})
			state := p.Breaker(tc.ended)
			if state.Open() != tc.open || !strings.Contains(state.String(), tc.text) {
				t.Errorf("open %t, %q; want %t, %q", state.Open(), state, tc.open, tc.text)
			}
			in := isolate(t)
			in.Facts.Now, in.Facts.History = noon, &guard.History{Ended: tc.ended}
			want, rule := v1alpha1.AnswerAllow, "g/yes"
			if tc.open {
				want, rule = v1alpha1.AnswerAsk, "g/breaker"
			}
			if got := guard.Evaluate(t.Context(), []*guard.Policy{p}, nil, in); got.Answer != want || got.Rule != rule {
				t.Errorf("got %s by %s: %s", got.Answer, got.Rule, got.Because)
			}
			in.Facts.History = nil
			if got := guard.Evaluate(t.Context(), []*guard.Policy{p}, nil, in); got.Rule != "g/breaker" || !strings.Contains(got.Because, "was not read") {
				t.Errorf("without a history: %s by %s: %s", got.Answer, got.Rule, got.Because)
			}
		})
	}
}

func TestWantsHistory(t *testing.T) {
	plain := compile(t, "plain", all, allow("yes", ""))
	counting := compileOf(t, func(spec *v1alpha1.GuardrailSpec) { spec.Budgets = []v1alpha1.Budget{budget("b", 1, time.Hour)} })
	for operation, want := range map[string]bool{"kubernetes/isolatePod": true, "idp/x": false} {
		if got := guard.WantsHistory([]*guard.Policy{plain, counting}, operation); got != want {
			t.Errorf("%s: got %t", operation, got)
		}
	}
	if guard.WantsHistory([]*guard.Policy{plain}, "kubernetes/isolatePod") {
		t.Error("one that counts nothing wants a history")
	}
}

// What a budget counts must be kept for as long.
func TestCounts(t *testing.T) {
	hours := func(n time.Duration) metav1.Duration { return metav1.Duration{Duration: n * time.Hour} }
	g := &v1alpha1.Guardrail{Spec: v1alpha1.GuardrailSpec{
		Covers: []string{"idp/*", "mail/send"},
		Budgets: []v1alpha1.Budget{
			{Name: "all", Per: hours(1)},
			{Name: "some", Operations: []string{"idp/revokeSessions"}, Per: hours(6)},
			{Name: "of-an-older-schema", Operations: []string{"mail/send"}, Per: hours(48)},
			{Name: "does-not-compile", Operations: []string{"edr/contain"}, Per: hours(2)},
		},
	}}
	for operation, want := range map[string]time.Duration{
		"idp/suspend": time.Hour, "idp/revokeSessions": 6 * time.Hour, "mail/send": 24 * time.Hour, "edr/contain": 0, "edr/scan": 0,
	} {
		if got := guard.Counts(g, operation); got != want {
			t.Errorf("%s is counted for %s, want %s", operation, got, want)
		}
	}
}
