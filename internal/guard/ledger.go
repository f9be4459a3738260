// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"slices"
	"sync"
	"time"
)

// Ledger reserves budgets for actions that are about to begin. Between the decision that
// an action may begin and the moment when the API lists it as begun others are decided,
// and must not take the same place: what this process reserved counts as begun from the
// moment of the reservation.
//
// One Ledger serves all namespaces of a process, each counted for itself; the zero Ledger
// is empty and ready, and safe for concurrent use. It holds what one process reserved: a
// process that starts must read live what others announced before it reserves.
type Ledger struct {
	mu       sync.Mutex
	reserved map[string]map[string]Usage // by namespace and uid of the action
}

// Reserve takes a place in every budget of some policies for an action that begins
// unattended now, and tells whether all of them had one; if not, nothing is taken. Next
// is the action, with now as its time, and listed what the API lists as begun in its
// namespace, as for [Policy.Budgets]. The states are those of before.
//
// Call it right before the fence. A repeat for the same action takes no second place; it
// moves the one it has on to the new time, if all budgets have one there. An action that is
// listed has its place and keeps it.
func (l *Ledger) Reserve(namespace string, next Usage, policies []*Policy, listed []Usage) (states []BudgetState, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(next.BeganTime)
	others := l.union(namespace, next.Action, listed)
	ok = true
	for _, p := range policies {
		for _, state := range p.Budgets(next.Operation, next.BeganTime, others, next.Action) {
			ok = ok && !state.Over()
			states = append(states, state)
		}
	}
	if ok {
		l.note(namespace, next)
	}
	return states, ok
}

// Note counts an action that begins because people approved it, whatever the budgets say.
func (l *Ledger) Note(namespace string, next Usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(next.BeganTime)
	l.note(namespace, next)
}

// Release gives up the place of an action that ended before any attempt of it was
// announced. Where an announcement may have been stored, the place must stay.
func (l *Ledger) Release(namespace, action string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.reserved[namespace], action)
	if len(l.reserved[namespace]) == 0 {
		delete(l.reserved, namespace)
	}
}

// Usage is what counts as begun in a namespace when an action is judged: what the API
// lists, and what was reserved for others and is not listed yet.
func (l *Ledger) Usage(namespace, action string, listed []Usage) []Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.union(namespace, action, listed)
}

func (l *Ledger) union(namespace, but string, listed []Usage) []Usage {
	seen := make(map[string]bool, len(listed))
	for _, u := range listed {
		seen[u.Action] = true
	}
	out := slices.Clone(listed)
	for uid, u := range l.reserved[namespace] {
		if uid != but && !seen[uid] {
			out = append(out, u)
		}
	}
	return out
}

func (l *Ledger) note(namespace string, next Usage) {
	if l.reserved == nil {
		l.reserved = map[string]map[string]Usage{}
	}
	if l.reserved[namespace] == nil {
		l.reserved[namespace] = map[string]Usage{}
	}
	// A clock that was set back moves no place: it may have been announced for then.
	if was, ok := l.reserved[namespace][next.Action]; !ok || next.BeganTime.After(was.BeganTime) {
		l.reserved[namespace][next.Action] = next
	}
}

// forget drops what no budget counts any more.
func (l *Ledger) forget(now time.Time) {
	for namespace, reserved := range l.reserved {
		for uid, u := range reserved {
			if !u.BeganTime.After(now.Add(-maxWindow)) {
				delete(reserved, uid)
			}
		}
		if len(reserved) == 0 {
			delete(l.reserved, namespace)
		}
	}
}
