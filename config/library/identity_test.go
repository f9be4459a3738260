// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package library_test

import (
	"fmt"
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
		outcome  v1alpha1.Outcome
	}
	for file, want := range map[string]want{
		"okta/anonymizing_proxy_login.json":              {"High", "user.session.start", []string{"homer.simpson@duff.com"}, []string{"1.3.2.4"}, "Failure"},
		"okta/stolen_session.json":                       {"Low", "user.session.start", []string{"admin"}, []string{"1.2.3.4"}, "Failure"},
		"okta/threatinsight_deny.json":                   {"High", "security.threat.detected", nil, []string{"1.2.3.4"}, "Failure"},
		"entra-id/device_code_broker.json":               {"Low", "Sign-in activity", []string{"aragorn@lotr.com"}, []string{"2.2.2.2"}, "Success"},
		"entra-id/mfa_disabled.json":                     {"Low", "Update conditional access policy", []string{"denethor@lotr.com"}, []string{"1.2.3.4"}, "Success"},
		"entra-id/signin_mfa_required.json":              {"Informational", "Sign-in activity", []string{"user15@splunkresearch.onmicrosoft.com"}, []string{"1.2.3.4"}, "Unknown"},
		"entra-id/signin_risk_aggregated.json":           {"Low", "Sign-in activity", nil, []string{"12.12.12.12"}, "Failure"},
		"google-workspace/gov_attack_warning.json":       {"High", "gov_attack_warning", []string{"homer.simpson@example.com"}, nil, ""},
		"google-workspace/suspicious_login_flagged.json": {"Medium", "login_success", []string{"bobert@ext.runpanther.io"}, nil, "Success"},
		"google-workspace/login_failure.json":            {"Low", "login_failure", []string{"user29@daftpunk.com"}, []string{"141.254.89.27"}, "Failure"},
		"onelogin/high_risk_failed_login.json":           {"High", "6", []string{"Bob Cat"}, nil, "Failure"},
		"auth0/credential_stuffing.json":                 {"Low", "fcoa", nil, []string{"2605:59c8:3075:214:d003:e902:2b01:dc14"}, "Failure"},
		"auth0/signup_pwd_leak.json":                     {"Medium", "signup_pwd_leak", []string{"denethor@lotr.com"}, []string{"12.12.12.12"}, "Failure"},
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
				Outcome    v1alpha1.Outcome
			}{Severity: s.Severity, Rule: s.RuleID, Outcome: s.Outcome}
			for _, u := range s.Users {
				got.Users = append(got.Users, u.Name)
			}
			for _, i := range s.Indicators {
				got.IPs = append(got.IPs, i.Value)
			}
			if diff := cmp.Diff([]any{want.severity, want.rule, want.users, want.ips, want.outcome}, []any{got.Severity, got.Rule, got.Users, got.IPs, got.Outcome}); diff != "" {
				t.Errorf("signal (-want +got):\n%s", diff)
			}
			if s.Category != "Identity" || len(s.Techniques) == 0 || s.Title == "" {
				t.Errorf("category %s, techniques %v, title %q", s.Category, s.Techniques, s.Title)
			}
		})
	}
}

// TestOutcomesOfSignIns tries the words and numbers that vendors document, each in an event of its own.
func TestOutcomesOfSignIns(t *testing.T) {
	mappings := compiled(t)
	const okta = `{"uuid": "o1", "published": "2026-11-24T09:30:00Z", "eventType": %q, "actor": {"type": "User", "alternateId": "ana@example.com"}, "client": {"ipAddress": "203.0.113.7"},
		"debugContext": {"debugData": {"risk": "{level=MEDIUM}"}}, "outcome": {"result": %q}}`
	const entra = `{"value": [{"id": "s1", "createdDateTime": "2026-11-24T09:30:00Z", "appDisplayName": "Office 365", "userPrincipalName": "ana@example.com", "ipAddress": "203.0.113.7", "status": {"errorCode": %s}}]}`
	const entraAudit = `{"value": [{"id": "a1", "activityDateTime": "2026-11-24T09:30:00Z", "activityDisplayName": "Reset password", "initiatedBy": {"user": {"userPrincipalName": "ana@example.com"}}, "targetResources": [], "result": %q}]}`
	const google = `{"id": {"time": "2026-11-24T09:30:00Z", "applicationName": "login"}, "actor": {"email": "ana@example.com"}, "ipAddress": "203.0.113.7",
		"events": [{"name": %q, "parameters": [{"name": "is_suspicious", "boolValue": true}, {"name": "login_challenge_status", "value": %q}]}]}`
	const alert = `{"alertId": "a1", "type": "Suspicious login", "source": "Google identity", "createTime": "2026-11-24T09:30:00Z",
		"data": {"@type": "type.googleapis.com/google.apps.alertcenter.type.AccountWarning", "email": "ana@example.com", "loginDetails": %s}}`
	const onelogin = `[{"event_type_id": %s, "event_timestamp": "2026-11-24 09:30:00 UTC", "user_name": "Ana", "ipaddr": "203.0.113.7", "risk_score": 60}]`
	const auth0 = `[{"log_id": "l1", "data": {"log_id": "l1", "date": "2026-11-24T09:30:00Z", "type": %q, "ip": "203.0.113.7", "user_name": "ana@example.com"}}]`
	const start, challenged = "user.session.start", "login_challenge"
	for _, tc := range []struct {
		product, event string
		values         []any
		want           v1alpha1.Outcome
	}{
		{"okta", okta, []any{start, "SUCCESS"}, "Success"}, {"okta", okta, []any{start, "ALLOW"}, "Success"},
		{"okta", okta, []any{start, "FAILURE"}, "Failure"}, {"okta", okta, []any{start, "DENY"}, "Failure"},
		{"okta", okta, []any{start, "CHALLENGE"}, "Unknown"}, {"okta", okta, []any{start, "SKIPPED"}, "Unknown"}, {"okta", okta, []any{start, "UNKNOWN"}, "Unknown"}, {"okta", okta, []any{start, ""}, ""},
		{"okta", okta, []any{"user.mfa.okta_verify.deny_push", "SUCCESS"}, "Failure"}, {"okta", okta, []any{"user.account.lock", "SUCCESS"}, "Failure"}, {"okta", okta, []any{"security.threat.detected", "ALLOW"}, "Failure"},
		{"entra-id", entra, []any{"0"}, "Success"}, {"entra-id", entra, []any{`"0"`}, "Success"}, {"entra-id", entra, []any{"50126"}, "Failure"}, {"entra-id", entra, []any{"50053"}, "Failure"},
		{"entra-id", entra, []any{"50140"}, "Unknown"}, {"entra-id", entra, []any{"50074"}, "Unknown"}, {"entra-id", entra, []any{"500121"}, "Failure"}, {"entra-id", entra, []any{"null"}, ""},
		{"entra-id", entraAudit, []any{"success"}, "Success"}, {"entra-id", entraAudit, []any{"failure"}, "Failure"}, {"entra-id", entraAudit, []any{"timeout"}, "Unknown"},
		{"google-workspace", google, []any{"login_success", ""}, "Success"}, {"google-workspace", google, []any{"login_failure", ""}, "Failure"}, {"google-workspace", google, []any{"suspicious_login", ""}, "Failure"},
		{"google-workspace", google, []any{challenged, "Challenge Passed."}, "Unknown"}, {"google-workspace", google, []any{challenged, "Challenge Failed."}, "Failure"}, {"google-workspace", google, []any{challenged, ""}, "Unknown"},
		{"google-workspace", google, []any{"gov_attack_warning", ""}, ""}, {"google-workspace", google, []any{"risky_sensitive_action_blocked", ""}, "Failure"},
		{"google-alert-center", alert, []any{`{"loginTime": "2026-11-24T09:29:00Z", "ipAddress": "203.0.113.7"}`}, "Success"},
		{"google-alert-center", alert, []any{`{"ipAddress": "203.0.113.7"}`}, "Failure"}, {"google-alert-center", alert, []any{"null"}, ""},
		{"onelogin", onelogin, []any{"5"}, "Success"}, {"onelogin", onelogin, []any{"8"}, "Success"}, {"onelogin", onelogin, []any{"6"}, "Failure"}, {"onelogin", onelogin, []any{"9"}, "Failure"},
		{"onelogin", onelogin, []any{"90"}, "Failure"}, {"onelogin", onelogin, []any{"531"}, "Failure"}, {"onelogin", onelogin, []any{"4711"}, "Unknown"},
		{"auth0", auth0, []any{"s"}, "Success"}, {"auth0", auth0, []any{"scoa"}, "Success"}, {"auth0", auth0, []any{"f"}, "Failure"}, {"auth0", auth0, []any{"fp"}, "Failure"}, {"auth0", auth0, []any{"fcoa"}, "Failure"},
		{"auth0", auth0, []any{"pwd_leak"}, "Failure"}, {"auth0", auth0, []any{"limit_wc"}, "Failure"}, {"auth0", auth0, []any{"gd_auth_rejected"}, "Failure"}, {"auth0", auth0, []any{"gd_auth_fail_email_verification"}, "Failure"},
		{"auth0", auth0, []any{"gd_otp_rate_limit_exceed"}, "Failure"}, {"auth0", auth0, []any{"passkey_challenge_failed"}, "Failure"}, {"auth0", auth0, []any{"mfar"}, "Unknown"}, {"auth0", auth0, []any{"pla"}, "Unknown"},
	} {
		t.Run(fmt.Sprint(tc.product, tc.values), func(t *testing.T) {
			result, err := mappings[tc.product].Signals(t.Context(), fmt.Appendf(nil, tc.event, tc.values...), received)
			if err != nil || len(result.Signals) != 1 || result.Drift != "" {
				t.Fatalf("got %d signals, skipped %v, drift %q, %v", len(result.Signals), result.Skipped, result.Drift, err)
			}
			if s := result.Signals[0]; s.Outcome != tc.want || len(s.Warnings) > 0 {
				t.Errorf("got outcome %q, warnings %v; want %q", s.Outcome, s.Warnings, tc.want)
			}
		})
	}
}

// TestASuccessIsNoRepeat: who tries a password until it is right must not hide behind the first try.
func TestASuccessIsNoRepeat(t *testing.T) {
	mappings := compiled(t)
	for product, event := range map[string]struct{ format, failed, succeeded string }{
		"okta": {`{"eventType": "user.session.start", "actor": {"type": "User", "alternateId": "ana@example.com"}, "client": {"ipAddress": "203.0.113.7"},
			"outcome": {"result": %q}}`, "FAILURE", "SUCCESS"},
		"entra-id": {`{"createdDateTime": "2026-11-24T09:30:00Z", "appDisplayName": "Office 365", "userPrincipalName": "ana@example.com", "ipAddress": "203.0.113.7",
			"status": {"errorCode": %q}}`, "50126", "0"},
	} {
		var prints []string
		for _, outcome := range []string{event.failed, event.succeeded} {
			result, err := mappings[product].Signals(t.Context(), fmt.Appendf(nil, event.format, outcome), received)
			if err != nil || len(result.Signals) != 1 {
				t.Fatalf("%s: got %d signals, %v", product, len(result.Signals), err)
			}
			prints = append(prints, result.Signals[0].Fingerprint)
		}
		if prints[0] == prints[1] {
			t.Errorf("%s: a sign-in that succeeded counts as a repeat of one that failed", product)
		}
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
