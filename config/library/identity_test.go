// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package library_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// TestIdentitySamples compares what other people's payloads of identity providers give.
func TestIdentitySamples(t *testing.T) {
	mappings := compiled(t)
	files := sampleFiles(t)
	type want struct {
		severity v1alpha1.Severity
		rule     string
		users    []string
		ips      []string
	}
	for file, want := range map[string]want{
		"okta/anonymizing_proxy_login.json":              {"High", "user.session.start", []string{"homer.simpson@duff.com"}, []string{"1.3.2.4"}},
		"okta/stolen_session.json":                       {"Low", "user.session.start", []string{"admin"}, []string{"1.2.3.4"}},
		"okta/threatinsight_deny.json":                   {"High", "security.threat.detected", nil, []string{"1.2.3.4"}},
		"entra-id/device_code_broker.json":               {"Low", "Sign-in activity", []string{"aragorn@lotr.com"}, []string{"2.2.2.2"}},
		"entra-id/mfa_disabled.json":                     {"Low", "Update conditional access policy", []string{"denethor@lotr.com"}, []string{"1.2.3.4"}},
		"entra-id/signin_mfa_required.json":              {"Informational", "Sign-in activity", []string{"user15@splunkresearch.onmicrosoft.com"}, []string{"1.2.3.4"}},
		"entra-id/signin_risk_aggregated.json":           {"Low", "Sign-in activity", nil, []string{"12.12.12.12"}},
		"google-workspace/gov_attack_warning.json":       {"High", "gov_attack_warning", []string{"homer.simpson@example.com"}, nil},
		"google-workspace/suspicious_login_flagged.json": {"Medium", "login_success", []string{"bobert@ext.runpanther.io"}, nil},
		"google-workspace/login_failure.json":            {"Low", "login_failure", []string{"user29@daftpunk.com"}, []string{"141.254.89.27"}},
		"onelogin/high_risk_failed_login.json":           {"High", "6", []string{"Bob Cat"}, nil},
		"auth0/credential_stuffing.json":                 {"Low", "fcoa", nil, []string{"2605:59c8:3075:214:d003:e902:2b01:dc14"}},
		"auth0/signup_pwd_leak.json":                     {"Medium", "signup_pwd_leak", []string{"denethor@lotr.com"}, []string{"12.12.12.12"}},
	} {
		payload, ok := files[file]
		if !ok {
			continue // the samples are absent, which sampleFiles says
		}
		t.Run(file, func(t *testing.T) {
			result, err := mappings[product(file)].Signals(t.Context(), payload, received)
			if err != nil || len(result.Signals) != 1 {
				t.Fatalf("got %d signals, skipped %v, %v", len(result.Signals), result.Skipped, err)
			}
			s := result.Signals[0]
			got := struct {
				Severity   v1alpha1.Severity
				Rule       string
				Users, IPs []string
			}{Severity: s.Severity, Rule: s.RuleID}
			for _, u := range s.Users {
				got.Users = append(got.Users, u.Name)
			}
			for _, i := range s.Indicators {
				got.IPs = append(got.IPs, i.Value)
			}
			if diff := cmp.Diff([]any{want.severity, want.rule, want.users, want.ips}, []any{got.Severity, got.Rule, got.Users, got.IPs}); diff != "" {
				t.Errorf("signal (-want +got):\n%s", diff)
			}
			if s.Category != "Identity" || len(s.Techniques) == 0 || s.Title == "" {
				t.Errorf("category %s, techniques %v, title %q", s.Category, s.Techniques, s.Title)
			}
		})
	}
}

// TestWholePages reads as many events at once as the tools put on one page.
func TestWholePages(t *testing.T) {
	mappings := compiled(t)
	for name, event := range map[string][3]string{
		"entra-id": {`{"value": [`, `{"id": "s1", "createdDateTime": "2026-11-24T09:30:00Z", "appDisplayName": "Office 365", "userPrincipalName": "ana@example.com",
			"ipAddress": "203.0.113.7", "riskLevelDuringSignIn": "none", "status": {"errorCode": 0}, "location": {"city": "Berlin"}, "isInteractive": true}`, `]}`},
		"google-workspace": {`{"items": [`, `{"id": {"time": "2026-11-24T09:30:00Z", "applicationName": "login"}, "actor": {"email": "ana@example.com"}, "ipAddress": "203.0.113.7",
			"events": [{"name": "login_success", "parameters": [{"name": "login_type", "value": "saml"}, {"name": "login_challenge_method", "multiValue": ["password"]},
			{"name": "is_suspicious", "boolValue": false}, {"name": "affected_email_address", "value": "ana@example.com"}]}]}`, `]}`},
		"okta": {`[`, `{"uuid": "o1", "published": "2026-11-24T09:30:00Z", "eventType": "user.session.start", "actor": {"type": "User", "alternateId": "ana@example.com"},
			"client": {"ipAddress": "203.0.113.7"}, "outcome": {"result": "SUCCESS"}}`, `]`},
	} {
		t.Run(name, func(t *testing.T) {
			const events = 1000
			payload := event[0] + event[1] + strings.Repeat(", "+event[1], events-1) + event[2]
			result, err := mappings[name].Signals(t.Context(), []byte(payload), received)
			if err != nil || len(result.Signals) != events {
				t.Fatalf("got %d signals, skipped %v, %v", len(result.Signals), result.Skipped, err)
			}
			if s := result.Signals[events-1]; len(s.Users) != 1 || s.Users[0].Name != "ana@example.com" || len(s.Warnings) > 0 {
				t.Errorf("the last one is %+v", s)
			}
		})
	}
}
