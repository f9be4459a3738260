// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what is shown with testdata/name, and holds it to the promises of every screen.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
	}
	for i, line := range strings.Split(got, "\n") {
		if strings.HasSuffix(name, ".txt") && columns(line) > DefaultWidth {
			t.Errorf("%s: line %d has %d columns, more than %d: %s", name, i+1, columns(line), DefaultWidth, line)
		}
		if strings.ContainsFunc(line, hidden) {
			t.Errorf("%s: line %d holds a hidden character: %q", name, i+1, line)
		}
	}
}

func screen(t *testing.T) Screen {
	return Screen{Now: clockAt(t, "10:08:00.000").Time.In(time.UTC)}
}

// lead is the viewer who may answer both questions; analyst is the one who may answer none.
var (
	lead    = Viewer{Username: "mia", Groups: []string{"soc-leads", "system:authenticated"}, Verbs: map[string]bool{"approve": true}}
	analyst = Viewer{Username: "ana", Groups: []string{"soc-analysts"}, Verbs: map[string]bool{"approve": false}}
)

func TestCaseText(t *testing.T) {
	golden(t, "case.txt", NewCase(story(t), lead).Text(screen(t)))
}

func TestClosedCaseText(t *testing.T) {
	r := story(t)
	r.Case.Status.State, r.Case.Status.Questions = v1alpha1.CaseClosed, nil
	r.Case.Status.Closure = &v1alpha1.Closure{
		Classification: "FalsePositive", Note: "A debug session by the team, ticket OPS-17.", By: person("ana", "soc-analysts"),
		Time: clockAt(t, "10:07:30.000"),
	}
	answered := &r.Runs[0].Status.Steps[2]
	by := person("mia", "soc-leads")
	answered.State, answered.Answer, answered.AnsweredBy, answered.EndTime = v1alpha1.StepSucceeded, "release", &by, pointTo(clockAt(t, "10:07:10.000"))
	golden(t, "case-closed.txt", NewCase(r, analyst).Text(screen(t)))
}

func TestCaseEncoded(t *testing.T) {
	for _, format := range []string{FormatJSON, FormatYAML} {
		got, err := Encode(format, NewCase(story(t), lead))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "case."+format, string(got))
	}
}

func TestTimelineText(t *testing.T) {
	golden(t, "timeline.txt", NewTimeline(story(t)).Text(screen(t)))
}

func TestTrimmedTimelineText(t *testing.T) {
	r := story(t)
	r.Case.Status.Journal = r.Case.Status.Journal[2:]
	r.Runs, r.Actions, r.Decisions = nil, nil, nil
	golden(t, "timeline-trimmed.txt", NewTimeline(r).Text(screen(t)))
}

func TestWhyText(t *testing.T) {
	golden(t, "why.txt", NewWhy(story(t)).Text(screen(t)))
}

// What an action did and how it ended stand in one column, however long the name of its target.
func TestALongTargetKeepsItsColumn(t *testing.T) {
	action := revoked(t)
	action.Spec.Target = v1alpha1.Target{Type: "Pod", Namespace: "checkout-production", Name: "checkout-api-" + strings.Repeat("7c9d", 20)}
	another := action
	another.Status.Attempts = []v1alpha1.Attempt{{StartTime: metav1.NewMicroTime(screen(t).Now.Add(-48 * time.Hour))}}
	r := &Records{Case: travelCase(t), Actions: []v1alpha1.Action{action, another}}
	page := &page{Screen: screen(t)}
	NewCase(r, lead).did(page)
	golden(t, "case-did-long.txt", page.String())
}

func TestWhyOnly(t *testing.T) {
	for _, topic := range []string{"severity", "keep", "isolate"} {
		one, ok := NewWhy(story(t)).Only(topic)
		if !ok {
			t.Errorf("Only(%q) knows no such topic", topic)
		}
		golden(t, "why-"+topic+".txt", one.Text(screen(t)))
	}
	if _, ok := NewWhy(story(t)).Only("nothing"); ok {
		t.Error("Only(nothing) is a topic")
	}
}

func TestQueueText(t *testing.T) {
	waiting := story(t).Case
	quiet := v1alpha1.Case{ObjectMeta: objectMeta(t, "ph-m2x8t", "09:00:00.000"), Spec: v1alpha1.CaseSpec{
		TypeRef: v1alpha1.LocalRef{Name: "phishing"}, Title: "41 reports, 1 sender: Ihre Rechnung über 1.200 € liegt bereit", Severity: v1alpha1.SeverityMedium,
	}}
	late := waiting.DeepCopy()
	late.Name, late.Status.Severity = "rt-77777", v1alpha1.SeverityHigh
	late.Status.Questions = late.Status.Questions[:1]
	late.Status.Questions[0].DueTime = metav1.NewMicroTime(screen(t).Now.Add(-5 * time.Minute))
	doubt := late.DeepCopy() // nobody else will say it, so it comes before what is due
	doubt.Name, doubt.Status.State = "rt-55555", v1alpha1.CaseClosed
	doubt.Status.Questions = casefile.Questions(nil, []v1alpha1.Action{{
		Spec:   v1alpha1.ActionSpec{Handle: "page", Operation: "pager/page", Target: v1alpha1.Target{Type: "User", Name: "ana"}},
		Status: v1alpha1.ActionStatus{State: v1alpha1.ActionUnknown},
	}})
	cases := []v1alpha1.Case{quiet, *late, waiting, *doubt}
	golden(t, "queue-lead.txt", NewQueue(cases, lead, screen(t).Now).Text(screen(t)))
	golden(t, "queue-analyst.txt", NewQueue(cases, analyst, screen(t).Now).Text(screen(t)))
	golden(t, "queue-empty.txt", NewQueue(nil, analyst, screen(t).Now).Text(screen(t)))
}

func TestPlanText(t *testing.T) {
	r := story(t)
	action := r.Action("rt-0q9wd-act-x1")
	golden(t, "plan-approve.txt", PlanOfAction(action, releaseQuestion(t), digest).Text(screen(t), "You approve, as "+lead.Text()+", for case rt-0q9wd:"))
	golden(t, "plan-answer.txt", PlanOfChoice("rt-0q9wd", &r.Runs[0], keepQuestion(t)).Text(screen(t), "You answer \"keep\", as "+lead.Text()+", for case rt-0q9wd:"))
	golden(t, "questions.txt", Questions(QuestionsOf(&r.Case, lead)).Text(screen(t)))
}

func TestOutcomeText(t *testing.T) {
	r := story(t)
	counted := v1alpha1.Decision{ObjectMeta: objectMeta(t, "rt-0q9wd-approve-c", "10:07:00.000")}
	counted.Spec = v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictApprove, CaseRef: v1alpha1.RecordRef{Name: "rt-0q9wd"}}
	counted.Status.State = v1alpha1.DecisionCounted
	done := r.Action("rt-0q9wd-isolate").DeepCopy()
	done.Status.Approvals = []v1alpha1.Approval{{Decision: counted.Name, Actor: v1alpha1.Actor{Username: "mia", Groups: []string{"soc-leads"}}}}
	golden(t, "outcome-approved.txt", NewOutcome(&counted, done).Text(screen(t)))
	golden(t, "outcome-asks.txt", NewOutcome(&r.Decisions[2], r.Action("rt-0q9wd-act-x1")).Text(screen(t)))
	golden(t, "outcome-denied.txt", NewOutcome(&r.Decisions[2], r.Action("rt-0q9wd-act-x2")).Text(screen(t)))
	golden(t, "outcome-void.txt", NewOutcome(&r.Decisions[1], nil).Text(screen(t)))
}

func TestOperationsText(t *testing.T) {
	ready := v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}}
	ready.Status.Tool, ready.Status.Operations = "kubernetes", []v1alpha1.DeclaredOperation{
		{Name: "getPod", Effect: v1alpha1.EffectRead}, {Name: "isolatePod", Effect: v1alpha1.EffectReversible, Target: "Pod"},
		{Name: "releasePod", Effect: v1alpha1.EffectReversible, Target: "Pod"},
	}
	other := v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Name: "blocklist"}}
	other.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Message: "Secret soc/blocklist does not exist; create it"}}
	c := story(t).Case
	list := NewOperations(&c, []v1alpha1.Connector{ready, other})
	list.Operations[0].Verdict = &Verdict{Answer: "Allow", Rule: "runtime-containment/isolate-is-reversible"}
	list.Operations[1].Verdict = &Verdict{Answer: "Ask", Because: "no rule answers"}
	list.Silent = "the operator's own guardrails, which may be stricter"
	golden(t, "do.txt", list.Text(screen(t)))
}

func TestColorsChangeNoText(t *testing.T) {
	s := screen(t)
	plain := NewCase(story(t), lead).Text(s)
	s.Ink = Color
	colored := NewCase(story(t), lead).Text(s)
	if !strings.Contains(colored, "\x1b[") {
		t.Error("nothing is coloured")
	}
	for _, code := range []tone{strong, dim, good, warn, bad} {
		colored = strings.ReplaceAll(colored, "\x1b["+string(code)+"m", "")
	}
	colored = strings.ReplaceAll(colored, "\x1b[0m", "")
	trim := func(text string) string {
		lines := strings.Split(text, "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		return strings.Join(lines, "\n")
	}
	if diff := cmp.Diff(trim(plain), trim(colored)); diff != "" {
		t.Errorf("with colours the text differs (-plain +coloured):\n%s", diff)
	}
}

func TestLongExpressionsAreShownInFullOnlyWhenAsked(t *testing.T) {
	r := story(t)
	r.Signals[0].Spec.Explanation[1].Expression = "[" + strings.Repeat("pod('shop',\n    'web'), ", 20) + "last]"
	why := NewWhy(r)
	if text := why.Text(screen(t)); strings.Contains(text, "last]") || strings.Contains(text, `\n`) || !strings.Contains(text, "…") {
		t.Errorf("the whole explanation does not shorten the expression:\n%s", text)
	}
	one, _ := why.Only("assets")
	if text := one.Text(screen(t)); !strings.Contains(text, "last]") {
		t.Errorf("the explanation of the one field shortens the expression:\n%s", text)
	}
}
