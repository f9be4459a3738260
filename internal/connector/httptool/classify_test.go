// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

func TestAnswersAreClassified(t *testing.T) {
	const (
		acknowledged = v1alpha1.OutcomeAcknowledged
		refused      = v1alpha1.OutcomeRefused
		notSent      = v1alpha1.OutcomeNotSent
		inDoubt      = v1alpha1.OutcomeInDoubt
		unknown      = v1alpha1.OutcomeUnknownReason
	)
	const (
		none   = ""
		ok     = `succeeded: "response.status == 200 && response.body.ok"`
		byBody = `refused: "response.body.ok == false"`
		lost   = `refused: "response.status == 503"`
	)
	tests := map[string]struct {
		declared string
		answer   reply
		outcome  v1alpha1.AttemptOutcome
		reason   string
		says     string
	}{
		"200 with JSON":                  {none, reply{status: 200, body: `{"a":1}`}, acknowledged, "", "200 OK"},
		"204 without a body":             {none, reply{status: 204}, acknowledged, "", "204 No Content"},
		"202 with text":                  {none, reply{202, "queued", "text/plain; charset=utf-8"}, acknowledged, "", "queued"},
		"200 with the page of a proxy":   {none, reply{200, "<html>Log in</html>", "text/html"}, inDoubt, unknown, "it is no JSON"},
		"200 with half a document":       {none, reply{status: 200, body: `{"kind":`}, inDoubt, unknown, "the body of the answer application/scim+json: it is no JSON"},
		"200 with two documents":         {none, reply{status: 200, body: `{} {}`}, inDoubt, unknown, "more after its end"},
		"200 with a list for a record":   {ok, reply{status: 200, body: `[]`}, inDoubt, unknown, "succeeded is undecided"},
		"200 with a record that says no": {ok, reply{status: 200, body: `{"ok":false}`}, inDoubt, unknown, "200 OK"},
		"200 without what is needed":     {ok, reply{status: 200, body: `{}`}, inDoubt, unknown, "no such key: ok"},
		"302 to elsewhere":               {none, reply{status: 302}, inDoubt, unknown, "302 Found"},
		"400":                            {none, reply{status: 400, body: `{"title":"Bad","detail":"no such attribute"}`}, refused, v1alpha1.RefusedReason, "no such attribute"},
		"401":                            {none, reply{status: 401, body: `{"error":"invalid_token","error_description":"expired"}`}, refused, connector.CredentialsRejectedReason, "401 Unauthorized: expired"},
		"403 with a page":                {none, reply{403, "<html>\u202eForbidden\x1b[31m</html>", "text/html"}, refused, v1alpha1.TargetForbiddenReason, "<html> Forbidden [31m</html>"},
		"404":                            {none, reply{status: 404}, refused, v1alpha1.TargetReplacedReason, "404 Not Found"},
		"408":                            {none, reply{status: 408}, inDoubt, unknown, "408"},
		"409":                            {none, reply{status: 409}, refused, v1alpha1.TargetChangedReason, "409 Conflict"},
		"412 of a SCIM directory":        {none, reply{status: 412, body: notReplaced}, refused, v1alpha1.TargetChangedReason, "Resource has changed on the server."},
		"422":                            {none, reply{status: 422}, refused, v1alpha1.RefusedReason, "422"},
		"425":                            {none, reply{status: 425}, inDoubt, unknown, "425"},
		"429":                            {none, reply{status: 429}, notSent, connector.RateLimitedReason, "429"},
		"500":                            {none, reply{status: 500, body: `{"error":{"message":"boom"}}`}, inDoubt, unknown, "boom"},
		"503":                            {none, reply{status: 503}, inDoubt, unknown, "503"},
		"599":                            {none, reply{status: 599}, inDoubt, unknown, "599"},

		"429 that is declared a refusal":             {`refused: "response.status == 429"`, reply{status: 429}, refused, v1alpha1.RefusedReason, "429"},
		"503 that is declared a refusal":             {lost, reply{status: 503}, refused, v1alpha1.RefusedReason, "503"},
		"404 that is declared a success":             {`succeeded: "response.status in [204, 404]"`, reply{status: 404}, acknowledged, "", "404"},
		"404 where success needs a body":             {ok, reply{status: 404}, refused, v1alpha1.TargetReplacedReason, "404"},
		"200 that says no, where that is declared":   {byBody, reply{status: 200, body: `{"ok":false,"error":"not_authed"}`}, refused, v1alpha1.RefusedReason, "not_authed"},
		"200 that says yes":                          {byBody, reply{status: 200, body: `{"ok":true}`}, acknowledged, "", "200"},
		"200 that says nothing":                      {byBody, reply{status: 200, body: `{}`}, inDoubt, unknown, "refused is undecided"},
		"401 that says nothing":                      {byBody, reply{status: 401}, inDoubt, unknown, "refused is undecided"},
		"both, which contradict each other":          {ok + "\n  refused: \"response.status == 200\"", reply{status: 200, body: `{"ok":true}`}, inDoubt, unknown, "both succeeded and refused hold"},
		"a declared success beside an undecided no":  {"succeeded: response.status == 204\n  " + byBody, reply{status: 204}, acknowledged, "", "204"},
		"a declared success with a page of a proxy":  {"succeeded: response.status == 200", reply{200, "<html>", "text/html"}, inDoubt, unknown, "the body of the answer text/html: it is no JSON"},
		"a success by a header":                      {"succeeded: response.headers['content-type'] == 'application/scim+json'", reply{status: 200, body: "{}"}, acknowledged, "", "200"},
		"an expression that runs over its bounds":    {`succeeded: "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, [1,2,3,4,5,6,7,8,9].all(f, a+b+c+d+e+f > 0))))))"`, reply{status: 200}, inDoubt, unknown, "succeeded is undecided"},
		"a number that no expression could hold":     {`succeeded: "response.body.n > 0"`, reply{status: 200, body: `{"n":1e999999}`}, inDoubt, unknown, "succeeded is undecided"},
		"a number that a float would not keep apart": {`succeeded: "response.body.n == 9007199254740993"`, reply{status: 200, body: `{"n":9007199254740993}`}, acknowledged, "", "200"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tried, err := Try(t.Context(), operations(t, find+act(tc.declared)), ask("act", ana), inTurn(tc.answer))
			if err != nil {
				t.Fatal(err)
			}
			got := *tried.Result
			if got.Outcome != tc.outcome || got.Reason != tc.reason || !strings.Contains(got.Message, tc.says) || len(tried.Sent) != 1 {
				t.Errorf("Do sent %d and gave %+v, want %s %s that says %q", len(tried.Sent), got, tc.outcome, tc.reason, tc.says)
			}
			if len(got.Message) > connector.MaxMessage || strings.ContainsAny(got.Message, "\x1b\u202e\n") {
				t.Errorf("the message cannot be shown: %q", got.Message)
			}
		})
	}
}

func TestLostAnswersAreDoubt(t *testing.T) {
	tried, err := Try(t.Context(), operations(t, find+act("")), ask("act", ana), inTurn())
	if err != nil || tried.Result.Outcome != v1alpha1.OutcomeInDoubt {
		t.Errorf("Try = %+v, %v, want doubt", tried.Result, err)
	}
}

func TestLongAnswersAreClipped(t *testing.T) {
	for _, body := range []string{strings.Repeat("é", 1<<16), `{"detail":"` + strings.Repeat("ab ", 1<<16) + `"}`, strings.Repeat("\x00", 1<<16)} {
		a := answerOf(&incoming{Status: 500, Body: []byte(body)})
		if got := a.String(); len(got) > connector.MaxMessage {
			t.Errorf("String has %d bytes", len(got))
		}
	}
}
