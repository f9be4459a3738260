// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/internal/blob"
)

// List implements blob.Bucket. It reads the content of what it lists for the ETags.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		if probe := strings.TrimSuffix(prefix, "/"); prefix != "" {
			if err := blob.CheckKey(probe); err != nil {
				yield(blob.Info{}, b.failed("list", prefix, err))
				return
			}
		}
		b.list(ctx, path.Dir(prefix+"x"), prefix, yield)
	}
}

// list yields the objects under one folder that begin with prefix and says whether to go on.
func (b *Bucket) list(ctx context.Context, folder, prefix string, yield func(blob.Info, error) bool) bool {
	names, err := b.names(folder)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		yield(blob.Info{}, b.failed("list", prefix, err))
		return false
	}
	for _, name := range names {
		key := path.Join(folder, name)
		inside := strings.HasSuffix(name, "/")
		switch {
		case inside && (strings.HasPrefix(key+"/", prefix) || strings.HasPrefix(prefix, key+"/")):
			if !b.list(ctx, key, prefix, yield) {
				return false
			}
		case !inside && strings.HasPrefix(key, prefix):
			info, err := b.stat(key)
			if errors.Is(err, blob.ErrNotFound) {
				continue // deleted since, or no object
			} else if err != nil {
				err = b.failed("list", key, err)
			}
			if !yield(info, err) || err != nil {
				return false
			}
		}
	}
	return true
}

// names returns what is in a folder in the order of keys, which is that of names when folders end in a slash.
func (b *Bucket) names(folder string) ([]string, error) {
	entries, err := fs.ReadDir(b.root.FS(), folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		switch name := entry.Name(); {
		case strings.HasPrefix(name, "."):
		case entry.IsDir():
			names = append(names, name+"/")
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
