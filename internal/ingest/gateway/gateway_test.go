// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest"
	"github.com/casebook-dev/casebook/internal/ingest/gateway"
	"github.com/casebook-dev/casebook/internal/ingest/stream"
)

const secret = "correct-horse"

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// sources are those of namespace soc.
type sources map[string]v1alpha1.WebhookSource

func (s sources) Get(_ context.Context, namespace, name string) (*v1alpha1.Source, error) {
	if namespace == "broken" {
		return nil, errors.New("the API server is away")
	}
	webhook, ok := s[name]
	if !ok || namespace != "soc" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "sources"}, name)
	}
	return &v1alpha1.Source{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name)},
		Spec:       v1alpha1.SourceSpec{Webhook: &webhook},
	}, nil
}

// secrets answers every reference with one value, but for the name "missing".
type secrets struct{}

func (secrets) Get(_ context.Context, _ string, ref v1alpha1.SecretKeyRef) ([]byte, error) {
	if ref.Name == "missing" {
		return nil, errors.New("there is no such Secret")
	}
	return []byte(secret), nil
}

func bearer(webhook v1alpha1.WebhookSource) v1alpha1.WebhookSource {
	webhook.Authentication.Bearer = &v1alpha1.BearerAuthentication{SecretRef: v1alpha1.SecretKeyRef{Name: "hook", Key: "token"}}
	return webhook
}

func signed(webhook v1alpha1.WebhookSource, timestamp string) v1alpha1.WebhookSource {
	webhook.Authentication.HMAC = &v1alpha1.HMACAuthentication{
		SecretRef: v1alpha1.SecretKeyRef{Name: "hook", Key: "key"}, Header: "X-Signature", TimeHeader: timestamp,
	}
	return webhook
}

var everySource = sources{
	"falco": bearer(v1alpha1.WebhookSource{}),
	"small": bearer(v1alpha1.WebhookSource{MaxBytes: 1024}),
	"slow":  bearer(v1alpha1.WebhookSource{RequestsPerMinute: 1}),
	"lost": {Authentication: v1alpha1.WebhookAuthentication{
		Bearer: &v1alpha1.BearerAuthentication{SecretRef: v1alpha1.SecretKeyRef{Name: "missing", Key: "token"}},
	}},
	"hmac":       signed(v1alpha1.WebhookSource{}, ""),
	"small-hmac": signed(v1alpha1.WebhookSource{MaxBytes: 1024}, ""),
	"timed":      signed(v1alpha1.WebhookSource{}, "X-Time"),
}

// door is a running gateway before a real stream.
type door struct {
	url    string
	stream *stream.Stream
}

func start(t *testing.T, options stream.Options) door {
	t.Helper()
	options.Dir = t.TempDir()
	s, err := stream.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return door{url: serve(t, gateway.Options{Sources: everySource, Secrets: secrets{}, Stream: s, Now: func() time.Time { return now }}), stream: s}
}

func serve(t *testing.T, options gateway.Options) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gateway.New(options).Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
	})
	return "http://" + listener.Addr().String()
}

type answered struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, url string, header map[string]string, body io.Reader) answered {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{status: response.StatusCode, header: response.Header, body: string(text)}
}

func (d door) post(t *testing.T, source string, header map[string]string, body string) answered {
	t.Helper()
	return send(t, http.MethodPost, d.url+"/v1/soc/"+source, header, strings.NewReader(body))
}

// kept counts what an intake would get.
func (d door) kept(t *testing.T) []ingest.Delivery {
	t.Helper()
	subscription, err := d.stream.Subscribe(t.Context(), ingest.Intake)
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Stop()
	last, err := d.stream.Publish(t.Context(), ingest.Seal("soc", "end", now, "", "", []byte("{}")))
	if err != nil {
		t.Fatal(err)
	}
	var out []ingest.Delivery
	for {
		delivery, err := subscription.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if delivery.Sequence == last.Sequence {
			return out
		}
		if delivery.Source != "end" {
			out = append(out, delivery)
		}
	}
}

func sign(text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

var token = map[string]string{"Authorization": "Bearer " + secret}

func TestARefusalSaysWhyAndKeepsNothing(t *testing.T) {
	d := start(t, stream.Options{})
	long := `"` + strings.Repeat("x", 2000) + `"`
	stamp := strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)
	for name, tt := range map[string]struct {
		method, path string
		header       map[string]string
		body         string
		status       int
		says         string
		retry        string
	}{
		"no credentials":                     {path: "/v1/soc/falco", body: "{}", status: 401, says: "credentials"},
		"another token":                      {path: "/v1/soc/falco", header: map[string]string{"Authorization": "Bearer x"}, body: "{}", status: 401, says: "credentials"},
		"a Source that is not there":         {path: "/v1/soc/none", header: token, body: "{}", status: 401, says: "credentials"},
		"a namespace that is not there":      {path: "/v1/none/falco", header: token, body: "{}", status: 401, says: "credentials"},
		"a name that no Source can have":     {path: "/v1/soc/%2E%2E", header: token, body: "{}", status: 401, says: "credentials"},
		"a signature of another body":        {path: "/v1/soc/hmac", header: map[string]string{"X-Signature": sign("[]")}, body: "{}", status: 401, says: "credentials"},
		"a replay after its time":            {path: "/v1/soc/timed", header: map[string]string{"X-Time": stamp, "X-Signature": sign(stamp + ".{}")}, body: "{}", status: 401, says: "X-Time is 1h0m0s away"},
		"another method":                     {method: http.MethodGet, path: "/v1/soc/falco", status: 405, says: "POST"},
		"another path":                       {path: "/v2/soc/falco", status: 404, says: "/v1/<namespace>/<source>"},
		"too few names":                      {path: "/v1/soc", status: 404, says: "/v1/<namespace>/<source>"},
		"a compressed body":                  {path: "/v1/soc/falco", header: map[string]string{"Authorization": "Bearer " + secret, "Content-Encoding": "gzip"}, body: "{}", status: 415, says: "gzip"},
		"an empty body":                      {path: "/v1/soc/falco", header: token, status: 400, says: "empty"},
		"a malformed body":                   {path: "/v1/soc/falco", header: token, body: `{"a":tru}`, status: 400, says: "byte 5"},
		"a body too large for its Source":    {path: "/v1/soc/small", header: token, body: long, status: 413, says: "1024 bytes"},
		"a signed body that is too large":    {path: "/v1/soc/small-hmac", header: map[string]string{"X-Signature": sign(long)}, body: long, status: 413, says: "1024 bytes"},
		"a forged body that is too large":    {path: "/v1/soc/small-hmac", header: map[string]string{"X-Signature": sign("{}")}, body: long, status: 401, says: "credentials"},
		"a body of more than 8 MiB":          {path: "/v1/soc/falco", header: token, body: `"` + strings.Repeat("x", 8<<20) + `"`, status: 413, says: "8388608 bytes"},
		"a deeply nested body":               {path: "/v1/soc/falco", header: token, body: strings.Repeat(`{"a":`, 65), status: 400, says: "nested more than 64"},
		"a Secret that cannot be read":       {path: "/v1/soc/lost", header: token, body: "{}", status: 503, says: "Source soc/lost", retry: "60"},
		"an API server that does not answer": {path: "/v1/broken/falco", header: token, body: "{}", status: 503, says: "Kubernetes API", retry: "5"},
	} {
		t.Run(name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = http.MethodPost
			}
			got := send(t, method, d.url+tt.path, tt.header, strings.NewReader(tt.body))
			var problem struct {
				Title, Detail string
				Status        int
			}
			if err := json.Unmarshal([]byte(got.body), &problem); err != nil {
				t.Fatalf("the answer is no problem: %s", got.body)
			}
			if got.status != tt.status || problem.Status != tt.status || !strings.Contains(problem.Detail, tt.says) || problem.Title == "" {
				t.Errorf("answered %d %s, want %d saying %q", got.status, got.body, tt.status, tt.says)
			}
			if got.header.Get("Content-Type") != "application/problem+json" || got.header.Get("Retry-After") != tt.retry {
				t.Errorf("headers are %v, want Retry-After %q", got.header, tt.retry)
			}
			if strings.Contains(got.body, secret) || strings.Count(got.body, "\n") != 1 {
				t.Errorf("the answer holds the secret, or is not one line: %q", got.body)
			}
		})
	}
	if kept := d.kept(t); len(kept) != 0 {
		t.Errorf("%d refused payloads were kept", len(kept))
	}
}

func TestNothingTellsWhetherASourceExists(t *testing.T) {
	d := start(t, stream.Options{})
	wrong := map[string]string{"Authorization": "Bearer wrong", "X-Signature": sign("other")}
	want := d.post(t, "none", wrong, `{"a":1}`)
	for _, source := range []string{"falco", "small", "hmac", "timed"} {
		got := d.post(t, source, wrong, `{"a":1}`)
		got.header.Del("Date")
		want.header.Del("Date")
		if got.status != want.status || got.body != want.body || len(got.header) != len(want.header) {
			t.Errorf("Source %s answers %+v, one that does not exist %+v", source, got, want)
		}
	}
}

func TestAPayloadIsKeptAsItWasSent(t *testing.T) {
	d := start(t, stream.Options{})
	stamp := strconv.FormatInt(now.Unix(), 10)
	bodies := map[string]string{"falco": " {\"rule\": \"x\"}\n", "hmac": "{\"a\":1}\n{\"a\":2}\n", "timed": `[]`}
	headers := map[string]map[string]string{
		"falco": {"Authorization": "Bearer " + secret, "Content-Type": "application/json; charset=utf-8"},
		"hmac":  {"X-Signature": sign(bodies["hmac"])},
		"timed": {"x-signature": sign(stamp + "." + bodies["timed"]), "x-time": stamp},
	}
	for source, body := range bodies {
		got := d.post(t, source, headers[source], body)
		if got.status != http.StatusAccepted || !strings.Contains(got.body, ingest.Digest([]byte(body))) {
			t.Errorf("%s: answered %d %s", source, got.status, got.body)
		}
	}
	kept := d.kept(t)
	if len(kept) != len(bodies) {
		t.Fatalf("%d payloads were kept, want %d", len(kept), len(bodies))
	}
	for _, delivery := range kept {
		if string(delivery.Body) != bodies[delivery.Source] || delivery.Namespace != "soc" || !delivery.Received.Equal(now) {
			t.Errorf("kept %+v", delivery.Envelope)
		}
		if delivery.Source == "falco" && delivery.MediaType != "application/json" {
			t.Errorf("the media type is %q", delivery.MediaType)
		}
	}
}

func TestAReplayIsKeptOnce(t *testing.T) {
	d := start(t, stream.Options{})
	stamp := strconv.FormatInt(now.Unix(), 10)
	for name, headers := range map[string][2]map[string]string{
		"timed": {{"X-Time": stamp, "X-Signature": sign(stamp + ".{}")}, {"x-tIME": stamp, "x-sIGNATURE": strings.ToUpper(strings.TrimPrefix(sign(stamp+".{}"), "sha256="))}},
		"falco": {{"Authorization": "Bearer " + secret, "Webhook-Id": "1"}, {"Authorization": "Bearer " + secret, "Webhook-Id": "1"}},
	} {
		first, second := d.post(t, name, headers[0], "{}"), d.post(t, name, headers[1], "{}")
		if first.status != 202 || second.status != 202 || !strings.Contains(second.body, `"duplicate":true`) {
			t.Errorf("%s: answered %+v, then %+v", name, first, second)
		}
	}
	if kept := d.kept(t); len(kept) != 2 {
		t.Errorf("%d payloads were kept, want 2", len(kept))
	}
}

func TestAChunkedBodyIsBoundedToo(t *testing.T) {
	d := start(t, stream.Options{})
	chunked := struct{ io.Reader }{strings.NewReader(`"` + strings.Repeat("x", 2000) + `"`)}
	if got := send(t, http.MethodPost, d.url+"/v1/soc/small", token, chunked); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("answered %+v", got)
	}
}

func TestARateBeyondTheSourcesIsAskedToWait(t *testing.T) {
	d := start(t, stream.Options{})
	if got := d.post(t, "slow", map[string]string{"Authorization": "Bearer x"}, "{}"); got.status != 401 {
		t.Fatalf("answered %+v", got) // and does not count
	}
	first, second, other := d.post(t, "slow", token, "{}"), d.post(t, "slow", token, "{}"), d.post(t, "falco", token, "{}")
	if first.status != 202 || second.status != 429 || second.header.Get("Retry-After") != "60" || other.status != 202 {
		t.Errorf("answered %+v, %+v, and another Source %+v", first, second, other)
	}
}

func TestAFullStreamIsSaid(t *testing.T) {
	d := start(t, stream.Options{MaxBytes: 64 << 10})
	body := `"` + strings.Repeat("x", 20<<10) + `"`
	var got answered
	for range 10 {
		if got = d.post(t, "falco", token, body); got.status != 202 {
			break
		}
	}
	if got.status != 503 || got.header.Get("Retry-After") != "30" || !strings.Contains(got.body, "stream is full") {
		t.Errorf("answered %+v", got)
	}
}

func TestAStreamThatIsGoneKeepsNothingAndIsNotReady(t *testing.T) {
	d := start(t, stream.Options{})
	if got := send(t, http.MethodGet, d.url+"/readyz", nil, nil); got.status != 200 {
		t.Errorf("ready answers %+v", got)
	}
	if err := d.stream.Close(); err != nil {
		t.Fatal(err)
	}
	got, ready, health := d.post(t, "falco", token, "{}"), send(t, http.MethodGet, d.url+"/readyz", nil, nil), send(t, http.MethodGet, d.url+"/healthz", nil, nil)
	if got.status != 503 || got.header.Get("Retry-After") == "" || ready.status != 503 || health.status != 200 {
		t.Errorf("answered %+v, ready %+v, health %+v", got, ready, health)
	}
}

// held is a stream that keeps a payload only when told to.
type held struct {
	entered, proceed chan struct{}
}

func (h held) Publish(context.Context, ingest.Envelope) (ingest.Kept, error) {
	h.entered <- struct{}{}
	<-h.proceed
	return ingest.Kept{}, nil
}

func (held) Ready(context.Context) error { return nil }

func TestARequestUnderWayIsAnsweredWhenTheGatewayStops(t *testing.T) {
	h := held{entered: make(chan struct{}), proceed: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served, status := make(chan error, 1), make(chan int, 1)
	go func() {
		served <- gateway.New(gateway.Options{Sources: everySource, Secrets: secrets{}, Stream: h}).Serve(ctx, listener)
	}()
	go func() {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String()+"/v1/soc/falco", bytes.NewReader([]byte("{}")))
		request.Header.Set("Authorization", "Bearer "+secret)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			status <- 0
			return
		}
		_ = response.Body.Close()
		status <- response.StatusCode
	}()
	<-h.entered
	select {
	case got := <-status:
		t.Fatalf("answered %d before the payload was kept", got)
	default:
	}
	cancel()
	close(h.proceed)
	if got, err := <-status, <-served; got != http.StatusAccepted || err != nil {
		t.Errorf("answered %d, and the gateway ended with %v", got, err)
	}
}
