// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

const categoryOther v1alpha1.Category = "Other"

var categories = map[string]bool{
	"Identity": true, "Malware": true, "Phishing": true, "Vulnerability": true, "AppSec": true, "Cloud": true, "Network": true,
	"Runtime": true, "Policy": true, "ThreatIntel": true, "DataExposure": true, "Availability": true, "Other": true,
}

var activities = map[string]bool{"Create": true, "Update": true, "Resolve": true, "Suppress": true}

var outcomes = map[v1alpha1.Outcome]bool{v1alpha1.OutcomeSuccess: true, v1alpha1.OutcomeFailure: true, v1alpha1.OutcomeUnknown: true}

// builder makes one signal. It lives for one event.
type builder struct {
	ctx      context.Context // of the one call that the builder lives in
	mapping  *Mapping
	vars     map[string]any
	received time.Time
	signal   v1alpha1.NormalizedSignal
	// path is the path of the field being set.
	path string
	// full has the canonical values before they were cut: two findings that differ
	// only beyond a bound have different fingerprints.
	full map[string]any
}

func (b *builder) build() v1alpha1.NormalizedSignal {
	for _, f := range b.mapping.fields {
		value, err := f.program.Eval(b.ctx, b.vars)
		if err != nil {
			b.warn("%s: %v", f.name, err)
		}
		if err != nil || empty(value) {
			b.gap(f.name)
			continue
		}
		var found any
		b.path, found = b.source(f.program, value)
		if !setter(f.name)(b, value) {
			b.gap(f.name)
			continue
		}
		if b.path == "" {
			found = value
		}
		b.explain(f, found)
	}
	b.fill()
	b.signal.Fingerprint = b.fingerprint()
	return b.signal
}

// fill gives what every signal has, where the Mapping gave nothing.
func (b *builder) fill() {
	s := &b.signal
	if s.Category == "" {
		s.Category = categoryOther
		b.warn("category: none of the schema's was found; Other was assumed")
	}
	if s.Severity == "" {
		s.Severity = v1alpha1.SeverityMedium
		b.warn("severity: it is missing or unknown%s; Medium was assumed", b.whatStood("severity"))
	}
	if s.Title == "" {
		s.Title = firstRunes(first(oneLine(s.RuleID), oneLine(b.mapping.product)), maxTitle)
		b.warn("title: it is missing; the rule or the product stands for it")
	}
	if s.ObservedTimeFrom == "" {
		b.receipt()
	}
	if s.Activity == "" {
		s.Activity = v1alpha1.ActivityCreate
	}
}

// whatStood names the part of the payload that a field's expression could make
// nothing of, if it was there.
func (b *builder) whatStood(name string) string {
	for _, f := range b.mapping.fields {
		if f.name != name {
			continue
		}
		if path, found := b.source(f.program, nil); path != "" {
			return fmt.Sprintf(" (%s is %s)", path, quoted(show(found)))
		}
		if paths := f.program.Paths(); len(paths) > 0 {
			return fmt.Sprintf(" (%s is absent)", paths[0])
		}
	}
	return ""
}

// receipt takes the time of receipt for the time of the event.
func (b *builder) receipt() {
	b.signal.ObservedTime = metav1.NewMicroTime(b.received.Truncate(time.Microsecond))
	b.signal.ObservedTimeFrom = v1alpha1.TimeReceipt
}

func (b *builder) warn(format string, args ...any) {
	b.signal.Warnings = note(b.signal.Warnings, firstRunes(oneLine(fmt.Sprintf(format, args...)), maxNote))
}

func (b *builder) gap(name string) { b.signal.Gaps = note(b.signal.Gaps, name) }

func note(notes []string, text string) []string {
	if len(notes) == maxNotes {
		return notes
	}
	return append(notes, text)
}

func setter(name string) func(*builder, any) bool {
	for i := range schema {
		if schema[i].name == name {
			return schema[i].set
		}
	}
	return func(*builder, any) bool { return false }
}

// text makes the setter of a field that is text.
func text(name string, most int, field func(*v1alpha1.NormalizedSignal) *string) func(*builder, any) bool {
	return func(b *builder, value any) bool {
		found, ok := b.scalar(name, value)
		if ok {
			*field(&b.signal) = b.cut(name, found, most)
		}
		return ok
	}
}

// scalar reads text from text, a number or a boolean, and keeps it for the fingerprint.
func (b *builder) scalar(name string, value any) (string, bool) {
	found, ok := scalarText(value)
	if found = strings.TrimSpace(found); !ok || found == "" {
		b.warn("%s: it needs text, the expression gives %s", name, kindOf(value))
		return "", false
	}
	b.full[name] = found
	return found, true
}

func (b *builder) cut(name, value string, most int) string {
	short := firstRunes(value, most)
	if len(short) < len(value) {
		b.warn("%s: it was cut to %d characters", name, most)
	}
	return short
}

func (b *builder) setCategory(value any) bool {
	name, ok := b.scalar("category", value)
	if ok && !categories[name] {
		b.warn("category: %s is none of the schema's", quoted(name))
		return false
	}
	b.signal.Category = v1alpha1.Category(name)
	return ok
}

func (b *builder) setTitle(value any) bool {
	title, ok := b.scalar("title", value)
	if title = oneLine(title); title == "" {
		return false
	}
	b.signal.Title = b.cut("title", title, maxTitle)
	return ok
}

func (b *builder) setSeverity(value any) bool {
	rank, ok := value.(int64)
	if !ok || rank < expr.Informational || rank > expr.Critical {
		found, _ := scalarText(value)
		b.warn("severity: %s is none of Informational, Low, Medium, High, Critical", quoted(first(found, kindOf(value))))
		return false
	}
	b.signal.Severity = v1alpha1.SeverityOfRank(int(rank))
	b.full["severity"] = string(b.signal.Severity)
	return true
}

func (b *builder) setConfidence(value any) bool {
	found, _ := scalarText(value)
	n, err := strconv.ParseFloat(strings.TrimSpace(found), 64)
	if err != nil || math.IsNaN(n) {
		b.warn("confidence: %s is no number", quoted(first(found, kindOf(value))))
		return false
	}
	confidence := int32(math.Round(min(max(n, 0), 100)))
	if n < 0 || n > 100 {
		b.warn("confidence: %s lies outside 0 to 100; %d was taken", quoted(found), confidence)
	}
	b.signal.Confidence = &confidence
	b.full["confidence"] = int64(confidence)
	return true
}

func (b *builder) setActivity(value any) bool {
	name, ok := b.scalar("activity", value)
	if ok && !activities[name] {
		b.warn("activity: %s is none of Create, Update, Resolve, Suppress; Create was assumed", quoted(name))
		return false
	}
	b.signal.Activity = v1alpha1.Activity(name)
	return ok
}

func (b *builder) setOutcome(value any) bool {
	name, ok := b.scalar("outcome", value)
	if ok && !outcomes[v1alpha1.Outcome(name)] {
		b.warn("outcome: %s is none of Success, Failure, Unknown; it was left out", quoted(name))
		return false
	}
	b.signal.Outcome = v1alpha1.Outcome(name)
	return ok
}

// readTime is the dialect's own time(), so that a field which is a bare path is read
// as one that is wrapped in it.
var readTime = sync.OnceValues(func() (*expr.Program, error) { return environment().Compile("time(item)") })

var earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

const latestAhead = 24 * time.Hour

func (b *builder) setObservedTime(value any) bool {
	program, err := readTime()
	var read any
	if err == nil {
		read, err = program.Eval(b.ctx, map[string]any{"item": value})
	}
	found, _ := read.(string)
	var t time.Time
	if err == nil {
		t, err = time.Parse(time.RFC3339Nano, found)
	}
	switch {
	case err != nil:
		b.warn("observedTime: %v; the time of receipt was taken", err)
		return false
	case t.Before(earliest):
		b.warn("observedTime: %s lies before the year 2000; the time of receipt was taken", found)
		return false
	case t.After(b.received.Add(latestAhead)):
		b.warn("observedTime: %s lies more than a day after the receipt; the time of receipt was taken", found)
		return false
	}
	b.signal.ObservedTime = metav1.NewMicroTime(t.UTC().Truncate(time.Microsecond))
	b.signal.ObservedTimeFrom = b.origin()
	b.full["observedTime"] = found
	return true
}

// origin says where an observed time was found: around the list of findings is the
// envelope, which is known to lie.
func (b *builder) origin() v1alpha1.TimeOrigin {
	switch root := rootOf(b.path); {
	case root == "receivedTime":
		return v1alpha1.TimeReceipt
	case root == "payload" && b.mapping.items != nil:
		return v1alpha1.TimeEnvelope
	}
	return v1alpha1.TimePayload
}

// oneLine replaces line breaks and control characters by spaces, joins spaces, and makes
// visible what turns the direction of reading.
func oneLine(text string) string {
	line := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, line)
}

// empty reports whether a value fills nothing.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == ""
	case map[string]any:
		return len(v) == 0
	case []any:
		for _, element := range v {
			if !empty(element) {
				return false
			}
		}
		return true
	}
	return false
}
