// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package blob is the contract of the object storage that the evidence log and the payloads lie in. It is small because
// the log needs what portable libraries leave out: writes that happen only under a condition. Children implement it
// (blob/dir in a folder), blob/blobtest holds each of them to it.
package blob

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Errors that a Bucket wraps; match them with errors.Is. Any other error leaves open whether a write took place: read
// back before writing something else.
var (
	// ErrExists says that a Create found an object under that key, which is left as it was.
	ErrExists = errors.New("the object exists")
	// ErrChanged says that a Replace found other content than its ETag stands for, which is left as it was.
	ErrChanged = errors.New("the object has changed")
	// ErrNotFound says that there is no object under that key.
	ErrNotFound = errors.New("the object does not exist")
	// ErrTooLarge says that an object is larger than the bound its reader gave.
	ErrTooLarge = errors.New("the object is too large")
	// ErrKey says that a key is not well formed (CheckKey); nothing was done.
	ErrKey = errors.New("the key is malformed")
)

// Info is what a Bucket knows of an object without handing out its content.
type Info struct {
	Key  string
	Size int64
	// ETag changes whenever the content changes. It means something only to the bucket that gave it.
	ETag string
}

// Object is one object with its content.
type Object struct {
	Info
	Data []byte
}

// Bucket is a set of objects under keys. Every write is atomic and durable when it returns without error: a reader sees
// the old object or the new one, never a part. It is safe for concurrent use by goroutines and, where the storage is
// shared, by processes: of several writers under the same condition exactly one wins.
//
// Keys are paths with slashes (CheckKey). A key must not be a folder of another key: a and a/b cannot both be objects.
// Every method answers a malformed key with ErrKey and a done context with the context's error.
type Bucket interface {
	// Create puts data under a key that is free and returns the new ETag, else ErrExists.
	Create(ctx context.Context, key string, data []byte) (etag string, err error)
	// Replace puts data in place of the object whose ETag is given and returns the new ETag, else ErrChanged or
	// ErrNotFound.
	Replace(ctx context.Context, key string, data []byte, etag string) (newETag string, err error)
	// Get reads an object of at most limit bytes, else ErrTooLarge or ErrNotFound.
	Get(ctx context.Context, key string, limit int64) (Object, error)
	// Stat says what Get would, without the content.
	Stat(ctx context.Context, key string) (Info, error)
	// List yields the objects whose keys begin with prefix, in the order of their keys. The prefix need not end at a
	// slash; the empty one lists all. It may lag behind writes: nothing that must be right may depend on it.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Delete removes an object; one that is not there is ErrNotFound.
	Delete(ctx context.Context, key string) error
}

// MaxKey is the length of the longest key in bytes, maxSegment that of a part between slashes. S3 and common file
// systems take both.
const (
	MaxKey     = 1024
	maxSegment = 240
)

// CheckKey says whether a key is well formed: parts of ASCII letters, digits, dot, underscore and hyphen, joined by
// single slashes, none of which begins with a dot. So no key leaves its bucket or hides in it, on any storage.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("%w: it has %d bytes; give it 1 to %d", ErrKey, len(key), MaxKey)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || len(part) > maxSegment {
			return fmt.Errorf("%w: %q has the part %q; a part has 1 to %d bytes and begins with no dot", ErrKey, key, part, maxSegment)
		}
		if i := strings.IndexFunc(part, foreign); i >= 0 {
			return fmt.Errorf("%w: %q has %q; use ASCII letters, digits, '.', '_' and '-'", ErrKey, key, part[i:])
		}
	}
	return nil
}

func foreign(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
}
