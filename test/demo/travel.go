// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture/site"
	"github.com/casebook-dev/casebook/test/standin"
	"github.com/casebook-dev/casebook/test/standin/mailpit"
)

// tellTravel plays the second use case: somebody signs in from two places that no flight connects in the time.
func (s *stage) tellTravel(ctx context.Context) error {
	chapter("Second story. Okta reports sign-ins of ben from Berlin and São Paulo: a known trip explains them")
	if err := s.signIns(ctx, "ben"); err != nil {
		return err
	}
	if _, err := s.awaitTravel(ctx, "ben", func(c *v1alpha1.Case) bool { return c.Status.State == v1alpha1.CaseClosed }); err != nil {
		return err
	}
	chapter("The same of ana, who has no trip: her sessions end unattended, and suspending her asks a person")
	if err := s.signIns(ctx, "ana"); err != nil {
		return err
	}
	name, err := s.awaitTravel(ctx, "ana", func(c *v1alpha1.Case) bool { return len(c.Status.Questions) == 1 })
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context, string) error{s.suspected, s.suspended, s.joined, s.restored, s.verified} {
		if err := part(ctx, name); err != nil {
			return err
		}
	}
	return s.targets(ctx)
}

// signIns posts two sign-ins, 41 minutes apart, as an Okta event hook.
func (s *stage) signIns(ctx context.Context, login string) error {
	now := time.Now().UTC()
	event := func(id, ip, level string, at time.Time) map[string]any {
		return map[string]any{
			"uuid": login + "-" + id, "published": at.Format(time.RFC3339Nano), "eventType": "user.session.start", "version": "0",
			"displayMessage": "User login to Okta", "severity": "INFO",
			"actor":        map[string]any{"id": "00u1" + login, "type": "User", "alternateId": login + "@example.com", "displayName": login},
			"client":       map[string]any{"ipAddress": ip},
			"outcome":      map[string]any{"result": "SUCCESS"},
			"debugContext": map[string]any{"debugData": map[string]any{"risk": "{level=" + level + "}"}},
		}
	}
	payload, err := json.Marshal(map[string]any{
		"eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "cloudEventsVersion": "0.1", "contentType": "application/json",
		"source": "https://example.okta.com/api/v1/eventHooks/who1", "eventId": login, "eventTime": now.Format(time.RFC3339Nano),
		"data": map[string]any{"events": []any{
			event("berlin", "198.51.100.4", "LOW", now.Add(-41*time.Minute)), event("saopaulo", "203.0.113.7", "MEDIUM", now),
		}},
	})
	if err != nil {
		return err
	}
	return s.post(ctx, "okta", payload, s.Token, 202)
}

// awaitTravel waits for the case of a person to be as wanted.
func (s *stage) awaitTravel(ctx context.Context, login string, holds func(*v1alpha1.Case) bool) (name string, err error) {
	err = site.Await(ctx, "the case of "+login, func() (bool, string) {
		var list v1alpha1.CaseList
		if err := s.Admin.List(ctx, &list, client.InNamespace(site.Tenant)); err != nil {
			return false, err.Error()
		}
		for i := range list.Items {
			c := &list.Items[i]
			if len(c.Status.Users) > 0 && c.Status.Users[0].Name == login+"@example.com" {
				name = c.Name
				return holds(c), fmt.Sprintf("case %s: %+v", c.Name, c.Status)
			}
		}
		return false, fmt.Sprintf("%d cases, none of %s", len(list.Items), login)
	})
	if err == nil && login == "ben" {
		err = s.run(ctx, "ana", []string{"casebook", "case", name})
	}
	return name, err
}

// suspected shows what stands before a person decides.
func (s *stage) suspected(ctx context.Context, name string) error {
	if err := s.run(ctx, "ana", []string{"casebook", "case", name}, []string{"casebook", "do", name}); err != nil {
		return err
	}
	return s.accountOf("ana", true)
}

// suspended lets a lead approve, and reads what people were told.
func (s *stage) suspended(ctx context.Context, name string) error {
	chapter("A lead approves: the account is suspended through SCIM, read back, and ana and her manager are told by mail")
	if err := s.refused(ctx, "ana", "ana", "casebook", "approve", name+"/suspend", "-m", "ok"); err != nil {
		return err
	}
	if err := s.run(ctx, "mia", []string{"casebook", "approve", name + "/suspend", "-m", "Called her: she is in Berlin"}); err != nil {
		return err
	}
	for _, to := range []string{"ana@example.com", "mia@example.com"} {
		mail, err := s.systems.mail.Await(ctx, func(m mailpit.Message) bool { return len(m.To) == 1 && m.To[0] == to })
		if err != nil {
			return fmt.Errorf("no mail came to %s: %w", to, err)
		}
		fmt.Printf("mail to %s: %s\n", to, mail.Subject)
	}
	return s.accountOf("ana", false)
}

// joined adds a user, who gets a run of his own.
func (s *stage) joined(ctx context.Context, name string) error {
	chapter("An analyst finds that carl shares her machine: he joins the case, and gets a run of his own")
	if err := s.run(ctx, "ana", []string{"casebook", "add", name, "--user", "carl@example.com"}); err != nil {
		return err
	}
	if _, err := s.awaitTravel(ctx, "ana", func(c *v1alpha1.Case) bool { return len(c.Status.Questions) == 1 && len(c.Status.Playbooks) == 2 }); err != nil {
		return err
	}
	return s.run(ctx, "mia", []string{"casebook", "deny", name + "/suspend-2", "-m", "He never signed in from there"})
}

// restored takes the suspension back and closes the case.
func (s *stage) restored(ctx context.Context, name string) error {
	chapter("It was ana after all, through a proxy: one decision gives the account back, and the case closes")
	if _, err := s.awaitTravel(ctx, "ana", func(c *v1alpha1.Case) bool { return len(c.Status.Questions) == 0 }); err != nil {
		return err
	}
	if err := s.run(ctx, "mia", []string{"casebook", "rollback", name + "/suspend", "-m", "A new proxy of the office in Brazil"}); err != nil {
		return err
	}
	if err := s.accountOf("ana", true); err != nil {
		return err
	}
	return s.run(ctx, "ana",
		[]string{"casebook", "close", name, "--classification", "BenignPositive", "--root-cause", "A proxy that was not announced", "-m", "Office proxy, see CHG-2041"},
		[]string{"casebook", "timeline", name})
}

// accountOf wants an account of the directory to be active, or not.
func (s *stage) accountOf(login string, active bool) error {
	for _, user := range s.systems.accounts.Named(login + "@example.com") {
		fmt.Printf("directory: %s is active=%v\n", user.UserName, user.Active)
		if user.Active != active {
			return fmt.Errorf("the account of %s is active=%v, not %v", login, user.Active, active)
		}
	}
	return nil
}

// targets says what really reached the systems: each effect once.
func (s *stage) targets(context.Context) error {
	chapter("What the target systems saw: each effect once")
	seen := map[string]int{}
	for _, recorder := range []*standin.Recorder{s.systems.provider, s.systems.directory} {
		for _, e := range recorder.Effects() {
			effect := e.Kind + " " + e.Target
			fmt.Println("  " + effect)
			seen[effect]++
		}
	}
	for effect, count := range seen {
		if count != 1 {
			return fmt.Errorf("%s happened %d times", effect, count)
		}
	}
	if len(seen) != 4 {
		return fmt.Errorf("there were %d effects, not 4", len(seen))
	}
	return nil
}
