// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture"
	"github.com/casebook-dev/casebook/test/standin"
	"github.com/casebook-dev/casebook/test/standin/scim"
)

// lookups is how often a user was looked up.
func (d *directory) lookups(user string) (n int) {
	for _, r := range d.Requests() {
		if r.Method == http.MethodGet && strings.Contains(r.Query.Get("filter"), user) {
			n++
		}
	}
	return n
}

// A question that is asked only because a lookup failed is judged again once the lookup answers: nobody needs to do anything.
// While it fails nothing is written.
func TestAskingIsJudgedAgainOnceTheLookupAnswers(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	w.Secret("directory", "token", canary)
	w.LetRead("directory")
	users := []string{"ana@example.com", "ben@example.com", "carl@example.com"}
	travel, d := newDirectory(t, w, "travel", "ana@example.com"), newDirectory(t, w, "directory", users...)
	travel.accounts.Set(scim.User{UserName: "ben@example.com"})
	g := &v1alpha1.Guardrail{
		ObjectMeta: metav1.ObjectMeta{Name: "travellers", Namespace: w.Namespace},
		Spec: v1alpha1.GuardrailSpec{
			Covers:  []string{"directory/*"},
			Lookups: []v1alpha1.GuardrailLookup{{Name: "trip", Lookup: "travel/findUser", Input: &apiextensionsv1.JSON{Raw: []byte(`{"user":"${target.name}"}`)}}},
			Rules: []v1alpha1.GuardrailRule{
				{Name: "at-home", If: "lookups.trip.found && lookups.trip.active", Allow: "No trip explains it."},
				{Name: "abroad", If: "lookups.trip.found && !lookups.trip.active", Deny: "The trip explains it."},
				{Name: "stranger", If: "!lookups.trip.found", Ask: &v1alpha1.Ask{Because: "Nobody knows who that is."}},
			},
		},
	}
	if err := fixture.Admin().Create(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	w.Run(fixture.Faults{})
	w.AwaitReady()
	travel.Inject(standin.Fault{Do: standin.Answer(http.StatusInternalServerError, nil, nil)})
	c := w.Alert(w.Pod("web-1"))
	of := func(user string, holds func(*v1alpha1.Action) bool) func(*v1alpha1.Action) bool {
		return func(a *v1alpha1.Action) bool { return a.Spec.Target.Name == user && holds(a) }
	}
	asks := func(a *v1alpha1.Action) bool { return a.Status.State == v1alpha1.ActionAsking }
	version, looked := map[string]string{}, map[string]int{}
	for _, user := range users {
		d.suspend(t, c, user)
		version[user] = d.action(t, "that asks", of(user, asks)).ResourceVersion
		looked[user] = travel.lookups(user)
	}
	for _, user := range users {
		w.Eventually("more lookups of "+user, func() (bool, string) {
			now := travel.lookups(user)
			return now >= looked[user]+2, fmt.Sprintf("%d lookups, %d when it asked", now, looked[user])
		})
		if a := d.action(t, "that asks", of(user, asks)); a.ResourceVersion != version[user] {
			t.Errorf("the action on %s was written while the lookup failed as before: %s", user, a.Status.Message)
		}
	}

	travel.Heal()
	ana := d.action(t, "on ana that has ended", of("ana@example.com", hasEnded))
	wantState(t, ana, v1alpha1.ActionSucceeded, "")
	if len(ana.Status.Approvals) > 0 || ana.Status.Verdict.Rule != "travellers/at-home" {
		t.Errorf("it was done by %d approvals and rule %s", len(ana.Status.Approvals), ana.Status.Verdict.Rule)
	}
	ben := d.action(t, "on ben that has ended", of("ben@example.com", hasEnded))
	wantState(t, ben, v1alpha1.ActionDenied, "The trip explains it.")
	carl := d.action(t, "on carl that asks for another reason", of("carl@example.com", func(a *v1alpha1.Action) bool {
		return asks(a) && a.Status.Verdict.Because == "Nobody knows who that is."
	}))
	for _, a := range []*v1alpha1.Action{ana, ben, carl} { // asked, judged again: each is an entry
		var said []string
		for _, entry := range a.Status.Journal {
			if strings.Contains(entry.Patch, "verdict") {
				said = append(said, entry.Reason)
			}
		}
		if len(said) != 2 || said[0] != string(v1alpha1.ActionAsking) {
			t.Errorf("the journal of the action on %s tells of verdicts in %v, want two", a.Spec.Target.Name, said)
		}
	}
	q := w.AwaitQuestion(c, carl.Spec.Handle)
	fixture.Await(w, c, "to say why it asks now", func(c *v1alpha1.Case) bool {
		return len(c.Status.Questions) > 0 && c.Status.Questions[0].Because == "Nobody knows who that is."
	})
	w.Judged(w.Decide(fixture.Lead2, c, fixture.Approve(q, "It is the new one")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	wantState(t, d.action(t, "on carl that has ended", of("carl@example.com", hasEnded)), v1alpha1.ActionSucceeded, "")
	w.Check()
}
