// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"container/heap"
	"context"
	"iter"
	"time"
)

// schedule is simulated time: what is to happen, one thing at a time. It runs in a bubble of testing/synctest, so that
// every clock is its own, and only moves when it sleeps.
type schedule struct {
	start time.Time
	queue moments
	count int
	tasks []func() // stop each task
}

type moment struct {
	at    time.Duration
	count int
	do    func()
}

type moments []moment

func (m moments) Len() int      { return len(m) }
func (m moments) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m moments) Less(i, j int) bool {
	return m[i].at < m[j].at || m[i].at == m[j].at && m[i].count < m[j].count
}
func (m *moments) Push(x any) { *m = append(*m, x.(moment)) }
func (m *moments) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}

// now is how long the run has lasted.
func (s *schedule) now() time.Duration { return time.Since(s.start) }

// after has something happen later; what is due at the same time happens in the order in which it was asked for.
func (s *schedule) after(d time.Duration, do func()) {
	s.count++
	heap.Push(&s.queue, moment{at: s.now() + max(d, 0), count: s.count, do: do})
}

// run has everything happen that is due until then, or until done says so.
func (s *schedule) run(until time.Duration, done func() bool) {
	for len(s.queue) > 0 && s.queue[0].at <= until && !done() {
		next := heap.Pop(&s.queue).(moment)
		time.Sleep(next.at - s.now())
		next.do()
	}
}

// stop ends every task where it stands.
func (s *schedule) stop() {
	for _, stop := range s.tasks {
		stop()
	}
}

// task is something that waits in the middle: a pass of a process. While it waits, other things happen.
type task struct {
	process *process
	yield   func(time.Duration) bool
}

// killed unwinds a task whose process died.
type killed struct{}

// wait lets time pass. It does not return if the process died meanwhile.
func (t *task) wait(d time.Duration) {
	if !t.yield(d) || t.process.dead {
		panic(killed{})
	}
}

// spawn begins a task of a process.
func (s *schedule) spawn(p *process, body func(ctx context.Context)) {
	next, stop := iter.Pull(func(yield func(time.Duration) bool) {
		defer func() {
			if cause := recover(); cause != nil && cause != any(killed{}) {
				panic(cause)
			}
		}()
		body(context.WithValue(context.Background(), taskKey{}, &task{process: p, yield: yield}))
	})
	s.tasks = append(s.tasks, stop)
	var step func()
	step = func() {
		if d, waits := next(); waits {
			s.after(d, step)
		}
	}
	step()
}

type taskKey struct{}

func taskOf(ctx context.Context) *task { return ctx.Value(taskKey{}).(*task) }
