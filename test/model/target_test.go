// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "github.com/casebook-dev/casebook/api/v1alpha1"

// network is what may become of the requests of an action.
func (m *model) network(s state, o int) {
	for n := uint8(1); n <= m.attempts[o]; n++ {
		switch s.wire[o][n] {
		case awaited:
			m.exchange(s, o, n)
		case abandoned, due:
			lost := s
			lost.wire[o][n] = over
			m.add(lost, "the network drops attempt", -1, o, n)
			m.add(m.arrive(lost, o, n), "late arrives attempt", -1, o, n)
		}
	}
}

// exchange is what may become of a request whose sender waits.
func (m *model) exchange(s state, o int, n uint8) {
	k := 0
	if h := s.replica[1].hand[o]; h.doing == waiting && h.number == n {
		k = 1
	}
	gone := s
	gone.wire[o][n] = over
	done := m.arrive(gone, o, n)
	reads := []sight{unread}
	if m.verifiable[o] {
		reads = append(reads, m.sees(done, o)...)
	}
	for _, read := range reads {
		m.add(m.hear(done, k, o, acknowledged, read), "is told that it is done: attempt", k, o, n)
	}
	if s.env.refusals < m.refusals {
		c := gone
		c.env.refusals++
		m.add(m.hear(c, k, o, refused, unread), "is refused attempt", k, o, n)
	}
	if s.env.losses >= m.losses {
		return
	}
	s.env.losses++
	done.env.losses++
	gone.env.losses++
	s.wire[o][n] = abandoned
	m.add(m.hear(s, k, o, inDoubt, unread), "gives up waiting for attempt", k, o, n)
	m.add(m.hear(done, k, o, inDoubt, unread), "never hears that it is done: attempt", k, o, n)
	m.add(m.hear(gone, k, o, inDoubt, unread), "never hears, for it is lost, of attempt", k, o, n)
}

// arrive has a request do what it says.
func (m *model) arrive(s state, o int, n uint8) state {
	if s.told[o]&(1<<n) == 0 {
		s.bad = unannounced
	}
	t := &s.target
	before := *t
	switch {
	case o == rollback:
		t.on, t.things = off, 0
	case m.semantics == v1alpha1.Idempotent:
		if t.on == off {
			t.on = onByAction
		}
	case m.semantics == v1alpha1.Keyed:
		if !t.key || m.keyOfAttempt {
			t.things, t.key = t.things+1, true
		}
	default:
		t.things++
	}
	if t.on == before.on && t.things == before.things {
		return s
	}
	t.effect[o], t.stands[o], t.stands[1-o] = true, true, false
	t.hidden = m.showsLate && o == forward
	if t.things > 1 {
		t.things, s.bad = 2, twice
	}
	if state := m.known[s.stored[rollback]].State; o == forward && s.bad == none && (state == v1alpha1.ActionSucceeded || state == v1alpha1.ActionNotNeeded) {
		s.bad = undone
	}
	return s
}

// sees are what a read of the target may show: how it is, or, of a target that shows late what it did, how it was. Of what
// cannot be read back it shows nothing.
func (m *model) sees(s state, o int) []sight {
	if !m.verifiable[o] {
		return []sight{absent}
	}
	if !s.target.hidden {
		return []sight{m.see(s.target, o)}
	}
	before := s.target
	before.on, before.things = off, 0
	return []sight{m.see(s.target, o), m.see(before, o)}
}

func (m *model) see(t target, o int) sight {
	there := t.on != off || t.things > 0
	switch {
	case o == forward && there, o == rollback && !there:
		return desired
	case o == rollback && (t.on == onByAction || t.things > 0):
		return asLeft
	default:
		return absent
	}
}

// rival is somebody else who changes the target.
func (m *model) rival(s state) {
	s.env.rivals++
	s.target.stands = [2]bool{}
	if t := s.target; t.on != off || t.things > 0 {
		c := s
		c.target.on, c.target.things = off, 0
		m.add(c, "a rival clears the target", -1, -1, 0)
	}
	if s.target.on != onByRival && m.semantics == v1alpha1.Idempotent {
		s.target.on = onByRival
		m.add(s, "a rival sets the target", -1, -1, 0)
	}
}

// judge gives the invariant that a state breaks.
func (m *model) judge(s state) violation {
	if s.bad != none {
		return s.bad
	}
	for o := range 2 {
		state := m.known[s.stored[o]].State
		switch state {
		case v1alpha1.ActionSucceeded:
			if !s.target.effect[o] && s.env.rivals == 0 {
				return empty
			}
		case v1alpha1.ActionFailed, v1alpha1.ActionDenied, v1alpha1.ActionExpired, v1alpha1.ActionNotNeeded:
			if s.target.stands[o] {
				return denies
			}
		}
		for _, r := range s.wire[o] {
			if m.strict && state.Ended() && r.flies() {
				return unquiet
			}
		}
	}
	return none
}
