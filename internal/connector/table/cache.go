// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"container/list"
	"crypto/sha256"
	"sync"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Bounds of what is kept parsed. Beyond them, what was used longest ago is let go.
const (
	maxKept      = 256
	maxKeptBytes = 64 << 20
)

// columnSeparator joins the names of columns, none of which can have it: a control character.
const columnSeparator = "\x00"

// shape is what a spec says of its table, as a value that can be compared.
type shape struct {
	format v1alpha1.DataFormat
	key    string // the names of the key columns, joined
	from   string
	until  string
}

// parsed is one content, read as one shape. It is parsed by the first who asks, while
// others who ask wait. Where the content is no such table, that is kept too.
type parsed struct {
	id      identity
	size    int
	once    sync.Once
	table   *table
	problem *problem
}

type identity struct {
	digest [sha256.Size]byte
	shape  shape
}

// cache keeps tables by their content. It is safe for concurrent use.
type cache struct {
	parse func([]byte, shape) (*table, *problem)

	mu    sync.Mutex
	byID  map[identity]*list.Element
	order *list.List // of *parsed, the last used first
	bytes int
}

func newCache() *cache {
	return &cache{parse: parse, byID: map[identity]*list.Element{}, order: list.New()}
}

// table is the content as a table, parsed if it was not before.
func (c *cache) table(data []byte, shape shape) (*table, *problem) {
	entry := c.entry(identity{sha256.Sum256(data), shape}, len(data))
	entry.once.Do(func() { entry.table, entry.problem = c.parse(data, shape) })
	return entry.table, entry.problem
}

func (c *cache) entry(id identity, size int) *parsed {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byID[id]; ok {
		c.order.MoveToFront(element)
		return element.Value.(*parsed)
	}
	entry := &parsed{id: id, size: size}
	c.byID[id] = c.order.PushFront(entry)
	c.bytes += size
	for c.order.Len() > 1 && (c.order.Len() > maxKept || c.bytes > maxKeptBytes) {
		last := c.order.Remove(c.order.Back()).(*parsed)
		delete(c.byID, last.id)
		c.bytes -= last.size
	}
	return entry
}
