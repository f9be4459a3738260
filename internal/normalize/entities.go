// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"cmp"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// entities makes the setter of a list of entities: objects as user(), host(),
// asset() and pod() build them, or names.
func entities(name string, field func(*v1alpha1.NormalizedSignal) *[]v1alpha1.Entity) func(*builder, any) bool {
	return func(b *builder, value any) bool {
		var all []v1alpha1.Entity
		index := map[v1alpha1.Entity]int{}
		for _, element := range elements(value) {
			if empty(element) {
				continue
			}
			e, ok := entityOf(element)
			if !ok {
				b.warn("%s: %s is no entity and was left out; write %s(name)", name, kindOf(element), strings.TrimSuffix(name, "s"))
				continue
			}
			if e.Type == "" {
				e.Type = map[string]string{"users": "User", "hosts": "Host"}[name]
			}
			if name == "users" {
				e.Name = canonicalLogin(e.Name)
			}
			key := identity(name, e)
			if at, twice := index[key]; twice {
				complete(&all[at], e)
				continue
			}
			index[key] = len(all)
			all = append(all, e)
		}
		if len(all) == 0 {
			return false
		}
		b.full[name] = identities(name, all)
		*field(&b.signal) = b.bounded(name, all)
		return true
	}
}

// canonicalLogin writes a login that is a mail address or a UPN in the form of an
// indicator of that type, so that tools that write it differently speak of one user.
// Any other login stays as it is.
func canonicalLogin(name string) string {
	if address, ok := Canonical(v1alpha1.Indicator{Type: typeEmail, Value: name}); ok && strings.EqualFold(address.Value, name) {
		return address.Value
	}
	return name
}

// elements are the elements of a list; a single value is a list of one.
func elements(value any) []any {
	if list, ok := value.([]any); ok {
		return list
	}
	return []any{value}
}

func entityOf(value any) (v1alpha1.Entity, bool) {
	object, ok := value.(map[string]any)
	if !ok {
		name, ok := scalarText(value)
		return v1alpha1.Entity{Name: strings.TrimSpace(name)}, ok
	}
	part := func(key string) string {
		text, _ := scalarText(object[key])
		return strings.TrimSpace(text)
	}
	e := v1alpha1.Entity{
		Name: part("name"), Type: part("type"), DisplayName: part("displayName"),
		Namespace: part("namespace"), Cluster: part("cluster"), UID: part("uid"),
	}
	return e, e.Name != ""
}

// identity is what makes two entities of a list the same. Logins and host names are
// the same in any case of their letters; a pod with another uid is another pod.
func identity(list string, e v1alpha1.Entity) v1alpha1.Entity {
	e.DisplayName = ""
	if list == "assets" {
		return e
	}
	e.Name = strings.ToLower(e.Name)
	e.UID = ""
	return e
}

// complete fills what an entity does not say from another mention of it.
func complete(e *v1alpha1.Entity, other v1alpha1.Entity) {
	e.DisplayName = cmp.Or(e.DisplayName, other.DisplayName)
	e.UID = cmp.Or(e.UID, other.UID)
}

// identities are what a fingerprint has of a list, whatever its order.
func identities(list string, all []v1alpha1.Entity) []v1alpha1.Entity {
	out := make([]v1alpha1.Entity, len(all))
	for i, e := range all {
		out[i] = identity(list, e)
	}
	slices.SortFunc(out, compareEntities)
	return out
}

func compareEntities(a, b v1alpha1.Entity) int {
	return cmp.Or(
		cmp.Compare(a.Type, b.Type), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID),
	)
}

// bounded cuts a list of entities to the schema.
func (b *builder) bounded(name string, all []v1alpha1.Entity) []v1alpha1.Entity {
	var out []v1alpha1.Entity
	size := 0
	for i, e := range all {
		whole := e
		e = v1alpha1.Entity{
			Name: firstRunes(e.Name, maxName), Type: firstRunes(e.Type, maxType), DisplayName: firstRunes(e.DisplayName, maxName),
			Namespace: firstRunes(e.Namespace, maxNamespace), Cluster: firstRunes(e.Cluster, maxCluster), UID: firstRunes(e.UID, maxName),
		}
		size += len(e.Name) + len(e.Type) + len(e.DisplayName) + len(e.Namespace) + len(e.Cluster) + len(e.UID)
		if len(out) == maxEntities || size > maxEntityText && len(out) > 0 {
			b.warn("%s: the payload names %d; the first %d were kept", name, len(all), i)
			break
		}
		if e != whole {
			b.warn("%s: %s was cut to the bounds of the schema", name, quoted(whole.Name))
		}
		out = append(out, e)
	}
	return out
}
