// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	"k8s.io/apiserver/pkg/cel/library"
)

// Bounds of one expression and of one evaluation.
const (
	// CostLimit is the most an evaluation may cost, in CEL cost units.
	CostLimit = 100_000
	// WholeCostLimit is the most an evaluation may cost of what [Env.CompileWhole] compiled.
	WholeCostLimit = 50 * CostLimit
	// InterruptFrequency is how many comprehension steps pass between two looks at the context.
	InterruptFrequency = 100
	// MaxExpressionSize is the most code points an expression may have.
	MaxExpressionSize = 16_384
	// MaxExpressionDepth is how deeply an expression may be nested.
	MaxExpressionDepth = 100
	// MaxValueSize is the most that a value may weigh: its text in bytes plus 16 for each node.
	MaxValueSize = 16 << 20
	// MaxDepth is how deeply lists and maps may be nested in a value.
	MaxDepth = 256
)

// ownOverload begins the identifiers of all overloads that this package declares.
const ownOverload = "casebook_"

// Severity as an integer, the value of the constant of that name in every expression.
const (
	Informational int64 = iota + 1
	Low
	Medium
	High
	Critical
)

// Env compiles the expressions of one [Kind]. It is safe for concurrent use and
// keeps what it compiled, up to a bound.
type Env struct {
	cel   *cel.Env
	names []string
	cache cache
}

// New builds the environment of a kind. It takes about a millisecond, and the
// environment keeps compiled expressions, so a process needs one of each kind. An
// error means a kind this package does not know.
func New(kind Kind) (*Env, error) {
	variables, ok := variablesOf[kind]
	if !ok {
		return nil, fmt.Errorf("could not build the expression environment %q: there is no such kind", string(kind))
	}
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("could not build the expression environment %s: %w", kind, err)
	}
	// The type adapter and provider come first: later options register types with them.
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(adapter{registry}),
		cel.CustomTypeProvider(provider{registry}),
		cel.ParserExpressionSizeLimit(MaxExpressionSize),
		cel.ParserRecursionLimit(MaxExpressionDepth),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.EagerlyValidateDeclarations(true),
		cel.OptionalTypes(),
		ext.Strings(ext.StringsVersion(2), ext.StringsMaxPrecision(100)), ext.Sets(), ext.Bindings(), ext.TwoVarComprehensions(), ext.Encoders(),
		library.CIDR(), library.Regex(), library.Quantity(), library.Format(), library.Lists(),
		library.SemverLib(library.SemverVersion(1)),
		severityConstants(), quoteFunction(),
	}
	if kind == Mapping {
		options = append(options, mappingFunctions()...)
	} else {
		options = append(options, library.IP(), library.URLs())
		options = append(options, recordFunctions(kind)...)
	}
	names := make([]string, 0, len(variables))
	for _, v := range variables {
		options = append(options, cel.Variable(v.name, v.typ))
		names = append(names, v.name)
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("could not build the expression environment %s: %w", kind, err)
	}
	return &Env{cel: env, names: names}, nil
}

// MustNew is [New] for a kind that is named in the source; it panics where New errs.
func MustNew(kind Kind) *Env {
	env, err := New(kind)
	if err != nil {
		panic(err)
	}
	return env
}

// Functions returns, in order, the names of the functions that Casebook itself adds
// to CEL in this environment.
func (e *Env) Functions() []string {
	var names []string
	for name, function := range e.cel.Functions() {
		if slices.ContainsFunc(function.OverloadDecls(), func(o *decls.OverloadDecl) bool { return strings.HasPrefix(o.ID(), ownOverload) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Compile parses and checks a CEL expression. The error is a [*CompileError].
// Compiling the same source again is cheap.
func (e *Env) Compile(source string) (*Program, error) {
	if done, ok := e.cache.get(source); ok {
		return done.program, done.err
	}
	program, err := e.compile(source, CostLimit)
	e.cache.put(source, compiled{program, err})
	return program, err
}

// CompileWhole is Compile for an expression that reads all of a payload at once, so
// that its work grows with the payload: it is bounded by [WholeCostLimit]. It keeps
// nothing.
func (e *Env) CompileWhole(source string) (*Program, error) {
	return e.compile(source, WholeCostLimit)
}

// CompileBool is Compile for a condition: an expression that can be neither true
// nor false does not compile.
func (e *Env) CompileBool(source string) (*Program, error) {
	program, err := e.Compile(source)
	if err != nil {
		return nil, err
	}
	if t := program.output; !t.IsExactType(types.BoolType) && !t.IsExactType(types.DynType) {
		return nil, &CompileError{Expression: source, Line: 1, Column: 1, Message: fmt.Sprintf("a condition must be true or false, this is %s", t)}
	}
	return program, nil
}

func (e *Env) compile(source string, cost uint64) (*Program, error) {
	if strings.TrimSpace(source) == "" {
		return nil, &CompileError{Expression: source, Line: 1, Column: 1, Message: "the expression is empty"}
	}
	parsed, issues := e.cel.Parse(source)
	if issues.Err() != nil {
		return nil, e.compileError(source, issues)
	}
	if typeDepth(parsed.NativeRep().Expr()) > maxTypeDepth {
		return nil, &CompileError{Expression: source, Line: 1, Column: 1, Message: "too many comprehensions around lists and maps that are nested: split the expression"}
	}
	ast, issues := e.cel.Check(parsed)
	if issues.Err() != nil {
		return nil, e.compileError(source, issues)
	}
	program, err := e.cel.Program(ast,
		cel.EvalOptions(cel.OptOptimize),
		cel.CustomDecoratorV2(guard),
		cel.OptimizeRegex(matchOptimization),
		cel.CostTracking(costs{}),
		cel.CostLimit(cost),
		cel.InterruptCheckFrequency(InterruptFrequency))
	if err != nil {
		return nil, &CompileError{Expression: source, Line: 1, Column: 1, Message: err.Error()}
	}
	return &Program{source: source, program: program, output: ast.OutputType(), paths: pathsOf(ast.NativeRep().Expr(), e.names)}, nil
}
