// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/casebook-dev/casebook/internal/blob"
)

// Memory is a bucket in memory, for tests that make many. The zero value is an empty bucket.
type Memory struct {
	mu      sync.Mutex
	objects map[string]blob.Object
	writes  int
}

var _ blob.Bucket = (*Memory)(nil)

// Create implements blob.Bucket.
func (m *Memory) Create(ctx context.Context, key string, data []byte) (string, error) {
	return m.write(ctx, key, data, func(_ blob.Object, there bool) error {
		if there {
			return blob.ErrExists
		}
		return nil
	})
}

// Replace implements blob.Bucket.
func (m *Memory) Replace(ctx context.Context, key string, data []byte, etag string) (string, error) {
	return m.write(ctx, key, data, func(old blob.Object, there bool) error {
		switch {
		case !there:
			return blob.ErrNotFound
		case old.ETag != etag:
			return blob.ErrChanged
		default:
			return nil
		}
	})
}

func (m *Memory) write(ctx context.Context, key string, data []byte, allow func(old blob.Object, there bool) error) (string, error) {
	if err := check(ctx, key); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, there := m.objects[key]
	if err := allow(old, there); err != nil {
		return "", fmt.Errorf("write %s: %w", key, err)
	}
	if m.objects == nil {
		m.objects = map[string]blob.Object{}
	}
	m.writes++
	etag := strconv.Itoa(m.writes)
	m.objects[key] = blob.Object{Info: blob.Info{Key: key, Size: int64(len(data)), ETag: etag}, Data: append([]byte{}, data...)}
	return etag, nil
}

// Get implements blob.Bucket.
func (m *Memory) Get(ctx context.Context, key string, limit int64) (blob.Object, error) {
	object, err := m.find(ctx, key)
	if err == nil && object.Size > limit {
		err = fmt.Errorf("read %s: %w", key, blob.ErrTooLarge)
	}
	if err != nil {
		return blob.Object{}, err
	}
	object.Data = bytes.Clone(object.Data)
	return object, nil
}

// Stat implements blob.Bucket.
func (m *Memory) Stat(ctx context.Context, key string) (blob.Info, error) {
	object, err := m.find(ctx, key)
	return object.Info, err
}

func (m *Memory) find(ctx context.Context, key string) (blob.Object, error) {
	if err := check(ctx, key); err != nil {
		return blob.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	object, there := m.objects[key]
	if !there {
		return blob.Object{}, fmt.Errorf("read %s: %w", key, blob.ErrNotFound)
	}
	return object, nil
}

// List implements blob.Bucket.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		m.mu.Lock()
		keys := slices.Sorted(maps.Keys(m.objects))
		m.mu.Unlock()
		for _, key := range keys {
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			info, err := m.Stat(ctx, key)
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// Delete implements blob.Bucket.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if _, err := m.find(ctx, key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

// Copy returns a bucket with the same objects and ETags, as a backup is one.
func (m *Memory) Copy() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{objects: maps.Clone(m.objects), writes: m.writes}
}

func check(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	return ctx.Err()
}
