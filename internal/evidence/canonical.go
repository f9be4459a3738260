// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/gowebpki/jcs"
)

// Canonical returns the canonical form (RFC 8785) of a JSON document. It refuses what has none: duplicate names, text
// that is not UTF-8, numbers beyond a double.
func Canonical(data []byte) ([]byte, error) {
	canonical, err := jcs.Transform(data)
	if err != nil {
		return nil, fmt.Errorf("bring JSON into canonical form: %w", err)
	}
	return canonical, nil
}

// encode returns the canonical JSON of a value.
func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Canonical(data)
}

var errNotCanonical = errors.New("its bytes are not the canonical JSON (RFC 8785) of its content")

// decode reads a document that must be exactly what encode makes of it, byte for byte: so no byte is without meaning
// and none can be changed unseen.
func decode(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errNotCanonical
	}
	again, err := encode(into)
	if err != nil {
		return err
	}
	if !bytes.Equal(data, again) {
		return errNotCanonical
	}
	return nil
}
