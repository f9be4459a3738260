// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"bytes"
	"context"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// InputOf is the record that a playbook gets for an input of type User, Host, Asset or
// Indicator: what the case knows of that entity, and for each enrichment of the type that
// is made for it (whose forEach gives the entity, or its name) a member of the
// enrichment's name with that result, as the lookup gave it, or [expr.Unavailable] where
// the lookup failed or was not made yet. An entity's own members go before enrichments of
// their names.
//
// The item is the entity as a record or as its name: of an indicator the value, of any
// other as people write it, such as shop/web. An entity that the case does not have is
// the record that was given, with no results. A nil type adds none, and nil is returned
// for what names nothing and for any other type of input.
func InputOf(ctx context.Context, c *v1alpha1.Case, t *Type, inputType string, item any) map[string]any {
	entities, member := entitiesOf(c, inputType)
	given, name := identity(item, member)
	if member == "" || name == "" {
		return nil
	}
	entity := given
	for _, one := range entities {
		if known, ok := one.(map[string]any); ok && sameEntity(inputType, known, given, name) {
			entity = known
			break
		}
	}
	out := make(map[string]any, len(entity))
	if t != nil {
		vars := Vars(c)
		for _, e := range t.enrichments {
			if result, made := e.resultFor(ctx, vars, c.Status.Enrichments, entity, member); made {
				out[e.Name] = result
			}
		}
	}
	for key, value := range entity {
		out[key] = value
	}
	return out
}

// entitiesOf are the case's entities of a type of input, and the member that names one.
func entitiesOf(c *v1alpha1.Case, inputType string) (entities []any, member string) {
	switch inputType {
	case "User":
		return list(c.Status.Users), "name"
	case "Host":
		return list(c.Status.Hosts), "name"
	case "Asset":
		return list(c.Status.Assets), "name"
	case "Indicator":
		return list(c.Status.Indicators), "value"
	default:
		return nil, ""
	}
}

// identity is the item as a record, and what names it.
func identity(item any, member string) (record map[string]any, name string) {
	switch v := item.(type) {
	case string:
		return map[string]any{member: v}, v
	case map[string]any:
		name, _ = v[member].(string)
		return v, name
	default:
		return nil, ""
	}
}

// sameEntity tells whether the case's entity is the one that was given: under its name
// alone, or with all that is given beside it. What people are called differs by case
// between tools.
func sameEntity(inputType string, known, given map[string]any, name string) bool {
	text := func(record map[string]any, key string) string { s, _ := record[key].(string); return s }
	if inputType == "Indicator" {
		return text(known, "value") == name && (given["type"] == nil || given["type"] == known["type"])
	}
	equal := strings.EqualFold
	if inputType == "Asset" {
		equal = func(a, b string) bool { return a == b }
	}
	for _, key := range []string{"type", "namespace", "cluster", "uid"} {
		if has := text(given, key); has != "" && text(known, key) != "" && has != text(known, key) {
			return false
		}
	}
	return equal(text(known, "name"), name) || len(given) == 1 && equal(itemName(known, ""), name)
}

// resultFor is what the lookup said of an entity; false where it is not made for it.
func (e *Enrichment) resultFor(ctx context.Context, vars map[string]any, records []v1alpha1.EnrichmentRecord, entity map[string]any, member string) (any, bool) {
	if e.forEach == nil {
		return nil, false
	}
	items, err := e.Items(ctx, vars)
	if err != nil {
		return expr.Unavailable{Reason: "lookup " + e.Name + " was not made: " + err.Error()}, true
	}
	for i, name := range ItemNames(items) {
		if !sameJSON(items[i], entity) && !sameJSON(items[i], entity[member]) {
			continue
		}
		var newest *v1alpha1.EnrichmentRecord
		for j, r := range records {
			if r.Name == e.Name && r.Item == name && r.Decision == "" && (newest == nil || newest.Time.Before(&records[j].Time)) {
				newest = &records[j]
			}
		}
		if newest == nil {
			return notMade(e.Name, name), true
		}
		return resultOf(*newest), true
	}
	return nil, false
}

func sameJSON(a, b any) bool {
	left, errA := encode(a)
	right, errB := encode(b)
	return errA == nil && errB == nil && bytes.Equal(left, right)
}
