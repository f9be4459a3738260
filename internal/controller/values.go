// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// decodeObject is free-form JSON as a map; nothing is an empty map.
func decodeObject(raw *apiextensionsv1.JSON) (map[string]any, error) {
	out := map[string]any{}
	if raw == nil || len(raw.Raw) == 0 {
		return out, nil
	}
	err := json.Unmarshal(raw.Raw, &out)
	return out, err
}

// boundedCache keeps what was made of things that never change; when it is full it begins anew.
type boundedCache[K comparable, V any] struct {
	mu    sync.Mutex
	known map[K]V
}

const cacheBound = 512

func (c *boundedCache[K, V]) get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok := c.known[key]
	return value, ok
}

func (c *boundedCache[K, V]) put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= cacheBound {
		c.known = map[K]V{}
	}
	c.known[key] = value
}
