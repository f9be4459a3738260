// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"encoding/json"
	"strconv"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// adapter turns JSON values into CEL values, and Unavailable into an error that
// CEL carries through everything but a short circuit.
type adapter struct {
	*types.Registry
}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	case json.Number:
		return number(v)
	case Unavailable:
		return types.WrapErr(v)
	case *Unavailable:
		return types.WrapErr(*v)
	}
	return a.Registry.NativeToValue(value)
}

// number keeps an identifier of 18 digits exact, which a float64 would not.
func number(n json.Number) ref.Val {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return types.Int(i)
	}
	if u, err := strconv.ParseUint(string(n), 10, 64); err == nil {
		return types.Uint(u)
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return types.NewErr("%q is not a number", string(n))
	}
	return types.Double(f)
}

// activation resolves variables through the adapter. CEL reads a Go map directly
// where it meets one and would then take an Unavailable in it for a value that is
// there: has(lookups.vip) would be true.
type activation map[string]any

// converter needs no registered types: variables are JSON.
var converter = func() adapter {
	registry, err := types.NewRegistry()
	if err != nil {
		panic(err) // it registers CEL's own types and nothing else
	}
	return adapter{registry}
}()

// ResolveName implements interpreter.Activation.
func (a activation) ResolveName(name string) (any, bool) {
	value, ok := a[name]
	if !ok {
		return nil, false
	}
	return converter.NativeToValue(value), true
}

// Parent implements interpreter.Activation.
func (activation) Parent() interpreter.Activation {
	return nil
}
