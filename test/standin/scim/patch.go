// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// patched applies a PatchOp (RFC 7644, section 3.5.2), all of it or nothing.
func patched(body, document map[string]any) (map[string]any, bool, *problem) {
	if !hasSchema(body, patchSchema) {
		return nil, false, failure(http.StatusBadRequest, "invalidSyntax", "schemas does not name %s", patchSchema)
	}
	operations, _ := body["Operations"].([]any)
	if len(operations) == 0 {
		return nil, false, failure(http.StatusBadRequest, "invalidSyntax", "Operations is missing or empty")
	}
	touched := false
	for _, each := range operations {
		operation, _ := each.(map[string]any)
		active, problem := apply(document, operation)
		if problem != nil {
			return nil, false, problem
		}
		touched = touched || active
	}
	return document, touched, nil
}

// apply applies one operation, and tells whether it speaks of active.
func apply(document, operation map[string]any) (active bool, _ *problem) {
	op, _ := operation["op"].(string)
	value, hasValue := operation["value"]
	path, hasPath := operation["path"].(string)
	switch {
	case op != "add" && op != "replace" && op != "remove":
		return false, failure(http.StatusBadRequest, "invalidSyntax", "op is not one of add, replace, remove")
	case operation["path"] != nil && !hasPath:
		return false, failure(http.StatusBadRequest, "invalidPath", "path is not a string")
	case op == "remove" && !hasPath:
		return false, failure(http.StatusBadRequest, "noTarget", "remove needs a path")
	case op != "remove" && !hasValue:
		return false, failure(http.StatusBadRequest, "invalidValue", "value is missing")
	case !hasPath:
		return mergeAll(document, value, op)
	}
	target, problem := resolve(document, path)
	if problem != nil {
		return false, problem
	}
	return strings.EqualFold(path, "active"), target.apply(op, value)
}

// mergeAll applies add or replace without a path: the value's members are attributes.
func mergeAll(document map[string]any, value any, op string) (active bool, _ *problem) {
	object, ok := value.(map[string]any)
	if !ok {
		return false, failure(http.StatusBadRequest, "invalidValue", "without a path the value must be an object of attributes")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		target, problem := resolve(document, name)
		if problem == nil {
			problem = target.apply(op, object[name])
		}
		if problem != nil {
			return false, problem
		}
		active = active || strings.EqualFold(name, "active")
	}
	return active, nil
}

// target is an attribute within the object that holds it.
type target struct {
	attribute attribute
	parents   []string // where the holder is, from the document
	document  map[string]any
}

// resolve finds what a path means: an attribute, a sub-attribute, either with the URN of its schema before it.
func resolve(document map[string]any, path string) (*target, *problem) {
	unknown := failure(http.StatusBadRequest, "invalidPath", "path %s names no attribute of a user", path)
	if strings.ContainsAny(path, "[]") {
		return nil, failure(http.StatusBadRequest, "invalidPath", "paths with a value filter are not supported")
	}
	found := &target{document: document}
	among, rest := attributes, path
	if whole, ok := lookup(attributes, path); ok { // an extension's name has dots
		found.attribute = whole
		return found, nil
	}
	for _, schema := range []string{CoreSchema, EnterpriseSchema, WorkforceSchema} {
		if len(path) <= len(schema) || !strings.EqualFold(path[:len(schema)+1], schema+":") {
			continue
		}
		rest = path[len(schema)+1:]
		if extension, ok := lookup(attributes, schema); ok {
			among, found.parents = extension.sub, []string{extension.name}
		}
	}
	for {
		name, sub, more := strings.Cut(rest, ".")
		attribute, ok := lookup(among, name)
		if !ok {
			return nil, unknown
		}
		if !more {
			found.attribute = attribute
			return found, nil
		}
		if attribute.kind != objectKind {
			return nil, unknown
		}
		if attribute.readOnly {
			found.attribute = attribute
			return found, nil // refused for what it is, whatever is meant within it
		}
		found.parents = append(found.parents, attribute.name)
		among, rest = attribute.sub, sub
	}
}

// apply sets or removes the attribute.
func (t *target) apply(op string, value any) *problem {
	if t.attribute.readOnly || op == "remove" && t.attribute.required {
		return failure(http.StatusBadRequest, "mutability", "attribute %s cannot be changed so", t.attribute.name)
	}
	holder := t.document
	for _, name := range t.parents {
		next, ok := holder[name].(map[string]any)
		if !ok && op == "remove" {
			return nil // it is not there
		}
		if !ok {
			next = map[string]any{}
			holder[name] = next
		}
		holder = next
	}
	if op == "remove" {
		delete(holder, t.attribute.name)
		return nil
	}
	normal, problem := t.attribute.normal(value)
	if problem != nil {
		return problem
	}
	switch have := holder[t.attribute.name].(type) {
	case map[string]any: // add and replace of a complex attribute set the given sub-attributes alone
		if sub, ok := normal.(map[string]any); ok {
			maps.Copy(have, sub)
			return nil
		}
	case []any:
		if more, ok := normal.([]any); ok && op == "add" {
			holder[t.attribute.name] = append(have, more...)
			return nil
		}
	}
	holder[t.attribute.name] = normal
	return nil
}

// normal checks a value against the attribute and gives its members their own names.
func (a attribute) normal(value any) (any, *problem) {
	wrong := failure(http.StatusBadRequest, "invalidValue", "the value of %s has the wrong type", a.name)
	ok := true
	switch a.kind {
	case stringKind:
		text, isText := value.(string)
		if ok = isText; ok && a.required && text == "" {
			return nil, failure(http.StatusBadRequest, "invalidValue", "%s may not be empty", a.name)
		}
	case booleanKind:
		_, ok = value.(bool)
	case objectKind:
		object, isObject := value.(map[string]any)
		if !isObject {
			return nil, wrong
		}
		return a.members(object)
	case listKind:
		list, isList := value.([]any)
		if !isList {
			return nil, wrong
		}
		out := make([]any, 0, len(list))
		for _, element := range list {
			object, isObject := element.(map[string]any)
			if !isObject {
				return nil, wrong
			}
			members, problem := a.members(object)
			if problem != nil {
				return nil, problem
			}
			out = append(out, members)
		}
		return out, nil
	}
	if !ok {
		return nil, wrong
	}
	return value, nil
}

// members checks the members of an object. Read-only ones are dropped, as section 3.5.1 has it.
func (a attribute) members(object map[string]any) (map[string]any, *problem) {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		sub, ok := lookup(a.sub, name)
		if !ok {
			return nil, failure(http.StatusBadRequest, "invalidSyntax", "%s has no attribute %s", a.name, name)
		}
		if sub.readOnly {
			continue
		}
		normal, problem := sub.normal(object[name])
		if problem != nil {
			return nil, problem
		}
		out[sub.name] = normal
	}
	return out, nil
}

// replaced makes the document that a PUT asks for (section 3.5.1): what is left out goes, active becomes true, what is
// read-only stays.
func replaced(body, document map[string]any) (map[string]any, bool, *problem) {
	if !hasSchema(body, CoreSchema) {
		return nil, false, failure(http.StatusBadRequest, "invalidSyntax", "schemas does not name %s", CoreSchema)
	}
	whole := attribute{name: "User", kind: objectKind, sub: attributes}
	next, problem := whole.members(body)
	if problem != nil {
		return nil, false, problem
	}
	if _, ok := next["userName"]; !ok {
		return nil, false, failure(http.StatusBadRequest, "invalidValue", "userName is missing")
	}
	if _, ok := next["active"]; !ok {
		next["active"] = true
	}
	return next, next["active"] != document["active"], nil
}
