// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// maxCorrelatedBy is what Case.spec.correlatedBy takes, in code points.
const maxCorrelatedBy = 512

// Match returns the type of the case that a signal belongs to: the first by name
// whose match holds, whatever the order of types. A match that cannot be decided does
// not hold ([Explain] says which and why). Where none holds it is the type named
// [UnclassifiedName] among types, whose own match is not asked, or else [Unclassified].
func Match(ctx context.Context, types []*Type, sig v1alpha1.NormalizedSignal) *Type {
	t, _ := Explain(ctx, types, sig)
	return t
}

// Explain is [Match] that also says, in words for people, which types could not be
// decided on the way and why.
func Explain(ctx context.Context, types []*Type, sig v1alpha1.NormalizedSignal) (*Type, []string) {
	fallback := Unclassified()
	var undecided []string
	vars := map[string]any{signalVar: SignalVars(sig), severityVar: int64(sig.Severity.Rank())}
	for _, t := range slices.SortedFunc(slices.Values(types), func(a, b *Type) int { return strings.Compare(a.Name, b.Name) }) {
		if t.Name == UnclassifiedName {
			fallback = t
			continue
		}
		switch truth, err := t.match.EvalBool(ctx, vars); truth {
		case expr.True:
			return t, undecided
		case expr.Unknown:
			undecided = append(undecided, fmt.Sprintf("type %s was passed over: %v", t.Name, err))
		case expr.False:
		}
	}
	return fallback, undecided
}

// Key is what the signal has in common with the others of its case: SHA-256 in
// lower-case hex over the type's name, the names of its key fields and their
// canonical, sorted values. By is the same for people ("assets=shop/web-6d4f9"), at
// most 512 code points. A signal that has none of the fields gets a key of its
// fingerprint, and by says so: it shares a case only with its own repeats.
func (t *Type) Key(sig v1alpha1.NormalizedSignal, source string) (key, by string) {
	fields := slices.Sorted(slices.Values(t.Spec.Correlate.By))
	parts := make([][]string, 0, len(fields)) // per field: its name, then its values
	var readable []string
	for _, field := range fields {
		values := fieldValues(field, sig, source)
		part := []string{field}
		var names []string
		for _, v := range values {
			part = append(part, v.identity)
			names = append(names, v.readable)
		}
		parts = append(parts, part)
		if len(values) > 0 {
			readable = append(readable, field+"="+strings.Join(names, ","))
		}
	}
	if len(readable) == 0 {
		return digest("fingerprint", t.Name, sig.Fingerprint),
			fmt.Sprintf("fingerprint=%s, for the signal has no %s", sig.Fingerprint[:min(len(sig.Fingerprint), 12)], strings.Join(fields, ", "))
	}
	return digest("fields", t.Name, parts), cut(strings.Join(readable, " "), maxCorrelatedBy)
}

// value is one value of a key: what is hashed, and what people read.
type value struct {
	identity, readable string
}

// fieldValues are the canonical values of one key field, sorted and without repetition.
func fieldValues(field string, sig v1alpha1.NormalizedSignal, source string) []value {
	var out []value
	switch field {
	case "users":
		out = entityValues(sig.Users, strings.ToLower)
	case "hosts":
		out = entityValues(sig.Hosts, strings.ToLower)
	case "assets":
		out = entityValues(sig.Assets, strings.Clone)
	case "indicators":
		for _, i := range sig.Indicators {
			out = append(out, value{string(i.Type) + ":" + i.Value, i.Value})
		}
	case "ruleId":
		out = textValue(sig.RuleID)
	case "title":
		out = textValue(sig.Title)
	case "source":
		out = textValue(source)
	}
	slices.SortFunc(out, func(a, b value) int {
		return cmp.Or(strings.Compare(a.readable, b.readable), strings.Compare(a.identity, b.identity))
	})
	return slices.Compact(out)
}

// entityValues leaves the uid out: tools that give none still speak of the same thing.
func entityValues(entities []v1alpha1.Entity, canonical func(string) string) []value {
	out := make([]value, 0, len(entities))
	for _, e := range entities {
		e.Name = canonical(strings.TrimSpace(e.Name))
		out = append(out, value{digest("entity", e.Type, e.Cluster, e.Namespace, e.Name), readableEntity(e)})
	}
	return out
}

func textValue(text string) []value {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return []value{{text, text}}
}

// readableEntity is an entity as people write it: cluster:namespace/name.
func readableEntity(e v1alpha1.Entity) string {
	out := e.Name
	if e.Namespace != "" {
		out = e.Namespace + "/" + out
	}
	if e.Cluster != "" {
		out = e.Cluster + ":" + out
	}
	return out
}

// Joins tells whether a case still takes a signal that the gateway kept at received:
// it is neither closed nor merged, and received is at most the type's window after its
// last signal, or after it opened where its status does not say yet. The case may be of
// another key that shares its name: [Takes] asks that as well.
func Joins(c *v1alpha1.Case, t *Type, received time.Time) bool {
	if c.Status.State == v1alpha1.CaseClosed || c.Status.State == v1alpha1.CaseMerged || c.DeletionTimestamp != nil {
		return false
	}
	last := c.CreationTimestamp.Time
	if c.Status.Signals != nil {
		last = c.Status.Signals.LastTime.Time
	}
	return !received.After(last.Add(t.Spec.Correlate.Within.Duration))
}

// Takes tells whether a signal with this key joins the case: it has the same key and
// [Joins]. Names of cases are short, so a case of another key may have the derived
// name; the next name in the chain is then tried, as for a case that has closed.
func Takes(c *v1alpha1.Case, t *Type, key string, received time.Time) bool {
	return c.Spec.CorrelationKey == key && Joins(c, t, received)
}

// digest is the SHA-256 in lower-case hex of the values as JSON, which keeps apart
// what mere concatenation would confuse.
func digest(values ...any) string {
	raw, err := encode(values)
	if err != nil {
		panic(err) // only text and lists of text are digested
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// cut shortens text to a number of code points.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
