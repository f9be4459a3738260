// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// absentFunctions declare what reads a part of a payload that may not be there
// without a word about it: textOf(dyn) is text, a number or a boolean as text, and ""
// for what is absent, null or no scalar; listOf(dyn) is a list as it is, [] for what
// is absent or null, and anything else as the list of it; mapOf(dyn) is an object as
// it is, text that is a JSON object as that object, and {} for anything else.
func absentFunctions() []cel.EnvOption {
	return []cel.EnvOption{
		unary("textOf", cel.StringType, func(value ref.Val) ref.Val {
			text, err := textOf("textOf", value)
			if err != nil {
				return types.String("")
			}
			return types.String(text)
		}),
		unary("listOf", cel.ListType(cel.DynType), func(value ref.Val) ref.Val {
			switch v := unwrap(value).(type) {
			case types.Null:
				return types.NewRefValList(types.DefaultTypeAdapter, nil)
			case traits.Lister:
				return v.(ref.Val)
			case *types.Err:
				return v
			default:
				return types.NewRefValList(types.DefaultTypeAdapter, []ref.Val{v})
			}
		}),
		unary("mapOf", cel.MapType(cel.StringType, cel.DynType), func(value ref.Val) ref.Val {
			switch v := unwrap(value).(type) {
			case traits.Mapper:
				return v.(ref.Val)
			case types.String:
				return converter.NativeToValue(objectIn(string(v)))
			case *types.Err:
				return v
			default:
				return converter.NativeToValue(map[string]any{})
			}
		}),
	}
}

// objectIn reads text that is one JSON object; tools put objects into others as text.
func objectIn(text string) map[string]any {
	out := map[string]any{}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&out); err != nil || out == nil {
		return map[string]any{}
	}
	if _, err := decoder.Token(); err != io.EOF {
		return map[string]any{}
	}
	return out
}
