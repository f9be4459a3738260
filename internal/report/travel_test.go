// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// travel is the use case of impossible travel: sign-ins from two places, an outcome that nobody knows, a manager who
// cannot be told, and people who correct the case.
func travel(t *testing.T) *Records {
	t.Helper()
	r := &Records{Case: travelCase(t), Runs: []v1alpha1.PlaybookRun{travelRun(t), byHandRun(t)}, Actions: []v1alpha1.Action{revoked(t)}, Log: sealed(t)}
	counted := v1alpha1.DecisionStatus{State: v1alpha1.DecisionCounted, Reason: "Counted"}
	mia := person("mia", "soc-managers")
	for _, d := range []struct {
		name, at string
		spec     v1alpha1.DecisionSpec
	}{
		{"ida-set", "10:05:00.000", v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictSet, Message: "she is on the phone with me", Set: &v1alpha1.SetDecision{
			Severity: "Medium", TypeRef: &v1alpha1.LocalRef{Name: "account-takeover"}, Queue: "fraud",
		}}},
		{"ida-add", "10:05:30.000", v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictAdd, Add: &v1alpha1.AddDecision{
			Users: []v1alpha1.Entity{{Name: "bob@example.com"}}, Indicators: []v1alpha1.Indicator{{Type: "domain", Value: "evil.example"}},
		}}},
		{"ida-lookup", "10:06:00.000", v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictLookup, Lookup: &v1alpha1.LookupDecision{Operation: "intel/findAddress"}}},
		{"ida-run", "10:06:30.000", v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictRun, Message: "bob too", Run: &v1alpha1.RunDecision{PlaybookRef: v1alpha1.LocalRef{Name: "reset-password"}}}},
		{"ida-resolve", "10:07:00.000", v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictResolve, Message: "no session is left in the console", Resolve: &v1alpha1.ResolveDecision{
			ActionRef: v1alpha1.RecordRef{Name: "ida-7f3k2-revoke", UID: "uid-of-ida-7f3k2-revoke"}, Outcome: v1alpha1.ResolveHappened,
		}}},
	} {
		r.Decisions = append(r.Decisions, decision(t, d.name, d.at, mia, d.spec, counted))
	}
	r.Sort()
	return r
}

func travelCase(t *testing.T) v1alpha1.Case {
	c := v1alpha1.Case{
		ObjectMeta: objectMeta(t, "ida-7f3k2", "10:03:58.300"),
		Spec: v1alpha1.CaseSpec{
			TypeRef: v1alpha1.LocalRef{Name: "identity-anomaly"}, Title: "Sign-ins from Berlin and São Paulo within 41 minutes: ana@example.com",
			Severity: v1alpha1.SeverityLow, CorrelatedBy: "users=ana@example.com", EvidenceLog: v1alpha1.LogOfTenant,
		},
	}
	lookup := func(name, operation, item, input, result string) v1alpha1.EnrichmentRecord {
		return v1alpha1.EnrichmentRecord{Name: name, Lookup: operation, Item: item, Input: pointTo(object(input)), Result: pointTo(object(result)), Time: clockAt(t, "10:03:58.390")}
	}
	seen := func(ip, at, signal string) v1alpha1.Sighting {
		return v1alpha1.Sighting{IP: ip, Time: clockAt(t, at), Signal: signal}
	}
	mia := person("mia", "soc-managers")
	c.Status.Journal = journal(t, &c.Status,
		step[v1alpha1.CaseStatus]{"10:03:58.402", "Opened", controller("case"), func(s *v1alpha1.CaseStatus) {
			s.State, s.Severity, s.Queue = v1alpha1.CaseInvestigating, v1alpha1.SeverityHigh, "identity"
			s.Signals = &v1alpha1.SignalTotals{Total: 2, LastTime: clockAt(t, "10:03:58.114")}
			s.Users = []v1alpha1.Entity{{Name: "ana@example.com", Type: "User", DisplayName: "Ana Souza"}}
			s.Indicators = []v1alpha1.Indicator{{Type: "ipv4", Value: "198.51.100.4"}, {Type: "ipv4", Value: "203.0.113.7"}}
			s.Sightings = []v1alpha1.Sighting{seen("198.51.100.4", "09:10:00.000", "sig-1"), seen("198.51.100.4", "09:22:58.000", "sig-1"), seen("203.0.113.7", "10:03:58.000", "sig-2")}
			s.Enrichments = []v1alpha1.EnrichmentRecord{
				lookup("person", "directory/findUser", "ana@example.com", `{"user":"ana@example.com"}`, `{"active":true,"department":"Finance","found":true,"manager":"mia@example.com","user":"ana@example.com"}`),
				lookup("trips", "travel/find", "ana@example.com", `{"user":"ana@example.com"}`, `[]`),
				lookup("places", "geo/locate", "198.51.100.4 at 2026-11-24T09:10:00.000000Z", `{"ip":"198.51.100.4","time":"2026-11-24T09:10:00.000000Z"}`, `{"city":"Berlin","country":"DE","found":true,"ip":"198.51.100.4","latitude":52.52,"longitude":13.4,"radiusKm":20,"time":"2026-11-24T09:10:00.000000Z"}`),
				lookup("places", "geo/locate", "198.51.100.4 at 2026-11-24T09:22:58.000000Z", `{"ip":"198.51.100.4","time":"2026-11-24T09:22:58.000000Z"}`, `{"city":"Berlin","country":"DE","found":true,"ip":"198.51.100.4","latitude":52.52,"longitude":13.4,"radiusKm":20,"time":"2026-11-24T09:22:58.000000Z"}`),
				{Name: "places", Lookup: "geo/locate", Item: "203.0.113.7 at 2026-11-24T10:03:58.000000Z", Error: "the database of places is missing", Time: clockAt(t, "10:03:58.390")},
				{Name: "calendar", Lookup: "calendar/current", Result: pointTo(object(`{"found":false}`)), Time: clockAt(t, "10:03:58.390")},
			}
			s.SeverityTrace = []v1alpha1.SeverityTraceEntry{
				{Factor: "base", Severity: v1alpha1.SeverityLow, Because: "the mapping okta: severity, from eventType user.session.start"},
				{Factor: "1", Adjust: ptr.To(int32(2)), Severity: v1alpha1.SeverityHigh, Because: "faster than any flight: 14933 km/h"},
			}
			s.Playbooks = []v1alpha1.StartedPlaybook{{Name: "impossible-travel", Item: "ana@example.com", Run: "ida-7f3k2-impossible-travel"}}
		}},
		step[v1alpha1.CaseStatus]{"10:05:00.100", "Investigating", mia, func(s *v1alpha1.CaseStatus) {
			s.Severity, s.Queue, s.TypeRef = v1alpha1.SeverityMedium, "fraud", &v1alpha1.LocalRef{Name: "account-takeover"}
			s.SeverityTrace = append(s.SeverityTrace, v1alpha1.SeverityTraceEntry{Factor: "set", Adjust: ptr.To(int32(-1)), Severity: v1alpha1.SeverityMedium, Because: "by mia: she is on the phone with me"})
		}},
		step[v1alpha1.CaseStatus]{"10:05:30.100", "Investigating", mia, func(s *v1alpha1.CaseStatus) {
			s.Users = append(s.Users, v1alpha1.Entity{Name: "bob@example.com"})
			s.Indicators = append(s.Indicators, v1alpha1.Indicator{Type: "domain", Value: "evil.example"})
			s.Playbooks = append(s.Playbooks, v1alpha1.StartedPlaybook{Name: "impossible-travel", Item: "bob@example.com", Message: "not started, for it cannot be decided"})
		}},
		step[v1alpha1.CaseStatus]{"10:06:00.100", "Investigating", mia, func(s *v1alpha1.CaseStatus) {
			byHand := lookup("findAddress", "intel/findAddress", "", `{"ip":"203.0.113.7"}`, `{"ip":"203.0.113.7","score":1493300000}`)
			byHand.Decision = "ida-lookup"
			s.Enrichments = append(s.Enrichments, byHand)
		}},
		step[v1alpha1.CaseStatus]{"10:06:30.100", "Investigating", mia, func(s *v1alpha1.CaseStatus) {
			s.Playbooks = append(s.Playbooks, v1alpha1.StartedPlaybook{Name: "reset-password", Item: "ida-run", Run: "ida-7f3k2-reset"})
		}},
	)
	return c
}

func travelRun(t *testing.T) v1alpha1.PlaybookRun {
	r := v1alpha1.PlaybookRun{
		ObjectMeta: objectMeta(t, "ida-7f3k2-impossible-travel", "10:03:58.420"),
		Spec: v1alpha1.PlaybookRunSpec{
			CaseRef: v1alpha1.RecordRef{Name: "ida-7f3k2", UID: "uid-of-ida-7f3k2"}, PlaybookRef: v1alpha1.LocalRef{Name: "impossible-travel"},
			Revision: "impossible-travel-4a1b2", Item: "ana@example.com",
		},
	}
	by := v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "playbookrun", Revision: r.Spec.Revision, Step: "tell"}
	announced := func(id, to string) v1alpha1.Delivery {
		return v1alpha1.Delivery{MessageID: id, To: to, Subject: "Your account", Text: "Your sessions were ended.", State: v1alpha1.DeliveryAnnounced}
	}
	r.Status.Journal = journal(t, &r.Status,
		step[v1alpha1.PlaybookRunStatus]{"10:04:11.240", "Waiting", by, func(s *v1alpha1.PlaybookRunStatus) {
			s.State, s.Step = v1alpha1.RunWaiting, "tell"
			s.Steps = []v1alpha1.StepStatus{{Name: "tell", State: v1alpha1.StepWaiting, StartTime: clockAt(t, "10:04:11.240"), Deliveries: []v1alpha1.Delivery{announced("a1", "ana@example.com"), announced("b2", "mia@example.com")}}}
		}},
		step[v1alpha1.PlaybookRunStatus]{"10:04:12.000", "Waiting", by, func(s *v1alpha1.PlaybookRunStatus) {
			d := s.Steps[0].Deliveries
			d[0].State, d[0].Attempts = v1alpha1.DeliveryAccepted, ptr.To(int32(1))
			d[1].Message, d[1].Attempts = "connection refused", ptr.To(int32(1))
		}},
		step[v1alpha1.PlaybookRunStatus]{"10:04:22.000", "Failed", by, func(s *v1alpha1.PlaybookRunStatus) {
			d := s.Steps[0].Deliveries
			d[1].State, d[1].Message = v1alpha1.DeliveryRefused, "550 no such user"
			s.Steps[0].State, s.Steps[0].Message = v1alpha1.StepFailed, "not told: mia@example.com (550 no such user)"
			s.State, s.Step, s.Message = v1alpha1.RunFailed, "", "step tell: not told: mia@example.com (550 no such user)"
		}},
	)
	return r
}

func byHandRun(t *testing.T) v1alpha1.PlaybookRun {
	return v1alpha1.PlaybookRun{
		ObjectMeta: objectMeta(t, "ida-7f3k2-reset", "10:06:30.200"),
		Spec: v1alpha1.PlaybookRunSpec{
			CaseRef: v1alpha1.RecordRef{Name: "ida-7f3k2", UID: "uid-of-ida-7f3k2"}, PlaybookRef: v1alpha1.LocalRef{Name: "reset-password"},
			Revision: "reset-password-1c2d3", Item: "ida-run", DecisionRef: &v1alpha1.RecordRef{Name: "ida-run", UID: "uid-of-ida-run"},
		},
		Status: v1alpha1.PlaybookRunStatus{State: v1alpha1.RunRunning},
	}
}

func revoked(t *testing.T) v1alpha1.Action {
	a := newAction(t, "ida-7f3k2-revoke", "revoke", "idp/revokeSessions", "10:04:10.800", v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "playbookrun", Revision: "impossible-travel-4a1b2", Step: "revoke"})
	a.UID, a.Spec.Target = types.UID("uid-of-ida-7f3k2-revoke"), v1alpha1.Target{Type: "User", Name: "ana@example.com"}
	a.Spec.Effect, a.Spec.Rollback = v1alpha1.EffectIrreversible, v1alpha1.RollbackPlan{NotPossible: "a session cannot be given back"}
	a.Status.Journal = journal(t, &a.Status,
		step[v1alpha1.ActionStatus]{"10:04:10.870", "Announced", controller("action"), func(s *v1alpha1.ActionStatus) {
			s.State = v1alpha1.ActionUnknown
			s.Message = "the connection was reset after the request was sent"
			s.Attempts = []v1alpha1.Attempt{{Number: 1, Key: strings.Repeat("3f2a", 16), Holder: "casebook-0", Outcome: v1alpha1.OutcomeInDoubt, StartTime: clockAt(t, "10:04:10.870"), DeadlineTime: clockAt(t, "10:04:20.870")}}
		}},
		step[v1alpha1.ActionStatus]{"10:07:00.100", "Resolved", person("mia", "soc-managers"), func(s *v1alpha1.ActionStatus) {
			s.Message = ""
			s.State, s.EndTime = v1alpha1.ActionSucceeded, pointTo(clockAt(t, "10:07:00.100"))
			s.Resolutions = []v1alpha1.Resolution{{Decision: "ida-resolve", Outcome: v1alpha1.ResolveHappened, Actor: v1alpha1.Actor{Username: "mia"}, Time: clockAt(t, "10:07:00.050")}}
		}},
	)
	return a
}

func TestTravelTexts(t *testing.T) {
	r := travel(t)
	golden(t, "travel-timeline.txt", NewTimeline(r).Text(screen(t)))
	golden(t, "travel-why.txt", NewWhy(r).Text(screen(t)))
	r.Actions[0].Status.State, r.Actions[0].Status.EndTime, r.Actions[0].Status.Message = v1alpha1.ActionUnknown, nil, "the connection was reset"
	r.Case.Status.Questions = casefile.Questions(nil, r.Actions)
	golden(t, "travel-case.txt", NewCase(r, lead).Text(screen(t)))
	encoded, err := Encode(FormatJSON, NewCase(r, lead))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"latitude": 52.52`, `"decision": "ida-lookup"`, `"type": "account-takeover"`, `"signal": "sig-2"`} {
		if !strings.Contains(string(encoded), want) {
			t.Errorf("the JSON has no %s:\n%s", want, encoded)
		}
	}
}

func TestOutcomeOfAFreeze(t *testing.T) {
	freeze := v1alpha1.Decision{ObjectMeta: objectMeta(t, "freeze-x1", "10:07:00.000"), Spec: v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictFreeze}}
	if text := NewOutcome(&freeze, nil).Text(screen(t)); !strings.Contains(strings.Join(strings.Fields(text), " "), "kubectl get decision freeze-x1") {
		t.Errorf("a freeze that nobody has looked at: %s", text)
	}
	freeze.Status.State = v1alpha1.DecisionCounted
	if text := NewOutcome(&freeze, nil).Text(screen(t)); !strings.HasPrefix(text, "Frozen: nothing changes a target") {
		t.Errorf("a freeze: %s", text)
	}
}

func TestSummary(t *testing.T) {
	for name, tt := range map[string]struct{ input, result, want string }{
		"plain values by their path":      {`{}`, `{"b":{"c":1},"a":["x",true]}`, "a[0]=x, a[1]=true, b.c=1"},
		"what was asked is left out":      {`{"ip":"192.0.2.1"}`, `{"ip":"192.0.2.1","country":"DE"}`, "country=DE"},
		"what differs from it is not":     {`{"ip":"192.0.2.1"}`, `{"ip":"192.0.2.2"}`, "ip=192.0.2.2"},
		"an answer that is only that":     {`{"ip":"192.0.2.1"}`, `{"ip":"192.0.2.1"}`, `{"ip":"192.0.2.1"}`},
		"an input that is none":           {``, `{"a":1}`, "a=1"},
		"a large number as it is written": {``, `{"a":14933000000000000000000}`, "a=14933000000000000000000"},
		"nothing was found":               {``, `{"found":false}`, "none"},
		"an empty list":                   {``, `[]`, "none"},
		"null":                            {``, `null`, "none"},
		"an empty text":                   {``, `""`, "none"},
		"false is an answer":              {``, `false`, "false"},
		"what is no JSON":                 {``, `{`, "{"},
	} {
		if got := summary([]byte(tt.input), []byte(tt.result)); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
