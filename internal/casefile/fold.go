// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// World is everything that was observed of a case. The order of its lists does not
// matter. Records that belong to another case of the same name are passed over.
type World struct {
	// Case is the case as it was read.
	Case *v1alpha1.Case
	// Type is its compiled type; nil where the CaseType is missing or does not compile.
	Type *Type
	// Signals are the signals that name the case.
	Signals []v1alpha1.Signal
	// Enrichments are the lookups that were made, those of this pass among them.
	Enrichments []v1alpha1.EnrichmentRecord
	// Enriched says that no lookup is wanted any more: enrich.Plan is empty. Until then
	// the case stays New and no playbook starts.
	Enriched bool
	// Runs, Actions and Decisions are those that name the case.
	Runs      []v1alpha1.PlaybookRun
	Actions   []v1alpha1.Action
	Decisions []v1alpha1.Decision
}

// Next is what follows from a world.
type Next struct {
	// Status is the case's next status; its head is as it was.
	Status v1alpha1.CaseStatus
	// Starts are the playbooks to start now, and, with a message, those that cannot be.
	// Only the former need doing: the status already names the latter.
	Starts []Start
}

// Fold computes the next status of a case from everything that was observed. The same
// world gives the same status whatever the order of its lists, and folding again, with
// that status in the case, changes nothing. The world is not changed.
//
// A missing type leaves severity, queue and lookups as they stand, and so does a type
// that is not the one that a person gave the case (status.typeRef, [TypeName]): fold
// again with that one. A closed case keeps its severity and queue: a type that changes
// later does not change what was decided, and what people decide after the closure
// changes nothing. A merged case keeps everything. Nothing but a question's due time
// depends on now.
func Fold(ctx context.Context, in World, now time.Time) Next {
	if in.Case.Status.State == v1alpha1.CaseMerged {
		return Next{Status: *in.Case.Status.DeepCopy()}
	}
	f := newFolding(in)
	f.signals()
	f.enrichments()
	f.assignment()
	f.standing()
	vars := f.severity(ctx)
	starts := f.starts(ctx, vars)
	f.questions(now)
	return Next{Status: f.status, Starts: starts}
}

// folding is a fold under way: the observed records of this case, sorted, and the
// status so far.
type folding struct {
	world  World
	events events
	status v1alpha1.CaseStatus
}

func newFolding(in World) *folding {
	uid, name := string(in.Case.UID), in.Case.Name
	w := World{Case: in.Case, Type: in.Type, Enriched: in.Enriched || in.Type == nil}
	w.Enrichments = in.Enrichments
	w.Signals = mine(in.Signals, func(s v1alpha1.Signal) bool { return s.Spec.CaseRef.Name == name }, func(a, b v1alpha1.Signal) int {
		return cmp.Or(a.Spec.ReceivedTime.Compare(b.Spec.ReceivedTime.Time), strings.Compare(a.Name, b.Name))
	})
	w.Runs = mine(in.Runs, func(r v1alpha1.PlaybookRun) bool { return r.Spec.CaseRef.UID == uid }, func(a, b v1alpha1.PlaybookRun) int {
		return strings.Compare(a.Name, b.Name)
	})
	w.Actions = mine(in.Actions, func(a v1alpha1.Action) bool { return a.Spec.CaseRef.UID == uid }, func(a, b v1alpha1.Action) int {
		return strings.Compare(a.Name, b.Name)
	})
	w.Decisions = mine(in.Decisions, func(d v1alpha1.Decision) bool {
		return d.Spec.CaseRef.UID == uid && d.Status.State == v1alpha1.DecisionCounted
	}, func(a, b v1alpha1.Decision) int {
		return cmp.Or(DecidedTime(&a).Compare(DecidedTime(&b).Time), strings.Compare(a.Name, b.Name))
	})
	f := &folding{world: w, events: eventsOf(w), status: *in.Case.Status.DeepCopy()}
	f.correctType()
	return f
}

// mine is a sorted copy of the records that belong to the case.
func mine[T any](all []T, belongs func(T) bool, order func(a, b T) int) []T {
	var out []T
	for _, one := range all {
		if belongs(one) {
			out = append(out, one)
		}
	}
	slices.SortFunc(out, order)
	return out
}

// signals merges what the signals speak of, and what people added, in the order of time:
// what came first is not pushed out of a full list by what comes later.
func (f *folding) signals() {
	if len(f.world.Signals) == 0 {
		return // a case has at least the signal that opened it: it was not observed yet
	}
	users, hosts, assets := entities{same: samePerson}, entities{same: samePerson}, entities{same: sameThing}
	var indicators []v1alpha1.Indicator
	seen := map[v1alpha1.Indicator]bool{}
	added := f.corrections(func(s v1alpha1.DecisionSpec) bool { return s.Add != nil })
	add := func(before *metav1.MicroTime) {
		for len(added) > 0 && (before == nil || DecidedTime(&added[0]).Time.Before(before.Time)) {
			users.add(added[0].Spec.Add.Users)
			hosts.add(added[0].Spec.Add.Hosts)
			indicators = addIndicators(indicators, added[0].Spec.Add.Indicators, seen)
			added = added[1:]
		}
	}
	last := f.world.Signals[0].Spec.ReceivedTime
	for _, s := range f.world.Signals {
		last = s.Spec.ReceivedTime // they are sorted by it
		add(&last)
		users.add(s.Spec.Users)
		hosts.add(s.Spec.Hosts)
		assets.add(s.Spec.Assets)
		indicators = addIndicators(indicators, s.Spec.Indicators, seen)
	}
	add(nil)
	users.keepNames(f.status.Users)
	hosts.keepNames(f.status.Hosts)
	f.status.Users, f.status.Hosts, f.status.Assets, f.status.Indicators = users.list, hosts.list, assets.list, indicators
	f.status.Sightings = sightings(f.world.Signals)
	f.status.Signals = &v1alpha1.SignalTotals{Total: int64(len(f.world.Signals)), LastTime: last}
}

// enrichments keeps one record of each lookup, the newest, in the type's order. Without
// the type they stay as they stand, and what people look up by hand joins them.
func (f *folding) enrichments() {
	if f.world.Type == nil {
		f.enrichmentsByHand()
		return
	}
	order := map[string]int{}
	for i, e := range f.world.Type.enrichments {
		order[e.Name] = i - len(f.world.Type.enrichments) // the type's own before any other
	}
	rank := func(r v1alpha1.EnrichmentRecord) int {
		if r.Decision != "" {
			return 1 // what people asked for by hand comes last
		}
		return order[r.Name]
	}
	records := slices.Clone(f.world.Enrichments)
	slices.SortFunc(records, func(a, b v1alpha1.EnrichmentRecord) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(RecordKey(a), RecordKey(b)),
			b.Time.Compare(a.Time.Time), strings.Compare(a.Error, b.Error), strings.Compare(resultText(a), resultText(b)))
	})
	records = slices.CompactFunc(records, func(a, b v1alpha1.EnrichmentRecord) bool { return RecordKey(a) == RecordKey(b) })
	f.status.Enrichments = records[:min(len(records), MaxEnrichments)]
}

func (f *folding) enrichmentsByHand() {
	records := slices.Clone(f.status.Enrichments)
	byHand := slices.DeleteFunc(slices.Clone(f.world.Enrichments), func(r v1alpha1.EnrichmentRecord) bool { return r.Decision == "" })
	slices.SortFunc(byHand, func(a, b v1alpha1.EnrichmentRecord) int {
		return cmp.Or(strings.Compare(RecordKey(a), RecordKey(b)), a.Time.Compare(b.Time.Time), strings.Compare(a.Error, b.Error), strings.Compare(resultText(a), resultText(b)))
	})
	for _, r := range byHand {
		same := func(known v1alpha1.EnrichmentRecord) bool { return RecordKey(known) == RecordKey(r) }
		switch at := slices.IndexFunc(records, same); {
		case at < 0 && len(records) < MaxEnrichments:
			records = append(records, r)
		case at >= 0 && !r.Time.Before(&records[at].Time):
			records[at] = r
		}
	}
	f.status.Enrichments = records
}

func resultText(r v1alpha1.EnrichmentRecord) string {
	if r.Result == nil {
		return ""
	}
	return string(r.Result.Raw)
}

// RecordKey is what makes two enrichment records answers to the same question: the
// lookup's name, its operation, its item, the decision that asked for it and its input,
// however the input is written. A record without an input, whose input could not be
// built, is known by its error.
func RecordKey(r v1alpha1.EnrichmentRecord) string {
	question := []string{r.Name, r.Lookup, r.Item, r.Decision}
	if r.Input == nil {
		return strings.Join(append(question, "", r.Error), "\x00")
	}
	input := string(r.Input.Raw)
	if value, err := decode(r.Input.Raw); err == nil {
		if canonical, err := encode(value); err == nil {
			input = string(canonical)
		}
	}
	return strings.Join(append(question, input), "\x00")
}

// assignment is the owner by the latest decision that names one, and the queue by the
// latest that names one, or else by the type.
func (f *folding) assignment() {
	queue := f.status.Queue
	if f.world.Type != nil && !f.staysClosed() {
		queue = f.world.Type.Spec.Queue
	}
	f.status.Owner = ""
	for _, d := range f.corrections(func(s v1alpha1.DecisionSpec) bool { return s.Assign != nil || s.Set != nil }) {
		if a := d.Spec.Assign; a != nil {
			f.status.Owner = cmp.Or(a.Owner, f.status.Owner)
			queue = cmp.Or(a.Queue, queue)
		}
		if s := d.Spec.Set; s != nil {
			queue = cmp.Or(s.Queue, queue)
		}
	}
	f.status.Queue = cmp.Or(queue, DefaultQueue)
}

// staysClosed tells whether the case was closed before this pass and is so after it.
func (f *folding) staysClosed() bool {
	return f.world.Case.Status.State == v1alpha1.CaseClosed && f.events.closure != nil
}

// standing is where the case stands before any playbook starts in this pass.
func (f *folding) standing() {
	if f.events.closure != nil {
		f.status.State, f.status.Closure = v1alpha1.CaseClosed, f.events.closure
		return
	}
	f.status.Closure = nil
	f.status.State = f.events.state(f.world)
}

// severity scores the case and returns the variables for what comes after.
func (f *folding) severity(ctx context.Context) map[string]any {
	scored := *f.world.Case
	scored.Status = f.status
	if f.world.Type == nil {
		f.status.Severity = severityNow(&scored)
		f.correctSeverity()
		return withSeverity(Vars(&scored), f.status.Severity)
	}
	vars := f.world.Type.Vars(ctx, &scored)
	if f.staysClosed() {
		return vars
	}
	base, because := f.base()
	f.status.Severity, f.status.SeverityTrace = Severity(ctx, f.world.Type, base, vars)
	f.status.SeverityTrace[0].Because = because
	f.correctSeverity()
	return withSeverity(vars, f.status.Severity)
}

// base is the highest severity among the signals, and whose it is.
func (f *folding) base() (v1alpha1.Severity, string) {
	base := f.world.Case.Spec.Severity
	for _, s := range f.world.Signals {
		if s.Spec.Severity.Rank() > base.Rank() {
			base = s.Spec.Severity
		}
	}
	for _, s := range f.world.Signals {
		if s.Spec.Severity == base {
			return base, cut(explained(s), maxBecause)
		}
	}
	return base, "signal " + f.world.Case.Spec.SignalRef.Name
}

// explained says where a signal's severity came from.
func explained(s v1alpha1.Signal) string {
	out := fmt.Sprintf("signal %s, mapping %s", s.Name, s.Spec.Mapping)
	for _, e := range s.Spec.Explanation {
		if e.Field == severityVar && e.Path != "" {
			return fmt.Sprintf("%s: severity, from %s %s", out, e.Path, e.Value)
		}
	}
	if s.Spec.SeverityOriginal != "" {
		out += ": " + s.Spec.SeverityOriginal
	}
	return out
}

// DecidedTime is when a decision came to count: the time of its first journal entry,
// which has the controller's clock and its precision, or else of its creation.
func DecidedTime(d *v1alpha1.Decision) metav1.MicroTime {
	if len(d.Status.Journal) > 0 {
		return d.Status.Journal[0].Time
	}
	return metav1.NewMicroTime(d.CreationTimestamp.Time)
}
