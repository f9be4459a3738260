// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// TileHeight is the height of tiles (C2SP tlog-tiles).
	TileHeight = 8
	// TileWidth is the number of hashes or entries in a full tile.
	TileWidth = 1 << TileHeight
)

// LeafHash returns the hash (RFC 6962) of the leaf whose data is the commitment.
func LeafHash(c Commitment) tlog.Hash { return tlog.RecordHash(c[:]) }

// TilePath returns where C2SP tlog-tiles keeps a hash tile. (tlog.Tile.Path is that of the Go checksum database.)
func TilePath(t tlog.Tile) string { return fmt.Sprintf("tile/%d/%s", t.L, tileName(t.N, t.W)) }

// BundlePath returns where C2SP tlog-tiles keeps bundle n of entries, with width of them.
func BundlePath(n int64, width int) string { return "tile/entries/" + tileName(n, width) }

// tileName writes a number as x001/x234/067, with .p/width where the tile is not full.
func tileName(n int64, width int) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	if width < TileWidth {
		name += ".p/" + strconv.Itoa(width)
	}
	return name
}

// AppendToBundle appends a leaf's data to a bundle of entries: two bytes of length, then the commitment.
func AppendToBundle(bundle []byte, c Commitment) []byte {
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(c))), c[:]...)
}

// ParseBundle reads the commitments in a bundle of entries.
func ParseBundle(bundle []byte) ([]Commitment, error) {
	const row = 2 + len(Commitment{})
	if len(bundle)%row != 0 || len(bundle) > row*TileWidth {
		return nil, fmt.Errorf("read a bundle of entries: %d bytes are not 1 to %d entries of %d", len(bundle), TileWidth, row)
	}
	commitments := make([]Commitment, 0, len(bundle)/row)
	for i := 0; i < len(bundle); i += row {
		if n := binary.BigEndian.Uint16(bundle[i:]); int(n) != len(Commitment{}) {
			return nil, fmt.Errorf("read a bundle of entries: entry %d has %d bytes, not %d", i/row, n, len(Commitment{}))
		}
		commitments = append(commitments, Commitment(bundle[i+2:i+row]))
	}
	return commitments, nil
}
