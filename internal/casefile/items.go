// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"fmt"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// maxItem is what the schema takes of an item's name, in code points.
const maxItem = 512

// ItemNames names each item: an entity by cluster, namespace and name, an indicator by
// its value, a sighting by its address and time, anything else by its text. A second item of the same name that is another
// thing has its uid, or else a digest, beside it; the first keeps the plain name. No
// item (nil) has the empty name, and no name is longer than 512 code points.
func ItemNames(items []any) []string {
	out := make([]string, len(items))
	first := map[string]string{} // plain name to canonical value
	for i, item := range items {
		if item == nil {
			continue
		}
		raw, err := encode(item)
		if err != nil {
			raw = fmt.Append(nil, item)
		}
		name := itemName(item, string(raw))
		if known, ok := first[name]; !ok {
			first[name] = string(raw)
		} else if known != string(raw) {
			name = apart(name, item, string(raw))
		}
		out[i] = name
	}
	return out
}

func itemName(item any, raw string) string {
	name := raw
	switch v := item.(type) {
	case string:
		name = v
	case map[string]any:
		text := func(key string) string { s, _ := v[key].(string); return s }
		switch {
		case text("name") != "":
			name = readableEntity(v1alpha1.Entity{Name: text("name"), Namespace: text("namespace"), Cluster: text("cluster")})
		case text("value") != "":
			name = text("value")
		case text("ip") != "":
			name = strings.TrimSuffix(text("ip")+" at "+text("time"), " at ")
		}
	}
	if name == "" || len([]rune(name)) > maxItem/2 {
		return cut(name, maxItem/2) + "#" + short(signalSuffix, raw)
	}
	return name
}

func apart(name string, item any, raw string) string {
	if v, ok := item.(map[string]any); ok {
		if uid, _ := v["uid"].(string); uid != "" && len([]rune(uid)) < maxItem/2 {
			return name + "@" + uid
		}
	}
	return name + "#" + short(signalSuffix, raw)
}
