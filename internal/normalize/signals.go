// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// MaxFindings is the most findings of one payload that become a signal each. One
// more signal stands for the rest.
const MaxFindings = 10_000

// Reasons under which events are counted that are no finding. A Mapping's finding
// condition may give others.
const (
	// SkippedByCondition: the finding condition is false.
	SkippedByCondition = "the finding condition is false"
	// SkippedEmpty: the payload's list of findings is empty.
	SkippedEmpty = "the payload holds no findings"
	// SkippedOther: the finding condition gave more different reasons than are kept.
	SkippedOther = "other reasons"
)

const (
	maxReasons = 32
	maxReason  = 128
)

// Result is what a Mapping made of one payload. Its JSON is what
// kubectl casebook normalize prints.
type Result struct {
	// Mapping is the name of the Mapping, with its generation if it has one.
	Mapping string
	// Skipped counts the events that are no finding, by reason. It is never nil.
	Skipped map[string]int
	// Signals are the findings in the order of the payload. It is never nil.
	Signals []v1alpha1.NormalizedSignal
	// Drift says why the payload no longer fits the Mapping; empty if it does. It is
	// not part of the JSON: each signal has it among its warnings.
	Drift string
}

// MarshalJSON writes {mapping, skipped, signals}. The lists of a signal are there
// even when they are empty, so that whoever reads them need not ask.
func (r Result) MarshalJSON() ([]byte, error) {
	signals := make([]printed, len(r.Signals))
	for i := range r.Signals {
		signals[i] = printedOf(&r.Signals[i])
	}
	skipped := r.Skipped
	if skipped == nil {
		skipped = map[string]int{}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	// Whether <, > and & are escaped is for whoever writes the whole to say.
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Mapping string         `json:"mapping"`
		Skipped map[string]int `json:"skipped"`
		Signals []printed      `json:"signals"`
	}{r.Mapping, skipped, signals})
	return out.Bytes(), err
}

// printed hides the lists of the embedded signal behind its own.
type printed struct {
	v1alpha1.NormalizedSignal
	Users       []v1alpha1.Entity           `json:"users"`
	Hosts       []v1alpha1.Entity           `json:"hosts"`
	Assets      []v1alpha1.Entity           `json:"assets"`
	Indicators  []v1alpha1.Indicator        `json:"indicators"`
	Techniques  []string                    `json:"techniques"`
	Explanation []v1alpha1.FieldExplanation `json:"explanation"`
	Gaps        []string                    `json:"gaps"`
	Warnings    []string                    `json:"warnings"`
}

func printedOf(s *v1alpha1.NormalizedSignal) printed {
	return printed{
		NormalizedSignal: *s,
		Users:            list(s.Users), Hosts: list(s.Hosts), Assets: list(s.Assets),
		Indicators: list(s.Indicators), Techniques: list(s.Techniques),
		Explanation: list(s.Explanation), Gaps: list(s.Gaps), Warnings: list(s.Warnings),
	}
}

func list[T any](values []T) []T {
	if values == nil {
		return []T{}
	}
	return values
}

// Signals makes signals of a payload that was received at a time. It does not ask
// whether the Mapping fits: a payload that drifted is read as well as it can be.
//
// The error is a [*DecodeError] when the payload cannot be decoded, for which
// [Generic] makes a signal, or ctx's error when it ended before the work did. Give
// ctx a deadline: expressions are bounded in work, not in time.
func (m *Mapping) Signals(ctx context.Context, payload []byte, received time.Time) (Result, error) {
	decoded, err := m.Decode(payload)
	if err != nil {
		return Result{}, err
	}
	received = received.UTC()
	result := Result{Mapping: m.name, Skipped: map[string]int{}, Signals: []v1alpha1.NormalizedSignal{}}
	var notes []string
	if result.Drift = m.drift(ctx, decoded); result.Drift != "" {
		notes = append(notes, "the payload does not fit the Mapping: "+result.Drift)
	}
	items, note := m.list(ctx, decoded)
	if note != "" {
		notes = append(notes, note)
	}
	if len(items) == 0 {
		result.Skipped[SkippedEmpty]++
	}
	for i, item := range items {
		if err := ctx.Err(); err != nil {
			return Result{}, fmt.Errorf("could not normalize the payload: %w; nothing of it was used", err)
		}
		if len(result.Signals) == MaxFindings {
			rest := fmt.Sprintf("the payload holds more than %d findings: this signal stands for the last %d of its %d events", MaxFindings, len(items)-i, len(items))
			result.Signals = append(result.Signals, Generic(m.product, payload, received, rest))
			break
		}
		m.add(ctx, &result, map[string]any{"payload": decoded, "item": item, "receivedTime": received}, received, notes)
	}
	// An expression that the end of ctx stopped looks like one that erred.
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("could not normalize the payload: %w; nothing of it was used", err)
	}
	return result, nil
}

// add makes a signal of one event, or counts why there is none.
func (m *Mapping) add(ctx context.Context, result *Result, vars map[string]any, received time.Time, notes []string) {
	skip, note := m.skip(ctx, vars)
	if skip != "" {
		if _, known := result.Skipped[skip]; !known && len(result.Skipped) == maxReasons {
			skip = SkippedOther
		}
		result.Skipped[skip]++
		return
	}
	b := &builder{ctx: ctx, mapping: m, vars: vars, received: received, full: map[string]any{}}
	for _, n := range notes {
		b.warn("%s", n)
	}
	if note != "" {
		b.warn("%s", note)
	}
	result.Signals = append(result.Signals, b.build())
}

// list gives the events of a payload. What is no list is one event, so that a
// payload which drifted is not lost.
func (m *Mapping) list(ctx context.Context, payload any) (items []any, note string) {
	if m.items == nil {
		if elements, ok := payload.([]any); ok {
			return elements, ""
		}
		return []any{payload}, ""
	}
	vars := map[string]any{"payload": payload}
	var value any
	if paths := m.items.Paths(); len(paths) == 1 && paths[0] == strings.TrimSpace(m.items.Source()) {
		// A plain path needs no conversion, which would have bounds of its own.
		value, _ = lookUp(vars, paths[0])
	} else {
		var err error
		if value, err = m.items.Eval(ctx, vars); err != nil {
			return []any{payload}, "items: " + err.Error() + "; the whole payload was read as one event"
		}
	}
	switch v := value.(type) {
	case []any:
		return opened(v), ""
	case map[string]any:
		return []any{v}, ""
	}
	return []any{payload}, fmt.Sprintf("items: %s gives no list; the whole payload was read as one event", quoted(m.items.Source()))
}

// opened puts the elements of lists within a list in their place: an expression that
// gives each part of a payload its own events gives lists of them.
func opened(events []any) []any {
	if !slices.ContainsFunc(events, func(e any) bool { _, list := e.([]any); return list }) {
		return events
	}
	out := make([]any, 0, len(events))
	for _, e := range events {
		if list, ok := e.([]any); ok {
			out = append(out, opened(list)...)
			continue
		}
		out = append(out, e)
	}
	return out
}

// skip says why an event is no finding; empty if it is one. What the condition
// cannot answer is a finding, with a note. A condition may also give text: the
// reason why the event is no finding.
func (m *Mapping) skip(ctx context.Context, vars map[string]any) (reason, note string) {
	if m.finding == nil {
		return "", ""
	}
	truth, err := m.finding.EvalBool(ctx, vars)
	switch truth {
	case expr.True:
		return "", ""
	case expr.False:
		return SkippedByCondition, ""
	}
	if value, evalErr := m.finding.Eval(ctx, vars); evalErr == nil {
		if text, ok := value.(string); ok && strings.TrimSpace(text) != "" {
			return firstRunes(oneLine(text), maxReason), ""
		}
	}
	return "", "finding: " + err.Error() + "; the event was taken for a finding"
}

// Generic makes the signal that stands for a payload which cannot be read: nothing
// of it is known but that it came. The product is the tool's or the Source's name;
// the reason says in words for people why it could not be read. The same payload
// gives the same fingerprint.
func Generic(product string, payload []byte, received time.Time, reason string) v1alpha1.NormalizedSignal {
	b := &builder{mapping: &Mapping{product: product}, received: received.UTC(), full: map[string]any{"product": product, "payload": digest(payload)}}
	b.signal.Category = categoryOther
	b.signal.Severity = v1alpha1.SeverityMedium
	b.signal.Title = firstRunes(oneLine(first(product, "An unknown tool")+" sent a payload that could not be read"), maxTitle)
	b.signal.Description = firstRunes(first(strings.TrimSpace(reason), "The reason is not known."), maxDescription)
	for _, f := range schema {
		b.gap(f.name)
	}
	b.warn("severity: nothing is known of the finding; Medium was assumed")
	b.warn("%s", first(strings.TrimSpace(reason), "the payload could not be read"))
	b.receipt()
	b.signal.Activity = v1alpha1.ActivityCreate
	b.signal.Fingerprint = hash(b.full)
	return b.signal
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
