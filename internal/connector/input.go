// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
)

// InputType is the JSON type of an input.
type InputType string

// The types of an input, with the Go types of their values.
const (
	// StringInput is a string.
	StringInput InputType = "string"
	// IntegerInput is an int64, an int, or a float64 without a fraction (as JSON decodes it).
	IntegerInput InputType = "integer"
	// NumberInput is a float64, an int64 or an int.
	NumberInput InputType = "number"
	// BooleanInput is a bool.
	BooleanInput InputType = "boolean"
	// ListInput is a []any.
	ListInput InputType = "list"
	// ObjectInput is a map[string]any.
	ObjectInput InputType = "object"
)

// Input declares one input of an operation.
type Input struct {
	// Name is the key in the input.
	Name string
	// Type is the JSON type of the value.
	Type InputType
	// Required inputs must be there. An empty string and null count as not there.
	Required bool
	// Pattern is what a string must match, in full; nil means anything.
	Pattern *regexp.Regexp
	// MaxLength is how many bytes a string may have; zero means 1024.
	MaxLength int
	// Want says to people what to write, with an example; it ends the message about a bad value.
	Want string
}

// defaultMaxLength of a string input, in bytes.
const defaultMaxLength = 1024

// Find returns the operation of that name, and whether there is one.
func Find(operations []Operation, name string) (Operation, bool) {
	i := slices.IndexFunc(operations, func(o Operation) bool { return o.Name == name })
	if i < 0 {
		return Operation{}, false
	}
	return operations[i], true
}

// FindMutation returns the operation of that name if it changes something,
// FindRead if it does not; the other kind, and a name that is not known, are
// Terminal errors that list what there is.
func FindMutation(operations []Operation, name string) (Operation, error) {
	return find(operations, name, "a mutating", func(o Operation) bool { return o.Effect != v1alpha1.EffectRead })
}

// FindRead is described with [FindMutation].
func FindRead(operations []Operation, name string) (Operation, error) {
	return find(operations, name, "a read", func(o Operation) bool { return o.Effect == v1alpha1.EffectRead })
}

func find(operations []Operation, name, kind string, is func(Operation) bool) (Operation, error) {
	if o, ok := Find(operations, name); ok && is(o) {
		return o, nil
	}
	var names []string
	for _, o := range operations {
		if is(o) {
			names = append(names, o.Name)
		}
	}
	return Operation{}, fault.Terminalf(UnknownOperationReason,
		"could not use operation %q: the connector has no such operation as %s one: use one of %s", name, kind, strings.Join(names, ", "))
}

// CheckInput checks an input against what the operation declares. The error is
// Terminal with reason InvalidInput and names the first field that is wrong:
// declared fields in their order, then others by name.
func (o Operation) CheckInput(input map[string]any) error {
	for _, declared := range o.Inputs {
		if why := declared.check(input[declared.Name]); why != "" {
			return fault.Terminalf(InvalidInputReason, "could not use the input of %s: field %q %s: want %s",
				o.Name, declared.Name, why, declared.want())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(input)) {
		if !slices.ContainsFunc(o.Inputs, func(i Input) bool { return i.Name == name }) {
			return fault.Terminalf(InvalidInputReason, "could not use the input of %s: field %q is not one of its inputs: it takes %s",
				o.Name, name, o.inputNames())
		}
	}
	return nil
}

func (o Operation) inputNames() string {
	names := make([]string, len(o.Inputs))
	for i, input := range o.Inputs {
		names[i] = input.Name
	}
	return strings.Join(names, ", ")
}

// check says what is wrong with a value; empty means nothing.
func (i Input) check(value any) string {
	if value == nil || value == "" {
		if i.Required {
			return "is missing"
		}
		return ""
	}
	if got := typeOf(value); got != i.Type && (got != IntegerInput || i.Type != NumberInput) {
		return fmt.Sprintf("is of type %s, not %s", got, i.Type)
	}
	text, ok := value.(string)
	if !ok {
		return ""
	}
	limit := i.MaxLength
	if limit == 0 {
		limit = defaultMaxLength
	}
	if len(text) > limit {
		return fmt.Sprintf("is %d bytes long, more than %d", len(text), limit)
	}
	if i.Pattern != nil && !matchesInFull(i.Pattern, text) {
		return fmt.Sprintf("is %q", text)
	}
	return ""
}

func (i Input) want() string {
	if i.Want == "" {
		return "a value of type " + string(i.Type)
	}
	return i.Want
}

// matchesInFull holds whether or not the pattern is anchored.
func matchesInFull(pattern *regexp.Regexp, text string) bool {
	at := pattern.FindStringIndex(text)
	return at != nil && at[0] == 0 && at[1] == len(text)
}

func typeOf(value any) InputType {
	switch v := value.(type) {
	case string:
		return StringInput
	case bool:
		return BooleanInput
	case int, int64:
		return IntegerInput
	case float64:
		if v == float64(int64(v)) {
			return IntegerInput
		}
		return NumberInput
	case []any:
		return ListInput
	case map[string]any:
		return ObjectInput
	default:
		return InputType(fmt.Sprintf("%T", value))
	}
}

// String returns a string input, or "" if it is not there. Call it after CheckInput.
func String(input map[string]any, name string) string {
	text, _ := input[name].(string)
	return text
}

// Clip shortens a message to MaxMessage bytes, at a character, and marks that it did.
func Clip(message string) string {
	if len(message) <= MaxMessage {
		return message
	}
	const mark = "…"
	end := MaxMessage - len(mark)
	for end > 0 && !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end] + mark
}
