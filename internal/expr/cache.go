// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import "sync"

// generationSize bounds the cache: it holds at most two generations of this many
// expressions, some 30 KB each.
const generationSize = 512

// compiled is the outcome of compiling one source, good or bad.
type compiled struct {
	program *Program
	err     error
}

// cache keeps compiled expressions in two generations: when the young one is full
// the old one is dropped, so what is used survives and memory stays bounded.
// The zero cache is ready for use.
type cache struct {
	mu         sync.Mutex
	young, old map[string]compiled
}

func (c *cache) get(source string) (compiled, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if done, ok := c.young[source]; ok {
		return done, true
	}
	done, ok := c.old[source]
	if ok {
		c.keep(source, done)
	}
	return done, ok
}

func (c *cache) put(source string, done compiled) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(source, done)
}

func (c *cache) keep(source string, done compiled) {
	if len(c.young) >= generationSize {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = make(map[string]compiled)
	}
	c.young[source] = done
}
