// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math"
	"strings"

	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
	"k8s.io/apiserver/pkg/cel/library"
)

// guard replaces the few steps of an evaluation that could do much work, or make
// a large value, in one step and so slip past the cost limit and the deadline, and
// those that would take an error inside a list for a value.
func guard(step interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch s := step.(type) {
	case interpreter.InterpretableConst:
		return step, nil
	case interpreter.InterpretableConstructor:
		return weighedConstructor{s}, nil
	case interpreter.InterpretableCall:
		if impl, ok := guarded[s.Function()]; ok {
			return interpreter.NewCall(s.ID(), s.Function(), s.OverloadID(), s.Args(), impl), nil
		}
	}
	return step, nil
}

var guarded = map[string]func(...ref.Val) ref.Val{
	operators.Equals: func(args ...ref.Val) ref.Val {
		return weighed(args, func() ref.Val { return types.Equal(args[0], args[1]) })
	},
	operators.NotEquals: func(args ...ref.Val) ref.Val {
		return weighed(args, func() ref.Val { return types.Bool(types.Equal(args[0], args[1]) != types.True) })
	},
	operators.In: func(args ...ref.Val) ref.Val {
		return weighed(args, func() ref.Val {
			if container, ok := args[1].(traits.Container); ok {
				return container.Contains(args[0])
			}
			return types.MaybeNoSuchOverloadErr(args[1])
		})
	},
	"replace": replace,
	"join":    join,
}

// weighedConstructor weighs each list and map that an expression writes.
type weighedConstructor struct {
	interpreter.InterpretableConstructor
}

// Exec implements interpreter.InterpretableV2.
func (w weighedConstructor) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	value := w.InterpretableConstructor.Exec(frame)
	if err := newScale().weigh(value, 0); err != nil {
		return types.WrapErr(err)
	}
	return value
}

// Eval implements interpreter.Interpretable.
func (w weighedConstructor) Eval(vars interpreter.Activation) ref.Val {
	return w.Exec(interpreter.AsFrame(vars))
}

// weighed calls a function only if its arguments may be walked.
func weighed(args []ref.Val, call func() ref.Val) ref.Val {
	s := newScale()
	for _, arg := range args {
		if err := s.weigh(arg, 0); err != nil {
			return types.WrapErr(err)
		}
	}
	return call()
}

// weigh walks a value and stops at an error in it, at too much of it, or too deep.
func (s *scale) weigh(value ref.Val, depth int) error {
	if depth > MaxDepth {
		return errTooDeep
	}
	switch v := value.(type) {
	case types.String:
		return s.add(len(v))
	case types.Bytes:
		return s.add(len(v))
	case *types.Err:
		return v
	case *types.Optional:
		if v.HasValue() {
			return s.weigh(v.GetValue(), depth+1)
		}
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			if err := s.weigh(key, depth+1); err != nil {
				return err
			}
			if err := s.weigh(v.Get(key), depth+1); err != nil {
				return err
			}
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True; {
			if err := s.weigh(it.Next(), depth+1); err != nil {
				return err
			}
		}
	}
	return s.add(0)
}

// replace is CEL's string.replace(old, new[, limit]) that knows the size of its result beforehand.
func replace(args ...ref.Val) ref.Val {
	text, ok0 := args[0].(types.String)
	from, ok1 := args[1].(types.String)
	to, ok2 := args[2].(types.String)
	if !ok0 || !ok1 || !ok2 {
		return types.NewErr("no such overload: replace needs text")
	}
	limit := -1
	if len(args) == 4 {
		n, ok := args[3].(types.Int)
		if !ok || n > math.MaxInt32 {
			return types.NewErr("no such overload: the limit of replace is a 32-bit integer")
		}
		limit = int(n)
	}
	times := strings.Count(string(text), string(from))
	if limit >= 0 {
		times = min(times, limit)
	}
	if len(text)+times*max(len(to)-len(from), 0) > MaxValueSize {
		return types.WrapErr(errTooLarge)
	}
	return types.String(strings.Replace(string(text), string(from), string(to), limit))
}

// join is CEL's list.join([separator]) that knows the size of its result beforehand.
func join(args ...ref.Val) ref.Val {
	list, ok := args[0].(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	separator := types.String("")
	if len(args) == 2 {
		if separator, ok = args[1].(types.String); !ok {
			return types.MaybeNoSuchOverloadErr(args[1])
		}
	}
	var out strings.Builder
	for it := list.Iterator(); it.HasNext() == types.True; {
		element := it.Next()
		text, ok := element.(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(element)
		}
		if out.Len()+len(text)+len(separator) > MaxValueSize {
			return types.WrapErr(errTooLarge)
		}
		out.WriteString(string(text))
		if it.HasNext() == types.True {
			out.WriteString(string(separator))
		}
	}
	return types.String(out.String())
}

// costs is what calls cost: Kubernetes' own figures, and by the size of the result
// where the types are known only when it runs, which CEL otherwise takes for one.
type costs struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (costs) CallCost(function, overload string, args []ref.Val, result ref.Val) *uint64 {
	switch function {
	case "match":
		cost := 1 + traversal(args[0])*(1+size(args[1])/4)
		return &cost
	case operators.Equals, operators.NotEquals, operators.In:
		cost := walked(args)
		return &cost
	case "charAt", "indexOf", "lastIndexOf", "isURL":
		cost := 1 + traversal(args[0])
		return &cost
	case operators.Add, "join", "replace", "format", "quote", "strings.quote", "base64.encode", "base64.decode", "split":
		cost := 1 + traversal(result)
		return &cost
	case "first", "user", "host", "asset", "pod", "ip", "domain", "url", "hash", "email", "file", "cve", "time", "severityOf":
		cost := uint64(1)
		for _, arg := range args {
			cost += traversal(arg)
		}
		return &cost
	case "one":
		cost := 1 + traversal(args[0]) + traversal(result)
		return &cost
	case "speed":
		cost := 1 + 10*size(args[0]) // ten members and comparisons for each
		return &cost
	}
	return (&library.CostEstimator{}).CallCost(function, overload, args, result)
}

// walked is the cost of comparing values with each other: of each node that [weighed] walks, and of the text that both have.
func walked(args []ref.Val) uint64 {
	nodes, text := 0, math.MaxInt
	for _, arg := range args {
		s := newScale()
		_ = s.weigh(arg, 0) // what is too much of it costs as much as was walked
		nodes, text = nodes+s.nodes, min(text, MaxValueSize-s.left-s.nodes*nodeSize)
	}
	return uint64(1 + (nodes+text)/10)
}

// size is the length of text, bytes, a list or a map, and one of anything else.
func size(value ref.Val) uint64 {
	if sizer, ok := value.(traits.Sizer); ok {
		if n, ok := sizer.Size().(types.Int); ok {
			return uint64(n)
		}
	}
	return 1
}

// traversal is the cost of walking a value once, a tenth of its size as in CEL.
func traversal(value ref.Val) uint64 {
	return (size(value) + 9) / 10
}
