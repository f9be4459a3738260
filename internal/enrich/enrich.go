// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package enrich

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// Bounds of the records of one case.
const (
	// MaxRecords is how many records a case takes; lookups beyond it are not planned.
	MaxRecords = casefile.MaxEnrichments
	// MaxResult is how many bytes of JSON one record may hold. A larger answer is an
	// error: half an answer would be taken for the whole.
	MaxResult = 8 << 10
	// MaxBytes is how many bytes of JSON all inputs and results of a case may hold
	// together, for a case is kept small; what comes after is an error.
	MaxBytes = 24 << 10

	maxError = 1024 // code points
)

// Lookup is one question to a connector.
type Lookup struct {
	// Name is the enrichment of the type, or the operation's own name where a person asks.
	Name string
	// Operation is the read operation, as connector/operation.
	Operation string
	// Input is what is asked; nil where Err is set.
	Input map[string]any
	// Item names what it is asked for, as [casefile.ItemNames] does; empty where it is asked once for the case.
	Item string
	// Decision names the Decision that asks for it by hand; empty where the type does.
	Decision string
	// Err says why the input cannot be built. Such a lookup is not made: merge it as it
	// is, so that the record says so.
	Err error
}

// Answer is what became of a lookup.
type Answer struct {
	// Lookup is what was planned.
	Lookup Lookup
	// Result is the answer as JSON in Go types; nil is an answer too.
	Result any
	// Err says why there is none. It takes the place of Result.
	Err error
	// Time is when it was asked.
	Time time.Time
}

// Plan is what people ask by hand in decisions, and what the type wants to look up for a
// case, where there is no record of it, whether that record is an answer or an error: a
// failed lookup is asked again only when its input changes. Of the decisions, those count
// that ask for a lookup for this case and were counted; a nil type wants nothing. The
// case is planned with the entities of its status, so fold its signals into it first. The
// plan begins with what people ask, goes on in the type's order, has each question once
// for each item, and keeps within [MaxRecords]. An input that cannot be built is in it
// with its reason.
func Plan(ctx context.Context, t *casefile.Type, c *v1alpha1.Case, decisions ...v1alpha1.Decision) []Lookup {
	known := map[string]bool{}
	for _, r := range c.Status.Enrichments {
		known[casefile.RecordKey(r)] = true
	}
	all := byHand(c, decisions)
	if t != nil {
		vars := casefile.Vars(c)
		for _, e := range t.Enrichments() {
			all = append(all, wanted(ctx, e, vars)...)
		}
	}
	var out []Lookup
	for _, l := range all {
		key := casefile.RecordKey(record(Answer{Lookup: l}))
		if !known[key] && len(known) < MaxRecords {
			known[key] = true
			out = append(out, l)
		}
	}
	return out
}

// byHand are the lookups that counted decisions ask for, in the order in which they came to count.
func byHand(c *v1alpha1.Case, decisions []v1alpha1.Decision) []Lookup {
	counted := slices.DeleteFunc(slices.Clone(decisions), func(d v1alpha1.Decision) bool {
		return d.Spec.Lookup == nil || d.Status.State != v1alpha1.DecisionCounted || d.Spec.CaseRef.UID != string(c.UID)
	})
	slices.SortFunc(counted, func(a, b v1alpha1.Decision) int {
		return cmp.Or(casefile.DecidedTime(&a).Compare(casefile.DecidedTime(&b).Time), strings.Compare(a.Name, b.Name))
	})
	out := make([]Lookup, 0, len(counted))
	for _, d := range counted {
		_, name, _ := strings.Cut(d.Spec.Lookup.Operation, "/")
		l := Lookup{Name: name, Operation: d.Spec.Lookup.Operation, Decision: d.Name, Input: map[string]any{}}
		if given := d.Spec.Lookup.Input; given != nil && len(given.Raw) > 0 {
			if err := json.Unmarshal(given.Raw, &l.Input); err != nil || l.Input == nil {
				l.Input, l.Err = nil, errors.New("spec.lookup.input is not an object of named values: decide again")
			}
		}
		out = append(out, l)
	}
	return out
}

// wanted are the lookups of one enrichment, whether or not they were made before.
func wanted(ctx context.Context, e *casefile.Enrichment, vars map[string]any) []Lookup {
	items, err := e.Items(ctx, vars)
	if err != nil {
		return []Lookup{{Name: e.Name, Operation: e.Lookup, Err: fmt.Errorf("could not decide what to look up: %w", err)}}
	}
	out := make([]Lookup, 0, len(items))
	names := casefile.ItemNames(items)
	for i, item := range items {
		l := Lookup{Name: e.Name, Operation: e.Lookup, Item: names[i]}
		of := ""
		if l.Item != "" {
			of = " for " + l.Item
		}
		if l.Input, err = e.Input(ctx, vars, item); err != nil {
			l.Input, l.Err = nil, fmt.Errorf("could not build the input%s: %w", of, err)
		}
		out = append(out, l)
	}
	return out
}

// Merge adds answers to records: an answer takes the place of an earlier one to the
// same question, and at most [MaxRecords] remain, the earlier first. The records given
// are not changed; casefile.Fold puts them into order.
func Merge(records []v1alpha1.EnrichmentRecord, answers ...Answer) []v1alpha1.EnrichmentRecord {
	out := slices.Clone(records)
	for _, a := range answers {
		r := record(a)
		key := casefile.RecordKey(r)
		at := slices.IndexFunc(out, func(known v1alpha1.EnrichmentRecord) bool { return casefile.RecordKey(known) == key })
		if at < 0 && len(out) == MaxRecords {
			continue
		}
		if at < 0 {
			out, at = append(out, v1alpha1.EnrichmentRecord{}), len(out)
		}
		out[at] = v1alpha1.EnrichmentRecord{}
		if used := bytesOf(out...); r.Result != nil && used+bytesOf(r) > MaxBytes {
			r.Result, r.Error = nil, fmt.Sprintf("the case keeps %d bytes of what lookups say and has %d: ask %s for less", MaxBytes, used, r.Lookup)
		}
		out[at] = r
	}
	return out
}

// bytesOf is how much JSON the records hold.
func bytesOf(records ...v1alpha1.EnrichmentRecord) int {
	n := 0
	for _, r := range records {
		for _, held := range []*apiextensionsv1.JSON{r.Input, r.Result} {
			if held != nil {
				n += len(held.Raw)
			}
		}
	}
	return n
}

// record is an answer as the case keeps it.
func record(a Answer) v1alpha1.EnrichmentRecord {
	r := v1alpha1.EnrichmentRecord{
		Name: a.Lookup.Name, Lookup: a.Lookup.Operation, Item: a.Lookup.Item, Decision: a.Lookup.Decision, Time: metav1.NewMicroTime(a.Time),
	}
	err := a.Lookup.Err
	if err == nil {
		r.Input, err = toJSON(a.Lookup.Input)
	}
	if err == nil {
		err = a.Err
	}
	if err == nil {
		r.Result, err = toJSON(a.Result)
		if err == nil && len(r.Result.Raw) > MaxResult {
			err = fmt.Errorf("the answer has %d bytes, a case keeps at most %d: ask %s for less", len(r.Result.Raw), MaxResult, a.Lookup.Operation)
		}
	}
	if err != nil {
		r.Result, r.Error = nil, message(err)
	}
	return r
}

// message is an error as a record takes it: never empty, and cut to its bound.
func message(err error) string {
	out := []rune(strings.ToValidUTF8(err.Error(), "�"))
	switch {
	case len(out) == 0:
		return "it failed without saying why"
	case len(out) > maxError:
		return string(out[:maxError-1]) + "…"
	}
	return string(out)
}

// toJSON writes compact JSON with sorted keys.
func toJSON(value any) (*apiextensionsv1.JSON, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	return &apiextensionsv1.JSON{Raw: bytes.TrimSuffix(out.Bytes(), []byte("\n"))}, nil
}

// Condition is the case's milestone Enriched, without its type: True when every lookup of
// the type answered, else False with the first that failed. It is the zero condition
// while the case's signals were not folded yet. A lookup that a person made by hand does
// not count: who asked sees how it failed. The message has no times, so it stays the same
// while nothing changes.
func Condition(c *v1alpha1.Case) metav1.Condition {
	if c.Status.Signals == nil {
		return metav1.Condition{}
	}
	for _, r := range c.Status.Enrichments {
		if r.Error != "" && r.Decision == "" {
			return metav1.Condition{
				Status: metav1.ConditionFalse, Reason: v1alpha1.LookupsFailedReason,
				Message: fmt.Sprintf("%s (%s): %s", r.Name, r.Lookup, r.Error),
			}
		}
	}
	return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.LookupsAnsweredReason, Message: "every lookup of the type answered"}
}
