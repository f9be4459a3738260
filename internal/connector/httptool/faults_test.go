// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// site is the directory of testdata behind a server that may be broken.
type site struct {
	*office
	secrets *heldSecrets
	broken  func(w http.ResponseWriter, r *http.Request) bool // whether it answered, or ended the connection
	giveUp  func()                                            // called when a request hangs
	arrived int                                               // mutations
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPatch {
		s.with(func() { s.arrived++ })
	}
	if s.broken == nil || !s.broken(w, r.WithContext(context.WithValue(r.Context(), patience{}, s.giveUp))) {
		s.office.ServeHTTP(w, r)
	}
}

// open opens the connector, and a context that ends when a request hangs.
func (s *site) open(t *testing.T) (context.Context, connector.Connector, connector.Request) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	object := load(t, "directory")
	object.Spec.HTTP.BaseURL = server.URL
	object.Spec.Timeout = &metav1.Duration{Duration: time.Minute}
	d := dependencies()
	d.Values = s.secrets
	opened, err := NewOpener(d).Open(object)
	if err != nil {
		t.Fatal(err)
	}
	target := v1alpha1.Target{Type: "User", Name: "ana@example.com"}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	s.giveUp = cancel
	return ctx, opened, connector.Request{Operation: "suspendUser", Input: ana, Target: target, Mark: "m", Key: "k"}
}

func newSite() *site {
	return &site{office: newOffice(), secrets: &heldSecrets{values: map[string]string{"directory/token": canary}}}
}

func (s *site) mutations() int { return under(s.office, func() int { return s.arrived }) }

// saying breaks every answer, and lets it say what it was sent.
func saying(status int, kind, body string, headers ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		token := r.Header.Get("Authorization")
		body := strings.NewReplacer("TOKEN", token, "BASE64", base64.StdEncoding.EncodeToString([]byte(token)), "URL", url.QueryEscape(token)).Replace(body)
		w.Header().Set("Content-Type", kind)
		w.Header().Set("X-Debug", token)
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // to a peer that may be gone
		return true
	}
}

// telling is an error of a directory that repeats the credentials in three ways.
const telling = `{"detail":"you sent TOKEN, that is BASE64 or URL"}`

func hanging(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the client go
	if giveUp, ok := r.Context().Value(patience{}).(func()); ok {
		giveUp()
	}
	<-r.Context().Done()
	return true
}

// patience is under which the server's context keeps the end of the client's.
type patience struct{}

func resetting(w http.ResponseWriter, _ *http.Request) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
	return true
}

const scim = "application/scim+json"

// broken are the ways to be broken, and what they mean to a read and to a mutation that was sent.
var broken = map[string]struct {
	answer         func(http.ResponseWriter, *http.Request) bool
	terminal, wait string // of a read; an error that may pass if both are empty
	outcome        v1alpha1.AttemptOutcome
	reason         string
}{
	"401": {saying(401, scim, telling), connector.CredentialsRejectedReason, "", v1alpha1.OutcomeRefused, connector.CredentialsRejectedReason},
	"403": {saying(403, scim, telling), v1alpha1.TargetForbiddenReason, "", v1alpha1.OutcomeRefused, v1alpha1.TargetForbiddenReason},
	"404": {saying(404, scim, telling), "", "", v1alpha1.OutcomeRefused, v1alpha1.TargetReplacedReason},
	"409": {saying(409, scim, telling), "", "", v1alpha1.OutcomeRefused, v1alpha1.TargetChangedReason},
	"412": {saying(412, scim, telling), "", "", v1alpha1.OutcomeRefused, v1alpha1.TargetChangedReason},
	"429 with Retry-After": {saying(429, "text/plain", "slow down, TOKEN", "Retry-After", "7"), "", connector.RateLimitedReason,
		v1alpha1.OutcomeNotSent, connector.RateLimitedReason},
	"500":                         {saying(500, scim, telling), "", "", v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	"503 with Retry-After":        {saying(503, scim, telling, "Retry-After", "7"), "", connector.RateLimitedReason, v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	"a redirect":                  {saying(302, scim, telling, "Location", "/elsewhere"), "", "", v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	"it hangs":                    {hanging, "", "", v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	"it resets":                   {resetting, "", "", v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	"200 with a page":             {saying(200, "text/html", "<html>TOKEN</html>"), "", "", v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	"200 with half a document":    {saying(200, scim, `{"detail":"TOKEN","Resources":[`), "", "", v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	"200 with a list":             {saying(200, scim, `[]`), "", "", v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	"200 with another document":   {saying(200, scim, telling), "", "", v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	"200 with five million bytes": {saying(200, scim, `{"x":"`+strings.Repeat("x", 5_000_000)+`"}`), "", "", v1alpha1.OutcomeInDoubt, connector.TooLargeReason},
}

func TestBrokenTargetsAreToldApartAndNoSecretLeaves(t *testing.T) {
	for name, tc := range broken {
		t.Run(name, func(t *testing.T) {
			s := newSite()
			s.broken = tc.answer
			ctx, opened, _ := s.open(t)
			_, err := opened.Read(ctx, "findUser", ana)
			tells(t, err, tc.terminal, tc.wait)
			if wait, ok := errors.AsType[*fault.Wait](err); ok && wait.After != 7*time.Second {
				t.Errorf("it waits %s, want the 7s that were asked for", wait.After)
			}
			keeps(t, err)

			// The mutation: what it needs before is read, and it itself is answered so.
			s = newSite()
			s.broken = func(w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodPatch && tc.answer(w, r)
			}
			ctx, opened, request := s.open(t)
			result := opened.Do(ctx, request)
			if result.Outcome != tc.outcome || result.Reason != tc.reason || result.Message == "" {
				t.Errorf("Do = %+v, want %s %s", result, tc.outcome, tc.reason)
			}
			if s.mutations() != 1 {
				t.Errorf("%d mutations arrived, want one", s.mutations())
			}
			if got := s.header().Get("Authorization"); got != "Bearer "+canary {
				t.Errorf("the canary was not sent, but %q", got)
			}
			keeps(t, result)
		})
	}
}

func TestABrokenReadBeforeKeepsTheMutationUnsent(t *testing.T) {
	for name, tc := range broken {
		t.Run(name, func(t *testing.T) {
			s := newSite()
			s.broken = tc.answer
			ctx, opened, request := s.open(t)
			result := opened.Do(ctx, request)
			want := v1alpha1.OutcomeNotSent
			if tc.terminal != "" {
				want = v1alpha1.OutcomeRefused
			}
			if result.Outcome != want || s.mutations() != 0 {
				t.Errorf("Do = %+v, %d mutations arrived, want %s and none", result, s.mutations(), want)
			}
			if tc.wait != "" && result.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter = %s, want 7s", result.RetryAfter)
			}
			keeps(t, result)
			s = newSite()
			s.broken = tc.answer
			ctx, opened, request = s.open(t)
			seen, err := opened.Verify(ctx, request)
			tells(t, err, tc.terminal, tc.wait)
			keeps(t, err)
			keeps(t, seen)
		})
	}
}

func TestProbesSayWhatIsWrong(t *testing.T) {
	for name, tc := range broken {
		t.Run(name, func(t *testing.T) {
			s := newSite()
			s.broken = tc.answer
			ctx, opened, _ := s.open(t)
			err := opened.Probe(ctx)
			tells(t, err, tc.terminal, tc.wait)
			keeps(t, err)
		})
	}
	ctx, opened, _ := newSite().open(t)
	if err := opened.Probe(ctx); err != nil {
		t.Errorf("Probe of what is not broken = %v", err)
	}
}

func TestSecretsThatCannotBeReadShowBeforeAnythingIsSent(t *testing.T) {
	away := errors.New("the API server is away")
	tests := map[string]struct {
		secrets *heldSecrets
		reason  string // of a Terminal error; one that may pass if it is empty
	}{
		"one that is missing":         {&heldSecrets{}, v1alpha1.SecretNotFoundReason},
		"one that may not be read":    {&heldSecrets{err: fault.Terminalf(v1alpha1.SecretForbiddenReason, "could not read Secret directory: grant it")}, v1alpha1.SecretForbiddenReason},
		"one that cannot be read now": {&heldSecrets{err: away}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSite()
			s.secrets = tc.secrets
			ctx, opened, request := s.open(t)
			_, err := opened.Read(ctx, "findUser", ana)
			tells(t, err, tc.reason, "")
			tells(t, opened.Probe(ctx), tc.reason, "")
			result := opened.Do(ctx, request)
			want := v1alpha1.OutcomeNotSent
			if tc.reason != "" {
				want = v1alpha1.OutcomeRefused
			}
			if result.Outcome != want || tc.reason != "" && result.Reason != tc.reason || s.header() != nil {
				t.Errorf("Do = %+v, want %s; it was sent %v", result, want, s.header())
			}
		})
	}
}

func TestWithoutAProbeTheCredentialsAreReadAndNothingIsAsked(t *testing.T) {
	target := newOffice()
	server := httptest.NewServer(target)
	t.Cleanup(server.Close)
	object := load(t, "idp")
	object.Spec.HTTP.BaseURL = server.URL
	d := dependencies()
	opened, err := NewOpener(d).Open(object)
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Probe(t.Context()); err != nil || target.header() != nil {
		t.Errorf("Probe = %v, it asked %v", err, target.header())
	}
	d.Values = &heldSecrets{}
	if opened, err = NewOpener(d).Open(object); err != nil {
		t.Fatal(err)
	}
	tells(t, opened.Probe(t.Context()), v1alpha1.SecretNotFoundReason, "")
}

func TestUsersWhoExistTwiceOrNotAtAll(t *testing.T) {
	s := newSite()
	s.users = append(s.users, s.user("2821", "ana@example.com"))
	ctx, opened, request := s.open(t)
	if before, err := opened.Before(ctx, request); err == nil || !strings.Contains(err.Error(), "this has 2") {
		t.Errorf("Before = %+v, %v, want an error that says how many", before, err)
	}
	if result := opened.Do(ctx, request); result.Outcome != v1alpha1.OutcomeNotSent || s.mutations() != 0 {
		t.Errorf("Do = %+v", result)
	}
	s.users = s.users[1:2]
	before, err := opened.Before(ctx, request)
	if err != nil || !before.Gone || before.Message != "there is no User ana@example.com" {
		t.Errorf("Before = %+v, %v", before, err)
	}
	if result := opened.Do(ctx, request); result.Outcome != v1alpha1.OutcomeRefused || result.Reason != v1alpha1.TargetReplacedReason || s.mutations() != 0 {
		t.Errorf("Do = %+v", result)
	}
}

func TestRequestsThatLackTheirMarkOrKeyAreRefusedUnsent(t *testing.T) {
	target := newOffice()
	server := httptest.NewServer(target)
	t.Cleanup(server.Close)
	object := load(t, "office")
	object.Spec.HTTP.BaseURL = server.URL
	opened, err := NewOpener(dependencies()).Open(object)
	if err != nil {
		t.Fatal(err)
	}
	whole := connector.Request{Operation: "page", Input: ana, Target: v1alpha1.Target{Type: "User", Name: "ana@example.com"}, Mark: "m", Key: "k"}
	unmarked, keyless := whole, whole
	unmarked.Mark, keyless.Key = "", ""
	for want, request := range map[string]connector.Request{"has no mark": unmarked, "has no idempotency key": keyless} {
		result := opened.Do(t.Context(), request)
		if result.Outcome != v1alpha1.OutcomeRefused || result.Reason != connector.InvalidInputReason || !strings.Contains(result.Message, want) || target.header() != nil {
			t.Errorf("Do = %+v, want a refusal that says it %s", result, want)
		}
	}
	if result := opened.Do(t.Context(), whole); result.Outcome != v1alpha1.OutcomeAcknowledged {
		t.Errorf("Do = %+v", result)
	}
	if got := target.header().Get("Idempotency-Key"); got != "k" {
		t.Errorf("the key that was sent is %q", got)
	}
}

func TestADeadlineThatHasPassedSendsNothing(t *testing.T) {
	s := newSite()
	ctx, opened, request := s.open(t)
	request.Deadline = time.Unix(1, 0)
	result := opened.Do(ctx, request)
	if result.Outcome != v1alpha1.OutcomeNotSent || result.Reason != v1alpha1.DeadlinePassedReason || s.header() != nil {
		t.Errorf("Do = %+v, it was sent %v", result, s.header())
	}
}

// tells checks which kind of error it is.
func tells(t *testing.T, err error, terminal, wait string) {
	t.Helper()
	got, waits := "", ""
	if f, ok := errors.AsType[*fault.Terminal](err); ok {
		got = f.Reason
	}
	if f, ok := errors.AsType[*fault.Wait](err); ok {
		waits = f.Reason
	}
	if err == nil || got != terminal || waits != wait {
		t.Errorf("got %v (Terminal %q, Wait %q), want an error (Terminal %q, Wait %q)", err, got, waits, terminal, wait)
	}
}

// keeps checks that the canary is not in what is printed of a value, however it is written.
func keeps(t *testing.T, value any) {
	t.Helper()
	printed := fmt.Sprintf("%+v %#v", value, value)
	for _, form := range []string{
		canary, base64.StdEncoding.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte("Bearer " + canary)),
		url.QueryEscape(canary), url.PathEscape(canary), fmt.Sprintf("%q", canary),
	} {
		if strings.Contains(printed, strings.Trim(form, `"=`)) {
			t.Errorf("the secret is in %s", printed)
		}
	}
}
