// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// day is the day of the story, in the reader's zone.
var day = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

func clockAt(t *testing.T, text string) metav1.MicroTime {
	t.Helper()
	at, err := time.Parse("15:04:05.000", text)
	if err != nil {
		t.Fatal(err)
	}
	return metav1.NewMicroTime(day.Add(at.Sub(at.Truncate(24 * time.Hour))))
}

func objectMeta(t *testing.T, name, created string) metav1.ObjectMeta {
	at := clockAt(t, created)
	return metav1.ObjectMeta{
		Namespace: "soc", Name: name, UID: types.UID("uid-of-" + name),
		CreationTimestamp: metav1.NewTime(at.Truncate(time.Second)),
	}
}

// journal makes the entries of the changes from each status to the next, as the loop would. Each step changes a status
// and says when, by whom and why.
type step[S any] struct {
	at, reason string
	by         v1alpha1.JournalActor
	change     func(*S)
}

func journal[S any](t *testing.T, status *S, steps ...step[S]) []v1alpha1.JournalEntry {
	t.Helper()
	document := func() []byte {
		raw, err := json.Marshal(map[string]any{"status": status})
		if err != nil {
			t.Fatal(err)
		}
		return []byte(strings.Replace(string(raw), `{"status":{}}`, `{}`, 1))
	}
	var out []v1alpha1.JournalEntry
	for i, s := range steps {
		before := document()
		s.change(status)
		patch, err := evidence.Diff(before, document())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v1alpha1.JournalEntry{
			Sequence: int64(i + 1), Time: clockAt(t, s.at), Actor: s.by, Reason: s.reason, Patch: patch,
		})
	}
	return out
}

func controller(name string) v1alpha1.JournalActor {
	return v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: name}
}

func following(step string) v1alpha1.JournalActor {
	return v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "playbookrun", Revision: "isolate-pod-7f9c4", Step: step}
}

func person(name string, groups ...string) v1alpha1.JournalActor {
	return v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: name, Groups: append(groups, "system:authenticated")}
}

func object(text string) apiextensionsv1.JSON { return apiextensionsv1.JSON{Raw: []byte(text)} }

func pointTo[T any](value T) *T { return &value }

const (
	podInput = `{"name":"web-6d4f9","namespace":"shop","uid":"4b1f6d0e-8a52-4c60-9d8e-0d9d7a8f2a11"}`
	podFound = `{"found":true,"namespace":{"labels":{"team":"storefront"},"name":"shop"},` +
		`"pod":{"labels":{"app":"web"},"name":"web-6d4f9","namespace":"shop","node":"node-2","uid":"4b1f6d0e-8a52-4c60-9d8e-0d9d7a8f2a11"},` +
		`"workload":{"kind":"Deployment","labels":{"app":"web","criticality":"high"},"name":"web"}}`
)

var digest = strings.Repeat("9b1c", 15) + "e07a"

// story is the use case as far as it goes before anybody answers: a runtime alert, a pod isolated, two questions open, one
// action denied by a guardrail.
func story(t *testing.T) *Records {
	t.Helper()
	r := &Records{Case: openCase(t), Signals: []v1alpha1.Signal{alert(t)}, Log: sealed(t)}
	r.Runs = []v1alpha1.PlaybookRun{run(t)}
	r.Actions = []v1alpha1.Action{isolated(t), askedRelease(t), denied(t)}
	r.Decisions = []v1alpha1.Decision{taken(t), void(t), wanted(t)}
	r.Sort()
	return r
}

func alert(t *testing.T) v1alpha1.Signal {
	return v1alpha1.Signal{
		ObjectMeta: objectMeta(t, "falco-5h2k9", "10:03:58.114"),
		Spec: v1alpha1.SignalSpec{
			NormalizedSignal: v1alpha1.NormalizedSignal{
				Category: "Runtime", Severity: v1alpha1.SeverityHigh, SeverityOriginal: "Warning",
				Title:        "Terminal shell in container, calls http://203.0.113.9/x",
				ObservedTime: clockAt(t, "10:03:57.500"), ObservedTimeFrom: v1alpha1.TimePayload, Activity: v1alpha1.ActivityCreate,
				SourceURL: "https://falco.example.com/events/17",
				Explanation: []v1alpha1.FieldExplanation{
					{Field: "severity", Expression: "{'Warning': High}[item.priority]", Path: "payload.priority", Value: "Warning"},
					{Field: "assets", Expression: "[pod(item.output_fields['k8s.ns.name'], item.output_fields['k8s.pod.name'])]", Path: "payload.output_fields", Value: "shop/web-6d4f9"},
				},
				Gaps: []string{"users"},
			},
			SourceRef: v1alpha1.LocalRef{Name: "falco"}, CaseRef: v1alpha1.LocalRef{Name: "rt-0q9wd"}, Mapping: "falco@2",
			ReceivedTime: clockAt(t, "10:03:58.114"), GroupedBecause: "type runtime-threat, same assets: shop/web-6d4f9",
		},
	}
}

func caseMeta(t *testing.T) v1alpha1.Case {
	return v1alpha1.Case{
		ObjectMeta: objectMeta(t, "rt-0q9wd", "10:03:58.300"),
		Spec: v1alpha1.CaseSpec{
			TypeRef: v1alpha1.LocalRef{Name: "runtime-threat"}, Title: "Terminal shell in container, calls http://203.0.113.9/x",
			Severity: v1alpha1.SeverityHigh, CorrelatedBy: "assets=shop/web-6d4f9", SignalRef: v1alpha1.LocalRef{Name: "falco-5h2k9"},
			PreviousCaseRef: &v1alpha1.LocalRef{Name: "rt-2kq8d"}, EvidenceLog: v1alpha1.LogOfTenant,
		},
	}
}

func openCase(t *testing.T) v1alpha1.Case {
	c := caseMeta(t)
	s := &c.Status
	entries := journal(t, s,
		step[v1alpha1.CaseStatus]{"10:03:58.402", "Opened", controller("case"), func(s *v1alpha1.CaseStatus) {
			s.State, s.Severity, s.Queue = v1alpha1.CaseTriage, v1alpha1.SeverityCritical, "runtime"
			s.Signals = &v1alpha1.SignalTotals{Total: 1, LastTime: clockAt(t, "10:03:58.114")}
			s.Assets = []v1alpha1.Entity{{Name: "web-6d4f9", Namespace: "shop", Type: "Pod", Cluster: "prod-1"}}
			s.Indicators = []v1alpha1.Indicator{{Type: "ipv4", Value: "203.0.113.9"}, {Type: "url", Value: "http://203.0.113.9/x"}}
			s.Enrichments = []v1alpha1.EnrichmentRecord{
				{Name: "workload", Lookup: "kubernetes/getPod", Input: pointTo(object(`{"name":"web-6d4f9","namespace":"shop"}`)), Result: pointTo(object(podFound)), Time: clockAt(t, "10:03:58.390")},
				{Name: "intel", Lookup: "intel/find", Error: "the intel service did not answer within 10s", Time: clockAt(t, "10:03:58.390")},
			}
			s.SeverityTrace = []v1alpha1.SeverityTraceEntry{
				{Factor: "base", Severity: v1alpha1.SeverityHigh, Because: "signal falco-5h2k9"},
				{Factor: "1", Adjust: ptr.To(int32(1)), Severity: v1alpha1.SeverityCritical, Because: "the workload is labelled criticality=high"},
			}
			s.Playbooks = []v1alpha1.StartedPlaybook{{Name: "isolate-pod", Run: "rt-0q9wd-isolate-pod"}}
		}},
		step[v1alpha1.CaseStatus]{"10:04:11.300", "Contained", controller("case"), func(s *v1alpha1.CaseStatus) {
			s.State = v1alpha1.CaseContained
			s.Questions = []v1alpha1.CaseQuestion{keepQuestion(t)}
		}},
		step[v1alpha1.CaseStatus]{"10:05:02.120", "Assigned", person("ana", "soc-analysts"), func(s *v1alpha1.CaseStatus) { s.Owner = "ana" }},
		step[v1alpha1.CaseStatus]{"10:06:00.500", "Asked", controller("case"), func(s *v1alpha1.CaseStatus) {
			s.Questions = append(s.Questions, releaseQuestion(t))
		}},
	)
	s.Journal = entries
	return c
}

func keepQuestion(t *testing.T) v1alpha1.CaseQuestion {
	return v1alpha1.CaseQuestion{
		Handle: "keep", RunRef: &v1alpha1.RecordRef{Name: "rt-0q9wd-isolate-pod", UID: "uid-of-rt-0q9wd-isolate-pod"},
		Question: v1alpha1.Question{
			Kind: v1alpha1.QuestionChoice, Prompt: "Keep pod shop/web-6d4f9 isolated?", Options: []string{"keep", "release"},
			Verb: "approve", Groups: []string{"soc-leads"}, Count: 1, Digest: digest,
			AskedTime: clockAt(t, "10:04:11.290"), DueTime: clockAt(t, "14:04:11.290"),
		},
	}
}

func releaseQuestion(t *testing.T) v1alpha1.CaseQuestion {
	return v1alpha1.CaseQuestion{
		Handle: "releasePod-3f2a", ActionRef: &v1alpha1.RecordRef{Name: "rt-0q9wd-act-x1", UID: "uid-of-rt-0q9wd-act-x1"},
		Question: v1alpha1.Question{
			Kind: v1alpha1.QuestionApproval, Prompt: "kubernetes/releasePod on Pod shop/web-6d4f9?", Verb: "approve", Count: 1,
			Excluded: []string{"ana"}, Digest: digest, Because: "no guardrail answers",
			AskedTime: clockAt(t, "10:06:00.400"), DueTime: clockAt(t, "11:06:00.400"),
		},
	}
}

func run(t *testing.T) v1alpha1.PlaybookRun {
	r := v1alpha1.PlaybookRun{
		ObjectMeta: objectMeta(t, "rt-0q9wd-isolate-pod", "10:03:58.420"),
		Spec: v1alpha1.PlaybookRunSpec{
			CaseRef:     v1alpha1.RecordRef{Name: "rt-0q9wd", UID: "uid-of-rt-0q9wd"},
			PlaybookRef: v1alpha1.LocalRef{Name: "isolate-pod"}, Revision: "isolate-pod-7f9c4",
		},
	}
	r.Status.Journal = journal(t, &r.Status,
		step[v1alpha1.PlaybookRunStatus]{"10:03:58.450", "Running", following("isolate"), func(s *v1alpha1.PlaybookRunStatus) {
			s.State, s.Step = v1alpha1.RunWaiting, "isolate"
			s.Steps = []v1alpha1.StepStatus{{Name: "isolate", State: v1alpha1.StepWaiting, Action: "rt-0q9wd-isolate", StartTime: clockAt(t, "10:03:58.450")}}
		}},
		step[v1alpha1.PlaybookRunStatus]{"10:04:11.290", "Waiting", following("keep"), func(s *v1alpha1.PlaybookRunStatus) {
			s.Step, s.CaseState = "keep", v1alpha1.CaseContained
			s.Steps[0].State = v1alpha1.StepSucceeded
			q := keepQuestion(t).Question
			s.Steps = append(s.Steps,
				v1alpha1.StepStatus{Name: "contained", State: v1alpha1.StepSucceeded, StartTime: clockAt(t, "10:04:11.290")},
				v1alpha1.StepStatus{Name: "keep", State: v1alpha1.StepWaiting, Question: &q, StartTime: clockAt(t, "10:04:11.290")})
		}},
	)
	return r
}

func newAction(t *testing.T, name, handle, operation, created string, by v1alpha1.JournalActor) v1alpha1.Action {
	return v1alpha1.Action{
		ObjectMeta: objectMeta(t, name, created),
		Spec: v1alpha1.ActionSpec{
			CaseRef: v1alpha1.RecordRef{Name: "rt-0q9wd", UID: "uid-of-rt-0q9wd"}, Handle: handle, Operation: operation,
			ConnectorRef: v1alpha1.RecordRef{Name: "kubernetes", UID: "uid-of-kubernetes"}, Input: object(podInput),
			Target: v1alpha1.Target{Type: "Pod", Namespace: "shop", Name: "web-6d4f9", UID: "4b1f6d0e-8a52-4c60-9d8e-0d9d7a8f2a11"},
			Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent,
			Rollback: v1alpha1.RollbackPlan{Operation: "kubernetes/releasePod"}, Requester: by, PlanDigest: digest,
			DeadlineTime: clockAt(t, "11:00:00.000"),
		},
	}
}

func isolated(t *testing.T) v1alpha1.Action {
	a := newAction(t, "rt-0q9wd-isolate", "isolate", "kubernetes/isolatePod", "10:03:58.460", following("isolate"))
	a.Spec.Revision, a.Spec.Step = "isolate-pod-7f9c4", "isolate"
	a.Status.Journal = journal(t, &a.Status,
		step[v1alpha1.ActionStatus]{"10:04:10.870", "Announced", following("isolate"), func(s *v1alpha1.ActionStatus) {
			s.State = v1alpha1.ActionExecuting
			s.Verdict = &v1alpha1.GuardVerdict{
				Answer: v1alpha1.AnswerAllow, Rule: "runtime-containment/isolate-is-reversible",
				Because: "An isolated pod keeps running and is released with one command.", Time: clockAt(t, "10:04:10.870"),
			}
			s.Attempts = []v1alpha1.Attempt{{Number: 1, Key: strings.Repeat("3f2a", 16), Holder: "casebook-0", StartTime: clockAt(t, "10:04:10.870"), DeadlineTime: clockAt(t, "10:04:20.870")}}
		}},
		step[v1alpha1.ActionStatus]{"10:04:11.233", "Verified", following("isolate"), func(s *v1alpha1.ActionStatus) {
			s.State, s.EndTime = v1alpha1.ActionSucceeded, pointTo(clockAt(t, "10:04:11.233"))
			s.Attempts[0].Outcome, s.Attempts[0].EndTime = v1alpha1.OutcomeAcknowledged, pointTo(clockAt(t, "10:04:11.100"))
			s.Conditions = []metav1.Condition{{Type: v1alpha1.ExecutedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.VerifiedReason}}
		}},
	)
	return a
}

func askedRelease(t *testing.T) v1alpha1.Action {
	a := newAction(t, "rt-0q9wd-act-x1", "releasePod-3f2a", "kubernetes/releasePod", "10:06:00.300", person("ana", "soc-analysts"))
	a.Spec.Rollback = v1alpha1.RollbackPlan{Operation: "kubernetes/isolatePod"}
	a.Status.Journal = journal(t, &a.Status, step[v1alpha1.ActionStatus]{"10:06:00.400", "Asking", controller("action"), func(s *v1alpha1.ActionStatus) {
		s.State = v1alpha1.ActionAsking
		s.Verdict = &v1alpha1.GuardVerdict{Answer: v1alpha1.AnswerAsk, Because: "no guardrail answers", Time: clockAt(t, "10:06:00.400")}
		q := releaseQuestion(t).Question
		s.Question = &q
	}})
	return a
}

func denied(t *testing.T) v1alpha1.Action {
	a := newAction(t, "rt-0q9wd-act-x2", "isolatePod-77aa", "kubernetes/isolatePod", "10:07:00.300", person("ana", "soc-analysts"))
	a.Spec.Target = v1alpha1.Target{Type: "Pod", Namespace: "kube-system", Name: "coredns-5d78c"}
	a.Status.Journal = journal(t, &a.Status, step[v1alpha1.ActionStatus]{"10:07:00.400", "DeniedByGuardrail", controller("action"), func(s *v1alpha1.ActionStatus) {
		s.State, s.EndTime = v1alpha1.ActionDenied, pointTo(clockAt(t, "10:07:00.400"))
		s.Message = "The cluster itself depends on this namespace; call the platform team's on-call instead."
		s.Verdict = &v1alpha1.GuardVerdict{
			Answer: v1alpha1.AnswerDeny, Rule: "runtime-containment/protected-namespaces",
			Because: s.Message, Time: clockAt(t, "10:07:00.400"),
		}
	}})
	return a
}

func decision(t *testing.T, name, at string, by v1alpha1.JournalActor, spec v1alpha1.DecisionSpec, status v1alpha1.DecisionStatus) v1alpha1.Decision {
	spec.CaseRef = v1alpha1.RecordRef{Name: "rt-0q9wd", UID: "uid-of-rt-0q9wd"}
	spec.Actor = &v1alpha1.Actor{Username: by.Name, Groups: by.Groups}
	d := v1alpha1.Decision{ObjectMeta: objectMeta(t, name, at), Spec: spec}
	d.Status.Journal = journal(t, &d.Status, step[v1alpha1.DecisionStatus]{at, string(status.State), by, func(s *v1alpha1.DecisionStatus) { *s = status }})
	return d
}

func taken(t *testing.T) v1alpha1.Decision {
	return decision(t, "rt-0q9wd-assign-a", "10:05:02.100", person("ana", "soc-analysts"),
		v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictAssign, Assign: &v1alpha1.AssignDecision{Owner: "ana"}},
		v1alpha1.DecisionStatus{State: v1alpha1.DecisionCounted, Reason: "Counted"})
}

func void(t *testing.T) v1alpha1.Decision {
	return decision(t, "rt-0q9wd-answer-b", "10:05:40.000", person("ana", "soc-analysts"),
		v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictAnswer, Message: "it is \u202egniht doog a\u202c", Answer: &v1alpha1.AnswerDecision{Handle: "keep", Option: "keep", Digest: digest}},
		v1alpha1.DecisionStatus{State: v1alpha1.DecisionVoid, Reason: v1alpha1.NotEntitledReason, Message: "ana is not in group soc-leads"})
}

func wanted(t *testing.T) v1alpha1.Decision {
	return decision(t, "rt-0q9wd-act-x1", "10:06:00.200", person("ana", "soc-analysts"),
		v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictAct, Message: "a false alarm", Act: &v1alpha1.ActDecision{Operation: "kubernetes/releasePod", Input: pointTo(object(podInput))}},
		v1alpha1.DecisionStatus{State: v1alpha1.DecisionCounted, Reason: "Counted", Action: "rt-0q9wd-act-x1"})
}

func sealed(t *testing.T) *v1alpha1.EvidenceLog {
	at := metav1.NewTime(clockAt(t, "10:07:01.000").Time)
	return &v1alpha1.EvidenceLog{
		ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "default"},
		Status:     v1alpha1.EvidenceLogStatus{Size: pointTo(int64(8412)), CheckpointTime: &at},
	}
}
