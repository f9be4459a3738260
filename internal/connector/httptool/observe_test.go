// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

func TestReadsGiveRecordsOrSayWhyNot(t *testing.T) {
	tests := map[string]struct {
		answer   reply
		want     any
		terminal string // reason of a Terminal error
		wait     string // reason of a Wait
		says     string
	}{
		"a user who is there":         {answer: reply{status: 200, body: anaActive}, want: record("2819", true, `W/"1"`)},
		"a user who is not":           {answer: reply{status: 200, body: nobody}, want: map[string]any{"found": false}},
		"a user who is there twice":   {answer: reply{status: 200, body: anaTwice}, says: "could not use the answer to findUser"},
		"401":                         {answer: reply{status: 401}, terminal: connector.CredentialsRejectedReason, says: "renew the Secret"},
		"403":                         {answer: reply{status: 403}, terminal: v1alpha1.TargetForbiddenReason, says: "let whoever administers the target grant it"},
		"404":                         {answer: reply{status: 404, body: `{"detail":"no such endpoint"}`}, says: "the target answered 404 Not Found: no such endpoint"},
		"429":                         {answer: reply{status: 429}, wait: connector.RateLimitedReason, says: "it is asked again"},
		"500":                         {answer: reply{status: 500, body: "oops", kind: "text/plain"}, says: "the target answered 500 Internal Server Error: oops"},
		"the page of a proxy":         {answer: reply{200, "<html>", "text/html"}, says: "it is no JSON"},
		"half a document":             {answer: reply{status: 200, body: `{"Resources":[`}, says: "it is no JSON"},
		"a list":                      {answer: reply{status: 200, body: `[]`}, says: "could not use the answer to findUser"},
		"no body":                     {answer: reply{status: 204}, says: "could not use the answer to findUser"},
		"a lost answer":               {answer: reply{}, says: "the answer was lost"},
		"a record that is no record":  {answer: reply{status: 200, body: `{"totalResults":1,"Resources":{"a":1}}`}, says: "could not use the answer"},
		"records that are no records": {answer: reply{status: 200, body: `{"totalResults":1,"Resources":["a"]}`}, want: "a"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tried, err := Try(t.Context(), load(t, "directory"), ask("findUser", ana), inTurn(tc.answer))
			terminal, _ := errors.AsType[*fault.Terminal](err)
			wait, _ := errors.AsType[*fault.Wait](err)
			if (terminal == nil) != (tc.terminal == "") || terminal != nil && terminal.Reason != tc.terminal || (wait == nil) != (tc.wait == "") {
				t.Errorf("Read = %v, want Terminal %q, Wait %q", err, tc.terminal, tc.wait)
			}
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("Read = %v, want an error that says %q", err, tc.says)
			}
			if diff := cmp.Diff(tc.want, tried.Output); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func record(id string, active bool, version string) map[string]any {
	return map[string]any{"found": true, "id": id, "userName": "ana@example.com", "active": active, "meta": map[string]any{"version": version}}
}

func TestAReadMaySayThatNothingIsThere(t *testing.T) {
	object := operations(t, `
- name: find
  effect: Read
  input: [{name: user, type: String}]
  request: {method: GET, path: "/users/${input.user}"}
  succeeded: response.status in [200, 404]
  output: "response.status == 404 ? {'found': false} : response.body"
- name: look
  effect: Read
  input: []
  request: {method: HEAD, path: /status}
  refused: response.status == 200 && response.headers[?'x-broken'].hasValue()
  output: response.headers
`)
	tried, err := Try(t.Context(), object, ask("find", ana), inTurn(reply{404, "<html>", "text/html"}))
	if diff := cmp.Diff(any(map[string]any{"found": false}), tried.Output); err != nil || diff != "" {
		t.Errorf("Try = %v, %s", err, diff)
	}
	tried, err = Try(t.Context(), object, ask("look", nil), inTurn(reply{status: 200}))
	if diff := cmp.Diff(any(map[string]any{"content-type": "application/scim+json"}), tried.Output); err != nil || diff != "" {
		t.Errorf("Try = %v, %s", err, diff)
	}
	broken := func(Sent) (int, http.Header, []byte) { return 200, http.Header{"X-Broken": {"yes"}}, nil }
	if tried, err := Try(t.Context(), object, ask("look", nil), broken); err == nil {
		t.Errorf("a read that is refused gave %v", tried.Output)
	}
}

// observed is what matters of an observation.
type observed struct {
	Desired, AsLeft, Gone bool
	Says                  string
}

func judged(o *connector.Observation) *observed {
	if o == nil {
		return nil
	}
	return &observed{o.Desired, o.AsLeft, o.Gone, o.Message}
}

func TestAMutationLooksActsAndLooksAgain(t *testing.T) {
	const ok = v1alpha1.OutcomeAcknowledged
	active, suspended := reply{status: 200, body: anaActive}, reply{status: 200, body: anaSuspended}
	toDo := &observed{Says: "User ana@example.com is not so yet"}
	tests := map[string]struct {
		answers []reply
		before  *observed
		outcome v1alpha1.AttemptOutcome
		reason  string
		after   *observed
		sent    string
	}{
		"it works": {[]reply{active, active, {status: 204}, suspended}, toDo, ok, "",
			&observed{Desired: true, Says: "User ana@example.com was read back as wanted"}, "GET GET PATCH GET"},
		"it is acknowledged and does not hold": {[]reply{active, active, {status: 204}, active}, toDo, ok, "",
			&observed{Says: "User ana@example.com is not as wanted: result.active == false does not hold"}, "GET GET PATCH GET"},
		"it is so already":        {[]reply{suspended}, &observed{Desired: true, Says: "User ana@example.com is so already"}, "", "", nil, "GET"},
		"there is no such user":   {[]reply{{status: 200, body: nobody}}, &observed{Gone: true, Says: "there is no User ana@example.com"}, "", "", nil, "GET"},
		"the user goes meanwhile": {[]reply{active, {status: 200, body: nobody}}, toDo, v1alpha1.OutcomeRefused, v1alpha1.TargetReplacedReason, nil, "GET GET"},
		"the user goes afterwards": {[]reply{active, active, {status: 204}, {status: 200, body: nobody}}, toDo, ok, "",
			&observed{Gone: true, Says: "there is no User ana@example.com"}, "GET GET PATCH GET"},
		"someone changes the user meanwhile":    {[]reply{active, active, {status: 412, body: notReplaced}}, toDo, v1alpha1.OutcomeRefused, v1alpha1.TargetChangedReason, nil, "GET GET PATCH"},
		"the read before the send fails":        {[]reply{active, {status: 500}}, toDo, v1alpha1.OutcomeNotSent, connector.UnreachableReason, nil, "GET GET"},
		"the read before the send is limited":   {[]reply{active, {status: 429}}, toDo, v1alpha1.OutcomeNotSent, connector.RateLimitedReason, nil, "GET GET"},
		"the read before the send is forbidden": {[]reply{active, {status: 403}}, toDo, v1alpha1.OutcomeRefused, v1alpha1.TargetForbiddenReason, nil, "GET GET"},
		"the user has no id": {[]reply{active, {status: 200, body: `{"totalResults":1,"Resources":[{"active":true}]}`}}, toDo,
			v1alpha1.OutcomeRefused, v1alpha1.InvalidExpressionReason, nil, "GET GET"},
		"doubt is read back": {[]reply{active, active, {status: 500}, suspended}, toDo, v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason,
			&observed{Desired: true, Says: "User ana@example.com was read back as wanted"}, "GET GET PATCH GET"},
		"what already needs is not there": {[]reply{{status: 200, body: `{"totalResults":1,"Resources":[{"id":"1","meta":{"version":"x"}}]}`}, active, {status: 204}, suspended},
			&observed{Says: "whether User ana@example.com is so already is undecided: "}, ok, "",
			&observed{Desired: true, Says: "User ana@example.com was read back as wanted"}, "GET GET PATCH GET"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tried, err := Try(t.Context(), load(t, "directory"), ask("suspendUser", ana), inTurn(tc.answers...))
			if err != nil {
				t.Fatal(err)
			}
			prefix := cmp.Comparer(func(a, b observed) bool {
				same := strings.HasPrefix(a.Says, b.Says) || strings.HasPrefix(b.Says, a.Says)
				a.Says, b.Says = "", ""
				return same && a == b
			})
			if diff := cmp.Diff([]*observed{tc.before, tc.after}, []*observed{judged(tried.Before), judged(tried.After)}, prefix); diff != "" {
				t.Error(diff)
			}
			result := connector.Result{}
			if tried.Result != nil {
				result = *tried.Result
			}
			var sent []string
			for _, s := range tried.Sent {
				sent = append(sent, s.Method)
			}
			if result.Outcome != tc.outcome || result.Reason != tc.reason || strings.Join(sent, " ") != tc.sent {
				t.Errorf("it sent %s, Do = %+v; want %s, %s %s", sent, result, tc.sent, tc.outcome, tc.reason)
			}
		})
	}
}

func TestTheMutationIsWhatTheSpecSays(t *testing.T) {
	tried, err := Try(t.Context(), load(t, "directory"), ask("suspendUser", ana),
		inTurn(reply{status: 200, body: anaActive}, reply{status: 200, body: anaActive}, reply{status: 204}, reply{status: 200, body: anaSuspended}))
	if err != nil {
		t.Fatal(err)
	}
	want := []Sent{
		{Method: "GET", Target: "/Users?filter=userName%20eq%20%22ana%40example.com%22"},
		{Method: "PATCH", Target: "/Users/2819", Header: http.Header{"If-Match": {`W/"1"`}, "Content-Type": {"application/scim+json"}},
			Body: []byte(`{"Operations":[{"op":"replace","path":"active","value":false}],"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}`)},
	}
	for i := range tried.Sent {
		tried.Sent[i].Header.Del("Accept")
	}
	if diff := cmp.Diff(want, tried.Sent[1:3], cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if tried.Target != (v1alpha1.Target{Type: "User", Name: "ana@example.com"}) {
		t.Errorf("Target = %+v", tried.Target)
	}
	if diff := cmp.Diff(any(record("2819", false, `W/"2"`)), tried.After.State); diff != "" {
		t.Error(diff)
	}
}

func TestARollbackTakesBackOnlyWhatIsAsItWasLeft(t *testing.T) {
	left := func(body string) any {
		var page struct{ Resources []any }
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		return page.Resources[0]
	}
	active, suspended := reply{status: 200, body: anaActive}, reply{status: 200, body: anaSuspended}
	changed := reply{status: 200, body: strings.Replace(anaSuspended, `W/\"2\"`, `W/\"3\"`, 1)}
	tests := map[string]struct {
		left    any
		answers []reply
		before  observed
		outcome v1alpha1.AttemptOutcome
		reason  string
	}{
		"it is as it was left": {left(anaSuspended), []reply{suspended, suspended, {status: 204}, active},
			observed{AsLeft: true, Says: "User ana@example.com is as suspendUser left it"}, v1alpha1.OutcomeAcknowledged, ""},
		"it is active again": {left(anaSuspended), []reply{active}, observed{Desired: true, Says: "User ana@example.com is so already"}, "", ""},
		"someone changed it": {left(anaSuspended), []reply{changed}, observed{Says: "User ana@example.com is not as suspendUser left it: someone else changed it"}, "", ""},
		"someone changes it right before it is sent": {left(anaSuspended), []reply{suspended, changed},
			observed{AsLeft: true, Says: "User ana@example.com is as suspendUser left it"}, v1alpha1.OutcomeRefused, v1alpha1.TargetChangedReason},
		"it is done meanwhile, as after doubt": {left(anaSuspended), []reply{suspended, active, {status: 204}, active},
			observed{AsLeft: true, Says: "User ana@example.com is as suspendUser left it"}, v1alpha1.OutcomeAcknowledged, ""},
		"nothing was read back when it was left": {nil, []reply{suspended}, observed{Says: "whether User ana@example.com is still as suspendUser left it is undecided: could not evaluate"}, "", ""},
		"there is no such user any more":         {left(anaSuspended), []reply{{status: 200, body: nobody}}, observed{Gone: true, Says: "there is no User ana@example.com"}, "", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			request := ask("restoreUser", ana)
			request.Forward, request.Left = "suspendUser", tc.left
			tried, err := Try(t.Context(), load(t, "directory"), request, inTurn(tc.answers...))
			if err != nil {
				t.Fatal(err)
			}
			got := *judged(tried.Before)
			says := strings.HasPrefix(got.Says, tc.before.Says)
			got.Says, tc.before.Says = "", ""
			if got != tc.before || !says {
				t.Errorf("Before = %+v, want %+v", tried.Before, tc.before)
			}
			result := connector.Result{}
			if tried.Result != nil {
				result = *tried.Result
			}
			if result.Outcome != tc.outcome || result.Reason != tc.reason {
				t.Errorf("Do = %+v, want %s %s", result, tc.outcome, tc.reason)
			}
		})
	}
}

func TestWithoutOnlyIfARollbackIsJudgedByWhatVerifyExpects(t *testing.T) {
	request := ask("suspendUser", ana)
	request.Forward = "restoreUser"
	asLeft, err := Try(t.Context(), load(t, "directory"), request, inTurn(reply{status: 200, body: anaActive}))
	if err != nil || !asLeft.Before.AsLeft {
		t.Errorf("Try = %+v, %v, want AsLeft", asLeft.Before, err)
	}
	unread := strings.Replace(anaActive, `"active":true,`, "", 1)
	undecided, err := Try(t.Context(), load(t, "directory"), request, inTurn(reply{status: 200, body: unread}))
	if err != nil || undecided.Before.AsLeft || undecided.Result != nil {
		t.Errorf("Try = %+v, %v, want not AsLeft", undecided.Before, err)
	}
}

func TestARollbackWithNothingToCompareSaysSo(t *testing.T) {
	object := operations(t, find+act("effect: Reversible\n  rollback: {operation: undo}"))
	request := ask("undo", ana)
	request.Forward = "act"
	tried, err := Try(t.Context(), object, request, inTurn(reply{status: 204}))
	if err != nil || !tried.Before.AsLeft || !strings.Contains(tried.Before.Message, "act declares nothing to compare with") {
		t.Errorf("Try = %+v, %v", tried.Before, err)
	}
	request.Forward = "undo" // which nothing takes back
	if _, err := Try(t.Context(), object, request, inTurn(reply{status: 204})); err == nil {
		t.Error("a rollback of what it does not take back is taken")
	}
}

func TestRollbackInput(t *testing.T) {
	opened, err := NewOpener(Dependencies{}).Open(load(t, "office"))
	if err != nil {
		t.Fatal(err)
	}
	planner := opened.(connector.RollbackPlanner)
	got, err := planner.RollbackInput("openTicket", map[string]any{"title": "${mark}"})
	if diff := cmp.Diff(map[string]any{"ticket": "${mark}"}, got); err != nil || diff != "" {
		t.Errorf("RollbackInput = %v, %s", err, diff)
	}
	for name, input := range map[string]map[string]any{"page": ana, "findPage": ana, "openTicket": {"title": 7}, "nope": nil} {
		if got, err := planner.RollbackInput(name, input); err == nil {
			t.Errorf("RollbackInput of %s = %v, want an error", name, got)
		}
	}
}

func TestVerifyOfAnUndecidedExpectationIsAnError(t *testing.T) {
	unread := reply{status: 200, body: `{"totalResults":1,"Resources":[{"id":"1","meta":{"version":"x"}}]}`}
	_, err := Try(t.Context(), load(t, "directory"), ask("suspendUser", ana), inTurn(unread, unread, reply{status: 204}, unread))
	if err == nil || !strings.Contains(err.Error(), "could not tell whether User ana@example.com is as wanted") {
		t.Errorf("Try = %v", err)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	large := strings.Repeat("x", maxState)
	tests := map[string]struct{ state, want any }{
		"a small one":     {map[string]any{"a": int64(1)}, map[string]any{"a": int64(1)}},
		"a large member":  {map[string]any{"a": true, "photo": large}, map[string]any{"a": true, "omitted": []any{"photo"}}},
		"a large list":    {[]any{large}, map[string]any{"omitted": []any{"4100 bytes"}}},
		"nothing":         {nil, nil},
		"one large name":  {map[string]any{large: true, "b": "x"}, map[string]any{"b": "x", "omitted": []any{}}},
		"two that are so": {map[string]any{"a": large, "b": large, "c": 1.5}, map[string]any{"c": 1.5, "omitted": []any{"a", "b"}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, recordable(tc.state)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAbsenceIsAStateWhereAlreadySaysSo(t *testing.T) {
	source := `
- {name: find, effect: Read, input: [], request: {method: GET, path: /find}}
- name: act
  effect: Irreversible
  target: {type: Entry, name: x}
  before: {operation: find}
  request: {method: POST, path: /act}
  already: `
	tests := map[string]struct {
		already string
		found   string
		want    observed
	}{
		"made, and not there":        {"before.found", `{"found":false}`, observed{Says: "Entry x is not so yet"}},
		"made, and there":            {"before.found", `{"found":true}`, observed{Desired: true, Says: "Entry x is so already"}},
		"taken away, and not there":  {"!before.found", `{"found":false}`, observed{Desired: true, Says: "Entry x is so already"}},
		"changed, and not there":     {"before.a == 1", `{"found":false}`, observed{Gone: true, Says: "there is no Entry x"}},
		"a record that says nothing": {"before.a == 1", `{"a":2}`, observed{Says: "Entry x is not so yet"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tried, err := Try(t.Context(), operations(t, source+strconv.Quote(tc.already)), ask("act", nil), inTurn(reply{status: 200, body: tc.found}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, judged(tried.Before)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
