// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package geoip

import (
	"container/list"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Bounds of what is kept in memory. Beyond them, what was opened longest ago is let go.
const (
	maxKept      = 64
	maxKeptBytes = 2 * MaxSize
)

// Opener opens databases, and keeps what it read for all that it opens. It is safe for
// concurrent use.
type Opener struct {
	buckets connector.Buckets
	clock   clock.PassiveClock

	mu        sync.Mutex
	databases map[string]*list.Element
	order     *list.List // of entry, the last opened first
}

type entry struct {
	id       string
	database *database
}

var _ connector.Opener = (*Opener)(nil)

// NewOpener returns an Opener that reads databases from buckets. The clock says when to
// look whether one was replaced.
func NewOpener(buckets connector.Buckets, clock clock.PassiveClock) *Opener {
	return &Opener{buckets: buckets, clock: clock, databases: map[string]*list.Element{}, order: list.New()}
}

// Open implements connector.Opener. It reads nothing.
func (o *Opener) Open(object *v1alpha1.Connector) (connector.Connector, error) {
	spec := object.Spec.GeoIP
	if spec == nil || spec.Bucket.Key == "" {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason,
			"could not open connector %s/%s: spec.geoip.bucket is missing: say where the database is", object.Namespace, object.Name)
	}
	database, err := o.database(object.Namespace, spec.Bucket)
	if err != nil {
		return nil, fmt.Errorf("open connector %s/%s: %w", object.Namespace, object.Name, err)
	}
	return &connection{ReadOnly: "a database of addresses", database: database, timeout: object.Spec.Effective().Timeout.Duration}, nil
}

// database is the one of an object. A bucket may mean something else to another
// namespace, so each has its own; equal contents are shared all the same.
func (o *Opener) database(namespace string, spec v1alpha1.BucketObject) (*database, error) {
	id, err := json.Marshal([]any{namespace, spec})
	if err != nil {
		return nil, fmt.Errorf("name the database of addresses: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if element, ok := o.databases[string(id)]; ok {
		o.order.MoveToFront(element)
		return element.Value.(entry).database, nil
	}
	made := &database{opener: o, namespace: namespace, spec: *spec.DeepCopy(), turn: make(chan struct{}, 1)}
	o.databases[string(id)] = o.order.PushFront(entry{string(id), made})
	if o.order.Len() > maxKept {
		last := o.order.Remove(o.order.Back()).(entry)
		delete(o.databases, last.id)
	}
	return made, nil
}

// load gives a database its content: that of another whose bytes are equal, or else the
// bytes are opened. An error leaves it without.
func (o *Opener) load(d *database, data []byte) error {
	digest := sha256.Sum256(data)
	o.mu.Lock()
	defer o.mu.Unlock()
	made := o.kept()[digest]
	if made == nil {
		reader, err := open(data)
		if err != nil {
			d.content.Store(nil)
			return err
		}
		made = &content{reader, digest, len(data)}
	}
	d.content.Store(made)
	o.fit(d)
	return nil
}

// kept are the contents of all databases, each once.
func (o *Opener) kept() map[[sha256.Size]byte]*content {
	out := map[[sha256.Size]byte]*content{}
	for element := o.order.Front(); element != nil; element = element.Next() {
		if c := element.Value.(entry).database.content.Load(); c != nil {
			out[c.digest] = c
		}
	}
	return out
}

// fit lets go of what was opened longest ago until the rest is within bounds, but not
// of the database that was just read. Whoever has one open keeps it for as long.
func (o *Opener) fit(latest *database) {
	for element := o.order.Back(); element != nil; {
		size := 0
		for _, c := range o.kept() {
			size += c.size
		}
		if size <= maxKeptBytes {
			return
		}
		before := element.Prev()
		if e := element.Value.(entry); e.database != latest {
			o.order.Remove(element)
			delete(o.databases, e.id)
		}
		element = before
	}
}
