// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"net/http"
	"os"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// load reads a Connector of testdata.
func load(tb testing.TB, name string) *v1alpha1.Connector {
	tb.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".yaml")
	if err != nil {
		tb.Fatal(err)
	}
	return parse(tb, string(raw))
}

func parse(tb testing.TB, source string) *v1alpha1.Connector {
	tb.Helper()
	object := &v1alpha1.Connector{}
	if err := yaml.UnmarshalStrict([]byte(source), object); err != nil {
		tb.Fatal(err)
	}
	return object
}

// operations makes a Connector of operations alone.
func operations(tb testing.TB, source string) *v1alpha1.Connector {
	tb.Helper()
	object := parse(tb, "spec: {http: {baseURL: https://tool.example.com}}")
	if err := yaml.UnmarshalStrict([]byte(source), &object.Spec.Operations); err != nil {
		tb.Fatal(err)
	}
	object.Name = "tool"
	return object
}

// reply is one answer that is written in a test.
type reply struct {
	status int
	body   string
	kind   string // of the body; JSON if empty
}

// inTurn gives the answers one after another, and the last one again.
func inTurn(replies ...reply) Answers {
	next := 0
	return func(Sent) (int, http.Header, []byte) {
		if len(replies) == 0 {
			return 0, nil, nil
		}
		r := replies[min(next, len(replies)-1)]
		next++
		kind := r.kind
		if kind == "" {
			kind = "application/scim+json"
		}
		return r.status, http.Header{"content-type": {kind}}, []byte(r.body)
	}
}

func ask(operation string, input map[string]any) connector.Request {
	return connector.Request{Operation: operation, Input: input}
}

const (
	anaActive    = `{"totalResults":1,"Resources":[{"id":"2819","userName":"ana@example.com","active":true,"meta":{"version":"W/\"1\""}}]}`
	anaSuspended = `{"totalResults":1,"Resources":[{"id":"2819","userName":"ana@example.com","active":false,"meta":{"version":"W/\"2\""}}]}`
	nobody       = `{"totalResults":0}`
	anaTwice     = `{"totalResults":2,"Resources":[{"id":"1","active":true},{"id":"2","active":true}]}`
	notReplaced  = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"412","detail":"Failed to update. Resource has changed on the server."}`
)

var ana = map[string]any{"user": "ana@example.com"}
