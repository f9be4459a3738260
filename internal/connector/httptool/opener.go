// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// maxCompiled bounds the compiled operations that are kept; past it, keeping starts over.
const maxCompiled = 512

// Opener opens connectors whose spec has http. Use NewOpener.
type Opener struct {
	endpoints *endpoints

	mu   sync.Mutex
	kept map[[sha256.Size]byte]*compiled
}

var _ connector.Opener = (*Opener)(nil)

// NewOpener returns an Opener.
func NewOpener(d Dependencies) *Opener {
	return &Opener{endpoints: newEndpoints(d), kept: map[[sha256.Size]byte]*compiled{}}
}

// Open implements connector.Opener. Operations that do not compile are a Terminal error with reason InvalidExpression
// that names each field; see also [Check], which judges the probe too.
func (o *Opener) Open(object *v1alpha1.Connector) (connector.Connector, error) {
	if object.Spec.HTTP == nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "could not open connector %s: spec.http is missing", object.Name)
	}
	operations, err := o.compiled(object)
	if err != nil {
		return nil, err
	}
	endpoint, err := o.endpoints.get(object)
	if err != nil {
		return nil, err
	}
	return open(object, operations, endpoint), nil
}

// compiled are the operations of the object, compiled when they are first met.
func (o *Opener) compiled(object *v1alpha1.Connector) (*compiled, error) {
	raw, err := json.Marshal(object.Spec.Operations)
	if err != nil {
		return nil, fmt.Errorf("encode the operations of connector %s: %w", object.Name, err)
	}
	digest := sha256.Sum256(raw)
	o.mu.Lock()
	defer o.mu.Unlock()
	if kept, ok := o.kept[digest]; ok {
		return kept, nil
	}
	made, err := compile(object.Spec.Operations)
	if err != nil {
		return nil, uncompiled(object, err)
	}
	if len(o.kept) >= maxCompiled {
		clear(o.kept)
	}
	o.kept[digest] = made
	return made, nil
}

// exchanger carries one request to the target.
type exchanger interface {
	exchange(ctx context.Context, out outgoing) (*incoming, *exchangeError)
}

func open(object *v1alpha1.Connector, operations *compiled, target exchanger) *connection {
	spec := object.Spec.Effective()
	c := &connection{compiled: operations, probe: spec.Probe, target: target, timeout: defaultTimeout, accept: true}
	if spec.Timeout != nil {
		c.timeout = spec.Timeout.Duration
	}
	for _, header := range spec.HTTP.Headers {
		c.accept = c.accept && !isAccept(header.Name)
	}
	return c
}
