// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package conntest_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/conntest"
)

func dialFailed(err error) bool {
	operation, ok := errors.AsType[*net.OpError](err)
	return ok && operation.Op == "dial"
}

func fixtureOf(conn *tool, target *block, wire *conntest.Wire) *conntest.Fixture {
	const mine = "ph-1-block"
	input := map[string]any{"entry": "203.0.113.9"}
	return &conntest.Fixture{
		Connector: conn, Wire: wire,
		Request: connector.Request{Operation: "add", Input: input, Target: v1alpha1.Target{Type: "Entry", Name: "203.0.113.9"}, Mark: mine, Key: "k"},
		Holds: func() bool {
			entry, owner, _ := target.get()
			return entry == "203.0.113.9" && owner == mine
		},
		Effects: func() int {
			_, _, added := target.get()
			return added
		},
		Forbid: func() { target.set(func() { target.forbidden = true }) },
		Replace: func() func() error {
			target.set(func() { target.entry, target.owner = "other", "" })
			return func() error { return ownerIs(target, "") }
		},
		Rival: func() func() error {
			target.set(func() { target.owner = "rival" })
			return func() error { return ownerIs(target, "rival") }
		},
	}
}

func ownerIs(target *block, want string) error {
	if _, owner, _ := target.get(); owner != want {
		return fmt.Errorf("the owner is %q, want %q", owner, want)
	}
	return nil
}

func TestRunPassesAnHonestConnector(t *testing.T) {
	t.Run("idempotent", func(t *testing.T) { conntest.Run(t, subject(v1alpha1.Idempotent)) })
	t.Run("keyed", func(t *testing.T) { conntest.Run(t, subject(v1alpha1.Keyed)) })
	t.Run("read back", func(t *testing.T) { conntest.Run(t, subject(v1alpha1.ReadBack)) })
	t.Run("at most once", func(t *testing.T) { conntest.Run(t, subject(v1alpha1.AtMostOnce)) })
}

func TestCheckFindsEveryLie(t *testing.T) {
	tests := map[string]struct {
		subject conntest.Subject
		breaks  string // a scenario that must be among the broken
	}{
		"a lost answer taken for failure":      {subject(v1alpha1.Idempotent, "takes doubt for failure"), "an answer lost after the effect is doubt"},
		"a server error taken for failure":     {subject(v1alpha1.Idempotent, "takes doubt for failure"), "a server error after the effect is doubt and repeats nothing"},
		"a lost answer taken for unsent":       {subject(v1alpha1.Idempotent, "takes a lost answer for unsent"), "a deadline that passes after the send is doubt"},
		"a delayed write taken for unsent":     {subject(v1alpha1.Idempotent, "takes a lost answer for unsent"), "a write that arrives after it was given up has one effect"},
		"a retry inside Do":                    {subject(v1alpha1.Keyed, "tries again"), "an answer lost after the effect is doubt"},
		"half a document taken for an answer":  {subject(v1alpha1.Idempotent, "believes any 200"), "an unreadable answer after the effect is doubt"},
		"keyed without sending the key":        {subject(v1alpha1.Keyed, "forgets the key"), "a write that arrives twice has one effect"},
		"a read-back that reads nothing":       {subject(v1alpha1.Idempotent, "believes its own answers"), "it does what it says and sees that it did"},
		"a rival's value overwritten":          {subject(v1alpha1.Idempotent, "overwrites a rival"), "a rival's change is kept, and seen"},
		"a rollback that takes back a rival's": {subject(v1alpha1.Idempotent, "overwrites a rival"), "a rival's change afterwards is seen, and not rolled back"},
		"a request that contradicts itself":    {subject(v1alpha1.Idempotent, "sends what is wrong"), "its declaration is whole and bad requests are refused unsent"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			broken := conntest.Check(t.Context(), t, tc.subject)
			if broken[tc.breaks] == nil {
				var names []string
				for name := range broken {
					names = append(names, name)
				}
				slices.Sort(names)
				t.Errorf("broken: %q, want %q among them", names, tc.breaks)
			}
		})
	}
}
