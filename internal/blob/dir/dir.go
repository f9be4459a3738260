// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dir keeps a blob.Bucket in a folder: for a volume, a small installation, the demo and tests. An object is a
// file under its key. Several processes may share the folder on a local file system that has hard links and flock.
package dir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/casebook-dev/casebook/internal/blob"
)

// Keys begin with no dot, so these names are free for the bucket's own use.
const (
	lockName = ".lock" // held while an object is compared and replaced or deleted
	tmpName  = ".tmp"  // files being written, on the file system of the objects
)

// Bucket is a folder as a blob.Bucket. An ETag is the SHA-256 of the content.
type Bucket struct {
	root *os.Root
	path string
	turn chan struct{} // one writer of this process at a time asks for the lock file
	next atomic.Int64  // numbers temporary files
}

var _ blob.Bucket = (*Bucket)(nil)

// Open opens the folder at path, which it makes if need be. It does not ask whether the folder can be written: a bucket
// on a read-only volume can be read. Symbolic links are followed only where they stay inside the folder.
func Open(path string) (*Bucket, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("open the bucket in folder %s: %w; name a folder that exists or can be made", path, err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open the bucket in folder %s: %w; name a folder that can be read", path, err)
	}
	b := &Bucket{root: root, path: path, turn: make(chan struct{}, 1)}
	b.turn <- struct{}{}
	return b, nil
}

// Close lets go of the folder. No method may be called afterwards.
func (b *Bucket) Close() error { return b.root.Close() }

// Create implements blob.Bucket: the content is written and synced under another name and linked to its own, which
// fails where that name is taken.
func (b *Bucket) Create(ctx context.Context, key string, data []byte) (string, error) {
	if err := check(ctx, key); err != nil {
		return "", b.failed("create", key, err)
	}
	tmp, err := b.stage(key, data)
	if err != nil {
		return "", b.failed("create", key, err)
	}
	defer b.root.Remove(tmp) //nolint:errcheck // a stray temporary file does no harm
	if err := b.root.Link(tmp, key); errors.Is(err, fs.ErrExist) {
		return "", b.failed("create", key, blob.ErrExists)
	} else if err != nil {
		return "", b.failed("create", key, err)
	}
	if err := b.sync(path.Dir(key)); err != nil {
		return "", b.failed("create", key, err)
	}
	return tag(data), nil
}

// Replace implements blob.Bucket: under the lock it compares, and renames the new content over the old.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte, etag string) (string, error) {
	if err := check(ctx, key); err != nil {
		return "", b.failed("replace", key, err)
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return "", b.failed("replace", key, err)
	}
	defer unlock()
	if err := b.replace(key, data, etag); err != nil {
		return "", b.failed("replace", key, err)
	}
	return tag(data), nil
}

func (b *Bucket) replace(key string, data []byte, etag string) error {
	info, err := b.stat(key)
	if err != nil {
		return err
	}
	if info.ETag != etag {
		return blob.ErrChanged
	}
	tmp, err := b.stage(key, data)
	if err != nil {
		return err
	}
	if err := b.root.Rename(tmp, key); err != nil {
		return errors.Join(err, b.root.Remove(tmp))
	}
	return b.sync(path.Dir(key))
}

// Get implements blob.Bucket.
func (b *Bucket) Get(ctx context.Context, key string, limit int64) (blob.Object, error) {
	if err := check(ctx, key); err != nil {
		return blob.Object{}, b.failed("read", key, err)
	}
	file, err := b.open(key)
	if err != nil {
		return blob.Object{}, b.failed("read", key, err)
	}
	defer file.Close() //nolint:errcheck // read only
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return blob.Object{}, b.failed("read", key, err)
	}
	if int64(len(data)) > limit {
		return blob.Object{}, b.failed("read", key, fmt.Errorf("%w: it has more than %d bytes", blob.ErrTooLarge, limit))
	}
	return blob.Object{Info: blob.Info{Key: key, Size: int64(len(data)), ETag: tag(data)}, Data: data}, nil
}

// Stat implements blob.Bucket. It reads the content for its ETag.
func (b *Bucket) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := check(ctx, key); err != nil {
		return blob.Info{}, b.failed("stat", key, err)
	}
	info, err := b.stat(key)
	if err != nil {
		return blob.Info{}, b.failed("stat", key, err)
	}
	return info, nil
}

// Delete implements blob.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := check(ctx, key); err != nil {
		return b.failed("delete", key, err)
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return b.failed("delete", key, err)
	}
	defer unlock()
	if _, err := b.stat(key); err != nil {
		return b.failed("delete", key, err)
	}
	if err := b.root.Remove(key); err != nil {
		return b.failed("delete", key, err)
	}
	if err := b.sync(path.Dir(key)); err != nil {
		return b.failed("delete", key, err)
	}
	return nil
}

func check(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	return ctx.Err()
}

// open opens an object for reading. What is no regular file is no object.
func (b *Bucket) open(key string) (*os.File, error) {
	file, err := b.root.Open(key)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, blob.ErrNotFound
	} else if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, errors.Join(blob.ErrNotFound, file.Close())
	}
	return file, nil
}

func (b *Bucket) stat(key string) (blob.Info, error) {
	file, err := b.open(key)
	if err != nil {
		return blob.Info{}, err
	}
	defer file.Close() //nolint:errcheck // read only
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	return blob.Info{Key: key, Size: size, ETag: hex.EncodeToString(hash.Sum(nil))}, err
}

// failed says what could not be done to which object of which folder, and for refusals of the file system what to do.
func (b *Bucket) failed(verb, key string, err error) error {
	if len(key) > 80 {
		key = key[:80] + "..."
	}
	remedy := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		remedy = fmt.Sprintf("; give user %d the right to write to the folder", os.Geteuid())
	case errors.Is(err, syscall.EROFS):
		remedy = "; mount the folder writable"
	case errors.Is(err, syscall.ENOSPC):
		remedy = "; free space on its file system"
	}
	return fmt.Errorf("%s %s in the bucket in folder %s: %w%s", verb, strings.ToValidUTF8(key, "?"), b.path, err, remedy)
}

func tag(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
