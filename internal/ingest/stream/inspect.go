// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
)

// The form of JetStream's block files (nats-server v2.15, server/filestore.go): a
// record is its length (its top bit says that there are headers), sequence (its
// two top bits are marks), time, length of the subject; then subject, headers,
// body, and a HighwayHash-64 under a key of the stream's name and the block's number.
const (
	recordHeader  = 22
	recordHash    = 8
	maxRecord     = 32 << 20
	headersMark   = uint32(1) << 31
	sequenceMarks = uint64(3) << 62
	// farthest is how much a sequence may rise from one record to the next in one block.
	farthest = 1 << 20
)

// inspect reads the blocks of a stream before the server does. At a record that
// it cannot read the server cuts the block, and with it every intact record
// behind, without a word. That is right for a write that was torn when the
// process died, which was never answered; but where intact records follow, what
// had been answered as kept would be gone. Then inspect errs, and nothing is cut.
//
// A damage of the newest record alone cannot be told from a torn write.
func inspect(dir, stream string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "jetstream", "$G", "streams", stream, "msgs", "*.blk"))
	if err != nil {
		return fmt.Errorf("could not look at the storage of stream %s: %w", stream, err)
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(blockNumber(a), blockNumber(b)) })
	for n, path := range paths {
		content, err := os.ReadFile(path) //nolint:gosec // found under the directory that the operator names
		if err != nil {
			return fmt.Errorf("could not read the storage of stream %s: %w", stream, err)
		}
		b, err := newBlock(stream, blockNumber(path), content)
		if err != nil {
			return err
		}
		at, whole := b.firstBad()
		if !whole && (n < len(paths)-1 || b.intactAfter(at)) {
			return fmt.Errorf("the storage of stream %s is damaged at byte %d of %s, and kept payloads follow it. Restore the directory, or move it aside to begin with an empty stream", stream, at, path)
		}
	}
	return nil
}

func blockNumber(path string) uint64 {
	number, _ := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), ".blk"), 10, 32) // another file sorts first, and is none
	return number
}

// block is the content of a block file.
type block struct {
	content []byte
	hash    interface {
		Write(p []byte) (int, error)
		Sum(b []byte) []byte
		Reset()
	}
	last uint64 // the sequence of the newest record read
}

func newBlock(stream string, number uint64, content []byte) (*block, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, number))
	hash, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, errors.Join(errors.New("could not make the hash of a block"), err)
	}
	return &block{content: content, hash: hash}, nil
}

// firstBad is where the first record is that cannot be read; whole says that there is none.
func (b *block) firstBad() (at int, whole bool) {
	for at < len(b.content) {
		length, sequence, ok := b.record(at)
		if !ok {
			return at, false
		}
		at += length
		b.last = max(b.last, sequence)
	}
	return at, true
}

// intactAfter looks for a record behind a bad one, wherever it begins.
func (b *block) intactAfter(at int) bool {
	for at++; at+recordHeader+recordHash <= len(b.content); at++ {
		if _, _, ok := b.record(at); ok {
			return true
		}
	}
	return false
}

// record checks the record at an index. Cheap checks come first: intactAfter asks
// for every byte.
func (b *block) record(at int) (length int, sequence uint64, ok bool) {
	if at+recordHeader+recordHash > len(b.content) {
		return 0, 0, false
	}
	head := b.content[at : at+recordHeader]
	marked := binary.LittleEndian.Uint32(head)
	length = int(marked &^ headersMark)
	sequence = binary.LittleEndian.Uint64(head[4:]) &^ sequenceMarks
	subject := int(binary.LittleEndian.Uint16(head[20:]))
	skip := subject
	if marked&headersMark != 0 {
		skip += 4
	}
	if length > maxRecord || length < recordHeader+skip+recordHash || at+length > len(b.content) {
		return 0, 0, false
	}
	if b.last > 0 && sequence > b.last+farthest {
		return 0, 0, false
	}
	data, sum := b.content[at+recordHeader:at+length-recordHash], b.content[at+length-recordHash:at+length]
	b.hash.Reset()
	for _, part := range [][]byte{head[4:20], data[:subject], data[skip:]} {
		_, _ = b.hash.Write(part) // a hash never errs
	}
	return length, sequence, bytes.Equal(b.hash.Sum(nil), sum)
}
