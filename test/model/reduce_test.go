// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"slices"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// reduces tells whether an old copy cannot matter: what is decided on one is lost in the compare-and-set, and what is to be
// sent on one is stopped by the live read. The variants that leave either out are searched in full.
func (m *model) reduces() bool {
	return !m.whole && !m.noPrecondition && !m.noFence && !m.sendsFirst && !m.sendsUnread
}

// reduce gives the state that stands for this one and all that differ from it in nothing that can matter any more.
func (m *model) reduce(s state) state {
	if !m.reduces() {
		return s
	}
	m.bury(&s)
	for o := range 2 {
		if s.stored[o] == 0 {
			continue
		}
		var open uint8
		if at := m.known[s.stored[o]]; at.State == v1alpha1.ActionExecuting {
			open |= 1 << at.last
		}
		for k := range s.replica {
			s.replica[k].up = true
			m.lose(&s, k, o)
			if h := s.replica[k].hand[o]; h.doing == writing && m.known[h.next].State == v1alpha1.ActionExecuting {
				open |= 1 << m.known[h.next].last
			} else if h.doing == sending || h.doing == leaving {
				open |= 1 << h.number
			}
		}
		s.closed[o] &= open
	}
	if m.symmetric && cmp.Compare(m.weight(s, 0), m.weight(s, 1)) > 0 {
		return m.swap(s)
	}
	return s
}

// bury keeps of a forward action that has ended, while it is taken back, only how: nothing that is still to come depends on
// how that came about.
func (m *model) bury(s *state) {
	end := m.known[s.stored[forward]].State
	if s.stored[rollback] == 0 || len(m.known[s.stored[forward]].Attempts) == 0 || !end.Ended() || end == v1alpha1.ActionUnknown || slices.ContainsFunc(s.wire[forward][:], request.flies) {
		return
	}
	for k := range s.replica {
		if s.replica[k].hand[forward].doing != nothing {
			return
		}
	}
	s.stored[forward] = m.keep(v1alpha1.ActionStatus{State: end})
	s.wire[forward], s.told[forward], s.closed[forward], s.env.decisions[forward] = [most + 1]request{}, 0, 0, [2]uint8{}
	for k := range s.replica {
		s.replica[k].memory[forward] = memory{}
		if c := &s.replica[k].cache[forward]; c.fresh {
			c.status = s.stored[forward]
		}
	}
}

// lose drops what a process would only find out to be too late.
func (m *model) lose(s *state, k, o int) {
	r := &s.replica[k]
	if h := &r.hand[o]; !h.base.fresh {
		switch h.doing {
		case writing:
			if *h = (hand{}); m.outcomesAreDropped {
				r.memory[o] = memory{}
			}
		case sending:
			*h = hand{}
		default:
			h.base.status = 0
		}
	}
	if r.hand[o].doing == nothing && r.memory[o].number < m.known[s.stored[o]].last {
		r.memory[o] = memory{} // it will not be sent again
	}
	if c := &r.cache[o]; !c.fresh && (o == rollback || s.stored[rollback] == 0 || !m.known[c.status].State.Ended()) {
		*c = copied{s.stored[o], true}
		*s = m.forget(*s, k, o)
	}
}

// weight orders the two processes, as far as is cheap.
func (m *model) weight(s state, k int) int {
	r := s.replica[k]
	w := 0
	for o := range 2 {
		w = w*2 + one(m.known[s.stored[o]].holder == names[k])
		w = w*8 + int(r.hand[o].doing)
		w = w*2 + one(r.cache[o].fresh)
		w = w*8 + int(r.memory[o].number)
		w = w*8 + int(r.memory[o].outcome)
		w = w*8 + int(r.hand[o].number)
	}
	return w
}

// swap gives each process the other's name.
func (m *model) swap(s state) state {
	s.replica[0], s.replica[1] = s.replica[1], s.replica[0]
	for o := range 2 {
		s.stored[o] = m.exchangeNames(s.stored[o])
		for k := range s.replica {
			c, h := &s.replica[k].cache[o], &s.replica[k].hand[o]
			c.status, h.base.status, h.next = m.exchangeNames(c.status), m.exchangeNames(h.base.status), m.exchangeNames(h.next)
		}
	}
	return s
}

func (p *protocol) exchangeNames(s status) status {
	return p.rename(p.rename(p.rename(s, names[0], "x"), names[1], names[0]), "x", names[1])
}
