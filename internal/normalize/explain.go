// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

func (b *builder) explain(f field, found any) {
	b.signal.Explanation = append(b.signal.Explanation, v1alpha1.FieldExplanation{
		Field:      f.name,
		Expression: shortened(f.program.Source(), maxExpression),
		Path:       shortened(b.path, maxPath),
		Value:      shortened(show(found), maxExplained),
	})
}

// shortened is a text as an explanation holds it: cut to at most so many characters,
// the last of which then says so.
func shortened(text string, most int) string {
	if firstRunes(text, most) == text {
		return text
	}
	return firstRunes(text, most-1) + "…"
}

// source finds what an expression took its result from: of the paths that it reads
// and that hold a value, the first whose value is in the result; else the first. An
// expression that reads nothing has no path.
func (b *builder) source(program *expr.Program, result any) (string, any) {
	inResult := map[string]bool{}
	leaves(result, inResult)
	var path string
	var found any
	for _, p := range program.Paths() {
		value, ok := lookUp(b.vars, p)
		if !ok || empty(value) {
			continue
		}
		if path == "" {
			path, found = p, value
		}
		if text, ok := scalarText(value); ok && inResult[strings.TrimSpace(text)] {
			return p, value
		}
	}
	return path, found
}

const maxLeaves = 256

// leaves collects the scalars in a value, up to a bound.
func leaves(value any, into map[string]bool) {
	if len(into) >= maxLeaves {
		return
	}
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			leaves(element, into)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			leaves(v[key], into)
		}
	default:
		if text, ok := scalarText(value); ok {
			into[strings.TrimSpace(text)] = true
		}
	}
}

func rootOf(path string) string {
	if end := strings.IndexAny(path, ".["); end >= 0 {
		return path[:end]
	}
	return path
}

// lookUp follows a path as expr.Program.Paths writes it: item.a["b c"][0], where []
// stands for any element.
func lookUp(vars map[string]any, path string) (any, bool) {
	root := rootOf(path)
	value, ok := vars[root]
	if !ok {
		return nil, false
	}
	return follow(value, path[len(root):])
}

func follow(value any, rest string) (any, bool) {
	for rest != "" {
		key, after, ok := cutStep(rest)
		if !ok {
			return nil, false
		}
		if key == "[]" {
			return followAny(value, after)
		}
		switch v := value.(type) {
		case map[string]any:
			value, ok = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if ok = err == nil && i >= 0 && i < len(v); ok {
				value = v[i]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
		rest = after
	}
	return value, true
}

// followAny is the first value below any element of a list, or of a map, whose
// elements are its keys unless the path goes on.
func followAny(value any, rest string) (any, bool) {
	switch v := value.(type) {
	case []any:
		for _, element := range v[:min(len(v), maxLeaves)] {
			if found, ok := follow(element, rest); ok && !empty(found) {
				return found, true
			}
		}
	case map[string]any:
		if rest == "" {
			return v, len(v) > 0
		}
	}
	return nil, false
}

// cutStep takes one step from a path: .name, ["text"], [0] or [].
func cutStep(path string) (key, rest string, ok bool) {
	switch {
	case strings.HasPrefix(path, "[]"):
		return "[]", path[2:], true
	case strings.HasPrefix(path, "[\""):
		literal, err := strconv.QuotedPrefix(path[1:])
		if err != nil || !strings.HasPrefix(path[1+len(literal):], "]") {
			return "", "", false
		}
		key, err = strconv.Unquote(literal)
		return key, path[len(literal)+2:], err == nil
	case strings.HasPrefix(path, "["):
		key, rest, ok = strings.Cut(path[1:], "]")
		return key, rest, ok
	case strings.HasPrefix(path, "."):
		path = path[1:]
		if end := strings.IndexAny(path, ".["); end >= 0 {
			return path[:end], path[end:], true
		}
		return path, "", true
	}
	return "", "", false
}

// scalarText writes text, a number or a boolean as text.
func scalarText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case json.Number:
		return v.String(), true
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), true
	}
	return "", false
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "nothing"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case string:
		return "text"
	case bool:
		return "a boolean"
	}
	return "a number"
}

// show writes a value for people: text as it is, the rest as JSON. It stops soon
// after as much as an explanation holds, for it may be shown a whole payload, once
// for each of thousands of findings.
func show(value any) string {
	if text, ok := scalarText(value); ok {
		return text
	}
	var out strings.Builder
	showJSON(&out, value)
	return out.String()
}

const (
	maxShown     = 4 * maxExplained // in bytes
	maxKeysShown = 64
)

func showJSON(out *strings.Builder, value any) {
	if out.Len() > maxShown {
		return
	}
	switch v := value.(type) {
	case []any:
		for i, element := range v {
			if out.Len() > maxShown {
				return
			}
			out.WriteString(separator(i, "["))
			showJSON(out, element)
		}
		out.WriteString(closing(len(v), "[", "]"))
	case map[string]any:
		if len(v) > maxKeysShown {
			fmt.Fprintf(out, "{%d keys}", len(v))
			return
		}
		for i, key := range slices.Sorted(maps.Keys(v)) {
			out.WriteString(separator(i, "{") + strconv.Quote(firstRunes(key, maxExplained)) + ":")
			showJSON(out, v[key])
		}
		out.WriteString(closing(len(v), "{", "}"))
	case nil:
		out.WriteString("null")
	case string:
		out.WriteString(strconv.Quote(firstRunes(v, maxExplained)))
	default:
		text, _ := scalarText(v)
		out.WriteString(text)
	}
}

func separator(i int, open string) string {
	if i == 0 {
		return open
	}
	return ","
}

func closing(n int, open, end string) string {
	if n == 0 {
		return open + end
	}
	return end
}
