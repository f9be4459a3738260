// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture"
	"github.com/casebook-dev/casebook/test/history"
)

// front stands before the API server and is the target of a process of its own: it sees all that the process asks for, and
// tells when the process is at a point where it is to die. It keeps the history.
type front struct {
	reached chan struct{} // the process is at the point, and waits

	mu     sync.Mutex
	log    history.Log
	stored map[string]*v1alpha1.Action // as last stored, by name
	things map[string]*thing
	armed  *armed
}

// armed is the point at which the process is to die.
type armed struct {
	point
	thing string
	dead  chan struct{} // closed when it is
}

// thing is what the tool's operations change.
type thing struct {
	On    bool     `json:"on"`
	Marks []string `json:"marks"`
	keys  map[string]bool
}

func newFront(t *testing.T) *front {
	t.Helper()
	return &front{
		reached: make(chan struct{}), log: history.Log{Now: time.Now},
		stored: map[string]*v1alpha1.Action{}, things: map[string]*thing{},
	}
}

// arm sets the next point, in the life of the action on a thing. The caller closes what it returns once the process is
// dead.
func (f *front) arm(thing string, at point) chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = &armed{point: at, thing: thing, dead: make(chan struct{})}
	return f.armed.dead
}

func (f *front) add(e history.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log.Add(e)
}

// die waits until the process is dead, if it is to die here: then nobody is there to be answered.
func (f *front) die(on string, at moment, after bool) {
	f.mu.Lock()
	a := f.armed
	if a == nil || a.thing != on || a.at != at || a.after != after {
		f.mu.Unlock()
		return
	}
	f.armed = nil
	f.mu.Unlock()
	f.reached <- struct{}{}
	<-a.dead
	panic(http.ErrAbortHandler)
}

// api passes requests on to the API server, as they are.
func (f *front) api(t *testing.T) http.Handler {
	t.Helper()
	config := fixture.Plane().Config()
	transport, err := rest.TransportFor(&rest.Config{Host: config.Host, TLSClientConfig: rest.TLSClientConfig{CAData: config.CAData}})
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, // watches come as they happen
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(server) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // the process is dead
		ErrorLog:     nil,
	}
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodGet || !strings.Contains(request.URL.Path, "/actions") {
			pass.ServeHTTP(answer, request)
			return
		}
		f.write(answer, request, pass)
	})
}

// write passes on what an action is made or changed with.
func (f *front) write(answer http.ResponseWriter, request *http.Request, pass http.Handler) {
	body, err := io.ReadAll(request.Body)
	var asked v1alpha1.Action
	if err != nil || json.Unmarshal(body, &asked) != nil {
		panic(http.ErrAbortHandler)
	}
	// What reached the API server may be stored although its sender is dead by then: it is seen through.
	request = request.WithContext(context.WithoutCancel(request.Context()))
	request.Body = io.NopCloser(bytes.NewReader(body))
	at := f.momentOf(request, &asked)
	f.die(asked.Spec.Target.Name, at, false)
	kept := &recorder{ResponseWriter: answer}
	pass.ServeHTTP(kept, request)
	f.store(kept, request)
	f.die(asked.Spec.Target.Name, at, true)
	answer.WriteHeader(kept.status)
	_, _ = answer.Write(kept.body.Bytes())
}

// momentOf is what the process is about to have done to an action.
func (f *front) momentOf(request *http.Request, a *v1alpha1.Action) moment {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := func(a *v1alpha1.Action) (out v1alpha1.Attempt) {
		if a != nil && len(a.Status.Attempts) > 0 {
			out = a.Status.Attempts[len(a.Status.Attempts)-1]
		}
		return out
	}
	was, is := last(f.stored[a.Name]), last(a)
	switch {
	case request.Method == http.MethodPost:
		return creating
	case is.Number > was.Number:
		return announcing
	case is.Outcome != "" && was.Outcome == "":
		return telling
	default:
		return ""
	}
}

// store adds to the history what the API server has stored.
func (f *front) store(kept *recorder, request *http.Request) {
	var is v1alpha1.Action
	if kept.status >= http.StatusMultipleChoices || json.Unmarshal(kept.body.Bytes(), &is) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.stored[is.Name]
	f.stored[is.Name] = &is
	if request.Method == http.MethodPost {
		e := history.IntentOf(&is)
		e.Verifiable = is.Spec.Semantics == v1alpha1.Idempotent || is.Spec.Semantics == v1alpha1.ReadBack
		f.log.Add(e)
		return
	}
	for _, e := range history.StatusOf(was, &is) {
		f.log.Add(e)
	}
}

// recorder keeps an answer of the API server back until it may be given.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// target is the tool: it keeps what its operations' semantics say, and nothing more.
func (f *front) target(answer http.ResponseWriter, request *http.Request) {
	name, operation, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/things/"), "/")
	if request.Method == http.MethodGet {
		f.read(answer, name)
		return
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	f.die(name, sending, false)
	f.do(name, operation, request.Header.Get("Idempotency-Key"), body)
	f.die(name, sending, true)
	answer.WriteHeader(http.StatusNoContent)
}

func (f *front) read(answer http.ResponseWriter, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.thing(name)
	for _, a := range f.stored {
		if a.Spec.Target.Name == name {
			f.log.Add(history.Event{Kind: history.Read, Action: a.Name, Desired: of.On || slices.Contains(of.Marks, a.Name)})
		}
	}
	answer.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(answer).Encode(of) // whoever asked may be dead
}

func (f *front) do(name, operation, key string, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.thing(name)
	effect := history.Event{Kind: history.Effect, Key: key, Target: name, Changed: true}
	f.log.Add(history.Event{Kind: history.Arrived, Key: key})
	switch operation {
	case "": // set
		effect.Changed, of.On = !of.On, true
	case "orders":
		if of.keys[key] {
			return
		}
		of.keys[key] = true
	case "files":
		var sent struct{ Mark string }
		if json.Unmarshal(body, &sent) != nil {
			return
		}
		of.Marks = append(of.Marks, sent.Mark)
	}
	f.log.Add(effect)
}

// thing is called with the lock held.
func (f *front) thing(name string) *thing {
	if f.things[name] == nil {
		f.things[name] = &thing{Marks: []string{}, keys: map[string]bool{}}
	}
	return f.things[name]
}

// String is the history, a line each.
func (f *front) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out strings.Builder
	for _, e := range f.log.Events() {
		raw, _ := json.Marshal(e)
		fmt.Fprintf(&out, "%s\n", raw)
	}
	return out.String()
}
