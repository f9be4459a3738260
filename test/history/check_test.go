// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/history"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// told is a history, each event a second after the one before.
func told(events ...history.Event) []history.Event {
	now := noon
	log := history.Log{Now: func() time.Time { return now }}
	for _, e := range events {
		now = now.Add(time.Second)
		if e.Kind == history.Announced && e.Start.IsZero() {
			e.Start = now
		}
		log.Add(e)
	}
	return log.Events()
}

func intended(name string, semantics v1alpha1.Semantics, change ...func(*history.Event)) history.Event {
	e := history.Event{
		Kind: history.Intended, Action: name, Key: "key-" + name, Target: "host-1", Digest: "digest-" + name, Operation: "edr/isolate",
		Semantics: semantics, Verifiable: semantics != v1alpha1.AtMostOnce,
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func asks(e *history.Event)  { e.Asks = true }
func blind(e *history.Event) { e.Verifiable = false }

func announced(name string, attempt int32) history.Event {
	return history.Event{Kind: history.Announced, Action: name, Attempt: attempt, Key: "key-" + name, Allowed: true}
}

func attended(name string, attempt int32) history.Event {
	e := announced(name, attempt)
	e.Allowed = false
	return e
}

func arrived(name string) history.Event {
	return history.Event{Kind: history.Arrived, Key: "key-" + name}
}

func effect(name string) history.Event {
	return history.Event{Kind: history.Effect, Key: "key-" + name, Changed: true}
}

func read(name string, desired bool) history.Event {
	return history.Event{Kind: history.Read, Action: name, Desired: desired}
}

func wrote(name string, state v1alpha1.ActionState, reason string) history.Event {
	return history.Event{Kind: history.Wrote, Action: name, State: state, Reason: reason}
}

func unsent(name string, attempt int32) history.Event {
	return history.Event{Kind: history.Wrote, Action: name, State: v1alpha1.ActionReady, Attempt: attempt, Ended: v1alpha1.OutcomeNotSent}
}

func approved(name string, until time.Duration) history.Event {
	return history.Event{Kind: history.Decided, Verdict: v1alpha1.VerdictApprove, Digest: "digest-" + name, Until: noon.Add(until)}
}

func resolved(name string, outcome v1alpha1.ResolveOutcome) history.Event {
	return history.Event{Kind: history.Decided, Verdict: v1alpha1.VerdictResolve, Action: name, Outcome: outcome}
}

var (
	rest     = history.Event{Kind: history.Rest}
	rival    = history.Event{Kind: history.Rival, Target: "host-1"}
	verified = wrote("a", v1alpha1.ActionSucceeded, v1alpha1.VerifiedReason)
	refused  = wrote("a", v1alpha1.ActionFailed, v1alpha1.RefusedReason)
	one      = []history.Budget{{Name: "isolations", Operations: []string{"edr/isolate"}, Max: 1, Per: time.Hour}}
)

// at makes an announcement one that was decided on at another time.
func at(e history.Event, after time.Duration) history.Event {
	e.Start = noon.Add(after)
	return e
}

func TestCheck(t *testing.T) {
	const idempotent, keyed, readBack, once = v1alpha1.Idempotent, v1alpha1.Keyed, v1alpha1.ReadBack, v1alpha1.AtMostOnce
	back := func(e *history.Event) { e.RollbackOf = "a" }
	for name, tc := range map[string]struct {
		events  []history.Event
		budgets []history.Budget
		want    []string
	}{
		"nothing happened": {},
		"it was announced, done, read and told": {
			events: []history.Event{intended("a", readBack), announced("a", 1), arrived("a"), effect("a"), read("a", true), verified, rest},
		},
		"I1: nobody announced it": {
			events: []history.Event{intended("a", readBack), arrived("a")}, want: []string{"I1"},
		},
		"I1: it was announced after it was sent": {
			events: []history.Event{intended("a", readBack), arrived("a"), announced("a", 1)}, want: []string{"I1"},
		},
		"I1: it was sent twice in one attempt": {
			events: []history.Event{intended("a", keyed), announced("a", 1), arrived("a"), arrived("a")}, want: []string{"I1"},
		},
		"I1: a key that no action has": {
			events: []history.Event{intended("a", keyed), announced("a", 1), arrived("b")}, want: []string{"I1"},
		},
		"I1: an announcement with another key": {
			events: []history.Event{intended("a", keyed), func() history.Event { e := announced("a", 1); e.Key = "x"; return e }()}, want: []string{"I1"},
		},
		"an attempt for each request": {
			events: []history.Event{intended("a", keyed), announced("a", 1), arrived("a"), effect("a"), announced("a", 2), arrived("a"), read("a", true), verified},
		},
		"I2: what is read back was done twice": {
			events: []history.Event{intended("a", readBack), announced("a", 1), effect("a"), announced("a", 2), effect("a")}, want: []string{"I2"},
		},
		"what somebody took away in between may be done again": {
			events: []history.Event{intended("a", readBack), announced("a", 1), effect("a"), rival, announced("a", 2), effect("a")},
		},
		"I2: but not what may run at most once": {
			events: []history.Event{intended("a", once), announced("a", 1), effect("a"), rival, announced("a", 2), effect("a")}, want: []string{"I2"},
		},
		"what is absolute may be said twice": {
			events: []history.Event{intended("a", idempotent), effect("a"), {Kind: history.Effect, Key: "key-a"}},
		},
		"I2: a late request undid the rollback": {
			events: []history.Event{intended("a", idempotent), intended("b", idempotent, back), effect("a"), effect("b"), effect("a")}, want: []string{"I2"},
		},
		"another action is a rival": {
			events: []history.Event{intended("a", idempotent), intended("b", idempotent), effect("a"), effect("b"), effect("a")},
		},
		"I3: nobody read it": {
			events: []history.Event{intended("a", readBack), announced("a", 1), effect("a"), verified}, want: []string{"I3"},
		},
		"I3: it was read before it happened": {
			events: []history.Event{intended("a", readBack), announced("a", 1), read("a", true), effect("a"), verified}, want: []string{"I3"},
		},
		"I3: it was not as desired": {
			events: []history.Event{intended("a", readBack), announced("a", 1), effect("a"), read("a", false), verified}, want: []string{"I3"},
		},
		"what cannot be read was acknowledged": {
			events: []history.Event{intended("a", once), announced("a", 1), effect("a"), wrote("a", v1alpha1.ActionSucceeded, v1alpha1.AcknowledgedReason)},
		},
		"I3: what can be read was only acknowledged": {
			events: []history.Event{intended("a", readBack), announced("a", 1), effect("a"), wrote("a", v1alpha1.ActionSucceeded, v1alpha1.AcknowledgedReason)}, want: []string{"I3"},
		},
		"I3: what was acknowledged never happened": {
			events: []history.Event{intended("a", once), announced("a", 1), wrote("a", v1alpha1.ActionSucceeded, v1alpha1.AcknowledgedReason)}, want: []string{"I3"},
		},
		"a person found that it happened": {
			events: []history.Event{intended("a", once), resolved("a", v1alpha1.ResolveHappened), wrote("a", v1alpha1.ActionSucceeded, v1alpha1.ResolvedByPersonReason)},
		},
		"I3: a person found that it did not": {
			events: []history.Event{intended("a", once), resolved("a", v1alpha1.ResolveDidNot), wrote("a", v1alpha1.ActionSucceeded, v1alpha1.ResolvedByPersonReason)}, want: []string{"I3"},
		},
		"I3: it succeeded for no reason": {
			events: []history.Event{intended("a", once), wrote("a", v1alpha1.ActionSucceeded, "Hope")}, want: []string{"I3"},
		},
		"I3': it failed and had happened": {
			events: []history.Event{intended("a", keyed, blind), announced("a", 1), effect("a"), refused}, want: []string{"I3'"},
		},
		"I3': it failed and happened later": {
			events: []history.Event{intended("a", keyed), announced("a", 1), refused, effect("a")}, want: []string{"I3'"},
		},
		"I3': it expired and had happened": {
			events: []history.Event{intended("a", keyed), announced("a", 1), effect("a"), wrote("a", v1alpha1.ActionExpired, v1alpha1.DeadlinePassedReason)}, want: []string{"I3'"},
		},
		"it failed after somebody took it away": {
			events: []history.Event{intended("a", keyed), announced("a", 1), effect("a"), rival, refused},
		},
		"it failed because it did not hold, and says so": {
			events: []history.Event{intended("a", idempotent), announced("a", 1), effect("a"), wrote("a", v1alpha1.ActionFailed, v1alpha1.NotAsDesiredReason)},
		},
		"it is unknown, and had happened": {
			events: []history.Event{intended("a", once), announced("a", 1), effect("a"), wrote("a", v1alpha1.ActionUnknown, v1alpha1.OutcomeUnknownReason), rest},
		},
		"it was approved, and went on with that": {
			events: []history.Event{intended("a", keyed, asks), approved("a", 4*time.Second), attended("a", 1), arrived("a"), attended("a", 2), arrived("a")},
		},
		"I4: nobody approved it": {
			events: []history.Event{intended("a", keyed, asks), announced("a", 1), arrived("a")}, want: []string{"I4"},
		},
		"I4: another plan was approved": {
			events: []history.Event{intended("a", keyed, asks), approved("b", time.Hour), attended("a", 1), arrived("a")}, want: []string{"I4"},
		},
		"I4: it was approved after it was announced": {
			events: []history.Event{intended("a", keyed, asks), attended("a", 1), approved("a", time.Hour), arrived("a")}, want: []string{"I4"},
		},
		"I4: the approval was too old": {
			events: []history.Event{intended("a", keyed, asks), approved("a", 2*time.Second), attended("a", 1), arrived("a")}, want: []string{"I4"},
		},
		"I4: nothing was sent while the approval stood": {
			events: []history.Event{
				intended("a", keyed, asks), approved("a", 4*time.Second), attended("a", 1), unsent("a", 1), attended("a", 2), arrived("a"),
			},
			want: []string{"I4"},
		},
		"I4: a guardrail that allows in general asked this time": {
			events: []history.Event{intended("a", keyed), attended("a", 1), arrived("a")}, want: []string{"I4"},
		},
		"I6: it goes on for ever": {
			events: []history.Event{intended("a", keyed), announced("a", 1), wrote("a", v1alpha1.ActionSettling, ""), rest}, want: []string{"I6"},
		},
		"I6: nobody looked at it": {
			events: []history.Event{intended("a", keyed), rest}, want: []string{"I6"},
		},
		"I10: it is written at rest": {
			events: []history.Event{intended("a", keyed), refused, rest, refused}, want: []string{"I10"},
		},
		"within the budget": {
			events: []history.Event{
				intended("a", keyed), intended("b", keyed), announced("a", 1), arrived("a"), at(announced("b", 1), time.Hour+3*time.Second), arrived("b"),
			},
			budgets: one,
		},
		"I11: one more": {
			events:  []history.Event{intended("a", keyed), intended("b", keyed), announced("a", 1), arrived("a"), announced("b", 1), arrived("b")},
			budgets: one, want: []string{"I11"},
		},
		"I11: a person's counts too": {
			events: []history.Event{
				intended("a", keyed), intended("b", keyed), approved("a", time.Hour), attended("a", 1), arrived("a"),
				at(announced("b", 1), time.Minute), arrived("b"),
			},
			budgets: one, want: []string{"I11"},
		},
		"a person may go beyond it": {
			events: []history.Event{
				intended("a", keyed), intended("b", keyed), announced("a", 1), arrived("a"), approved("b", time.Hour), attended("b", 1), arrived("b"),
			},
			budgets: one,
		},
		"what was never sent uses nothing up": {
			events: []history.Event{
				intended("a", keyed), intended("b", keyed), announced("a", 1), unsent("a", 1), announced("b", 1), arrived("b"),
				approved("a", time.Hour), attended("a", 2), arrived("a"),
			},
			budgets: one,
		},
		"I11: what was sent at last does": {
			events: []history.Event{
				intended("a", keyed), intended("b", keyed), announced("a", 1), unsent("a", 1), announced("b", 1), arrived("b"), announced("a", 2), arrived("a"),
			},
			budgets: one, want: []string{"I11"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, v := range history.Check(told(tc.events...), tc.budgets...) {
				got = append(got, v.Invariant)
				if v.Text == "" || v.Seq == 0 {
					t.Errorf("%q does not say what or where", v)
				}
			}
			if diff := cmp.Diff(tc.want, slices.Compact(got)); diff != "" {
				t.Errorf("invariants (-want +got):\n%s", diff)
			}
		})
	}
}
