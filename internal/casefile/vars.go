// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// The variables of a CaseType's expressions.
const (
	signalVar     = "signal"
	caseVar       = "case"
	severityVar   = "severity"
	enrichmentVar = "enrichment"
	itemVar       = "item"
)

// SignalVars is the variable signal of expressions: the fields of the schema by their
// JSON names, with severity as its rank and observedTime as a timestamp. Lists are
// there even when empty; any other field that the payload did not fill is absent.
func SignalVars(sig v1alpha1.NormalizedSignal) map[string]any {
	out, _ := plain(sig).(map[string]any)
	out[severityVar] = int64(sig.Severity.Rank())
	out["observedTime"] = sig.ObservedTime.UTC()
	for _, list := range []string{"users", "hosts", "assets", "indicators", "techniques", "explanation", "gaps", "warnings"} {
		if _, ok := out[list]; !ok {
			out[list] = []any{}
		}
	}
	return out
}

// Vars are the variables that a case gives to expressions: case (name, namespace,
// type, title, severity as its rank, state, users, hosts, assets, indicators, sightings
// as records of ip, time in RFC 3339 and signal, openedTime; queue and owner once there
// is one), severity (the same rank) and
// enrichment, which has for each lookup made the list of its results; a result that is a
// list adds its elements. What people looked up by hand is not in it. A lookup of which
// any failed is [expr.Unavailable] as a whole: a list that lacks an answer must not be
// counted as if it were complete. [Type.Vars] knows the lookups not yet made, too.
func Vars(c *v1alpha1.Case) map[string]any {
	rank := int64(severityNow(c).Rank())
	return map[string]any{
		caseVar:       caseVars(c, rank),
		severityVar:   rank,
		enrichmentVar: enrichmentVars(c.Status.Enrichments),
	}
}

// Vars is [Vars] of a case of this type, with every lookup of the type: one that has
// nothing to ask for is the empty list, one that was not made yet for some item, or never
// will be because the case is full, is [expr.Unavailable]. A nil type has none.
func (t *Type) Vars(ctx context.Context, c *v1alpha1.Case) map[string]any {
	vars := Vars(c)
	if t == nil {
		return vars
	}
	results, _ := vars[enrichmentVar].(map[string]any)
	made := map[[2]string]bool{}
	for _, r := range c.Status.Enrichments {
		made[[2]string{r.Name, r.Item}] = made[[2]string{r.Name, r.Item}] || r.Decision == ""
	}
	for _, e := range t.enrichments {
		if _, failed := results[e.Name].(expr.Unavailable); failed {
			continue
		}
		items, err := e.Items(ctx, vars)
		if err != nil {
			results[e.Name] = expr.Unavailable{Reason: fmt.Sprintf("lookup %s was not made: %v", e.Name, err)}
			continue
		}
		if _, known := results[e.Name]; !known {
			results[e.Name] = []any{}
		}
		for _, name := range ItemNames(items) {
			if !made[[2]string{e.Name, name}] {
				results[e.Name] = notMade(e.Name, name)
				break
			}
		}
	}
	return vars
}

func notMade(lookup, item string) expr.Unavailable {
	reason := fmt.Sprintf("lookup %s was not made yet", lookup)
	if item != "" {
		reason += " for " + item
	}
	return expr.Unavailable{Reason: reason}
}

func severityNow(c *v1alpha1.Case) v1alpha1.Severity {
	if c.Status.Severity != "" {
		return c.Status.Severity
	}
	return c.Spec.Severity
}

func caseVars(c *v1alpha1.Case, rank int64) map[string]any {
	state := c.Status.State
	if state == "" {
		state = v1alpha1.CaseNew
	}
	out := map[string]any{
		"name": c.Name, "namespace": c.Namespace, "type": TypeName(c), "title": c.Spec.Title,
		severityVar: rank, "state": string(state), "openedTime": c.CreationTimestamp.UTC(),
		"users": list(c.Status.Users), "hosts": list(c.Status.Hosts),
		"assets": list(c.Status.Assets), "indicators": list(c.Status.Indicators),
		"sightings": list(c.Status.Sightings),
	}
	if c.Status.Queue != "" {
		out["queue"] = c.Status.Queue
	}
	if c.Status.Owner != "" {
		out["owner"] = c.Status.Owner
	}
	return out
}

func enrichmentVars(records []v1alpha1.EnrichmentRecord) map[string]any {
	out := map[string]any{}
	for _, r := range records {
		if _, failed := out[r.Name].(expr.Unavailable); failed || r.Decision != "" {
			continue
		}
		results, known := out[r.Name].([]any)
		if !known {
			results = []any{}
		}
		switch result := resultOf(r).(type) {
		case expr.Unavailable:
			out[r.Name] = result
		case []any:
			out[r.Name] = append(results, result...)
		default:
			out[r.Name] = append(results, result)
		}
	}
	return out
}

// resultOf is what a lookup answered, or [expr.Unavailable].
func resultOf(r v1alpha1.EnrichmentRecord) any {
	reason := r.Error
	if reason == "" && r.Result == nil {
		reason = "it gave no result"
	}
	if reason == "" {
		result, err := decode(r.Result.Raw)
		if err == nil {
			return result
		}
		reason = err.Error()
	}
	return expr.Unavailable{Reason: fmt.Sprintf("lookup %s failed: %s", r.Name, reason)}
}

// list gives expressions a list of plain values; it is there even when empty.
func list[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = plain(v)
	}
	return out
}

// plain is a value of the API as JSON in Go types.
func plain(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // the kinds of the API are JSON
	}
	out, err := decode(raw)
	if err != nil {
		panic(err) // it was just written
	}
	return out
}
