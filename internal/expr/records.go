// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// foundField is the member by which a record says whether it is there.
const foundField = types.String("found")

// recordFunctions are what the environments that read records of lookups add to the
// dialect: one() wherever an answer is read, speed() where a case is judged.
func recordFunctions(kind Kind) []cel.EnvOption {
	switch kind {
	case Operation:
		return []cel.EnvOption{unary("one", cel.DynType, one)}
	case CaseType, Playbook, Guardrail:
		return []cel.EnvOption{unary("one", cel.DynType, one), unary("speed", cel.DoubleType, speed)}
	}
	return nil
}

// one is one(list): the only element of a list. No element, and an optional that is
// absent, give {found: false}. A map gets found: true unless it says itself whether it
// was found. More than one is an error, for which of them is meant cannot be told.
func one(value ref.Val) ref.Val {
	if optional, ok := value.(*types.Optional); ok && !optional.HasValue() {
		return notFound()
	}
	list, ok := unwrap(value).(traits.Lister)
	if !ok {
		return types.NewErr("one() needs a list, this is %s", unwrap(value).Type().TypeName())
	}
	var only ref.Val
	count := 0
	for it := list.Iterator(); it.HasNext() == types.True; count++ {
		element := it.Next()
		if types.IsError(element) {
			return element // an answer that did not come is never none, nor one too many
		}
		if count == 0 {
			only = element
		}
	}
	switch count {
	case 0:
		return notFound()
	case 1:
		return found(only)
	}
	return types.NewErr("one() needs a list of at most one, this has %d: ask for something that only one has, or choose with filter()", count)
}

func notFound() ref.Val {
	return types.NewRefValMap(types.DefaultTypeAdapter, map[ref.Val]ref.Val{foundField: types.False})
}

// found says of a map that it was found, unless the map says that itself.
func found(value ref.Val) ref.Val {
	record, ok := value.(traits.Mapper)
	if !ok {
		return value
	}
	if says, ok := record.Find(foundField); ok && (types.IsError(says) || says.Type() == types.BoolType) {
		return value
	}
	out := map[ref.Val]ref.Val{}
	for it := record.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		out[key] = record.Get(key)
	}
	out[foundField] = types.True
	return types.NewRefValMap(types.DefaultTypeAdapter, out)
}
