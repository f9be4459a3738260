// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// archive stores a payload, however often it takes.
func (i *Intake) archive(ctx context.Context, _ *turns, d ingest.Delivery) {
	err := i.store(ctx, d)
	if err == nil {
		err = d.Ack()
	}
	if err != nil && ctx.Err() == nil {
		i.Log.Error(err, "a payload waits to be archived", "source", d.Namespace+"/"+d.Source, "digest", d.Digest, "attempt", d.Attempt)
		i.again(d)
	}
}

func (i *Intake) store(ctx context.Context, d ingest.Delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("archiving panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return i.Archive(ctx, d.Namespace, d.Body, d.Digest)
}

// again asks for a delivery later. If that fails the stream gives it again by itself.
func (i *Intake) again(d ingest.Delivery) {
	if err := d.Retry(delay(d.Attempt)); err != nil {
		i.Log.Error(err, "a payload will come again late", "source", d.Namespace+"/"+d.Source, "sequence", d.Sequence)
	}
}
