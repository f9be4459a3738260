// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// nodeSize is what a node weighs besides its text.
const nodeSize = 16

var (
	errTooLarge = fmt.Errorf("the value is larger than %d MiB", MaxValueSize>>20)
	errTooDeep  = fmt.Errorf("the value is nested more than %d deep", MaxDepth)
	errNotText  = errors.New("a map key must be text, a number or a boolean")
)

// scale weighs values against a budget. A few list literals that hold each other
// twice make a value whose written form doubles with each: sharing hides it from
// the cost limit, so whatever walks a value is weighed.
type scale struct {
	left  int
	nodes int // that were weighed
}

func newScale() *scale {
	return &scale{left: MaxValueSize}
}

func (s *scale) add(text int) error {
	s.left -= nodeSize + text
	s.nodes++
	if s.left < 0 {
		return errTooLarge
	}
	return nil
}

// toJSON converts a CEL value as [Program.Eval] documents.
func toJSON(value ref.Val) (any, error) {
	return newScale().convert(value, 0)
}

func (s *scale) convert(value ref.Val, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errTooDeep
	}
	switch v := value.(type) {
	case *types.Err:
		return nil, v
	case *types.Optional:
		if !v.HasValue() {
			return nil, s.add(0)
		}
		return s.convert(v.GetValue(), depth+1)
	case traits.Mapper:
		return s.convertMap(v, depth)
	case traits.Lister:
		return s.convertList(v, depth)
	}
	out, err := scalar(value)
	if err != nil {
		return nil, err
	}
	text, _ := out.(string)
	return out, s.add(len(text))
}

func (s *scale) convertMap(value traits.Mapper, depth int) (any, error) {
	if err := s.add(0); err != nil {
		return nil, err
	}
	out := make(map[string]any)
	for it := value.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, err := keyText(key)
		if err != nil {
			return nil, err
		}
		if err := s.add(len(name)); err != nil {
			return nil, err
		}
		if out[name], err = s.convert(value.Get(key), depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *scale) convertList(value traits.Lister, depth int) (any, error) {
	if err := s.add(0); err != nil {
		return nil, err
	}
	out := []any{}
	for it := value.Iterator(); it.HasNext() == types.True; {
		element, err := s.convert(it.Next(), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, element)
	}
	return out, nil
}

func keyText(key ref.Val) (string, error) {
	switch k := key.(type) {
	case types.String:
		return string(k), nil
	case types.Int, types.Uint, types.Bool:
		text, ok := k.ConvertToType(types.StringType).(types.String)
		if ok {
			return string(text), nil
		}
	}
	return "", errNotText
}

func scalar(value ref.Val) (any, error) {
	switch v := value.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.String:
		return string(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		if uint64(v) > math.MaxInt64 {
			return nil, fmt.Errorf("the number %d does not fit into 64 bits with a sign", uint64(v))
		}
		return int64(v), nil
	case types.Double:
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return nil, fmt.Errorf("the number %v cannot be written in JSON", float64(v))
	case types.Timestamp:
		return v.Time.UTC().Format(time.RFC3339Nano), nil
	case types.Duration:
		return v.Duration.String(), nil
	case types.Bytes:
		return base64.StdEncoding.EncodeToString(v), nil
	}
	if text, ok := value.ConvertToType(types.StringType).(types.String); ok {
		return string(text), nil
	}
	if text, ok := value.Value().(fmt.Stringer); ok {
		return text.String(), nil // a URL or quantity, which has no conversion of its own
	}
	return nil, fmt.Errorf("a value of type %s cannot be written in JSON", value.Type().TypeName())
}
