// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"slices"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// pass is one look of a process at an action: it observes, reads what the protocol wants to see, and decides.
func (m *model) pass(s state, k, o int) {
	base := s.replica[k].cache[o]
	if m.reduces() && !base.fresh {
		return
	}
	at := m.known[base.status]
	if base.status == 0 || at.State.Ended() && at.State != v1alpha1.ActionUnknown {
		return
	}
	l := look{action: uint8(o), base: base.status, replica: uint8(k), decisions: s.env.decisions[o], expired: s.env.expired, age: s.env.age}
	if mine := s.replica[k].memory[o]; at.last > 0 && mine.number == at.last {
		l.sent = mine.outcome
		if l.sent == unknown {
			l.sent = inDoubt
		}
	}
	if at.State == v1alpha1.ActionUnknown {
		m.decide(s, k, o, base, l)
		return
	}
	l.decisions = [2]uint8{}
	l.late = at.holder != names[k] || s.closed[o]&(1<<at.last) != 0 && !m.lateIsIgnored
	l.unready = o == rollback && !m.known[s.replica[k].cache[forward].status].State.Ended()
	for _, l.seen = range m.durations(s, o, at) {
		for _, l.denied = range upTo(s.env.denied) {
			for _, l.withheld = range upTo(s.env.frozen == frozen) {
				m.observe(s, k, o, base, l)
			}
		}
	}
}

// upTo are what a process may see of what has become true: its copy may be old.
func upTo(now bool) []bool { return []bool{false, true}[:1+one(now)] }

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// durations are how long a process may have seen an action as it stands, given what may still happen. Its own attempt
// apart, it is what the protocol takes for granted of time: an announced attempt is sent and given up by its deadline, what
// was given up arrives before the settling is over, and what was done can be read within the time that is declared for it.
func (m *model) durations(s state, o int, at known) []seen {
	all := []seen{justNow, enough, plenty}
	hidden := s.target.hidden && o == forward
	switch {
	case at.State == v1alpha1.ActionExecuting && s.closed[o]&(1<<at.last) == 0 && !m.ownersDoNotWait,
		at.State == v1alpha1.ActionSettling && slices.Contains(s.wire[o][:], due) && !m.nothingSettles,
		at.State == v1alpha1.ActionVerifying && hidden:
		return all[:1]
	case at.State == v1alpha1.ActionSettling && (!hidden || m.absenceIsBelieved):
		return all
	default:
		return all[:2]
	}
}

// observe reads the target as far as the protocol wants it.
func (m *model) observe(s state, k, o int, base copied, l look) {
	switch wants := m.wants(l); {
	case wants.Before:
		for _, l.before = range append(m.sees(s, o), unreadable) {
			m.decide(s, k, o, base, l)
		}
	case wants.After:
		for _, l.after = range append(m.sees(s, o), unreadable) {
			m.decide(s, k, o, base, l)
		}
	default:
		m.decide(s, k, o, base, l)
	}
}

// decide asks the protocol; what it answers is done in a later step, when the world may be another.
func (m *model) decide(s state, k, o int, base copied, l look) {
	v := m.next(l)
	h := &s.replica[k].hand[o]
	last := m.known[v.next].last
	switch {
	case v.send:
		*h = hand{doing: sending, base: base, number: last}
		m.add(s, "decides to send attempt", k, o, last)
	case last > m.attempts[o]:
		m.cut = true
	case v.announced && m.sendsFirst:
		*h = hand{doing: leaving, base: base, number: last}
		m.add(s, "sends, before it writes, attempt", k, o, last)
	case v.next != base.status:
		*h = hand{doing: writing, base: base, next: v.next}
		m.add(s, "decides", k, o, 0)
	}
}

// write stores what was decided, if nothing else was stored since the pass looked.
func (m *model) write(s state, k, o int) {
	h := s.replica[k].hand[o]
	failed := s
	failed.replica[k].hand[o] = m.after(s, k, o)
	if m.outcomesAreDropped {
		failed.replica[k].memory[o] = memory{}
	}
	m.add(failed, "cannot reach the API server and drops what it decided", k, o, 0)
	if !h.base.fresh && !m.noPrecondition {
		m.add(m.forget(failed, k, o), "has a conflict and drops what it decided", k, o, 0)
		return
	}
	s.replica[k].hand[o] = m.after(s, k, o)
	m.add(m.store(s, o, h.next), "stores", k, o, 0)
}

// after is what a process does after its write: nothing, before it reads it back.
func (m *model) after(s state, k, o int) hand {
	h := s.replica[k].hand[o]
	if at := m.known[h.next]; m.sendsUnread && at.State == v1alpha1.ActionExecuting && at.last > m.known[h.base.status].last {
		return hand{doing: leaving, base: h.base, number: at.last}
	}
	return hand{}
}

// fence reads live what guards the first byte.
func (m *model) fence(s state, k, o int) {
	h := s.replica[k].hand[o]
	held := s.env.frozen == frozen || !h.base.fresh
	if held && !m.noFence || s.closed[o]&(1<<h.number) != 0 && !m.lateIsIgnored || s.replica[k].memory[o].number >= h.number {
		s.replica[k].hand[o] = hand{}
		m.add(m.forget(s, k, o), "finds that it must not send attempt", k, o, h.number)
		return
	}
	s.replica[k].hand[o].doing = leaving
	s.replica[k].memory[o] = memory{number: h.number}
	m.add(s, "finds that nothing has changed and may send attempt", k, o, h.number)
}

// send is the first byte.
func (m *model) send(s state, k, o int) {
	h := s.replica[k].hand[o]
	s.replica[k].memory[o] = memory{number: h.number}
	late := s.closed[o]&(1<<h.number) != 0 && !m.lateIsIgnored
	if late || s.env.losses < m.losses {
		c := s
		if !late {
			c.env.losses++
		}
		m.add(m.hear(c, k, o, notSent, unread), "cannot send attempt", k, o, h.number)
	}
	if late {
		return
	}
	if s.wire[o][h.number] != unsent {
		s.bad = resent
	}
	s.wire[o][h.number] = awaited
	s.replica[k].hand[o].doing = waiting
	m.add(s, "sends attempt", k, o, h.number)
}

// hear is the end of an exchange: it is remembered, and the protocol says what to write.
func (m *model) hear(s state, k, o int, heard outcome, after sight) state {
	h := s.replica[k].hand[o]
	s.replica[k].memory[o] = memory{h.number, heard}
	l := look{
		action: uint8(o), base: h.base.status, replica: uint8(k), sent: heard, after: after,
		expired: s.env.expired, age: s.env.age, late: true, acting: true,
	}
	if m.sendsFirst || m.sendsUnread {
		announced := m.next(look{action: l.action, base: l.base, replica: l.replica, before: absent, seen: enough})
		if l.action == rollback {
			announced = m.next(look{action: l.action, base: l.base, replica: l.replica, before: asLeft, seen: enough})
		}
		l.base = announced.next
	}
	s.replica[k].hand[o] = hand{doing: writing, base: h.base, next: m.next(l).next}
	return s
}
