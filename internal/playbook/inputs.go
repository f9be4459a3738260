// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package playbook

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// item is the one input of a run that its case's type started for each of several without saying under which name.
const item = "item"

// CheckInputs tells whether a run could start with these inputs; the error names the one that is missing, too much or of
// another type.
func (c *Compiled) CheckInputs(given map[string]any) error {
	_, err := c.inputs(given, nil)
	return err
}

// ExampleInputs are the flags that give kubectl casebook run a value for each input, each after a space.
func (c *Compiled) ExampleInputs() string {
	out := ""
	for _, in := range c.spec.Inputs {
		out += fmt.Sprintf(" --input %s=%s", in.Name, cmp.Or(examples[in.Type], "VALUE"))
	}
	return out
}

// examples are values of the types of input, as a shell takes them.
var examples = map[string]string{
	"User": "ana@example.com", "Host": "web-1", "Asset": "web-6d4f9", "Indicator": "192.0.2.1",
	"String": "text", "Integer": "3", "Boolean": "true", "Object": `'{"name": "value"}'`, "List": `'["value"]'`,
}

// inputs are the values that expressions read, of the types that the playbook declares. Given are those of the run; a
// lone one named item is the playbook's one input, whatever its name. An entity (User, Host, Asset, Indicator) may be
// given by name or as a record, and is what entity makes of it; without entity it is the record itself.
func (c *Compiled) inputs(given any, entity func(inputType string, given any) map[string]any) (map[string]any, error) {
	values, _ := given.(map[string]any)
	declared := c.spec.Inputs
	if lone, ok := values[item]; ok && len(values) == 1 && len(declared) == 1 {
		values = map[string]any{declared[0].Name: lone}
	}
	out := make(map[string]any, len(declared))
	for _, in := range declared {
		value, ok := values[in.Name]
		if !ok {
			return nil, fmt.Errorf("the input %s is missing: give it under playbooks[].inputs of the CaseType, or with the run", in.Name)
		}
		typed, ok := typedInput(in.Type, value)
		if !ok {
			return nil, fmt.Errorf("the input %s must be %s, and %s was given: correct it under playbooks[].inputs of the CaseType, or with the run",
				in.Name, wanted(in.Type), described(value))
		}
		if record, ok := typed.(map[string]any); ok && isEntity(in.Type) && entity != nil {
			if known := entity(in.Type, value); known != nil {
				record = known
			}
			typed = record
		}
		out[in.Name] = typed
	}
	for name := range values {
		if !slices.ContainsFunc(declared, func(in v1alpha1.PlaybookInput) bool { return in.Name == name }) {
			return nil, fmt.Errorf("the input %s is given, but the playbook does not declare it under spec.inputs", name)
		}
	}
	return out, nil
}

// typedInput is a value as one of the type; false if it is none.
func typedInput(inputType string, value any) (any, bool) {
	switch inputType {
	case "String":
		_, ok := value.(string)
		return value, ok
	case "Boolean":
		_, ok := value.(bool)
		return value, ok
	case "Integer":
		return integer(value)
	case "Object":
		_, ok := value.(map[string]any)
		return value, ok
	case "List":
		_, ok := value.([]any)
		return value, ok
	}
	if !isEntity(inputType) {
		return value, true // a type of a later version
	}
	member := "name"
	if inputType == "Indicator" {
		member = "value"
	}
	if name, ok := value.(string); ok {
		return map[string]any{member: name}, name != ""
	}
	record, _ := value.(map[string]any)
	name, _ := record[member].(string)
	return record, name != ""
}

func isEntity(inputType string) bool {
	return slices.Contains([]string{"User", "Host", "Asset", "Indicator"}, inputType)
}

// integer is a whole number as expressions count with it, whatever its form in JSON.
func integer(value any) (any, bool) {
	switch v := value.(type) {
	case int64:
		return v, true
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	case float64:
		const exact = 1 << 53 // beyond it a float64 is not one whole number
		return int64(v), v == math.Trunc(v) && math.Abs(v) <= exact
	default:
		return nil, false
	}
}

func wanted(inputType string) string {
	switch {
	case inputType == "Indicator":
		return "an Indicator (its value, or a record with a value)"
	case isEntity(inputType):
		return fmt.Sprintf("a %s (its name, or a record with a name)", inputType)
	case inputType == "Integer" || inputType == "Object":
		return "an " + inputType
	default:
		return "a " + inputType
	}
}

// described says what a value is without giving it away.
func described(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		if v == "" {
			return "an empty text"
		}
		return "a text"
	case bool:
		return "true or false"
	case map[string]any:
		return "a record"
	case []any:
		return "a list"
	default:
		return "a number"
	}
}
