// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// opened is when the cases of these tests open.
var opened = time.Date(2026, 11, 24, 10, 3, 58, 0, time.UTC)

// caseType is a type that matches everything and correlates by assets within four hours.
func caseType(name string, change ...func(*v1alpha1.CaseTypeSpec)) *v1alpha1.CaseType {
	ct := &v1alpha1.CaseType{ObjectMeta: metav1.ObjectMeta{Name: name}}
	ct.Spec = v1alpha1.CaseTypeSpec{
		Match: "true", Queue: "runtime",
		Correlate: v1alpha1.Correlation{By: []string{"assets"}, Within: metav1.Duration{Duration: 4 * time.Hour}},
	}
	for _, c := range change {
		c(&ct.Spec)
	}
	return ct
}

func compile(t testing.TB, ct *v1alpha1.CaseType) *casefile.Type {
	t.Helper()
	out, err := casefile.Compile(ct)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func matching(expression string) func(*v1alpha1.CaseTypeSpec) {
	return func(s *v1alpha1.CaseTypeSpec) { s.Match = expression }
}

func correlatedBy(fields ...string) func(*v1alpha1.CaseTypeSpec) {
	return func(s *v1alpha1.CaseTypeSpec) { s.Correlate.By = fields }
}

func pod(namespace, name string) v1alpha1.Entity {
	return v1alpha1.Entity{Type: "Pod", Namespace: namespace, Name: name}
}

// detection is a signal as a mapping of a runtime sensor makes it.
func detection(change ...func(*v1alpha1.NormalizedSignal)) v1alpha1.NormalizedSignal {
	sig := v1alpha1.NormalizedSignal{
		Category: "Runtime", Severity: v1alpha1.SeverityHigh, Title: "Terminal shell in container", RuleID: "shell",
		ObservedTime: metav1.NewMicroTime(opened), Assets: []v1alpha1.Entity{pod("shop", "web-6d4f9")},
		Fingerprint: strings.Repeat("ab", 32),
	}
	for _, c := range change {
		c(&sig)
	}
	return sig
}

func TestMatch(t *testing.T) {
	tests := map[string]struct {
		types     []*v1alpha1.CaseType
		want      string
		undecided int
	}{
		"the type whose condition holds": {
			types: []*v1alpha1.CaseType{caseType("identity", matching("signal.category == 'Identity'")), caseType("runtime", matching("signal.category == 'Runtime'"))},
			want:  "runtime",
		},
		"the first by name, whatever the order": {types: []*v1alpha1.CaseType{caseType("z"), caseType("b"), caseType("c")}, want: "b"},
		"severity is compared as a number":      {types: []*v1alpha1.CaseType{caseType("a", matching("severity > High")), caseType("b", matching("signal.severity >= High"))}, want: "b"},
		"a list that the payload did not fill is empty": {
			types: []*v1alpha1.CaseType{caseType("a", matching("size(signal.users) == 0"))}, want: "a",
		},
		"what cannot be decided does not match": {
			types: []*v1alpha1.CaseType{caseType("a", matching("signal.eventId == 'x'")), caseType("b")}, want: "b", undecided: 1,
		},
		"nothing matches":    {types: []*v1alpha1.CaseType{caseType("a", matching("false"))}, want: casefile.UnclassifiedName},
		"there are no types": {want: casefile.UnclassifiedName},
		"a tenant's own unclassified type is a last resort": {types: []*v1alpha1.CaseType{caseType("unclassified"), caseType("web")}, want: "web"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var types []*casefile.Type
			for _, ct := range tc.types {
				types = append(types, compile(t, ct))
			}
			got, undecided := casefile.Explain(t.Context(), types, detection())
			if got.Name != tc.want || len(undecided) != tc.undecided {
				t.Errorf("got type %s, undecided %q; want type %s and %d undecided", got.Name, undecided, tc.want, tc.undecided)
			}
			if again := casefile.Match(t.Context(), types, detection()); again != got {
				t.Errorf("Match says %s, Explain %s", again.Name, got.Name)
			}
		})
	}
}

func TestMatchPrefersTheTenantsUnclassifiedType(t *testing.T) {
	own := compile(t, caseType(casefile.UnclassifiedName, matching("false")))
	if got := casefile.Match(t.Context(), []*casefile.Type{own}, detection()); got != own {
		t.Errorf("got the type of queue %q, want the tenant's own", got.Spec.Queue)
	}
	if got := casefile.Match(t.Context(), nil, detection()); got.Spec.Queue != casefile.DefaultQueue {
		t.Errorf("got queue %q of the built-in type, want %q", got.Spec.Queue, casefile.DefaultQueue)
	}
}

func TestKeySaysWhatSignalsHaveInCommon(t *testing.T) {
	tests := map[string]struct {
		by   []string
		sig  v1alpha1.NormalizedSignal
		want string
	}{
		"a pod by namespace and name": {by: []string{"assets"}, sig: detection(), want: "assets=shop/web-6d4f9"},
		"a pod of a named cluster": {by: []string{"assets"}, want: "assets=prod:shop/web-6d4f9",
			sig: detection(func(s *v1alpha1.NormalizedSignal) { s.Assets[0].Cluster = "prod" })},
		"several values are sorted": {by: []string{"assets"}, want: "assets=shop/a,shop/web-6d4f9",
			sig: detection(func(s *v1alpha1.NormalizedSignal) { s.Assets = append(s.Assets, pod("shop", "a"), pod("shop", "a")) })},
		"several fields, sorted by name":    {by: []string{"source", "ruleId", "assets"}, sig: detection(), want: "assets=shop/web-6d4f9 ruleId=shell source=falco"},
		"a field that is empty is left out": {by: []string{"users", "title"}, sig: detection(), want: "title=Terminal shell in container"},
		"users in lower case": {by: []string{"users"}, want: "users=ana@example.com",
			sig: detection(func(s *v1alpha1.NormalizedSignal) { s.Users = []v1alpha1.Entity{{Name: " Ana@Example.com"}} })},
		"an indicator by its value": {by: []string{"indicators"}, want: "indicators=198.51.100.4",
			sig: detection(func(s *v1alpha1.NormalizedSignal) {
				s.Indicators = []v1alpha1.Indicator{{Type: "ipv4", Value: "198.51.100.4"}}
			})},
		"none of the fields": {by: []string{"users", "hosts"}, sig: detection(), want: "fingerprint=abababababab, for the signal has no hosts, users"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			key, by := compile(t, caseType("runtime-threat", correlatedBy(tc.by...))).Key(tc.sig, "falco")
			if by != tc.want {
				t.Errorf("got %q, want %q", by, tc.want)
			}
			if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(key) {
				t.Errorf("the key %q is not a SHA-256 in lower-case hex", key)
			}
		})
	}
}

func TestKeyTellsSignalsApart(t *testing.T) {
	byAssets := compile(t, caseType("runtime-threat"))
	with := func(entities ...v1alpha1.Entity) v1alpha1.NormalizedSignal {
		return detection(func(s *v1alpha1.NormalizedSignal) { s.Assets = entities })
	}
	key := func(sig v1alpha1.NormalizedSignal) string { k, _ := byAssets.Key(sig, "falco"); return k }
	same := map[string][2]v1alpha1.NormalizedSignal{
		"the order does not matter":           {with(pod("a", "x"), pod("a", "y")), with(pod("a", "y"), pod("a", "x"))},
		"repetition does not matter":          {with(pod("a", "x")), with(pod("a", "x"), pod("a", "x"))},
		"what people call it does not matter": {with(pod("a", "x")), with(v1alpha1.Entity{Type: "Pod", Namespace: "a", Name: "x", DisplayName: "X", UID: "1"})},
	}
	for name, pair := range same {
		if key(pair[0]) != key(pair[1]) {
			t.Errorf("%s: the keys differ", name)
		}
	}
	other := func(s *v1alpha1.NormalizedSignal) { s.Assets, s.Fingerprint = nil, strings.Repeat("cd", 32) }
	different := map[string][2]v1alpha1.NormalizedSignal{
		"another name":                      {with(pod("a", "x")), with(pod("a", "y"))},
		"another namespace":                 {with(pod("a", "x")), with(pod("b", "x"))},
		"another kind":                      {with(pod("a", "x")), with(v1alpha1.Entity{Type: "Deployment", Namespace: "a", Name: "x"})},
		"a slash elsewhere":                 {with(pod("a", "b/x")), with(v1alpha1.Entity{Type: "Pod", Cluster: "a", Namespace: "b", Name: "x"})},
		"one thing more":                    {with(pod("a", "x")), with(pod("a", "x"), pod("a", "y"))},
		"no asset, and another fingerprint": {with(), detection(other)},
	}
	for name, pair := range different {
		if key(pair[0]) == key(pair[1]) {
			t.Errorf("%s: the keys are equal", name)
		}
	}
	otherType, _ := compile(t, caseType("other")).Key(detection(), "falco")
	if otherType == key(detection()) {
		t.Error("two types give the same key")
	}
}

func TestCorrelatedByFitsTheSchema(t *testing.T) {
	many := detection(func(s *v1alpha1.NormalizedSignal) {
		for i := range 64 {
			s.Assets = append(s.Assets, pod("näme", fmt.Sprintf("web-%d", i)))
		}
	})
	if _, by := compile(t, caseType("a")).Key(many, "falco"); len([]rune(by)) != 512 || !strings.HasSuffix(by, "…") {
		t.Errorf("%d code points, ending in %q", len([]rune(by)), by[len(by)-8:])
	}
}

func TestCaseName(t *testing.T) {
	tests := map[string]struct {
		ct   *v1alpha1.CaseType
		want string
	}{
		"the initials of the type":             {ct: caseType("runtime-threat"), want: `^rt-[0-9a-z]{6}$`},
		"initials across dots":                 {ct: caseType("a.b-c"), want: `^abc-`},
		"a name that begins with a digit":      {ct: caseType("3am-noise"), want: `^c3n-`},
		"a very long name":                     {ct: caseType("a-b-c-d-e-f-g-h-i-j"), want: `^abcdefgh-`},
		"a long name that begins with a digit": {ct: caseType("1-b-c-d-e-f-g-h-i-j"), want: `^c1bcdefg-`},
		"the type's own prefix":                {ct: caseType("phishing", func(s *v1alpha1.CaseTypeSpec) { s.Prefix = "ph" }), want: `^ph-`},
		"the built-in type":                    {want: `^un-`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			typ := casefile.Unclassified()
			if tc.ct != nil {
				typ = compile(t, tc.ct)
			}
			first := casefile.CaseName(typ, "k", "")
			if !regexp.MustCompile(tc.want).MatchString(first) {
				t.Errorf("%q does not look like %s", first, tc.want)
			}
			if again := casefile.CaseName(typ, "k", ""); again != first {
				t.Errorf("%q, and %q the second time", first, again)
			}
			if casefile.CaseName(typ, "k", first) == first || casefile.CaseName(typ, "l", "") == first {
				t.Error("another key or a case before it gives the same name")
			}
		})
	}
}

func TestSignalNameIsALabel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		source, fingerprint := rapid.String().Draw(r, "source"), rapid.String().Draw(r, "fingerprint")
		window := rapid.Int64().Draw(r, "window")
		name := casefile.SignalName(source, fingerprint, window)
		if !regexp.MustCompile(`^sig-[0-9a-z]{16}$`).MatchString(name) {
			r.Fatalf("%q is not a label", name)
		}
		if name == casefile.SignalName(source, fingerprint, window+1) || name == casefile.SignalName(source+"x", fingerprint, window) {
			r.Fatal("another window or source gives the same name")
		}
	})
}

func TestTakes(t *testing.T) {
	within := func(c *v1alpha1.Case) {
		c.Status.Signals = &v1alpha1.SignalTotals{Total: 2, LastTime: metav1.NewMicroTime(opened.Add(time.Hour))}
	}
	tests := map[string]struct {
		change func(*v1alpha1.Case)
		after  time.Duration
		want   bool
	}{
		"a case that just opened":                {after: time.Second, want: true},
		"a signal kept before the case was made": {after: -time.Hour, want: true},
		"at the end of the window":               {after: 4 * time.Hour, want: true},
		"after the window":                       {after: 4*time.Hour + 1},
		"the window slides with the last signal": {change: within, after: 5 * time.Hour, want: true},
		"and ends after it":                      {change: within, after: 5*time.Hour + 1},
		"a contained case":                       {change: func(c *v1alpha1.Case) { c.Status.State = v1alpha1.CaseContained }, want: true},
		"a resolved case":                        {change: func(c *v1alpha1.Case) { c.Status.State = v1alpha1.CaseResolved }, want: true},
		"a closed case":                          {change: func(c *v1alpha1.Case) { c.Status.State = v1alpha1.CaseClosed }},
		"a merged case":                          {change: func(c *v1alpha1.Case) { c.Status.State = v1alpha1.CaseMerged }},
		"a case that is being deleted":           {change: func(c *v1alpha1.Case) { c.DeletionTimestamp = &metav1.Time{Time: opened} }},
		"a case of another key with that name":   {change: func(c *v1alpha1.Case) { c.Spec.CorrelationKey = "other" }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := &v1alpha1.Case{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(opened)}, Spec: v1alpha1.CaseSpec{CorrelationKey: "k"}}
			if tc.change != nil {
				tc.change(c)
			}
			if got := casefile.Takes(c, compile(t, caseType("a")), "k", opened.Add(tc.after)); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestCompileNamesFieldAndColumn(t *testing.T) {
	enriched := func(s *v1alpha1.CaseTypeSpec) {
		s.Enrich = []v1alpha1.Enrichment{{Name: "person", Lookup: "directory/findUser"}}
	}
	one := int32(1)
	tests := map[string]struct {
		change func(*v1alpha1.CaseTypeSpec)
		want   []string
	}{
		"severity compared with text": {matching("severity >= 'High'"), []string{"CaseType a:", "spec.match: ", "column 10", "constants"}},
		"a match over the case":       {matching("case.name == 'x'"), []string{"spec.match: it reads case", "it may read signal, severity"}},
		"a lookup that does not exist": {func(s *v1alpha1.CaseTypeSpec) {
			s.Severity = []v1alpha1.SeverityFactor{{When: "true", Adjust: &one, Because: "x"}, {When: "enrichment.persn.exists(p, p.x)", Adjust: &one, Because: "x"}}
		}, []string{"spec.severity[1].when: it reads enrichment.persn", "it has person"}},
		"an expression in a because": {func(s *v1alpha1.CaseTypeSpec) {
			s.Severity = []v1alpha1.SeverityFactor{{When: "true", Adjust: &one, Because: "at ${nowhere}"}}
		}, []string{"spec.severity[0].because: ", "undeclared reference to 'nowhere'"}},
		"item without forEach": {func(s *v1alpha1.CaseTypeSpec) { s.Enrich[0].Input = raw(`{"user":"${item.name}"}`) },
			[]string{"spec.enrich[0].input: it reads item"}},
		"a place within an input": {func(s *v1alpha1.CaseTypeSpec) { s.Enrich[0].Input = raw(`{"user":{"name":"${1 +}"}}`) },
			[]string{"spec.enrich[0].input.user.name: ", "column"}},
		"a playbook's inputs": {func(s *v1alpha1.CaseTypeSpec) {
			s.Playbooks = []v1alpha1.CasePlaybook{{Name: "p", ForEach: "case.users", When: "size(item) > ", Inputs: raw(`["${enrichment.gone}"]`)}}
		}, []string{"spec.playbooks[0].when: ", "spec.playbooks[0].inputs: it reads enrichment.gone"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := casefile.Compile(caseType("a", enriched, tc.change))
			if err == nil {
				t.Fatal("it compiled")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not contain %q", err, want)
				}
			}
		})
	}
	if diff := cmp.Diff(nil, func() any { _, err := casefile.Compile(caseType("a", enriched)); return err }()); diff != "" {
		t.Error(diff)
	}
}
