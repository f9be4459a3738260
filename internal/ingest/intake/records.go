// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/ingest"
)

// poison is why nothing can ever be made of a payload.
type poison struct {
	reason string
	stack  string
}

func (p *poison) Error() string { return p.reason }

// makeRecords makes what a payload asks for and settles the delivery.
func (i *Intake) makeRecords(ctx context.Context, turns *turns, d ingest.Delivery) {
	if !turns.mayPass(d) {
		turns.wait(d)
		i.again(d)
		return
	}
	log := i.Log.WithValues("source", d.Namespace+"/"+d.Source, "sequence", d.Sequence, "digest", d.Digest)
	counted, err := i.ensure(ctx, d)
	if dead, ok := errors.AsType[*poison](err); ok {
		log.Error(dead, "a payload is set aside", "stack", dead.stack)
		if err = i.Stream.SetAside(ctx, d, dead.reason); err == nil {
			return
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			log.Error(err, "a payload waits", "attempt", d.Attempt)
		}
		turns.wait(d)
		i.again(d)
		return
	}
	i.repeats.add(d, counted)
}

// ensure makes every Signal and Case of a payload that is not there. It returns
// how often the payload repeats which Signals.
func (i *Intake) ensure(ctx context.Context, d ingest.Delivery) (counted map[types.NamespacedName]int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &poison{reason: fmt.Sprintf("making signals of it panicked: %v", p), stack: string(debug.Stack())}
		}
	}()
	read, err := i.read(ctx, d)
	if err != nil {
		return nil, err
	}
	counted = map[types.NamespacedName]int64{}
	for _, finding := range read.findings {
		window := ingest.Window(d.Received, read.source.RepeatWindow.Duration)
		key := types.NamespacedName{Namespace: d.Namespace, Name: casefile.SignalName(d.Source, finding.Fingerprint, window)}
		if _, again := counted[key]; again { // one payload may say a thing twice
			counted[key]++
			continue
		}
		signal, err := i.ensureSignal(ctx, d, read, key, finding)
		if err != nil {
			return nil, err
		}
		counted[key] = 1
		if madeBy(signal, d) {
			counted[key] = 0
		}
	}
	for key, n := range counted {
		if n == 0 {
			delete(counted, key)
		}
	}
	return counted, nil
}

// madeBy reports whether this delivery, or an earlier attempt at it, made the Signal.
func madeBy(signal *v1alpha1.Signal, d ingest.Delivery) bool {
	return signal.Annotations[SequenceAnnotation] == fmt.Sprint(d.Sequence)
}
