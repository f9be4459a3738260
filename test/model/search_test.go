// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// found is what a search comes to.
type found struct {
	violation
	states, statuses, cut int
	took                  time.Duration
	trace                 []string // the shortest that leads to the violation
}

const limit = 3_000_000

// search visits every state, breadth first, and stops at the first that breaks an invariant.
func (m *model) search() found {
	begun := time.Now()
	m.initial = m.keep(v1alpha1.ActionStatus{})
	first := state{replica: [2]replica{{up: true}, {up: true}}}
	first.stored[forward] = m.initial
	first = m.reduce(first)
	g := &graph{states: []state{first}, from: []int32{-1}, place: map[state]int32{first: 0}}
	out := found{}
	for at := int32(0); int(at) < len(g.states) && at < limit; at++ {
		s := g.states[at]
		if out.violation = m.judge(s); out.violation != none {
			out.trace = m.trace(g, at)
			break
		}
		for _, next := range m.successors(s) {
			g.add(next.state, at)
		}
		g.edges = append(g.edges, int32(len(g.to)))
		if m.cut || m.settled(s) {
			g.ends = append(g.ends, at)
		}
		if m.cut {
			out.cut++
		}
	}
	if out.violation == none && m.strict {
		if at := g.stuck(); at >= 0 {
			out.violation, out.trace = stuck, m.trace(g, at)
		}
	}
	out.states, out.statuses, out.took = len(g.states), len(m.known)-1, time.Since(begun)
	return out
}

// settled tells whether every action has ended.
func (m *model) settled(s state) bool {
	return !slices.ContainsFunc(s.stored[:], func(at status) bool { return at != 0 && !m.known[at].State.Ended() })
}

// graph is what was visited.
type graph struct {
	states []state
	from   []int32 // the state that each was first reached from
	place  map[state]int32
	to     []int32 // successors, those of the first state first
	edges  []int32 // where the successors of each state end in to
	ends   []int32
}

func (g *graph) add(s state, from int32) {
	at, ok := g.place[s]
	if !ok {
		at = int32(len(g.states))
		g.place[s] = at
		g.states, g.from = append(g.states, s), append(g.from, from)
	}
	g.to = append(g.to, at)
}

// stuck gives the first state from which no end can be reached, or -1.
func (g *graph) stuck() int32 {
	g.place = nil
	starts := make([]int32, len(g.states)+1) // predecessors of each state, by counting
	for _, to := range g.to {
		starts[to+1]++
	}
	for i := range g.states {
		starts[i+1] += starts[i]
	}
	froms, next := make([]int32, len(g.to)), slices.Clone(starts)
	edge := int32(0)
	for from, until := range g.edges {
		for ; edge < until; edge++ {
			froms[next[g.to[edge]]] = int32(from)
			next[g.to[edge]]++
		}
	}
	reaches := make([]bool, len(g.states))
	queue := slices.Clone(g.ends)
	for _, at := range queue {
		reaches[at] = true
	}
	for len(queue) > 0 {
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, from := range froms[starts[at]:starts[at+1]] {
			if !reaches[from] {
				reaches[from] = true
				queue = append(queue, from)
			}
		}
	}
	return int32(slices.Index(reaches, false))
}

// trace tells how a state came about.
func (m *model) trace(g *graph, at int32) []string {
	var path []int32
	for ; at >= 0; at = g.from[at] {
		path = append(path, at)
	}
	slices.Reverse(path)
	var out []string
	for i := 1; i < len(path); i++ {
		next := g.states[path[i]]
		all := m.successors(g.states[path[i-1]])
		out = append(out, m.tell(all[slices.IndexFunc(all, func(s successor) bool { return s.state == next })]))
	}
	return out
}

// tell says what happened, and what is stored then.
func (m *model) tell(s successor) string {
	var b strings.Builder
	if s.move.replica >= 0 {
		b.WriteString(names[s.move.replica] + " ")
	}
	b.WriteString(s.move.what)
	if s.move.detail > 0 {
		fmt.Fprintf(&b, " %d", s.move.detail)
	}
	if s.move.action >= 0 {
		b.WriteString(" of " + actionNames[s.move.action])
		if h := s.replica[max(s.move.replica, 0)].hand[s.move.action]; s.move.replica >= 0 && h.doing == writing {
			fmt.Fprintf(&b, ", to write %s", m.name(h.next))
		}
	}
	fmt.Fprintf(&b, " [%s", m.name(s.stored[forward]))
	if s.stored[rollback] != 0 {
		fmt.Fprintf(&b, ", rollback %s", m.name(s.stored[rollback]))
	}
	return b.String() + "]"
}

func (m *model) name(at status) string {
	k := m.known[at]
	if k.State == "" {
		return "Pending"
	}
	if k.last == 0 {
		return string(k.State)
	}
	return fmt.Sprintf("%s %d %s", k.State, k.last, k.holder)
}
