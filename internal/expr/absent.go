// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// absentFunctions declare what reads a part of a payload that may not be there
// without a word about it: textOf(dyn) is text, a number or a boolean as text, and ""
// for what is absent, null or no scalar; listOf(dyn) is a list as it is, [] for what
// is absent or null, and anything else as the list of it.
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
	}
}
