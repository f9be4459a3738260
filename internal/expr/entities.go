// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"maps"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Names of the fields of an entity.
const (
	entityName      = "name"
	entityType      = "type"
	entityNamespace = "namespace"
)

// entityFunctions declares the builders user(name), host(name), asset(name) and
// pod(namespace, name), and the methods that add to what they build:
//
//	.named(text)        displayName: what people call it
//	.uid(text)          uid: what the tool calls it
//	.typed(text)        type, which user(), host() and pod() already set
//	.inNamespace(text)  namespace
//	.inCluster(text)    cluster
//
// A builder without a name gives null; a method on null gives null; a method
// without a value changes nothing.
func entityFunctions() []cel.EnvOption {
	options := []cel.EnvOption{
		cel.Function("pod", cel.Overload("casebook_pod", []*cel.Type{cel.DynType, cel.DynType}, cel.DynType, cel.BinaryBinding(pod))),
	}
	for function, kind := range map[string]string{"user": "User", "host": "Host", "asset": ""} {
		options = append(options, unary(function, cel.DynType, func(value ref.Val) ref.Val {
			name, err := textOf(function, value)
			if err != nil {
				return err
			}
			return entity(name, kind)
		}))
	}
	for method, field := range map[string]string{
		"named": "displayName", "uid": "uid", "typed": entityType, "inNamespace": entityNamespace, "inCluster": "cluster",
	} {
		options = append(options, cel.Function(method,
			cel.MemberOverload("casebook_entity_"+method, []*cel.Type{cel.DynType, cel.DynType}, cel.DynType,
				cel.BinaryBinding(func(value, text ref.Val) ref.Val { return with(value, method, field, text) }))))
	}
	return options
}

// fields is an entity or an indicator while an expression builds it.
type fields = map[string]string

func built(f fields) ref.Val {
	return types.NewStringStringMap(types.DefaultTypeAdapter, f)
}

func entity(name, kind string) ref.Val {
	if name == "" {
		return types.NullValue
	}
	f := fields{entityName: name}
	if kind != "" {
		f[entityType] = kind
	}
	return built(f)
}

func pod(namespace, name ref.Val) ref.Val {
	podName, err := textOf("pod", name)
	if err != nil {
		return err
	}
	podNamespace, err := textOf("pod", namespace)
	if err != nil {
		return err
	}
	if podName == "" {
		return types.NullValue
	}
	f := fields{entityName: podName, entityType: "Pod"}
	if podNamespace != "" {
		f[entityNamespace] = podNamespace
	}
	return built(f)
}

func with(value ref.Val, method, field string, text ref.Val) ref.Val {
	if unwrap(value) == types.NullValue {
		return types.NullValue
	}
	before, ok := unwrap(value).Value().(fields)
	if !ok {
		return types.NewErr("no such overload: .%s() follows user(), host(), asset() or pod()", method)
	}
	added, err := textOf(method, text)
	if err != nil {
		return err
	}
	if added == "" {
		return value
	}
	after := maps.Clone(before)
	after[field] = added
	return built(after)
}
