// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// unanswered is what guardrails say while a lookup of theirs fails.
func unanswered(digest, failure string) Permission {
	p := asked(digest)
	p.Unanswered, p.Verdict.Rule = true, "idp/vips"
	p.Verdict.Because = "idp/vips cannot be decided: " + failure
	p.Question.Because = p.Verdict.Because
	return p
}

// approvedBefore is what is said of an action that a person approved half a minute after it asked first.
func approvedBefore(p Permission) Permission {
	p.Approved, p.Approvals = true, byMia(30*time.Second)
	return p
}

// What is asked only for want of a lookup is looked up again, ever more slowly, and not before its target wants to be asked.
func TestAskingLooksUpAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		change   func(*Permission)
		asksFor  time.Duration
		asksTill time.Duration
		want     time.Duration
	}{
		"at first":                      {want: time.Second},
		"after as long again":           {asksFor: 10 * time.Second, want: 10 * time.Second},
		"at least once a minute":        {asksFor: 5 * time.Minute, want: time.Minute},
		"not before the target wants":   {change: func(p *Permission) { p.RetryAfter = 3 * time.Minute }, want: 3 * time.Minute},
		"no sooner than the back-off":   {change: func(p *Permission) { p.RetryAfter = time.Second }, asksFor: 20 * time.Second, want: 20 * time.Second},
		"and expires in time":           {change: func(p *Permission) { p.RetryAfter = time.Hour }, want: 10 * time.Minute},
		"but not what a rule asks":      {change: func(p *Permission) { p.Unanswered = false }, want: 10 * time.Minute},
		"nor for a lookup it can spare": {change: func(p *Permission) { p.Unanswered, p.RetryAfter = false, time.Second }, want: 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			spec := intent(t, v1alpha1.Idempotent)
			p := unanswered(spec.PlanDigest, "connection refused")
			if tt.change != nil {
				tt.change(&p)
			}
			w := world(p)
			w.SeenFor = tt.asksFor
			var status v1alpha1.ActionStatus
			if step := Next("soc", "a1", spec, &status, w, now); status.State != v1alpha1.ActionAsking || step.Recheck != tt.want {
				t.Errorf("it is %s and looks again after %s, want %s", status.State, step.Recheck, tt.want)
			}
		})
	}
}

// A lookup that stays down changes nothing however it fails, so that nothing is written.
func TestAskingWritesNothingWhileALookupIsDown(t *testing.T) {
	spec := intent(t, v1alpha1.Idempotent)
	var first, status v1alpha1.ActionStatus
	for i := range 5 {
		p := unanswered(spec.PlanDigest, fmt.Sprintf("connection reset, port %d", 30000+i))
		p.Verdict.Time.Time = now.Add(time.Duration(i) * time.Minute)
		if i == 4 {
			p.Verdict.Rule = "idp/another"
		}
		Next("soc", "a1", spec, &status, world(p), now.Add(time.Duration(i)*time.Minute))
		if i == 0 {
			first = *status.DeepCopy()
		}
	}
	if diff := gocmp.Diff(first, status); diff != "" {
		t.Errorf("it changed while the lookup was down:\n%s", diff)
	}
}

// Once the lookup answers the verdict is what it says. An approval from before counts if the same is still asked.
func TestAskingIsJudgedAgain(t *testing.T) {
	spec := intent(t, v1alpha1.Idempotent)
	decided := func(answer v1alpha1.Answer, because string) Permission {
		p := asked(spec.PlanDigest)
		p.Verdict.Answer, p.Verdict.Because, p.Question.Because = answer, because, because
		return p
	}
	half := asked(spec.PlanDigest).Question
	half.Count = 2
	for name, tt := range map[string]struct {
		after   Permission
		state   v1alpha1.ActionState
		because string
		asked   time.Duration // when the question that stands was asked
	}{
		"allowed":                 {after: decided(v1alpha1.AnswerAllow, "no VIP"), state: v1alpha1.ActionExecuting},
		"denied":                  {after: decided(v1alpha1.AnswerDeny, "break-glass"), state: v1alpha1.ActionDenied, because: "idp/vips cannot be decided: down"},
		"asked for a new reason":  {after: decided(v1alpha1.AnswerAsk, "she is on the board"), state: v1alpha1.ActionAsking, because: "she is on the board"},
		"approved, and the same":  {after: approvedBefore(decided(v1alpha1.AnswerAsk, "she is on the board")), state: v1alpha1.ActionExecuting, because: "she is on the board"},
		"approved, but denied":    {after: approvedBefore(decided(v1alpha1.AnswerDeny, "break-glass")), state: v1alpha1.ActionDenied, because: "idp/vips cannot be decided: down"},
		"approved, but of others": {after: approvedBefore(Permission{Verdict: decided(v1alpha1.AnswerAsk, "two").Verdict, Question: half}), state: v1alpha1.ActionAsking, asked: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			var status v1alpha1.ActionStatus
			Next("soc", "a1", spec, &status, world(unanswered(spec.PlanDigest, "down")), now)
			Next("soc", "a1", spec, &status, world(tt.after), now.Add(time.Minute))
			if status.State != tt.state || status.Verdict.Because != tt.after.Verdict.Because {
				t.Errorf("it is %s: %s", status.State, status.Verdict.Because)
			}
			q := status.Question
			if (q == nil) != (tt.after.Verdict.Answer == v1alpha1.AnswerAllow) {
				t.Fatalf("it asks %+v", q)
			}
			if q != nil && (q.Because != tt.because || !q.AskedTime.Time.Equal(now.Add(tt.asked))) {
				t.Errorf("it asks because %q, since %s", q.Because, q.AskedTime)
			}
		})
	}
}
