// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// quoteFunction declares quote(string) -> string: the text as a JSON string
// literal, which is also how SCIM (RFC 7644, 3.4.2.2) and many query languages
// write a value that must not end the query.
func quoteFunction() cel.EnvOption {
	return cel.Function("quote",
		cel.Overload("casebook_quote", []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(func(value ref.Val) ref.Val {
				text, err := writeJSON(string(value.(types.String)))
				if err != nil {
					return types.WrapErr(err)
				}
				return types.String(text)
			})))
}

// writeJSON writes compact JSON and leaves <, > and & as they are.
func writeJSON(value any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// mappingFunctions are what the Mapping environment adds to the dialect. Their
// arguments are dyn: an absent optional and null give null, so that a field which
// is not there is a gap and not an error.
func mappingFunctions() []cel.EnvOption {
	options := []cel.EnvOption{
		firstFunction(),
		unary("isIP", cel.BoolType, isIP), unary("isURL", cel.BoolType, isURL),
		unary("severityOf", cel.DynType, severityOf),
		unary("time", cel.DynType, parseTime),
		cel.Function("match", cel.Overload("casebook_match", []*cel.Type{cel.DynType, cel.StringType},
			cel.MapType(cel.StringType, cel.StringType), cel.BinaryBinding(match))),
	}
	options = append(options, entityFunctions()...)
	options = append(options, absentFunctions()...)
	for name, build := range indicators {
		options = append(options, unary(name, cel.DynType, build))
	}
	return options
}

// unary declares name(dyn).
func unary(name string, result *cel.Type, call func(ref.Val) ref.Val) cel.EnvOption {
	return cel.Function(name, cel.Overload("casebook_"+strings.ToLower(name), []*cel.Type{cel.DynType}, result, cel.UnaryBinding(call)))
}

// firstFunction declares first(a, b, ...) with two to eight arguments, and
// first(list): the first that is there and is not null, "", [] or {}; else null.
func firstFunction() cel.EnvOption {
	overloads := []cel.FunctionOpt{
		cel.Overload("casebook_first_1", []*cel.Type{cel.DynType}, cel.DynType, cel.UnaryBinding(func(value ref.Val) ref.Val {
			list, ok := unwrap(value).(traits.Lister)
			if !ok {
				return first(value)
			}
			for it := list.Iterator(); it.HasNext() == types.True; {
				if found := first(it.Next()); found != types.NullValue {
					return found
				}
			}
			return types.NullValue
		})),
	}
	for n := 2; n <= 8; n++ {
		args := make([]*cel.Type, n)
		for i := range args {
			args[i] = cel.DynType
		}
		overloads = append(overloads, cel.Overload(fmt.Sprintf("casebook_first_%d", n), args, cel.DynType, cel.FunctionBinding(first)))
	}
	return cel.Function("first", overloads...)
}

func first(values ...ref.Val) ref.Val {
	for _, value := range values {
		value = unwrap(value)
		if types.IsError(value) {
			return value
		}
		if value == types.NullValue {
			continue
		}
		if sizer, ok := value.(traits.Sizer); ok && sizer.Size() == types.IntZero {
			continue
		}
		return value
	}
	return types.NullValue
}

// unwrap opens an optional; one that is absent is null.
func unwrap(value ref.Val) ref.Val {
	for {
		optional, ok := value.(*types.Optional)
		switch {
		case !ok:
			return value
		case !optional.HasValue():
			return types.NullValue
		}
		value = optional.GetValue()
	}
}

// textOf reads a name from a value: text, or a number or boolean as text. It is
// empty for what is absent, null or blank, and an error for a list or a map.
func textOf(function string, value ref.Val) (string, ref.Val) {
	switch v := unwrap(value).(type) {
	case types.Null:
		return "", nil
	case types.String:
		return strings.TrimSpace(string(v)), nil
	case types.Double:
		return strconv.FormatFloat(float64(v), 'f', -1, 64), nil
	case types.Int, types.Uint, types.Bool:
		return fmt.Sprint(v.Value()), nil
	default:
		return "", types.NewErr("%s() needs text, this is %s", function, v.Type().TypeName())
	}
}

// severityWords are the words that tools agree on, syslog's priorities (RFC 5424,
// which Falco and others use) among them. A mapping decides about the rest.
var severityWords = map[string]int64{
	"informational": Informational, "information": Informational, "info": Informational, "debug": Informational,
	"low": Low, "minor": Low, "notice": Low,
	"medium": Medium, "moderate": Medium, "warning": Medium, "warn": Medium,
	"high": High, "important": High, "major": High, "error": High, "err": High,
	"critical": Critical, "crit": Critical, "severe": Critical, "fatal": Critical,
	"alert": Critical, "emergency": Critical, "emerg": Critical, "panic": Critical,
}

// severityOf reads a common word for a severity; null for a word it does not know,
// so that first(severityOf(x), Medium) says what to assume.
func severityOf(value ref.Val) ref.Val {
	text, err := textOf("severityOf", value)
	if err != nil {
		return err
	}
	if severity, ok := severityWords[strings.ToLower(text)]; ok {
		return types.Int(severity)
	}
	return types.NullValue
}

// match returns the named groups of the first match of an RE2 expression that took
// part in it; an empty map where nothing matches.
func match(value, pattern ref.Val) ref.Val {
	source, ok := pattern.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(pattern)
	}
	re, err := regexp.Compile(string(source))
	if err != nil {
		return types.NewErr("match: %v", err)
	}
	return groups(re, value)
}

func groups(re *regexp.Regexp, value ref.Val) ref.Val {
	out := map[string]string{}
	text, ok := unwrap(value).(types.String)
	if !ok && unwrap(value) != types.NullValue {
		return types.NewErr("match() needs text, this is %s", unwrap(value).Type().TypeName())
	}
	found := re.FindStringSubmatchIndex(string(text))
	for i, name := range re.SubexpNames() {
		if name != "" && found != nil && found[2*i] >= 0 {
			out[name] = string(text[found[2*i]:found[2*i+1]])
		}
	}
	return types.NewStringStringMap(types.DefaultTypeAdapter, out)
}

// matchOptimization compiles a literal pattern once, and reports a bad one when the
// expression is compiled.
var matchOptimization = &interpreter.RegexOptimization{
	Function:   "match",
	RegexIndex: 1,
	Factory: func(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, err
		}
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
			return groups(re, args[0])
		}), nil
	},
}

// whole reports whether a float has no fraction and fits into an int64.
func whole(f float64) bool {
	return f == math.Trunc(f) && math.Abs(f) < 1<<63
}
