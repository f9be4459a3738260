// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/expr"
)

func factor(when string, adjust int32, because string) v1alpha1.SeverityFactor {
	return v1alpha1.SeverityFactor{When: when, Adjust: &adjust, Because: because}
}

// scored is a type with factors and one lookup, person, made for each user.
func scored(factors ...v1alpha1.SeverityFactor) *v1alpha1.CaseType {
	return caseType("scored", func(s *v1alpha1.CaseTypeSpec) {
		s.Enrich = []v1alpha1.Enrichment{{Name: "person", ForEach: "case.users", Lookup: "directory/findUser"}}
		s.Severity = factors
	})
}

func TestSeverity(t *testing.T) {
	user := []v1alpha1.Entity{{Name: "ana"}}
	privileged := v1alpha1.EnrichmentRecord{Name: "person", Item: "ana", Result: raw(`{"privileged":true,"logins":3}`)}
	plain := v1alpha1.EnrichmentRecord{Name: "person", Item: "ana", Result: raw(`{"privileged":false}`)}
	failed := v1alpha1.EnrichmentRecord{Name: "person", Item: "ana", Error: "the directory did not answer"}
	byHand := privileged
	byHand.Decision = "d-1"
	isPrivileged := factor("enrichment.person.exists(p, p.privileged)", 1, "privileged, ${enrichment.person[0].logins} logins")
	tests := map[string]struct {
		base    v1alpha1.Severity
		factors []v1alpha1.SeverityFactor
		status  v1alpha1.CaseStatus
		want    v1alpha1.Severity
		trace   []string // factor, adjust, severity, beginning of because
	}{
		"without factors it is the base": {base: "Low", want: "Low"},
		"a factor that holds moves it": {base: "Low", factors: []v1alpha1.SeverityFactor{isPrivileged},
			status: v1alpha1.CaseStatus{Users: user, Enrichments: []v1alpha1.EnrichmentRecord{privileged}},
			want:   "Medium", trace: []string{"1 +1 Medium privileged, 3 logins"}},
		"a factor that does not hold leaves no row": {base: "Low", factors: []v1alpha1.SeverityFactor{factor("size(case.hosts) > 0", 1, "x")}, want: "Low"},
		"a failed lookup moves nothing and says so": {base: "Low", factors: []v1alpha1.SeverityFactor{isPrivileged},
			status: v1alpha1.CaseStatus{Users: user, Enrichments: []v1alpha1.EnrichmentRecord{failed}},
			want:   "Low", trace: []string{"1 0 Low not applied, for it cannot be decided: "}},
		"one of two lookups that failed makes their number unknown": {base: "High",
			factors: []v1alpha1.SeverityFactor{factor("size(enrichment.person) > 1", -2, "x")},
			status:  v1alpha1.CaseStatus{Users: user, Enrichments: []v1alpha1.EnrichmentRecord{plain, failed}},
			want:    "High", trace: []string{"1 0 High not applied"}},
		"one of two that was not made makes their number unknown": {base: "High",
			factors: []v1alpha1.SeverityFactor{factor("size(enrichment.person) == 1", -2, "x")},
			status:  v1alpha1.CaseStatus{Users: append(user, v1alpha1.Entity{Name: "bob"}), Enrichments: []v1alpha1.EnrichmentRecord{plain}},
			want:    "High", trace: []string{"1 0 High not applied, for it cannot be decided: could not evaluate \"size(enrichment.person) == 1\": lookup person was not made yet for bob"}},
		"what a person looked up by hand does not count": {base: "Low", factors: []v1alpha1.SeverityFactor{isPrivileged},
			status: v1alpha1.CaseStatus{Users: user, Enrichments: []v1alpha1.EnrichmentRecord{plain, byHand}}, want: "Low"},
		"nor does it take the place of the type's own": {base: "Low", factors: []v1alpha1.SeverityFactor{isPrivileged},
			status: v1alpha1.CaseStatus{Users: user, Enrichments: []v1alpha1.EnrichmentRecord{byHand}},
			want:   "Low", trace: []string{"1 0 Low not applied, for it cannot be decided: "}},
		"a lookup not made yet is unknown, not empty": {base: "High",
			factors: []v1alpha1.SeverityFactor{factor("size(enrichment.person) == 0", -2, "x"), factor("!has(enrichment.person)", -2, "x")},
			status:  v1alpha1.CaseStatus{Users: user}, want: "High", trace: []string{"1 0 High not applied", "2 0 High not applied"}},
		"a lookup with nothing to ask for is empty": {base: "High",
			factors: []v1alpha1.SeverityFactor{factor("size(enrichment.person) == 0", -1, "nobody")}, want: "Medium", trace: []string{"1 -1 Medium nobody"}},
		"it does not rise above Critical, and the sum shows": {base: "High",
			factors: []v1alpha1.SeverityFactor{factor("true", 3, "a"), factor("true", -2, "b")},
			want:    "Critical", trace: []string{"1 +3 Critical a (sum 7, held at Critical)", "2 -2 Critical b"}},
		"it does not fall below Informational": {base: "Low", factors: []v1alpha1.SeverityFactor{factor("true", -4, "a")},
			want: "Informational", trace: []string{"1 -4 Informational a (sum -2, held at Informational)"}},
		"a factor sees what the factors before it came to": {base: "Low",
			factors: []v1alpha1.SeverityFactor{factor("true", 1, "a"), factor("severity == Medium && case.severity == Medium", 1, "b")},
			want:    "High", trace: []string{"1 +1 Medium a", "2 +1 High b"}},
		"it does not see the severity that the case had": {base: "Low", factors: []v1alpha1.SeverityFactor{factor("severity >= High", 1, "x")},
			status: v1alpha1.CaseStatus{Severity: "Critical"}, want: "Low"},
		"a whole number is written without a fraction": {base: "Low", factors: []v1alpha1.SeverityFactor{factor("true", 1, "${14933.0} km/h"), factor("true", 1, "${149330000.0}"), factor("true", 1, "${0.5}")},
			want: "Critical", trace: []string{"1 +1 Medium 14933 km/h", "2 +1 High 149330000", "3 +1 Critical 0.5"}},
		"an explanation that cannot be rendered is shown as written": {base: "Low",
			factors: []v1alpha1.SeverityFactor{factor("true", 1, "of ${case.owner}")}, want: "Medium", trace: []string{"1 +1 Medium of ${case.owner}"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			typ := compile(t, scored(tc.factors...))
			c := &v1alpha1.Case{Status: tc.status}
			got, trace := casefile.Severity(t.Context(), typ, tc.base, typ.Vars(t.Context(), c))
			if got != tc.want || trace[0].Factor != "base" || trace[0].Severity != tc.base {
				t.Errorf("got %s with base %+v, want %s", got, trace[0], tc.want)
			}
			if len(trace) != len(tc.trace)+1 {
				t.Fatalf("got %d rows after the base, want %d: %+v", len(trace)-1, len(tc.trace), trace)
			}
			for i, want := range tc.trace {
				row := trace[i+1]
				sign := map[bool]string{true: "+"}[moved(row) > 0]
				line := strings.Join([]string{row.Factor, sign + itoa(moved(row)), string(row.Severity), row.Because}, " ")
				if !strings.HasPrefix(line, want) {
					t.Errorf("got row %q, want %q", line, want)
				}
			}
		})
	}
}

func TestSeverityIsTheSumOfItsRows(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		base := v1alpha1.SeverityOfRank(rapid.IntRange(1, 5).Draw(r, "base"))
		var factors []v1alpha1.SeverityFactor
		for range rapid.IntRange(0, 32).Draw(r, "factors") {
			when := rapid.SampledFrom([]string{"true", "false", "case.owner == 'x'"}).Draw(r, "when")
			factors = append(factors, factor(when, rapid.Int32Range(-4, 4).Draw(r, "adjust"), "because"))
		}
		typ, err := casefile.Compile(scored(factors...))
		if err != nil {
			r.Fatal(err)
		}
		got, trace := casefile.Severity(t.Context(), typ, base, casefile.Vars(&v1alpha1.Case{}))
		sum := base.Rank()
		for _, row := range trace[1:] {
			sum += int(moved(row))
			if row.Severity != v1alpha1.SeverityOfRank(sum) || row.Because == "" {
				r.Fatalf("row %+v does not say what %d came to", row, sum)
			}
		}
		if got != v1alpha1.SeverityOfRank(sum) || len(trace) > 40 {
			r.Fatalf("got %s with %d rows, want the sum %d", got, len(trace), sum)
		}
	})
}

func TestVars(t *testing.T) {
	c := &v1alpha1.Case{Spec: v1alpha1.CaseSpec{TypeRef: v1alpha1.LocalRef{Name: "identity"}, Title: "t", Severity: "Low"}}
	c.Name, c.Namespace = "id-1", "soc"
	c.CreationTimestamp.Time = opened
	fresh := map[string]any{
		"name": "id-1", "namespace": "soc", "type": "identity", "title": "t", "severity": int64(2), "state": "New", "openedTime": opened,
		"users": []any{}, "hosts": []any{}, "assets": []any{}, "indicators": []any{}, "sightings": []any{},
	}
	if diff := cmp.Diff(map[string]any{"case": fresh, "severity": int64(2), "enrichment": map[string]any{}}, casefile.Vars(c)); diff != "" {
		t.Errorf("a case that nothing has looked at (-want +got):\n%s", diff)
	}
	c.Status = v1alpha1.CaseStatus{
		Severity: "High", State: "Triage", Queue: "identity", Owner: "mia", Users: []v1alpha1.Entity{{Name: "ana", UID: "7"}},
		Enrichments: []v1alpha1.EnrichmentRecord{
			{Name: "a", Result: raw(`{"id":123456789012345678}`)}, {Name: "a", Result: raw(`null`)},
			{Name: "b", Result: raw(`1`)}, {Name: "b", Error: "gone"}, {Name: "b", Result: raw(`2`)}, {Name: "c"},
			{Name: "d", Result: raw(`[{"id":1},[2]]`)}, {Name: "d", Result: raw(`[]`)}, {Name: "d", Result: raw(`{"id":3}`)}, {Name: "e", Result: raw(`[]`)},
			{Name: "a", Decision: "d-1", Result: raw(`1`)}, {Name: "a", Decision: "d-2", Error: "gone"}, {Name: "f", Decision: "d-3", Result: raw(`1`)},
			{Name: "g", Result: raw(`{`)},
		},
	}
	vars := casefile.Vars(c)
	got := vars["case"].(map[string]any)
	want := map[string]any{"severity": int64(4), "state": "Triage", "queue": "identity", "owner": "mia", "users": []any{map[string]any{"name": "ana", "uid": "7"}}}
	for field := range want {
		if diff := cmp.Diff(want[field], got[field]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", field, diff)
		}
	}
	enrichment := vars["enrichment"].(map[string]any)
	for name, want := range map[string][]any{
		"a": {map[string]any{"id": json.Number("123456789012345678")}, nil},
		"d": {map[string]any{"id": json.Number("1")}, []any{json.Number("2")}, map[string]any{"id": json.Number("3")}}, "e": {},
	} {
		if diff := cmp.Diff(want, enrichment[name]); diff != "" {
			t.Errorf("results of %s (-want +got):\n%s", name, diff)
		}
	}
	if _, known := enrichment["f"]; known {
		t.Error("expressions see what a person looked up by hand")
	}
	for name, reason := range map[string]string{"b": "lookup b failed: gone", "c": "lookup c failed: it gave no result", "g": "lookup g failed: unexpected EOF"} {
		if diff := cmp.Diff(expr.Unavailable{Reason: reason}, enrichment[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// moved is how far a row moved the severity.
func moved(row v1alpha1.SeverityTraceEntry) int32 {
	if row.Adjust == nil {
		return 0
	}
	return *row.Adjust
}
