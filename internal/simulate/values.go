// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// plain is any value as JSON in Go types, so that values of YAML, of the API and of expressions compare.
func plain(value any) (any, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	var out any
	err = json.Unmarshal(raw, &out)
	return out, err
}

// object is a value as a map of plain values; nil for what is none.
func object(value any) map[string]any {
	p, err := plain(value)
	if err != nil {
		return nil
	}
	out, _ := p.(map[string]any)
	return out
}

// compact writes a value as JSON, for people.
func compact(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(out.String())
}

// differences says where a value is not as expected: every member that is expected must be there and equal; members that
// are not expected do not matter; a list must have the same elements in the same order. Text stands for a record of that
// name or value, and for a time of that moment.
func differences(path string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{differs(path, want, got)}
		}
		var out []string
		for _, key := range slices.Sorted(maps.Keys(w)) {
			at := key
			if path != "" {
				at = path + "." + key
			}
			out = append(out, differences(at, w[key], g[key])...)
		}
		return out
	case []any:
		g, ok := got.([]any)
		if got != nil && !ok || len(g) != len(w) {
			return []string{differs(path, want, got)}
		}
		var out []string
		for i := range w {
			out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), w[i], g[i])...)
		}
		return out
	case string:
		if sameText(w, got) {
			return nil
		}
	default:
		if reflect.DeepEqual(want, got) {
			return nil
		}
	}
	return []string{differs(path, want, got)}
}

func differs(path string, want, got any) string {
	if got == nil {
		return fmt.Sprintf("%s: expected %s, came nothing", path, compact(want))
	}
	return fmt.Sprintf("%s: expected %s, came %s", path, compact(want), compact(got))
}

// sameText holds text up to text, to a record's name or value, or to a time that is written otherwise.
func sameText(want string, got any) bool {
	switch g := got.(type) {
	case nil:
		return want == ""
	case string:
		a, errA := time.Parse(time.RFC3339Nano, want)
		b, errB := time.Parse(time.RFC3339Nano, g)
		return want == g || errA == nil && errB == nil && a.Equal(b)
	case map[string]any:
		if g["namespace"] != nil && want == fmt.Sprint(g["namespace"], "/", g["name"]) {
			return true
		}
		return g["name"] == want || g["value"] == want
	}
	return false
}
