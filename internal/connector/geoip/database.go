// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package geoip

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

const (
	// MaxSize is how many bytes a database may have.
	MaxSize = 256 << 20
	// CheckEvery is how long a database in memory is used before it is asked whether
	// another lies in its place.
	CheckEvery = 30 * time.Second
)

// database is one object of one bucket, as one namespace reads it.
type database struct {
	opener    *Opener
	namespace string
	spec      v1alpha1.BucketObject
	// content is what was read last, nil if it cannot be used. Whoever has the turn writes it.
	content atomic.Pointer[content]
	turn    chan struct{} // held by whoever looks at or changes what follows

	checked time.Time // when the bucket was last asked; zero: never
	etag    string    // of what was read last, usable or not; empty: nothing
	broken  error     // why that cannot be used
}

// content is a database in memory. It is never changed.
type content struct {
	reader *maxminddb.Reader
	digest [sha256.Size]byte
	size   int
}

// lock waits for the turn, and not longer than the context.
func (d *database) lock(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case d.turn <- struct{}{}:
		return func() { <-d.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the database of addresses: %w", ctx.Err())
	}
}

// reader is the database as it lies in the bucket, or lay there CheckEvery ago. While
// the bucket is away, what is in memory is used.
func (d *database) reader(ctx context.Context) (*maxminddb.Reader, error) {
	bucket, err := d.opener.buckets(d.namespace, d.spec.BucketSpec) // says whether the namespace may
	if err != nil {
		return nil, fmt.Errorf("open the bucket of the database of addresses: %w", err)
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	now := d.opener.clock.Now()
	if age := now.Sub(d.checked); d.checked.IsZero() || age < 0 || age >= CheckEvery {
		if err := d.refresh(ctx, bucket); err != nil {
			if _, terminal := errors.AsType[*fault.Terminal](err); terminal || d.content.Load() == nil {
				return nil, err
			}
		}
		d.checked = now
	}
	if d.broken != nil {
		return nil, d.broken
	}
	return d.content.Load().reader, nil
}

// probe asks the bucket whatever is in memory.
func (d *database) probe(ctx context.Context) error {
	bucket, err := d.opener.buckets(d.namespace, d.spec.BucketSpec)
	if err != nil {
		return fmt.Errorf("open the bucket of the database of addresses: %w", err)
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.refresh(ctx, bucket); err != nil {
		return err
	}
	d.checked = d.opener.clock.Now()
	return d.broken
}

// refresh reads the object if it is another than was read last. What it could not use
// it keeps in broken, until there is another.
func (d *database) refresh(ctx context.Context, bucket blob.Bucket) error {
	info, err := bucket.Stat(ctx, d.spec.Key)
	if err != nil {
		return d.unreadable(err)
	}
	if info.ETag == d.etag {
		return nil
	}
	if info.Size > MaxSize {
		return d.unreadable(blob.ErrTooLarge)
	}
	object, err := bucket.Get(ctx, d.spec.Key, MaxSize)
	if err != nil {
		return d.unreadable(err)
	}
	d.etag, d.broken = object.ETag, d.keep(object.Data)
	return nil
}

func (d *database) keep(data []byte) error {
	if err := d.opener.load(d, data); err != nil {
		return d.corrupt(err)
	}
	return nil
}

// unreadable says why an object could not be read. What is not there any more is let go of.
func (d *database) unreadable(err error) error {
	switch {
	case errors.Is(err, blob.ErrNotFound):
		d.content.Store(nil)
		d.etag, d.broken = "", nil
		return fault.Terminalf(v1alpha1.ReferenceNotFoundReason,
			"could not read the database of addresses: there is no object %s in the bucket: put it there, or correct spec.geoip.bucket: %w", d.spec.Key, err)
	case errors.Is(err, blob.ErrTooLarge):
		return fault.Terminalf(connector.InvalidDataReason,
			"could not read the database of addresses: object %s is larger than %d MiB: use a smaller edition: %w", d.spec.Key, MaxSize>>20, err)
	case errors.Is(err, blob.ErrKey):
		return fault.Terminalf(v1alpha1.InvalidSpecReason, "could not read the database of addresses: spec.geoip.bucket.key is no key of an object: %w", err)
	}
	return fmt.Errorf("read the database of addresses: %w", err)
}

// corrupt says that the object is no database.
func (d *database) corrupt(err error) error {
	return fault.Terminalf(connector.InvalidDataReason,
		"could not use object %s of the bucket as a database of addresses: %w: put a City or Country database in the MaxMind DB format there", d.spec.Key, err)
}
