// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// KubeSources reads Sources; give it a cache.
type KubeSources struct {
	Reader client.Reader
}

// Get reads a Source.
func (k KubeSources) Get(ctx context.Context, namespace, name string) (*v1alpha1.Source, error) {
	var source v1alpha1.Source
	if err := k.Reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &source); err != nil {
		return nil, err // matched by the gateway; not told to senders
	}
	return &source, nil
}

// secretAge is how long a Secret that was read is used, so that a flood of
// requests is not a flood of reads; a changed Secret counts after this.
const secretAge = 10 * time.Second

// failureAge is how long a Secret that could not be read is not asked for again: what is mended is soon seen, and senders
// cannot make the gateway ask at will.
const failureAge = time.Second

// KubeSecrets reads Secrets live, one at a time, as the tenant's RoleBinding
// allows: a cache would need to list them. What was read is used for ten seconds,
// why it could not be for one. The zero value of all but Reader is usable.
type KubeSecrets struct {
	// Reader reads from the API server, not from a cache.
	Reader client.Reader
	// Now is the clock; time.Now if nil.
	Now func() time.Time

	mu   sync.Mutex
	read map[types.NamespacedName]*readSecret
}

type readSecret struct {
	mu   sync.Mutex // held while reading, so that one reads and the others wait
	time time.Time
	data map[string][]byte
	err  error
}

// Get reads one key of a Secret. It names the Secret in its errors, never a value.
func (k *KubeSecrets) Get(ctx context.Context, namespace string, ref v1alpha1.SecretKeyRef) ([]byte, error) {
	now := time.Now
	if k.Now != nil {
		now = k.Now
	}
	name := types.NamespacedName{Namespace: namespace, Name: ref.Name}
	entry := k.entry(name)
	entry.mu.Lock()
	defer entry.mu.Unlock()
	age := secretAge
	if entry.err != nil {
		age = failureAge
	}
	if entry.time.IsZero() || now().Sub(entry.time) > age {
		var secret corev1.Secret
		entry.err = k.Reader.Get(ctx, name, &secret)
		if ctx.Err() != nil { // the sender went away: that says nothing of the Secret
			return nil, ctx.Err()
		}
		entry.time, entry.data = now(), secret.Data
	}
	if entry.err != nil {
		return nil, fmt.Errorf("could not read Secret %s: %w; bind the gateway's ServiceAccount to a Role that may get it", name, entry.err)
	}
	value, ok := entry.data[ref.Key]
	if !ok {
		return nil, fmt.Errorf("could not read key %q of Secret %s: there is no such key", ref.Key, name)
	}
	return value, nil
}

func (k *KubeSecrets) entry(name types.NamespacedName) *readSecret {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.read == nil || len(k.read) > maxBuckets {
		k.read = map[types.NamespacedName]*readSecret{}
	}
	if k.read[name] == nil {
		k.read[name] = &readSecret{}
	}
	return k.read[name]
}
