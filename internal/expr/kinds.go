// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

// Kind names an environment: what an expression in one place of the API may read.
type Kind string

// The environments. Every variable is a map of JSON values unless another type is given.
const (
	// Mapping turns a payload into signals: payload, item, signal, receivedTime (timestamp).
	Mapping Kind = "Mapping"
	// Source filters what a mapping found (`only`): signal.
	Source Kind = "Source"
	// CaseType matches, enriches, scores and routes: signal, case, enrichment, item, severity (int).
	CaseType Kind = "CaseType"
	// Guardrail judges a proposed action: case, operation (string, "connector/operation"),
	// target, input, lookups, requester, severity (int).
	Guardrail Kind = "Guardrail"
	// Playbook decides and renders steps: case, inputs, steps, enrichment, item, severity (int).
	Playbook Kind = "Playbook"
	// Operation renders requests and reads answers: input, before, current, after, result, response, key (string), mark (string).
	Operation Kind = "Operation"
)

type variable struct {
	name string
	typ  *cel.Type
}

// caseType and signalType let any field be read, but know that severity is an
// integer, so comparing it with a string does not compile.
var (
	caseType   = types.NewObjectType("casebook.Case")
	signalType = types.NewObjectType("casebook.Signal")
)

var variablesOf = map[Kind][]variable{
	Mapping: {{"payload", cel.DynType}, {"item", cel.DynType}, {"signal", cel.DynType}, {"receivedTime", cel.TimestampType}},
	Source:  {{"signal", signalType}},
	CaseType: {
		{"signal", signalType}, {"case", caseType}, {"enrichment", cel.DynType}, {"item", cel.DynType}, {"severity", cel.IntType},
	},
	Guardrail: {
		{"case", caseType}, {"operation", cel.StringType}, {"target", cel.DynType}, {"input", cel.DynType},
		{"lookups", cel.DynType}, {"requester", cel.DynType}, {"severity", cel.IntType},
	},
	Playbook: {
		{"case", caseType}, {"inputs", cel.DynType}, {"steps", cel.DynType}, {"enrichment", cel.DynType},
		{"item", cel.DynType}, {"severity", cel.IntType},
	},
	Operation: {
		{"input", cel.DynType}, {"before", cel.DynType}, {"current", cel.DynType}, {"after", cel.DynType}, {"result", cel.DynType},
		{"response", cel.DynType}, {"key", cel.StringType}, {"mark", cel.StringType},
	},
}

// provider adds caseType and signalType to what the registry knows.
type provider struct {
	*types.Registry
}

func isRecord(name string) bool {
	return name == caseType.TypeName() || name == signalType.TypeName()
}

// FindStructType says that the record types exist.
func (p provider) FindStructType(name string) (*types.Type, bool) {
	switch name {
	case caseType.TypeName():
		return types.NewTypeTypeWithParam(caseType), true
	case signalType.TypeName():
		return types.NewTypeTypeWithParam(signalType), true
	}
	return p.Registry.FindStructType(name)
}

// FindStructFieldType gives severity its type and every other field of a record type dyn.
func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if !isRecord(name) {
		return p.Registry.FindStructFieldType(name, field)
	}
	if field == "severity" {
		return &types.FieldType{Type: types.IntType}, true
	}
	return &types.FieldType{Type: types.DynType}, true
}

// FindStructFieldNames names the one field of a record type that is known beforehand.
func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if !isRecord(name) {
		return p.Registry.FindStructFieldNames(name)
	}
	return []string{"severity"}, true
}

func severityConstants() cel.EnvOption {
	constants := []cel.EnvOption{
		cel.Constant("Informational", cel.IntType, types.Int(Informational)),
		cel.Constant("Low", cel.IntType, types.Int(Low)),
		cel.Constant("Medium", cel.IntType, types.Int(Medium)),
		cel.Constant("High", cel.IntType, types.Int(High)),
		cel.Constant("Critical", cel.IntType, types.Int(Critical)),
	}
	return func(env *cel.Env) (*cel.Env, error) {
		var err error
		for _, option := range constants {
			if env, err = option(env); err != nil {
				return nil, err
			}
		}
		return env, nil
	}
}
