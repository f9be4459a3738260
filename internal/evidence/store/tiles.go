// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/evidence"
)

const hashTileBytes = evidence.TileWidth * tlog.HashSize

// maxTiles bounds how many tiles are kept in memory: 256 are 2 MiB.
const maxTiles = 256

// bucketTiles reads tiles from a bucket for tlog.TileHashReader, which verifies them and only then has them kept.
type bucketTiles struct {
	ctx    context.Context //nolint:containedctx // tlog.TileReader takes none
	bucket blob.Bucket
	kept   map[string][]byte
}

// Height implements tlog.TileReader.
func (bucketTiles) Height() int { return evidence.TileHeight }

// ReadTiles implements tlog.TileReader.
func (t bucketTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := evidence.TilePath(tile)
		if kept, ok := t.kept[path]; ok {
			data[i] = kept
			continue
		}
		got, err := t.bucket.Get(t.ctx, path, hashTileBytes)
		if err != nil {
			return nil, &readError{err} // also one that is not there: storage may show an object late
		}
		if len(got.Data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%w: %s has %d bytes, not %d", ErrForked, path, len(got.Data), tile.W*tlog.HashSize)
		}
		data[i] = got.Data
	}
	return data, nil
}

// SaveTiles implements tlog.TileReader.
func (t bucketTiles) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, tile := range tiles {
		if len(t.kept) >= maxTiles {
			clear(t.kept)
		}
		t.kept[evidence.TilePath(tile)] = data[i]
	}
}

// verified reads the hashes of a tree from tiles; what does not lead to the root is ErrForked.
type verified struct{ hashes tlog.HashReader }

func hashesOf(ctx context.Context, bucket blob.Bucket, c evidence.Checkpoint, kept map[string][]byte) tlog.HashReader {
	return verified{tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, bucketTiles{ctx, bucket, kept})}
}

// ReadHashes implements tlog.HashReader.
func (v verified) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	hashes, err := v.hashes.ReadHashes(indexes)
	if unread, ok := errors.AsType[*readError](err); ok {
		return nil, unread.err
	} else if err != nil {
		return nil, fmt.Errorf("%w: its tiles do not lead to the signed root: %w", ErrForked, err)
	}
	return hashes, nil
}

// readError tells a tile that could not be read from one that is not what was signed.
type readError struct{ err error }

// Error implements error.
func (e *readError) Error() string { return e.err.Error() }

func (l *Log) reader(ctx context.Context) tlog.HashReader {
	return hashesOf(ctx, l.opts.Bucket, l.at, l.tiles)
}

// growing is a tree with hashes that are not in tiles yet.
type growing struct {
	stored tlog.HashReader
	fresh  map[int64]tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (g growing) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	var missing, at []int64
	for i, index := range indexes {
		if hash, ok := g.fresh[index]; ok {
			hashes[i] = hash
			continue
		}
		missing, at = append(missing, index), append(at, int64(i))
	}
	stored, err := g.stored.ReadHashes(missing)
	if err != nil {
		return nil, err
	}
	for i, hash := range stored {
		hashes[at[i]] = hash
	}
	return hashes, nil
}

// grow returns the tree with a batch appended, and the tiles to write for it.
func (l *Log) grow(ctx context.Context, b *batch) (grown evidence.Checkpoint, tiles map[string][]byte, err error) {
	g := growing{l.reader(ctx), map[int64]tlog.Hash{}}
	size := b.start
	for _, c := range b.commitments {
		hashes, err := tlog.StoredHashesForRecordHash(size, evidence.LeafHash(c), g)
		if err != nil {
			return grown, nil, err
		}
		for i, hash := range hashes {
			g.fresh[tlog.StoredHashIndex(0, size)+int64(i)] = hash
		}
		size++
	}
	tiles = map[string][]byte{}
	for _, tile := range tlog.NewTiles(evidence.TileHeight, b.start, size) {
		if tiles[evidence.TilePath(tile)], err = tlog.ReadTileData(tile, g); err != nil {
			return grown, nil, err
		}
	}
	bundles, err := l.bundles(ctx, b)
	if err != nil {
		return grown, nil, err
	}
	maps.Copy(tiles, bundles)
	root, err := tlog.TreeHash(size, g)
	return evidence.Checkpoint{Size: size, Root: root}, tiles, err
}

// bundles returns the bundles of entries to write for a batch. The first may begin with commitments sealed before.
func (l *Log) bundles(ctx context.Context, b *batch) (map[string][]byte, error) {
	bundle, err := l.partialBundle(ctx)
	if err != nil {
		return nil, err
	}
	bundles := map[string][]byte{}
	bundle = slices.Clip(bundle) // what is kept must not be written to
	n, width := b.start/evidence.TileWidth, int(b.start%evidence.TileWidth)
	for i, c := range b.commitments {
		bundle = evidence.AppendToBundle(bundle, c)
		width++
		if width == evidence.TileWidth || i == len(b.commitments)-1 {
			bundles[evidence.BundlePath(n, width)] = bundle
		}
		if width == evidence.TileWidth {
			bundle, n, width = nil, n+1, 0
		}
	}
	return bundles, nil
}

// partialBundle returns the bundle at the end of the log that is not full, verified against the tree.
func (l *Log) partialBundle(ctx context.Context) ([]byte, error) {
	width := int(l.at.Size % evidence.TileWidth)
	if width == 0 || l.lastBundle != nil {
		return l.lastBundle, nil
	}
	first := l.at.Size - int64(width)
	path := evidence.BundlePath(first/evidence.TileWidth, width)
	got, err := l.opts.Bucket.Get(ctx, path, hashTileBytes*2)
	if err != nil {
		return nil, err
	}
	commitments, err := evidence.ParseBundle(got.Data)
	if err != nil || len(commitments) != width {
		return nil, fmt.Errorf("%w: %s does not hold %d entries", ErrForked, path, width)
	}
	for i, c := range commitments {
		if err := inLog(l.reader(ctx), first+int64(i), c); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	l.lastBundle = got.Data
	return got.Data, nil
}

// inLog says whether a commitment is the leaf at an index.
func inLog(hashes tlog.HashReader, index int64, c evidence.Commitment) error {
	got, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
	if err != nil {
		return err
	}
	if got[0] != evidence.LeafHash(c) {
		return fmt.Errorf("%w: what is said to be at %d in the log is not there", ErrForked, index)
	}
	return nil
}
