// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package enrich

import (
	"bytes"
	"context"
	"encoding/json"
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
	MaxRecords = 64
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
	// Name is the enrichment of the type.
	Name string
	// Operation is the read operation, as connector/operation.
	Operation string
	// Input is what is asked; nil where Err is set.
	Input map[string]any
	// Item is what it is asked for, as the JSON of the item; empty where it is asked once for the case.
	Item string
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

// Plan is what the type wants to look up for a case and has no record of, whether that
// record is an answer or an error: a failed lookup is asked again only when its input
// changes. The case is planned with the entities of its status, so fold its signals
// into it first. The plan is in the type's order, without repetition, and keeps within
// [MaxRecords]. An input that cannot be built is in it with its reason.
func Plan(ctx context.Context, t *casefile.Type, c *v1alpha1.Case) []Lookup {
	known := map[string]bool{}
	for _, r := range c.Status.Enrichments {
		known[casefile.RecordKey(r)] = true
	}
	vars := casefile.Vars(c)
	var out []Lookup
	for _, e := range t.Enrichments() {
		for _, l := range wanted(ctx, e, vars) {
			key := casefile.RecordKey(record(Answer{Lookup: l}))
			if !known[key] && len(known) < MaxRecords {
				known[key] = true
				out = append(out, l)
			}
		}
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
	for _, item := range items {
		l := Lookup{Name: e.Name, Operation: e.Lookup}
		of := ""
		if item != nil {
			l.Item = text(item)
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
	r := v1alpha1.EnrichmentRecord{Name: a.Lookup.Name, Lookup: a.Lookup.Operation, Time: metav1.NewMicroTime(a.Time)}
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

func text(item any) string {
	raw, err := toJSON(item)
	if err != nil {
		return fmt.Sprint(item)
	}
	return string(raw.Raw)
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

// Condition is the case's milestone Enriched: whether its lookups have answered, which
// failed, or that its type (nil) is missing. Pending is how many are still planned. The
// message names lookups, not times, so it stays the same while nothing changes.
func Condition(t *casefile.Type, records []v1alpha1.EnrichmentRecord, pending int) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.EnrichedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.LookupsAnsweredReason, Message: "every lookup answered"}
	var failed []string
	for _, r := range records {
		if r.Error != "" && !slices.Contains(failed, r.Name) {
			failed = append(failed, r.Name)
		}
	}
	slices.Sort(failed)
	switch {
	case t == nil:
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.TypeMissingReason
		c.Message = "the CaseType of the case is missing or does not compile: create or correct it"
	case pending > 0:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.RetryingReason, "lookups are under way"
	case len(failed) > 0:
		c.Reason = v1alpha1.LookupsFailedReason
		c.Message = "lookups failed: " + strings.Join(failed, ", ") + "; status.enrichments says why"
	case len(records) == 0:
		c.Message = "the type looks nothing up for this case"
	}
	return c
}
