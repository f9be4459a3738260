// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package enrich_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/enrich"
)

var asked = time.Date(2026, 11, 24, 10, 3, 58, 0, time.UTC)

func raw(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }

func looking(t testing.TB, lookups ...v1alpha1.Enrichment) *casefile.Type {
	t.Helper()
	ct := &v1alpha1.CaseType{ObjectMeta: metav1.ObjectMeta{Name: "runtime"}}
	ct.Spec = v1alpha1.CaseTypeSpec{Match: "true", Queue: "q", Correlate: v1alpha1.Correlation{By: []string{"assets"}, Within: metav1.Duration{Duration: time.Hour}}}
	ct.Spec.Enrich = lookups
	typ, err := casefile.Compile(ct)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func about(users ...string) *v1alpha1.Case {
	c := &v1alpha1.Case{}
	for _, u := range users {
		c.Status.Users = append(c.Status.Users, v1alpha1.Entity{Name: u})
	}
	return c
}

var (
	person = v1alpha1.Enrichment{Name: "person", Lookup: "directory/findUser", ForEach: "case.users", Input: raw(`{"user":"${item.name}"}`)}
	freeze = v1alpha1.Enrichment{Name: "freeze", Lookup: "calendar/current"}
)

func TestPlan(t *testing.T) {
	tests := map[string]struct {
		lookup  v1alpha1.Enrichment
		records []v1alpha1.EnrichmentRecord
		want    []string // input, or what the error begins with
	}{
		"once for the case":                       {lookup: freeze, want: []string{"{}"}},
		"once for each user":                      {lookup: person, want: []string{`{"user":"ana"}`, `{"user":"bob"}`}},
		"the same question once for each":         {lookup: v1alpha1.Enrichment{Name: "person", Lookup: "a/b", ForEach: "case.users", Input: raw(`{"all":true}`)}, want: []string{`{"all":true}`, `{"all":true}`}},
		"of one item the same question only once": {lookup: v1alpha1.Enrichment{Name: "person", Lookup: "a/b", ForEach: "case.users + case.users", Input: raw(`{"user":"${item.name}"}`)}, want: []string{`{"user":"ana"}`, `{"user":"bob"}`}},
		"not what was answered": {lookup: person, want: []string{`{"user":"bob"}`},
			records: []v1alpha1.EnrichmentRecord{{Name: "person", Lookup: "directory/findUser", Item: "ana", Input: raw(` { "user" : "ana" } `), Result: raw(`{}`)}}},
		"not what failed": {lookup: person, want: []string{`{"user":"bob"}`},
			records: []v1alpha1.EnrichmentRecord{{Name: "person", Lookup: "directory/findUser", Item: "ana", Input: raw(`{"user":"ana"}`), Error: "gone"}}},
		"again when the type asks another operation": {lookup: freeze, want: []string{"{}"},
			records: []v1alpha1.EnrichmentRecord{{Name: "freeze", Lookup: "calendar/old", Input: raw(`{}`), Result: raw(`{}`)}}},
		"an input that is not known": {lookup: v1alpha1.Enrichment{Name: "boss", Lookup: "a/b", Input: raw(`{"of":"${case.owner}"}`)},
			want: []string{"could not build the input: of: "}},
		"an item without what is asked": {lookup: v1alpha1.Enrichment{Name: "boss", Lookup: "a/b", ForEach: "case.users", Input: raw(`{"of":"${item.uid}"}`)},
			want: []string{"could not build the input for ana: of: ", "could not build the input for bob: of: "}},
		"items that are not known": {lookup: v1alpha1.Enrichment{Name: "boss", Lookup: "a/b", ForEach: "case.owner"}, want: []string{"could not decide what to look up: "}},
		"an input without names":   {lookup: v1alpha1.Enrichment{Name: "boss", Lookup: "a/b", Input: raw(`"${case.state}"`)}, want: []string{"could not build the input: input must be an object"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := about("ana", "bob")
			c.Status.Enrichments = tc.records
			plan := enrich.Plan(t.Context(), looking(t, tc.lookup), c)
			if len(plan) != len(tc.want) {
				t.Fatalf("got %+v, want %q", plan, tc.want)
			}
			for i, l := range plan {
				got := fmt.Sprint(l.Err)
				if l.Err == nil {
					got = string(enrich.Merge(nil, enrich.Answer{Lookup: l})[0].Input.Raw)
				}
				if !strings.HasPrefix(got, tc.want[i]) || l.Name != tc.lookup.Name || l.Operation != tc.lookup.Lookup {
					t.Errorf("got %s of %s: %s, want %s", l.Name, l.Operation, got, tc.want[i])
				}
			}
		})
	}
}

// TestPlanComesToRest answers each plan in its own way: after the first there is
// nothing left to ask, whatever failed and however much there was.
func TestPlanComesToRest(t *testing.T) {
	typ := looking(t, person, freeze, v1alpha1.Enrichment{Name: "boss", Lookup: "a/b", ForEach: "case.users", Input: raw(`{"of":"${item.uid}"}`)})
	rapid.Check(t, func(r *rapid.T) {
		var users []string
		for i := range rapid.IntRange(0, 80).Draw(r, "users") {
			users = append(users, fmt.Sprint("u", i))
		}
		c := about(users...)
		for _, l := range enrich.Plan(t.Context(), typ, c) {
			a := enrich.Answer{Lookup: l, Result: map[string]any{"n": 1.0}, Time: asked}
			if rapid.Bool().Draw(r, "failed") {
				a.Err = errors.New("gone")
			}
			c.Status.Enrichments = enrich.Merge(c.Status.Enrichments, a)
		}
		if n := len(c.Status.Enrichments); n != min(2*len(users)+1, enrich.MaxRecords) {
			r.Fatalf("%d records of %d users", n, len(users))
		}
		if again := enrich.Plan(t.Context(), typ, c); len(again) != 0 {
			r.Fatalf("asks again: %+v", again)
		}
		w := casefile.World{Case: c, Type: typ, Enrichments: c.Status.Enrichments, Enriched: true}
		c.Status = casefile.Fold(t.Context(), w, asked).Status
		if again := enrich.Plan(t.Context(), typ, c); len(again) != 0 {
			r.Fatalf("asks again after the fold: %+v", again)
		}
	})
}

func TestMerge(t *testing.T) {
	l := enrich.Lookup{Name: "person", Operation: "directory/findUser", Input: map[string]any{"user": "<ana>"}}
	record := func(change func(*v1alpha1.EnrichmentRecord)) []v1alpha1.EnrichmentRecord {
		out := v1alpha1.EnrichmentRecord{Name: "person", Lookup: "directory/findUser", Input: raw(`{"user":"<ana>"}`), Time: metav1.NewMicroTime(asked)}
		change(&out)
		return []v1alpha1.EnrichmentRecord{out}
	}
	failed := func(text string) []v1alpha1.EnrichmentRecord {
		return record(func(r *v1alpha1.EnrichmentRecord) { r.Error = text })
	}
	tests := map[string]struct {
		answer enrich.Answer
		want   []v1alpha1.EnrichmentRecord
	}{
		"an answer":                   {enrich.Answer{Lookup: l, Result: map[string]any{"id": int64(7)}}, record(func(r *v1alpha1.EnrichmentRecord) { r.Result = raw(`{"id":7}`) })},
		"null is an answer":           {enrich.Answer{Lookup: l}, record(func(r *v1alpha1.EnrichmentRecord) { r.Result = raw(`null`) })},
		"an error has no result":      {enrich.Answer{Lookup: l, Err: errors.New("gone"), Result: 1}, failed("gone")},
		"an error that says nothing":  {enrich.Answer{Lookup: l, Err: errors.New("")}, failed("it failed without saying why")},
		"an error that says too much": {enrich.Answer{Lookup: l, Err: errors.New(strings.Repeat("ä", 2000))}, failed(strings.Repeat("ä", 1023) + "…")},
		"an answer that is not JSON":  {enrich.Answer{Lookup: l, Result: math.Inf(1)}, failed("it is not JSON: json: unsupported value: +Inf")},
		"an answer that is too large": {enrich.Answer{Lookup: l, Result: strings.Repeat("x", 8191)}, failed("the answer has 8193 bytes, a case keeps at most 8192: ask directory/findUser for less")},
		"an input that cannot be built": {enrich.Answer{Lookup: enrich.Lookup{Name: "person", Operation: "directory/findUser", Err: errors.New("no owner")}},
			record(func(r *v1alpha1.EnrichmentRecord) { r.Input, r.Error = nil, "no owner" })},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.answer.Time = asked
			if diff := cmp.Diff(tc.want, enrich.Merge(nil, tc.answer)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	before := failed("gone")
	after := enrich.Merge(before, enrich.Answer{Lookup: l, Result: true, Time: asked})
	if len(after) != 1 || after[0].Error != "" || before[0].Error == "" {
		t.Errorf("a later answer takes the place of the error, in a copy: %+v, before %+v", after, before)
	}
}

func TestMergeKeepsACaseSmall(t *testing.T) {
	var answers []enrich.Answer
	for i := range 8 {
		l := enrich.Lookup{Name: "a", Operation: "x/y", Input: map[string]any{"i": i}}
		answers = append(answers, enrich.Answer{Lookup: l, Result: strings.Repeat("x", 5000), Time: asked})
	}
	var failed []bool
	for _, r := range enrich.Merge(nil, answers...) {
		failed = append(failed, r.Error != "")
	}
	if diff := cmp.Diff([]bool{false, false, false, false, true, true, true, true}, failed); diff != "" {
		t.Errorf("which failed (-want +got):\n%s", diff)
	}
	again := enrich.Merge(enrich.Merge(nil, answers[:4]...), answers[:4]...)
	for _, r := range again {
		if r.Error != "" {
			t.Errorf("an answer that takes the place of itself fails: %s", r.Error)
		}
	}
}

func TestCondition(t *testing.T) {
	answered := v1alpha1.EnrichmentRecord{Name: "a", Lookup: "x/a", Result: raw(`1`)}
	failed := v1alpha1.EnrichmentRecord{Name: "b", Lookup: "x/b", Error: "gone"}
	byHand := failed
	byHand.Decision = "d"
	tests := map[string]struct {
		records []v1alpha1.EnrichmentRecord
		want    string
	}{
		"all answered":                   {[]v1alpha1.EnrichmentRecord{answered}, "True LookupsAnswered every lookup of the type answered"},
		"some failed":                    {[]v1alpha1.EnrichmentRecord{answered, failed}, "False LookupsFailed b (x/b): gone"},
		"what a person asked for failed": {[]v1alpha1.EnrichmentRecord{answered, byHand}, "True LookupsAnswered every lookup of the type answered"},
		"there is nothing to ask":        {nil, "True LookupsAnswered every lookup of the type answered"},
	}
	for name, tc := range tests {
		c := &v1alpha1.Case{Status: v1alpha1.CaseStatus{Enrichments: tc.records, Signals: &v1alpha1.SignalTotals{Total: 1}}}
		got := enrich.Condition(c)
		if text := strings.Join([]string{string(got.Status), got.Reason, got.Message}, " "); text != tc.want {
			t.Errorf("%s: got %q, want %q", name, text, tc.want)
		}
		if c.Status.Signals = nil; enrich.Condition(c) != (metav1.Condition{}) {
			t.Errorf("%s: a case without its signals has the milestone %v", name, enrich.Condition(c))
		}
	}
}

// lookingUp is a counted decision of the case's that asks for a lookup.
func lookingUp(name string, minute int, input string) v1alpha1.Decision {
	d := v1alpha1.Decision{Spec: v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictLookup, Lookup: &v1alpha1.LookupDecision{Operation: "directory/findUser"}}}
	if input != "" {
		d.Spec.Lookup.Input = raw(input)
	}
	d.Name, d.Status.State = name, v1alpha1.DecisionCounted
	d.CreationTimestamp.Time = asked.Add(time.Duration(minute) * time.Minute)
	return d
}

func TestPlanByHand(t *testing.T) {
	ana := lookingUp("d1", 2, `{"user":"ana"}`)
	change := func(f func(*v1alpha1.Decision)) v1alpha1.Decision { d := ana.DeepCopy(); f(d); return *d }
	tests := map[string]struct {
		decisions []v1alpha1.Decision
		want      []string
	}{
		"what a person asks for is asked":    {[]v1alpha1.Decision{ana}, []string{`d1 findUser directory/findUser {"user":"ana"}`}},
		"in the order in which they counted": {[]v1alpha1.Decision{ana, lookingUp("d2", 1, "")}, []string{`d2 findUser directory/findUser {}`, `d1 findUser directory/findUser {"user":"ana"}`}},
		"each decision has an answer":        {[]v1alpha1.Decision{ana, lookingUp("d2", 3, `{"user":"ana"}`)}, []string{`d1 findUser directory/findUser {"user":"ana"}`, `d2 findUser directory/findUser {"user":"ana"}`}},
		"not when it does not count":         {[]v1alpha1.Decision{change(func(d *v1alpha1.Decision) { d.Status.State = v1alpha1.DecisionVoid })}, nil},
		"not when it was not judged":         {[]v1alpha1.Decision{change(func(d *v1alpha1.Decision) { d.Status.State = "" })}, nil},
		"not of another case":                {[]v1alpha1.Decision{change(func(d *v1alpha1.Decision) { d.Spec.CaseRef.UID = "other" })}, nil},
		"not of another verdict":             {[]v1alpha1.Decision{change(func(d *v1alpha1.Decision) { d.Spec.Lookup = nil })}, nil},
		"an input that is no object is said": {[]v1alpha1.Decision{lookingUp("d1", 1, `["ana"]`)}, []string{"d1 findUser directory/findUser spec.lookup.input is not an object of named values: decide again"}},
		"nor is null":                        {[]v1alpha1.Decision{lookingUp("d1", 1, `null`)}, []string{"d1 findUser directory/findUser spec.lookup.input is not an object of named values: decide again"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := about()
			var got []string
			for _, l := range enrich.Plan(t.Context(), nil, c, tc.decisions...) {
				r := enrich.Merge(nil, enrich.Answer{Lookup: l, Time: asked})[0]
				text := r.Error
				if l.Err == nil {
					text = string(r.Input.Raw)
				}
				got = append(got, strings.Join([]string{r.Decision, r.Name, r.Lookup, text}, " "))
				c.Status.Enrichments = enrich.Merge(c.Status.Enrichments, enrich.Answer{Lookup: l, Time: asked})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if again := enrich.Plan(t.Context(), nil, c, tc.decisions...); len(again) > 0 {
				t.Errorf("asks again: %+v", again)
			}
		})
	}
}
