// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/expr"
)

// knowing is a case of two users, a pod, a host and an address, of which much was looked up.
func knowing(t testing.TB) (*v1alpha1.Case, *casefile.Type) {
	typ := compile(t, caseType("identity", func(s *v1alpha1.CaseTypeSpec) {
		s.Enrich = []v1alpha1.Enrichment{
			{Name: "person", ForEach: "case.users", Lookup: "directory/findUser"}, {Name: "trips", ForEach: "case.users", Lookup: "travel/find"},
			{Name: "login", ForEach: "case.users.map(u, u.name)", Lookup: "idp/findLogin"}, {Name: "boss", ForEach: "case.users.filter(u, u.name == 'bob')", Lookup: "a/b"},
			{Name: "name", ForEach: "case.users", Lookup: "a/b"}, {Name: "owner", ForEach: "case.assets", Lookup: "a/b"},
			{Name: "places", ForEach: "case.indicators", Lookup: "geo/locate"}, {Name: "freeze", Lookup: "calendar/current"},
		}
	}))
	web := pod("shop", "web")
	web.UID = "u1"
	c := &v1alpha1.Case{Status: v1alpha1.CaseStatus{
		Users: []v1alpha1.Entity{{Name: "ana", DisplayName: "Ana"}, {Name: "bob"}}, Assets: []v1alpha1.Entity{web}, Hosts: []v1alpha1.Entity{{Name: "h1"}},
		Indicators: []v1alpha1.Indicator{{Type: "ipv4", Value: "192.0.2.1"}},
		Enrichments: []v1alpha1.EnrichmentRecord{
			{Name: "person", Item: "ana", Result: raw(`{"id":7}`), Time: at(1)}, {Name: "person", Item: "bob", Error: "gone"},
			{Name: "person", Item: "ana", Result: raw(`{"id":6}`), Time: at(0)}, {Name: "person", Item: "ana", Decision: "d", Result: raw(`{"id":8}`), Time: at(2)},
			{Name: "trips", Item: "ana", Result: raw(`[{"id":"T-17"}]`)}, {Name: "login", Item: "ana", Result: raw(`"a"`)}, {Name: "name", Item: "ana", Result: raw(`"x"`)},
			{Name: "owner", Item: "shop/web", Result: raw(`{"team":"web"}`)}, {Name: "places", Item: "192.0.2.1", Result: raw(`{"country":"DE"}`)},
			{Name: "freeze", Result: raw(`{}`)},
		},
	}}
	return c, typ
}

func TestInputOf(t *testing.T) {
	c, typ := knowing(t)
	ana := map[string]any{
		"name": "ana", "displayName": "Ana", "person": map[string]any{"id": json.Number("7")}, "trips": []any{map[string]any{"id": "T-17"}}, "login": "a",
	}
	notMade := func(lookup, item string) expr.Unavailable {
		return expr.Unavailable{Reason: "lookup " + lookup + " was not made yet for " + item}
	}
	web := map[string]any{"name": "web", "namespace": "shop", "type": "Pod", "uid": "u1", "owner": map[string]any{"team": "web"}}
	tests := map[string]struct {
		inputType string
		item      any
		want      map[string]any
	}{
		"a user by name":                     {"User", "ana", ana},
		"a user as the run was given it":     {"User", map[string]any{"name": "ana"}, ana},
		"names of people differ by case":     {"User", "ANA", ana},
		"what failed and what was not made":  {"User", "bob", map[string]any{"name": "bob", "person": expr.Unavailable{Reason: "lookup person failed: gone"}, "trips": notMade("trips", "bob"), "login": notMade("login", "bob"), "boss": notMade("boss", "bob")}},
		"a user that the case does not have": {"User", map[string]any{"name": "eve", "uid": "9"}, map[string]any{"name": "eve", "uid": "9"}},
		"a host that nothing looks up":       {"Host", "h1", map[string]any{"name": "h1"}},
		"an asset as people write it":        {"Asset", "shop/web", web},
		"an asset by its name":               {"Asset", "web", web},
		"names of things do not differ":      {"Asset", "WEB", map[string]any{"name": "WEB"}},
		"another asset of that name":         {"Asset", map[string]any{"name": "web", "uid": "u2"}, map[string]any{"name": "web", "uid": "u2"}},
		"an asset of another namespace":      {"Asset", map[string]any{"name": "web", "namespace": "x"}, map[string]any{"name": "web", "namespace": "x"}},
		"an indicator by its value":          {"Indicator", "192.0.2.1", map[string]any{"type": "ipv4", "value": "192.0.2.1", "places": map[string]any{"country": "DE"}}},
		"an indicator of another type":       {"Indicator", map[string]any{"type": "url", "value": "192.0.2.1"}, map[string]any{"type": "url", "value": "192.0.2.1"}},
		"an item that names nothing":         {"User", map[string]any{"value": "ana"}, nil},
		"an item that is nothing":            {"User", nil, nil},
		"an item that is a list":             {"User", []any{"ana"}, nil},
		"another type of input":              {"String", "ana", nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := c.DeepCopy()
			got := casefile.InputOf(t.Context(), c, typ, tc.inputType, tc.item)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, c); diff != "" {
				t.Errorf("the case was changed:\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(map[string]any{"name": "ana", "displayName": "Ana"}, casefile.InputOf(t.Context(), c, nil, "User", "ana")); diff != "" {
		t.Errorf("without its type (-want +got):\n%s", diff)
	}
}

func TestInputOfWhoseItemsCannotBeDecided(t *testing.T) {
	typ := compile(t, caseType("identity", func(s *v1alpha1.CaseTypeSpec) {
		s.Enrich = []v1alpha1.Enrichment{{Name: "person", ForEach: "[case.owner]", Lookup: "directory/findUser"}}
	}))
	got := casefile.InputOf(t.Context(), &v1alpha1.Case{}, typ, "User", "ana")
	if _, ok := got["person"].(expr.Unavailable); !ok {
		t.Errorf("got %v", got)
	}
}

// TestInputOfIsTotal gives it whatever JSON there is.
func TestInputOfIsTotal(t *testing.T) {
	c, typ := knowing(t)
	scalar := rapid.OneOf(rapid.Just[any](nil), rapid.Just[any]("ana"), rapid.Just[any](1.5), rapid.Just[any](true))
	record := rapid.MapOf(rapid.SampledFrom([]string{"name", "value", "type", "uid", "namespace"}), rapid.OneOf(scalar, rapid.Just[any](map[string]any{}), rapid.Just[any]([]any{})))
	rapid.Check(t, func(r *rapid.T) {
		var item any = record.Draw(r, "record")
		if rapid.Bool().Draw(r, "scalar") {
			item = scalar.Draw(r, "item")
		}
		inputType := rapid.SampledFrom([]string{"User", "Host", "Asset", "Indicator", "List", ""}).Draw(r, "type")
		got := casefile.InputOf(t.Context(), c, typ, inputType, item)
		if got != nil && got["name"] == nil && got["value"] == nil {
			r.Fatalf("a record without a name: %v", got)
		}
	})
}

func TestLookupsByHandNeedNoType(t *testing.T) {
	byHand := func(decision, result string, minute int) v1alpha1.EnrichmentRecord {
		return v1alpha1.EnrichmentRecord{Name: "y", Lookup: "x/y", Decision: decision, Input: raw(`{}`), Result: raw(result), Time: at(minute)}
	}
	w := world(t, func(w *casefile.World) {
		w.Type = nil
		w.Case.Status.Enrichments = []v1alpha1.EnrichmentRecord{record("b", "n", 0), record("a", "n", 0)}
		w.Enrichments = append([]v1alpha1.EnrichmentRecord{record("c", "n", 0), byHand("d2", "1", 2), byHand("d1", "2", 1), byHand("d1", "3", 2)}, w.Case.Status.Enrichments...)
	})
	first := casefile.Fold(t.Context(), w, opened).Status
	var got []string
	for _, r := range first.Enrichments {
		got = append(got, r.Name+r.Decision+string(r.Result.Raw))
	}
	if diff := cmp.Diff([]string{`b{}`, `a{}`, "yd13", "yd21"}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	w.Case.Status, w.Enrichments = first, first.Enrichments
	if diff := cmp.Diff(first, casefile.Fold(t.Context(), w, opened).Status); diff != "" {
		t.Errorf("the next pass writes:\n%s", diff)
	}
}

func TestRecordsOfEachItemAreKept(t *testing.T) {
	w := world(t, func(w *casefile.World) {
		w.Type = compile(t, propertyCaseType())
		for _, item := range []string{"bob", "ana"} {
			w.Enrichments = append(w.Enrichments, v1alpha1.EnrichmentRecord{Name: "a", Lookup: "x/y", Item: item, Input: raw(`{}`), Result: raw(`1`), Time: metav1.NewMicroTime(opened)})
		}
		w.Enrichments = append(w.Enrichments, v1alpha1.EnrichmentRecord{Name: "a", Lookup: "x/y", Decision: "d", Input: raw(`{}`), Result: raw(`1`)}, record("b", "n", 0))
	})
	var got []string
	for _, r := range casefile.Fold(t.Context(), w, opened).Status.Enrichments {
		got = append(got, r.Name+r.Item+r.Decision)
	}
	if diff := cmp.Diff([]string{"aana", "abob", "b", "ad"}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
