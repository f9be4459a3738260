// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// echoed is what the server saw.
type echoed struct {
	Method, URI, Proto, Body string
	Header                   http.Header
}

func decode(t *testing.T, in *incoming) echoed {
	t.Helper()
	var out echoed
	if err := json.Unmarshal(in.Body, &out); err != nil {
		t.Fatalf("the answer is no longer JSON: %v: %s", err, in.Body)
	}
	return out
}

func TestExchangeSendsWhatItIsTold(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	w := newWorld(t, server.URL+"/scim%2Fv2/")
	w.spec.Headers = []v1alpha1.HTTPField{{Name: "x-tenant", Value: "acme"}, {Name: "X-Both", Value: "connector"}}
	out := outgoing{
		Method: http.MethodPatch, Target: "/Users/a%2Fb%20c%3Fd//e?filter=userName%20eq%20%22ana%22&x=%26&y=a+b", Body: []byte(`{"a":"\u0000"}`),
		Header: http.Header{"Content-Type": {"application/scim+json"}, "X-Both": {"operation"}, "Authorization": {"Basic forged"}},
	}
	in := w.answered(out)
	got := decode(t, in)
	if got.Method != out.Method || got.URI != "/scim%2Fv2"+out.Target || got.Body != string(out.Body) {
		t.Errorf("the server saw %s %s with %q", got.Method, got.URI, got.Body)
	}
	want := http.Header{
		"Content-Type": {"application/scim+json"}, "X-Tenant": {"acme"}, "X-Both": {"operation"}, "Authorization": {"Bearer [secret]"},
		"User-Agent": {"casebook"}, "Accept-Encoding": {"gzip"}, "Content-Length": {"14"}, "Connection": {"close"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Error(diff)
	}
	if in.Status != http.StatusOK || in.Header.Get("X-Echo") != "Bearer [secret]" {
		t.Errorf("the answer is %d with %v", in.Status, in.Header)
	}
}

// TestExchangeRedactsNames has a target that makes names of what it was sent, which net/http brings into the form that it
// likes: my-secret becomes My-Secret.
func TestExchangeRedactsNames(t *testing.T) {
	const secret = "my-secret-token"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()[secret] = []string{"1"}
		w.Header()[base64.RawStdEncoding.EncodeToString([]byte(secret))] = []string{"2"}
		w.Header()["x-"+secret] = []string{"3"}
	}))
	defer server.Close()
	w := newWorld(t, server.URL)
	w.secrets.set("tool/token", secret)
	in, failure := w.exchange(outgoing{Method: "GET", Target: "/"})
	if failure != nil {
		t.Fatal(failure)
	}
	for _, name := range []string{"Date", "Content-Length", "Connection"} {
		in.Header.Del(name)
	}
	if diff := cmp.Diff(http.Header{"[secret]": {"2", "1"}, "X-[secret]": {"3"}}, in.Header); diff != "" {
		t.Error(diff)
	}
}

func TestExchangeRefusesWhatItWouldSendOtherwise(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	defer server.Close()
	w := newWorld(t, server.URL+"/v1")
	tests := map[string]outgoing{
		"a header with a line end":         {Method: "GET", Target: "/", Header: http.Header{"X-A": {"a\r\nX-B: b"}}},
		"a header with NUL":                {Method: "GET", Target: "/", Header: http.Header{"X-A": {"a\x00"}}},
		"a name with a space":              {Method: "GET", Target: "/", Header: http.Header{"X A": {"a"}}},
		"a host":                           {Method: "GET", Target: "/", Header: http.Header{"host": {"elsewhere"}}},
		"a length":                         {Method: "POST", Target: "/", Header: http.Header{"content-length": {"0"}}},
		"a way to transfer":                {Method: "POST", Target: "/", Header: http.Header{"Transfer-Encoding": {"chunked"}}},
		"an upgrade":                       {Method: "GET", Target: "/", Header: http.Header{"Upgrade": {"websocket"}}},
		"a path that leads up":             {Method: "GET", Target: "/users/../admin"},
		"a path that leads up, escaped":    {Method: "GET", Target: "/users/%2E%2e/admin"},
		"a path that leads nowhere":        {Method: "GET", Target: "/users/./x"},
		"a path that leads up at its end":  {Method: "GET", Target: "/users/..?x=1"},
		"half an escape":                   {Method: "GET", Target: "/users/%2"},
		"a space":                          {Method: "GET", Target: "/users/a b"},
		"a line end":                       {Method: "GET", Target: "/users/a\r\nX: y"},
		"a line end in the query":          {Method: "GET", Target: "/users?a=b\r\nX: y"},
		"a space in the query":             {Method: "GET", Target: "/users?a= HTTP/1.1"},
		"what is not ASCII":                {Method: "GET", Target: "/users/ä"},
		"a fragment":                       {Method: "GET", Target: "/users#a"},
		"no path":                          {Method: "GET", Target: "users"},
		"another host":                     {Method: "GET", Target: "@elsewhere/"},
		"nothing":                          {Method: "GET"},
		"a method with more than its name": {Method: "GET / HTTP/1.1\r\nX:", Target: "/"},
		"no method":                        {Target: "/"},
	}
	for name, out := range tests {
		t.Run(name, func(t *testing.T) {
			w.t = t
			_, failure := w.exchange(out)
			if failure == nil || failure.Outcome != v1alpha1.OutcomeRefused || failure.Reason != connector.InvalidInputReason {
				t.Errorf("exchange = %+v, want a refusal of the input", failure)
			}
		})
	}
}

func TestExchangeSpeaksTLS(t *testing.T) {
	tests := map[string]struct {
		http2 bool
		proto string
	}{
		"HTTP/1.1": {proto: "HTTP/1.1"},
		"HTTP/2":   {http2: true, proto: "HTTP/2.0"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
			server.EnableHTTP2 = tc.http2
			server.StartTLS()
			defer server.Close()
			w := newWorld(t, server.URL)
			w.spec.TLS = &v1alpha1.HTTPTLS{CABundle: pemOf(server), ServerName: "example.com"}
			for _, out := range []outgoing{get, post, remove} {
				if got := decode(t, w.answered(out)); got.Proto != tc.proto || got.Method != out.Method || got.Body != string(out.Body) {
					t.Errorf("the server saw %+v", got)
				}
			}
		})
	}
}

func TestExchangeTakesAnAnswerForWhatItIs(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	compressed := func(text string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			zip := gzip.NewWriter(rw)
			_, _ = zip.Write([]byte(text))
			_ = zip.Close()
		}
	}
	redirect := func(status int) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, elsewhere.URL, status) }
	}
	tests := map[string]struct {
		answer http.HandlerFunc
		out    outgoing
		status int
		body   string
	}{
		"an error of the server":  {answer: status(500, "oops"), out: post, status: 500, body: "oops"},
		"a conflict":              {answer: status(409, "{}"), out: post, status: 409, body: "{}"},
		"nothing":                 {answer: status(204, ""), out: remove, status: 204},
		"a redirect of a read":    {answer: redirect(302), out: get, status: 302, body: `<a href="` + elsewhere.URL + `">Found</a>.` + "\n\n"},
		"a redirect of a change":  {answer: redirect(307), out: post, status: 307},
		"what was compressed":     {answer: compressed("plain"), out: get, status: 200, body: "plain"},
		"a secret, compressed":    {answer: compressed("a " + canary), out: get, status: 200, body: "a [secret]"},
		"compressed as much":      {answer: compressed(strings.Repeat("a", 64<<10)), out: get, status: 200, body: strings.Repeat("a", 64<<10)},
		"as much as there may be": {answer: status(200, strings.Repeat("a", 64<<10)), out: post, status: 200, body: strings.Repeat("a", 64<<10)},
		"a hint before the answer": {answer: func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusEarlyHints)
			_, _ = rw.Write([]byte("late"))
		}, out: post, status: 200, body: "late"},
		"no body that is compressed": {answer: func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
		}, out: get, status: 200},
		"a head": {answer: func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "br")
			rw.Header().Set("Content-Length", "5")
		}, out: outgoing{Method: http.MethodHead, Target: "/", Read: true}, status: 200},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			requests := &seen{}
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				requests.add(r)
				http.SetCookie(rw, &http.Cookie{Name: "session", Value: "opaque"})
				tc.answer(rw, r)
			}))
			defer server.Close()
			w := newWorld(t, server.URL)
			in := w.answered(tc.out)
			if in.Status != tc.status || string(in.Body) != tc.body {
				t.Errorf("the answer is %d %.100q", in.Status, in.Body)
			}
			if requests.count() != 1 || in.Header.Get("Set-Cookie") != "" {
				t.Errorf("%d requests arrived, the header is %v", requests.count(), in.Header)
			}
		})
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(code)
		_, _ = rw.Write([]byte(body))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := map[string]struct {
		header, date string
		want         time.Duration
	}{
		"seconds":                          {header: "7", want: 7 * time.Second},
		"more than an hour":                {header: "86400", want: time.Hour},
		"more than fits":                   {header: "9223372036854775807", want: time.Hour},
		"more than any number holds":       {header: strings.Repeat("9", 400), want: time.Hour},
		"a date":                           {header: date(30 * time.Second), want: 30 * time.Second},
		"a date far away":                  {header: date(300 * time.Hour), want: time.Hour},
		"a date gone by":                   {header: date(-time.Second)},
		"a date of a server an hour ahead": {header: date(time.Hour + time.Minute), date: date(time.Hour), want: time.Minute},
		"none":                             {},
		"a negative number":                {header: "-1"},
		"nonsense":                         {header: "soon"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := retryAfter(http.Header{"Retry-After": {tc.header}, "Date": {tc.date}}, now); got != tc.want {
				t.Errorf("retryAfter = %s, want %s", got, tc.want)
			}
		})
	}
}

// TestExchangesAtOnce is for the race detector: one endpoint, many callers.
func TestExchangesAtOnce(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	w := newWorld(t, server.URL)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if in, failure := w.endpoint().exchange(t.Context(), get); failure != nil || in.Status != http.StatusOK {
				t.Errorf("exchange = %v, %v", in, failure)
			}
		})
	}
	all.Wait()
}
