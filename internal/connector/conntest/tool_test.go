// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package conntest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/conntest"
	"github.com/casebook-dev/casebook/internal/fault"
)

// block is a blocklist behind HTTP: an entry has an owner and counts how often it was added.
type block struct {
	mu        sync.Mutex
	entry     string // id of the one thing that may be blocked
	owner     string // who blocked it; empty: nobody
	added     int
	keys      map[string]bool
	forbidden bool
}

type view struct {
	Entry, Owner string
}

// ServeHTTP answers GET, and POST of a change with the wanted owner, the entry's
// id, and the owner it takes over from.
func (b *block) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forbidden {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPost {
		var change struct{ Entry, Owner, From, Key string }
		if json.NewDecoder(r.Body).Decode(&change) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if change.Entry != b.entry {
			w.WriteHeader(http.StatusGone)
			return
		}
		if b.owner != change.From && b.owner != change.Owner && !b.keys[change.Key] {
			w.WriteHeader(http.StatusConflict)
			return
		}
		if !b.keys[change.Key] {
			b.owner, b.added = change.Owner, b.added+1
		}
		if change.Key != "" {
			b.keys[change.Key] = true
		}
	}
	_ = json.NewEncoder(w).Encode(view{b.entry, b.owner})
}

func (b *block) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *block) get() (entry, owner string, added int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entry, b.owner, b.added
}

// tool is a connector to it, with ways to be wrong.
type tool struct {
	url       string
	client    *http.Client
	semantics v1alpha1.Semantics
	flaws     map[string]bool
}

func (c *tool) Operations() []connector.Operation {
	inputs := []connector.Input{{Name: "entry", Type: connector.StringInput, Required: true}}
	return []connector.Operation{
		{Name: "add", Effect: v1alpha1.EffectReversible, Semantics: c.semantics, Rollback: "drop", TargetType: "Entry", Inputs: inputs},
		{Name: "drop", Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent, Rollback: "add", TargetType: "Entry", Inputs: inputs},
	}
}

func (c *tool) Target(operation string, input map[string]any) (v1alpha1.Target, error) {
	declared, err := connector.FindMutation(c.Operations(), operation)
	if err != nil {
		return v1alpha1.Target{}, err
	}
	entry := connector.String(input, "entry")
	return v1alpha1.Target{Type: "Entry", Name: entry}, declared.CheckInput(input)
}

func (c *tool) Read(context.Context, string, map[string]any) (any, error) {
	return nil, errors.New("no reads")
}

func (c *tool) Probe(context.Context) error { return nil }

func (c *tool) Before(ctx context.Context, r connector.Request) (connector.Observation, error) {
	var now view
	if err := c.exchange(ctx, http.MethodGet, nil, &now); err != nil {
		return connector.Observation{}, err
	}
	wanted, from := owners(r)
	return connector.Observation{
		Gone: now.Entry != r.Target.Name, Desired: now.Entry == r.Target.Name && now.Owner == wanted,
		AsLeft: now.Owner == from || now.Owner == wanted, Message: fmt.Sprintf("%+v", now),
	}, nil
}

func (c *tool) Verify(ctx context.Context, r connector.Request) (connector.Observation, error) {
	if c.flaws["believes its own answers"] {
		return connector.Observation{Desired: true}, nil
	}
	return c.Before(ctx, r)
}

// owners are the owner that an operation leaves, and the one it takes over from.
func owners(r connector.Request) (wanted, from string) {
	if r.Operation == "drop" {
		return "", r.Mark
	}
	return r.Mark, ""
}

func (c *tool) Do(ctx context.Context, r connector.Request) connector.Result {
	target, err := c.Target(r.Operation, r.Input)
	if (err != nil || target != r.Target) && !c.flaws["sends what is wrong"] {
		return connector.Result{Outcome: v1alpha1.OutcomeRefused, Reason: connector.InvalidInputReason, Message: "another target"}
	}
	wanted, from := owners(r)
	change := map[string]string{"entry": r.Target.Name, "owner": wanted, "from": from}
	if c.semantics == v1alpha1.Keyed && !c.flaws["forgets the key"] {
		change["key"] = r.Operation + r.Key
	}
	if c.flaws["overwrites a rival"] {
		var now view
		if c.exchange(ctx, http.MethodGet, nil, &now) == nil {
			change["from"] = now.Owner
		}
	}
	err = c.exchange(ctx, http.MethodPost, change, &view{})
	if err != nil && c.flaws["tries again"] {
		err = c.exchange(ctx, http.MethodPost, change, &view{})
	}
	return c.classify(err)
}

// status is an answer that is not 200.
type status int

func (s status) Error() string { return "status " + strconv.Itoa(int(s)) }

func (c *tool) classify(err error) connector.Result {
	code, answered := errors.AsType[status](err)
	failed := func(outcome v1alpha1.AttemptOutcome, reason string) connector.Result {
		return connector.Result{Outcome: outcome, Reason: reason, Message: err.Error()}
	}
	var network interface{ Timeout() bool }
	switch {
	case err == nil:
		return connector.Result{Outcome: v1alpha1.OutcomeAcknowledged}
	case code == http.StatusForbidden:
		return failed(v1alpha1.OutcomeRefused, v1alpha1.TargetForbiddenReason)
	case code == http.StatusGone:
		return failed(v1alpha1.OutcomeRefused, v1alpha1.TargetReplacedReason)
	case code == http.StatusConflict:
		return failed(v1alpha1.OutcomeRefused, v1alpha1.TargetChangedReason)
	case answered && code < 500:
		return failed(v1alpha1.OutcomeRefused, v1alpha1.RefusedReason)
	case errors.Is(err, errUnsent):
		return failed(v1alpha1.OutcomeNotSent, connector.UnreachableReason)
	case c.flaws["takes doubt for failure"]:
		return failed(v1alpha1.OutcomeRefused, v1alpha1.RefusedReason)
	case errors.As(err, &network) && c.flaws["takes a lost answer for unsent"]:
		return failed(v1alpha1.OutcomeNotSent, connector.UnreachableReason)
	default:
		return failed(v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason)
	}
}

var errUnsent = errors.New("nothing was sent")

func (c *tool) exchange(ctx context.Context, method string, body any, into any) error {
	if ctx.Err() != nil {
		return errUnsent
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if dialFailed(err) {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	if err != nil {
		return err
	}
	raw, err = io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err != nil || closeErr != nil {
		return errors.Join(err, closeErr)
	}
	if response.StatusCode == http.StatusForbidden && method == http.MethodGet {
		return fault.Terminalf(v1alpha1.TargetForbiddenReason, "forbidden")
	}
	if response.StatusCode != http.StatusOK {
		return status(response.StatusCode)
	}
	if c.flaws["believes any 200"] {
		_ = json.Unmarshal(raw, into)
		return nil
	}
	return json.Unmarshal(raw, into)
}

// subject makes fixtures of the tool with the given semantics and flaws.
func subject(semantics v1alpha1.Semantics, flaws ...string) conntest.Subject {
	wrong := map[string]bool{}
	for _, flaw := range flaws {
		wrong[flaw] = true
	}
	return conntest.Subject{Operation: "add", New: func(tb testing.TB) *conntest.Fixture {
		target := &block{entry: "203.0.113.9", keys: map[string]bool{}}
		server := httptest.NewServer(target)
		tb.Cleanup(server.Close)
		wire := &conntest.Wire{}
		conn := &tool{url: server.URL, client: &http.Client{Transport: wire.Wrap(server.Client().Transport)}, semantics: semantics, flaws: wrong}
		return fixtureOf(conn, target, wire)
	}}
}
