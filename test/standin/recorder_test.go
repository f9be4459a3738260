// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package standin_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/test/standin"
)

// counter is a stand-in that counts.
type counter struct{ handled atomic.Int64 }

// ServeHTTP implements http.Handler.
func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Context().Err() != nil {
		return // as a stand-in may that asks others
	}
	c.handled.Add(1)
	body, _ := io.ReadAll(r.Body)
	standin.Report(r.Context(), standin.Effect{Kind: "counted", Target: r.URL.Path, Changed: true})
	w.Header().Set("X-Of", "the stand-in")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(append([]byte("took "), body...))
}

// started is a served counter, and a client that keeps no connection.
func started(t *testing.T) (*counter, *standin.Recorder, *http.Client) {
	t.Helper()
	inner := &counter{}
	recorder := standin.New(inner)
	if err := recorder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(recorder.Close)
	return inner, recorder, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// result is what a client saw.
type result struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func send(ctx context.Context, t *testing.T, client *http.Client, method, url, body string) result {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(standin.KeyHeader, "k-1")
	response, err := client.Do(request)
	if err != nil {
		return result{err: err}
	}
	read, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // a cut answer has been reported by the read
	return result{response.StatusCode, response.Header, read, err}
}

func TestRecorderLogsWhatArrivesAndWhatItDid(t *testing.T) {
	_, recorder, client := started(t)
	got := send(t.Context(), t, client, http.MethodPost, recorder.URL()+"/a%2Fb/c?q=1%202", "hello")
	if got.err != nil || got.status != http.StatusAccepted || string(got.body) != "took hello" || got.header.Get("X-Of") != "the stand-in" {
		t.Errorf("got %+v, want the stand-in's answer", got)
	}
	send(t.Context(), t, client, http.MethodGet, recorder.URL()+"/second", "")

	requests, effects := recorder.Requests(), recorder.Effects()
	if len(requests) != 2 || len(effects) != 2 {
		t.Fatalf("got %d requests and %d effects, want 2 of each", len(requests), len(effects))
	}
	first := requests[0]
	if first.Method != http.MethodPost || first.Path != "/a/b/c" || first.RawPath != "/a%2Fb/c" || first.Query.Get("q") != "1 2" ||
		string(first.Body) != "hello" || first.Key != "k-1" || !first.Handled || first.Status != http.StatusAccepted || first.Time.IsZero() || first.Fault != "" {
		t.Errorf("got %+v, want all of the request", first)
	}
	want := standin.Effect{Sequence: first.Sequence + 1, Request: first.Sequence, Kind: "counted", Target: "/a/b/c", Changed: true, Key: "k-1"}
	effects[0].Time = time.Time{}
	if diff := cmp.Diff(want, effects[0]); diff != "" {
		t.Error(diff)
	}
	if requests[1].Sequence <= effects[0].Sequence || effects[1].Sequence <= requests[1].Sequence {
		t.Errorf("the second request is %d and its effect %d, after %d: want them in order", requests[1].Sequence, effects[1].Sequence, effects[0].Sequence)
	}
	recorder.Forget()
	if len(recorder.Requests())+len(recorder.Effects()) != 0 {
		t.Error("something is left in the log after Forget")
	}
}

func TestFaultsDoWhatTheySay(t *testing.T) {
	isReset := func(r result) bool { return errors.Is(r.err, syscall.ECONNRESET) || errors.Is(r.err, io.EOF) }
	header := http.Header{"X-Of": {"the fault"}}
	tests := map[string]struct {
		do      standin.Action
		handled int64
		status  int // as logged
		saw     func(result) bool
	}{
		"a reset before handling is no effect": {standin.Reset, 0, 0, isReset},
		"a lost reply is an effect":            {standin.LoseReply, 1, 0, isReset},
		"a cut reply ends early":               {standin.CutReply, 1, 0, func(r result) bool { return r.status == http.StatusAccepted && r.err != nil }},
		"an answer of its own is no effect": {standin.Answer(http.StatusTeapot, header, []byte("no")), 0, http.StatusTeapot, func(r result) bool {
			return r.status == http.StatusTeapot && string(r.body) == "no" && r.header.Get("X-Of") == "the fault"
		}},
		"an answer after handling is an effect": {standin.AnswerAfter(http.StatusInternalServerError, nil, nil), 1, http.StatusInternalServerError, func(r result) bool {
			return r.status == http.StatusInternalServerError && r.header.Get("X-Of") == ""
		}},
		"too many says when": {standin.TooMany(7 * time.Second), 0, http.StatusTooManyRequests, func(r result) bool { return r.header.Get("Retry-After") == "7" }},
		"nonsense is no JSON, with 200": {standin.Nonsense, 1, http.StatusOK, func(r result) bool {
			return r.status == http.StatusOK && !json.Valid(r.body) && strings.Contains(r.header.Get("Content-Type"), "html")
		}},
		"half a document is no JSON": {standin.HalfJSON, 1, http.StatusOK, func(r result) bool { return r.status == http.StatusOK && !json.Valid(r.body) && len(r.body) > 0 }},
		"an empty body is empty":     {standin.EmptyBody, 1, http.StatusOK, func(r result) bool { return r.status == http.StatusOK && len(r.body) == 0 }},
		"a huge body is sound and more than 5 MB": {standin.Huge, 1, http.StatusOK, func(r result) bool {
			return r.status == http.StatusOK && len(r.body) > 5_000_000 && json.Valid(r.body)
		}},
		"a delayed request is answered": {standin.Delay(time.Millisecond), 1, http.StatusAccepted, func(r result) bool { return r.status == http.StatusAccepted }},
		"a delayed reply is answered":   {standin.DelayReply(time.Millisecond), 1, http.StatusAccepted, func(r result) bool { return r.status == http.StatusAccepted }},
		"no action lets it pass":        {standin.Action{}, 1, http.StatusAccepted, func(r result) bool { return r.status == http.StatusAccepted }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inner, recorder, client := started(t)
			recorder.Inject(standin.Fault{Times: 1, Do: tc.do})
			got := send(t.Context(), t, client, http.MethodPut, recorder.URL()+"/x", "body")
			if !tc.saw(got) {
				t.Errorf("the client saw status %d, %d bytes, %v", got.status, len(got.body), got.err)
			}
			logged := recorder.Requests()[0]
			if inner.handled.Load() != tc.handled || logged.Handled != (tc.handled == 1) || logged.Status != tc.status || logged.Fault != tc.do.Name {
				t.Errorf("handled %d times, logged %+v; want %d, status %d, fault %s", inner.handled.Load(), logged, tc.handled, tc.status, tc.do.Name)
			}
			if again := send(t.Context(), t, client, http.MethodPut, recorder.URL()+"/x", "body"); again.status != http.StatusAccepted {
				t.Errorf("the request after the fault saw %+v, want the stand-in", again)
			}
		})
	}
}

func TestHangsEndWithTheClient(t *testing.T) {
	for name, handled := range map[string]int64{"Hang": 0, "HangAfter": 1} {
		t.Run(name, func(t *testing.T) {
			inner, recorder, client := started(t)
			action := standin.Hang
			if handled == 1 {
				action = standin.HangAfter
			}
			recorder.Inject(standin.Fault{Do: action})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				_, _ = recorder.AwaitRequest(t.Context(), func(r standin.Request) bool { return r.Handled == (handled == 1) })
				cancel()
			}()
			if got := send(ctx, t, client, http.MethodPost, recorder.URL()+"/x", ""); !errors.Is(got.err, context.Canceled) {
				t.Errorf("got %+v, want nothing until the client gives up", got)
			}
			recorder.Close()
			if inner.handled.Load() != handled {
				t.Errorf("handled %d times, want %d", inner.handled.Load(), handled)
			}
		})
	}
}

func TestALateRequestIsHandledWhenTheGateOpens(t *testing.T) {
	inner, recorder, client := started(t)
	gate := make(chan struct{})
	recorder.Inject(standin.Fault{Times: 1, Do: standin.Late(gate)})
	if got := send(t.Context(), t, client, http.MethodPost, recorder.URL()+"/late", ""); got.err == nil {
		t.Fatalf("got %+v, want a cut connection", got)
	}
	if got := send(t.Context(), t, client, http.MethodPost, recorder.URL()+"/early", ""); got.status != http.StatusAccepted {
		t.Fatalf("got %+v, want the second request handled", got)
	}
	if n := inner.handled.Load(); n != 1 {
		t.Errorf("handled %d requests before the gate opened, want 1", n)
	}
	close(gate)
	if _, err := recorder.AwaitEffect(t.Context(), func(e standin.Effect) bool { return e.Target == "/late" }); err != nil {
		t.Error(err)
	}
}

func TestAHeldRequestWaitsForTheGate(t *testing.T) {
	_, recorder, client := started(t)
	gate := make(chan struct{})
	recorder.Inject(standin.Fault{Do: standin.Hold(gate)})
	answered := make(chan result)
	go func() { answered <- send(t.Context(), t, client, http.MethodGet, recorder.URL()+"/x", "") }()
	logged, err := recorder.AwaitRequest(t.Context(), func(standin.Request) bool { return true })
	if err != nil || logged.Handled || logged.Status != 0 {
		t.Errorf("got %+v, %v, want a request that waits", logged, err)
	}
	close(gate)
	if got := <-answered; got.status != http.StatusAccepted {
		t.Errorf("got %+v, want the stand-in's answer", got)
	}
}

func TestAHeldRequestIsHandledThoughItsClientIsGone(t *testing.T) {
	_, recorder, client := started(t)
	gate := make(chan struct{})
	recorder.Inject(standin.Fault{Do: standin.Action{Name: "held", Play: func(x *standin.Exchange) {
		x.WaitForClient()
		if x.WaitFor(gate) {
			x.Pass()
		}
	}}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = recorder.AwaitRequest(t.Context(), func(standin.Request) bool { return true })
		cancel()
	}()
	if got := send(ctx, t, client, http.MethodPost, recorder.URL()+"/gone", ""); got.err == nil {
		t.Errorf("got %+v, want nothing", got)
	}
	close(gate)
	if _, err := recorder.AwaitEffect(t.Context(), func(e standin.Effect) bool { return e.Target == "/gone" }); err != nil {
		t.Error(err)
	}
}

func TestFaultsMatchAndCount(t *testing.T) {
	_, recorder, client := started(t)
	refuse := standin.Answer(http.StatusTeapot, nil, nil)
	recorder.Inject(standin.Fault{Method: http.MethodDelete, Path: "/users/*/sessions", Skip: 1, Times: 2, Do: refuse})
	recorder.Inject(standin.Fault{When: func(r standin.Request) bool { return bytes.Contains(r.Body, []byte("bad")) }, Do: refuse})
	steps := []struct {
		method, path, body string
		want               int
	}{
		{http.MethodDelete, "/users/ana/sessions", "", http.StatusAccepted}, // skipped
		{http.MethodGet, "/users/ana/sessions", "", http.StatusAccepted},    // another method
		{http.MethodDelete, "/users/ana/x/sessions", "", http.StatusAccepted},
		{http.MethodDelete, "/users/ana/sessions", "", http.StatusTeapot},
		{http.MethodDelete, "/users/bo/sessions", "", http.StatusTeapot},
		{http.MethodDelete, "/users/ana/sessions", "", http.StatusAccepted}, // used up
		{http.MethodPut, "/x", "a bad body", http.StatusTeapot},
		{http.MethodPut, "/x", "a bad body", http.StatusTeapot}, // for ever
		{http.MethodPut, "/x", "a good body", http.StatusAccepted},
	}
	for i, step := range steps {
		if got := send(t.Context(), t, client, step.method, recorder.URL()+step.path, step.body); got.status != step.want {
			t.Errorf("step %d: %s %s answered %d, want %d", i, step.method, step.path, got.status, step.want)
		}
	}
	recorder.Heal()
	if got := send(t.Context(), t, client, http.MethodPut, recorder.URL()+"/x", "a bad body"); got.status != http.StatusAccepted {
		t.Errorf("after Heal: %d, want the stand-in", got.status)
	}
}

func TestTheAuthorityIsNeededToTrustTLS(t *testing.T) {
	authority, err := standin.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	recorder := standin.New(&counter{})
	if err := recorder.StartTLS(authority); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(recorder.Close)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority.PEM()) {
		t.Fatal("the authority's PEM holds no certificate")
	}
	// On a kept connection net/http would repeat a request that has an Idempotency-Key.
	trusting := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}}
	if got := send(t.Context(), t, trusting, http.MethodGet, recorder.URL()+"/x", ""); got.status != http.StatusAccepted {
		t.Errorf("got %+v from a client that trusts the authority", got)
	}
	recorder.Inject(standin.Fault{Times: 1, Do: standin.LoseReply})
	if got := send(t.Context(), t, trusting, http.MethodPost, recorder.URL()+"/x", ""); got.err == nil {
		t.Errorf("got %+v, want a cut connection", got)
	}
	if got := send(t.Context(), t, &http.Client{}, http.MethodGet, recorder.URL()+"/x", ""); got.err == nil {
		t.Errorf("got %+v from a client that does not trust it", got)
	}
}

func TestAClosedRecorderEndsWaits(t *testing.T) {
	_, recorder, _ := started(t)
	recorder.Close()
	recorder.Close()
	if _, err := recorder.AwaitRequest(t.Context(), func(standin.Request) bool { return true }); err == nil {
		t.Error("got no error from a wait that cannot end")
	}
	if err := recorder.Start(); err == nil {
		t.Error("it was started twice")
	}
}

func TestMeterCountsWindows(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	meter := standin.NewMeter(standin.Limit{Max: 2, Per: time.Minute})
	var got []bool
	for _, after := range []time.Duration{0, time.Second, 2 * time.Second, 59 * time.Second, time.Minute, 61 * time.Second, 62 * time.Second} {
		got = append(got, meter.Take(now.Add(after)).OK)
	}
	if diff := cmp.Diff([]bool{true, true, false, false, true, true, false}, got); diff != "" {
		t.Error(diff)
	}
	if reading := meter.Take(now.Add(62500 * time.Millisecond)); reading.RetryAfter(now.Add(62500*time.Millisecond)) != 58 || reading.Remaining != 0 {
		t.Errorf("got %+v, want 58 seconds rounded up and nothing left", reading)
	}
	meter.Set(standin.Limit{})
	if reading := meter.Take(now); !reading.OK || reading.Limited {
		t.Errorf("got %+v without a limit", reading)
	}
}
