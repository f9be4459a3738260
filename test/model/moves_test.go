// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// bounds are how often what is not the protocol's doing may happen.
type bounds struct {
	crashes, losses, refusals, rivals, decisions uint8
	attempts                                     [2]uint8
	rollback, stop, freeze, aging, showsLate     bool
}

// model is one search's world: what the target is, and which rules are kept.
type model struct {
	*protocol
	bounds
	rules
	semantics v1alpha1.Semantics // of the target
	strict    bool               // nothing of an action that has ended may be on its way
	whole     bool               // no state stands for another
	symmetric bool               // the two processes are one another's mirror
	initial   status
	out       []successor
	cut       bool // the state at hand would go on beyond the bounds
}

// successor is a state and what led to it.
type successor struct {
	state
	move move
}

// move names what happened.
type move struct {
	what    string
	replica int8 // none: -1
	action  int8 // none: -1
	detail  uint8
}

func (m *model) add(s state, what string, k, o int, detail uint8) {
	m.out = append(m.out, successor{m.reduce(s), move{what, int8(k), int8(o), detail}})
}

// successors are all that may happen next.
func (m *model) successors(s state) []successor {
	m.out, m.cut = m.out[:0], false
	for k := range 2 {
		m.process(s, k)
	}
	for o := range 2 {
		if s.stored[o] != 0 {
			m.network(s, o)
			m.deadlines(s, o)
			m.people(s, o)
		}
	}
	m.world(s)
	return m.out
}

// process is what one process may do, or suffer.
func (m *model) process(s state, k int) {
	if !s.replica[k].up {
		s.replica[k].up = true
		m.add(s, "starts again", k, -1, 0)
		return
	}
	if s.env.crashes < m.crashes {
		m.add(m.crash(s, k), "crashes", k, -1, 0)
	}
	for o := range 2 {
		if s.stored[o] == 0 {
			continue
		}
		if !s.replica[k].cache[o].fresh || s.replica[k].cache[o].status == 0 {
			c := s
			c.replica[k].cache[o] = copied{s.stored[o], true}
			m.add(m.forget(c, k, o), "is told of the stored status", k, o, 0)
		}
		switch s.replica[k].hand[o].doing {
		case nothing:
			m.pass(s, k, o)
		case writing:
			m.write(s, k, o)
		case sending:
			m.fence(s, k, o)
		case leaving:
			m.send(s, k, o)
		}
	}
}

// crash ends a process. What it had on the wire stays there; what it remembered does not. It is told apart from the
// process that comes after it by its name.
func (m *model) crash(s state, k int) state {
	s.env.crashes++
	r := &s.replica[k]
	for o := range 2 {
		if r.hand[o].doing == waiting {
			s.wire[o][r.hand[o].number] = abandoned
		}
	}
	r.up, r.hand, r.memory = false, [2]hand{}, [2]memory{}
	if m.sameName {
		return s
	}
	for o := range 2 {
		s.stored[o] = m.rename(s.stored[o], names[k], gone)
		for i := range s.replica {
			c, h := &s.replica[i].cache[o], &s.replica[i].hand[o]
			c.status, h.base.status, h.next = m.rename(c.status, names[k], gone), m.rename(h.base.status, names[k], gone), m.rename(h.next, names[k], gone)
		}
	}
	return s
}

// forget drops what a process remembers of an action that has ended.
func (m *model) forget(s state, k, o int) state {
	if state := m.known[s.replica[k].cache[o].status].State; state.Ended() && state != v1alpha1.ActionUnknown && s.replica[k].hand[o].doing == nothing {
		s.replica[k].memory[o] = memory{}
	}
	return s
}

// store writes a status; every copy is then old, also the writer's.
func (m *model) store(s state, o int, next status) state {
	s.stored[o] = next
	for k := range s.replica {
		s.replica[k].cache[o].fresh, s.replica[k].hand[o].base.fresh = false, false
	}
	switch now := m.known[next]; now.State {
	case v1alpha1.ActionExecuting:
		s.told[o] |= 1 << now.last
	case v1alpha1.ActionSettling:
		for n, r := range s.wire[o] {
			if r == abandoned {
				s.wire[o][n] = due
			}
		}
	}
	return s
}

// deadlines lets the time of an announced attempt pass, once nobody waits for its answer.
func (m *model) deadlines(s state, o int) {
	var open uint8
	for k := range s.replica {
		h := s.replica[k].hand[o]
		for _, status := range []status{s.stored[o], s.replica[k].cache[o].status, h.next} {
			if m.known[status].State == v1alpha1.ActionExecuting {
				open |= 1 << m.known[status].last
			}
		}
	}
	for n := uint8(1); n <= m.attempts[o]; n++ {
		if open&^s.closed[o]&(1<<n) == 0 || s.wire[o][n] == awaited {
			continue
		}
		c := s
		c.closed[o] |= 1 << n
		m.add(c, "the deadline passes of attempt", -1, o, n)
	}
}

// people decide what became of an action whose outcome is unknown. They tell the truth.
func (m *model) people(s state, o int) {
	if m.known[s.stored[o]].State != v1alpha1.ActionUnknown {
		return
	}
	applied := len(m.known[s.stored[o]].Resolutions)
	for i := range s.env.decisions[o] {
		if uint8(i) >= m.decisions || s.env.decisions[o][i] != 0 {
			continue
		}
		if i > applied && !m.decisionsCrowd {
			return // a decision does not count while another waits to be applied
		}
		if s.target.effect[o] {
			c := s
			c.env.decisions[o][i] = happened
			m.add(c, "a person finds that it happened:", -1, o, 0)
			return
		}
		for found := didNot; found <= retryIt; found++ {
			if found == retryIt && o == forward && m.takenBack(s) && !m.retryAndRollback {
				continue
			}
			c := s
			c.env.decisions[o][i] = found
			m.add(c, map[uint8]string{didNot: "a person finds that it did not happen:", retryIt: "a person has it tried again:"}[found], -1, o, 0)
		}
		return
	}
}

// world is what happens whoever acts.
func (m *model) world(s state) {
	m.circumstances(s)
	if s.target.hidden {
		c := s
		c.target.hidden = false
		m.add(c, "the target shows what it did", -1, -1, 0)
	}
	if s.env.rivals < m.rivals {
		m.rival(s)
	}
	if state := m.known[s.stored[forward]].State; m.rollback && s.stored[rollback] == 0 &&
		(state == v1alpha1.ActionSucceeded || state == v1alpha1.ActionUnknown && (m.retryAndRollback || !m.tried(s))) {
		c := s
		c.stored[rollback] = m.initial
		m.add(c, "a person has it taken back", -1, -1, 0)
	}
}

// circumstances change what an action is permitted.
func (m *model) circumstances(s state) {
	if m.stop && !s.env.denied {
		c := s
		c.env.denied = true
		m.add(c, "the guardrails turn to deny", -1, -1, 0)
	}
	if m.stop && !s.env.expired {
		c := s
		c.env.expired = true
		m.add(c, "it is too late to begin", -1, -1, 0)
	}
	if m.freeze && s.env.frozen != thawed {
		c := s
		c.env.frozen++
		m.add(c, [...]string{unfrozen: "somebody freezes", frozen: "somebody thaws"}[s.env.frozen], -1, -1, 0)
	}
	if m.aging && m.semantics == v1alpha1.Keyed && m.known[s.stored[forward]].ages && s.env.age != forgotten && !s.env.expired {
		if c := s; s.env.age == young {
			c.env.age = margin
			m.add(c, "the key grows old", -1, -1, 0)
		} else if s.target.key && !m.arrives(s) {
			c.env.age, c.target.key = forgotten, false
			m.add(c, "the target forgets the key", -1, -1, 0)
		}
	}
}

// takenBack tells whether the forward action is being taken back, or was.
func (m *model) takenBack(s state) bool {
	switch m.known[s.stored[rollback]].State {
	case v1alpha1.ActionFailed, v1alpha1.ActionDenied, v1alpha1.ActionExpired:
		return false
	default:
		return s.stored[rollback] != 0
	}
}

// tried tells whether a person has the forward action tried again, and that was not done yet.
func (m *model) tried(s state) bool {
	applied := len(m.known[s.stored[forward]].Resolutions)
	return applied < len(s.env.decisions[forward]) && s.env.decisions[forward][applied] == retryIt
}

// arrives tells whether an attempt that was decided while the key was young may still reach the target: the target
// remembers keys for longer than that.
func (m *model) arrives(s state) bool {
	early := func(of status, n uint8) bool { return m.executes(of, n) && m.known[of].young }
	for n := uint8(1); n <= m.attempts[forward]; n++ {
		if s.wire[forward][n].flies() {
			return true
		}
		if s.wire[forward][n] != unsent || s.closed[forward]&(1<<n) != 0 {
			continue
		}
		for k := range s.replica {
			if early(s.stored[forward], n) || early(s.replica[k].cache[forward].status, n) || early(s.replica[k].hand[forward].next, n) {
				return true
			}
		}
	}
	return false
}
