// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// connector runs a test of a Connector: what one operation sends, and what is made of the answers.
func (c *checker) connector(ctx context.Context, catalog *Catalog, name string, t connectorTest) {
	tool, declared, object, err := catalog.tool(name + "/" + t.Given.Operation)
	if c.failed(err) {
		return
	}
	rehearser, ok := tool.(Rehearser)
	if !ok {
		c.fail("connector %s is of a kind whose requests cannot be rendered: only http connectors are tested so", object.Name)
		return
	}
	input, err := plain(t.Given.Input)
	if c.failed(err) {
		return
	}
	values, _ := input.(map[string]any)
	answers := t.Given.Answers
	if t.Given.Answer != nil {
		answers = append(answers, *t.Given.Answer)
	}
	n := 0
	done, err := rehearser.Rehearse(ctx, connector.Request{Operation: t.Given.Operation, Input: values}, func(Request) Reply {
		given := reply{Status: 200}
		if len(answers) > 0 {
			given = answers[min(n, len(answers)-1)]
		}
		n++
		answer, err := given.asReply()
		c.failed(err)
		return answer
	})
	for _, r := range done.Requests {
		c.trace("sent    %s %s%s %s", r.Method, r.Path, query(r.RawQuery), r.Body)
	}
	if done.Result != nil {
		c.trace("result  %s %s %s", done.Result.Outcome, done.Result.Reason, done.Result.Message)
	}
	switch want := t.Expect.Error; {
	case want == nil:
		c.failed(err)
	case err == nil:
		c.fail("error: expected one that says %q, came none", *want)
	case !strings.Contains(err.Error(), *want):
		c.fail("error: expected one that says %q, came %q", *want, err)
	}
	c.requests(t, declared, done.Requests)
	c.outcome(t, done)
}

// requests holds what was sent up to what the test expects.
func (c *checker) requests(t connectorTest, declared connector.Operation, sent []Request) {
	if want := t.Expect.Request; want != nil {
		found := false
		for _, r := range sent {
			if r.Operation == declared.Name {
				c.request("request", *want, r)
				found = true
				break
			}
		}
		if !found {
			c.fail("request: expected one of %s, came none", declared.Name)
		}
	}
	if t.Expect.Requests == nil {
		return
	}
	if want, got := len(*t.Expect.Requests), len(sent); want != got {
		c.fail("requests: expected %d, came %d", want, got)
		return
	}
	for i, want := range *t.Expect.Requests {
		c.request(fmt.Sprintf("requests[%d]", i), want, sent[i])
	}
}

func (c *checker) request(what string, want requestExpected, got Request) {
	text(c, what+".method", want.Method, got.Method)
	text(c, what+".path", want.Path, got.Path)
	if want.Query != nil {
		values, err := url.ParseQuery(got.RawQuery)
		c.failed(err)
		came := map[string]string{}
		for name := range values {
			came[name] = values.Get(name)
		}
		c.pairs(what+".query", want.Query, came)
		for _, name := range sorted(came) {
			if _, expected := want.Query[name]; !expected {
				c.fail("%s.%s: expected none, came %s", what+".query", name, came[name])
			}
		}
	}
	lower := map[string]string{}
	for name, value := range got.Headers {
		lower[strings.ToLower(name)] = value
	}
	for _, name := range sorted(want.Headers) {
		c.pairs(what+".headers", map[string]string{strings.ToLower(name): want.Headers[name]}, lower)
	}
	if want.Body == nil {
		return
	}
	var body any
	if err := json.Unmarshal(got.Body, &body); err != nil {
		body = string(got.Body)
	}
	expected, err := plain(want.Body)
	c.failed(err)
	for _, d := range differences("", expected, body) {
		c.fail("%s.body %s", what, d)
	}
}

func (c *checker) pairs(what string, want, got map[string]string) {
	for _, name := range sorted(want) {
		if want[name] != got[name] {
			c.fail("%s.%s: expected %s, came %s", what, name, shown(want[name]), shown(got[name]))
		}
	}
}

// outcome holds what was made of the answers up to what the test expects. Where nothing was sent because it was so
// already, the outcome is NotNeeded; where there is no target, Gone.
func (c *checker) outcome(t connectorTest, done Rehearsed) {
	if t.Expect.Output != nil {
		want, err := plain(t.Expect.Output)
		c.failed(err)
		got, err := plain(done.Output)
		c.failed(err)
		for _, d := range differences("output", want, got) {
			c.fail("%s", d)
		}
	}
	text(c, "target", t.Expect.Target, done.Target.Name)
	outcome, reason := v1alpha1.AttemptOutcome(""), ""
	switch {
	case done.Result != nil:
		outcome, reason = done.Result.Outcome, done.Result.Reason
	case done.Before != nil && done.Before.Desired:
		outcome = "NotNeeded"
	case done.Before != nil && done.Before.Gone:
		outcome = "Gone"
	}
	text(c, "outcome", t.Expect.Outcome, outcome)
	text(c, "reason", t.Expect.Reason, reason)
	if t.Expect.Verified != nil {
		if verified := done.After != nil && done.After.Desired; verified != *t.Expect.Verified {
			c.fail("verified: expected %v, came %v", *t.Expect.Verified, verified)
		}
	}
}
