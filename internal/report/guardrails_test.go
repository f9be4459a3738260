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

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/guard"
)

// explained is the suspension of a person, of whom nobody has looked up yet whether she is a VIP.
func explained(t *testing.T) Guardrails {
	t.Helper()
	requester := v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: "ana", Groups: []string{"soc-analysts"}}
	most, percent := int32(2), int32(5)
	var policies []*guard.Policy
	for _, g := range []v1alpha1.Guardrail{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "identity-containment"}, Spec: v1alpha1.GuardrailSpec{
			Covers:  []string{"idp/revokeSessions", "directory/suspendUser"},
			Lookups: []v1alpha1.GuardrailLookup{{Name: "vip", Lookup: "vips/find"}},
			Rules: []v1alpha1.GuardrailRule{
				{Name: "break-glass-accounts", If: "lookups.vip.found &&\n  lookups.vip.tier == 'break-glass'", Deny: "Call the on-call manager: https://oncall.example.com"},
				{Name: "sessions-are-cheap", If: "operation == 'idp/revokeSessions' && case.severity >= Medium", Allow: "Revoking sessions costs the user one sign-in."},
				{Name: "in-hours", If: "requester.shift == '\u202eyad'", Allow: "somebody is there"},
				{Name: "suspending-a-person", If: "operation == 'directory/suspendUser'", Ask: &v1alpha1.Ask{Count: 2, Groups: []string{"soc-managers"}}},
			},
			Budgets: []v1alpha1.Budget{{Name: "suspensions", Max: &most, Per: metav1.Duration{Duration: time.Hour}}},
			Breaker: &v1alpha1.Breaker{WrongPercent: &percent, OutOf: 20},
		}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "pods"}, Spec: v1alpha1.GuardrailSpec{Covers: []string{"kubernetes/*"}}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "casebook-system", Name: "floor"}, Spec: v1alpha1.GuardrailSpec{Covers: []string{"directory/*"}, Baseline: v1alpha1.RequireAllow}},
	} {
		p, err := guard.Compile(&g)
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
	}
	in, err := guard.InputOf(map[string]any{"case": map[string]any{"severity": int64(4)}, "severity": int64(4)}, v1alpha1.ActionSpec{
		Operation: "directory/suspendUser", Input: apiextensionsv1.JSON{Raw: []byte("{}")}, Requester: requester, Target: v1alpha1.Target{Type: "User", Name: "ana@example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	in.Facts.Now, in.Facts.History = screen(t).Now, &guard.History{
		Usage: []guard.Usage{
			{Action: "a", Operation: "directory/suspendUser", BeganTime: screen(t).Now.Add(-time.Minute)},
			{Action: "b", Operation: "idp/revokeSessions", BeganTime: screen(t).Now.Add(-56*time.Minute - 30*time.Second)},
		},
		Ended: []guard.Ended{{Action: "a", Handle: "ida-7f3k2/suspend", Operation: "directory/suspendUser", Wrong: "taken back by mia\x1b[2J"}},
	}
	verdict := guard.Evaluate(t.Context(), policies[:2], policies[2:], in)
	view := NewGuardrails(verdict, requester, func(_, name string) []GuardrailLookup {
		if name != "identity-containment" {
			return nil
		}
		return []GuardrailLookup{
			{Name: "vip", Operation: "vips/find", Input: map[string]any{"key": "ana@example.com"}},
			{Name: "leave", Operation: "hr/find", Given: RawOf(map[string]any{"found": false})},
			{Name: "manager", Operation: "hr/manager", Error: "could not render its input: no such key: owner"},
		}
	})
	view.Namespace, view.Operation, view.Case = "soc", in.Operation, "ida-7f3k2"
	view.Target = &Target{Type: "User", Name: "ana@example.com"}
	return view
}

func TestGuardrailsText(t *testing.T) {
	golden(t, "guardrail-explain.txt", explained(t).Text(screen(t)))
	frozen := explained(t)
	frozen.Freeze = &Freeze{Namespace: "casebook-system", Decision: "f", By: "mia", Message: "a playbook runs wild, see https://status.example.com for what is known of it", Since: screen(t).Now}
	frozen.NotHeard = []string{"the guardrails of namespace casebook-system: they may be stricter"}
	frozen.Guardrails, frozen.Case, frozen.Target, frozen.Who = nil, "", nil, ""
	frozen.Verdict = GuardrailVerdict{Answer: "Deny", Rule: "pods/" + strings.Repeat("a-long-name-", 8), Because: "no \u202erebmun"}
	golden(t, "guardrail-frozen.txt", frozen.Text(screen(t)))
}

func TestGuardrailsEncoded(t *testing.T) {
	got, err := Encode(FormatYAML, explained(t))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "guardrail-explain.yaml", string(got))
}

func TestGuardrailsInColorsSayTheSame(t *testing.T) {
	s := screen(t)
	plain := explained(t).Text(s)
	s.Ink = Color
	colored := explained(t).Text(s)
	if !strings.Contains(colored, "\x1b[") {
		t.Error("nothing is coloured")
	}
	for _, code := range []tone{strong, dim, good, warn, bad} {
		colored = strings.ReplaceAll(colored, "\x1b["+string(code)+"m", "")
	}
	if got := strings.Join(strings.Fields(strings.ReplaceAll(colored, "\x1b[0m", "")), " "); got != strings.Join(strings.Fields(plain), " ") {
		t.Errorf("with colours the text differs:\n%s\n%s", plain, got)
	}
}

func TestRawOfWhatIsNoJSON(t *testing.T) {
	if raw := RawOf(func() {}); !json.Valid(raw) || !strings.Contains(string(raw), "unsupported") {
		t.Errorf("got %s", raw)
	}
}
