// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"sync"
	"testing"
)

func TestTheCacheIsBoundedAndShared(t *testing.T) {
	env := MustNew(Source)
	first, err := env.Compile("signal.a == 0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 2*generationSize + 10 {
				if _, err := env.Compile(fmt.Sprintf("signal.a == %d ||", i)); err == nil {
					t.Error("half an expression compiled")
				}
				again, err := env.Compile("signal.a == 0")
				if err != nil || again != first {
					t.Errorf("what is in use left the cache: %v", err)
				}
			}
		})
	}
	group.Wait()
	if n := len(env.cache.young) + len(env.cache.old); n > 2*generationSize {
		t.Errorf("the cache holds %d, want at most %d", n, 2*generationSize)
	}
}

// TestTheDesignsExpressionsCompile holds the dialect to what the examples of the
// design write.
func TestTheDesignsExpressionsCompile(t *testing.T) {
	tests := map[Kind][]string{
		Source: {"signal.severity >= Low"},
		Mapping: {
			"has(payload.eventType) && has(payload.actor) || payload.?data.events.hasValue()", "payload.?data.events.orValue([payload])",
			"item.eventType in ['user.session.start', 'security.threat.detected']", "'Identity'",
			"item.eventType == 'security.threat.detected' ? High : Low", "item.?securityContext.isProxy.orValue(false) ? 70 : 40",
			"first(item.?published, payload.?eventTime)", "[user(item.actor.alternateId).named(item.actor.displayName)]", "[ip(item.client.ipAddress)]",
		},
		Operation: {
			"'userName eq ' + quote(input.user)", "response.body.Resources[0]", "before.active == false",
			"response.status in [200, 204]", "current.active == false", "result.active == false", "current == after", "mark + key",
		},
		Guardrail: {
			"lookups.vip.found && lookups.vip.tier == 'break-glass'", "operation == 'idp/revokeSessions' && case.severity >= Medium", "target.name",
		},
		CaseType: {
			"signal.category == 'Identity'", "case.users", "item.name", "case.openedTime", "enrichment.person.exists(p, p.privileged)",
			"speed(enrichment.places) > 900.0", "size(enrichment.trips) > 0", "has(case.owner)", "severity >= High", "case.state in ['Contained', 'Resolved', 'Closed']",
		},
		Playbook: {
			"size(inputs.user.trips) > 0", "inputs.user.trips[0].id", "enrichment.places.map(p, p.city).join(' and ')",
			"steps.wasItYou.answer == 'notMe'", "steps.suspend.message",
		},
	}
	for kind, sources := range tests {
		for _, source := range sources {
			t.Run(string(kind)+" "+source, func(t *testing.T) {
				if _, err := MustNew(kind).Compile(source); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
