// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// setFactor is the row of the trace that says that a person set the severity.
const setFactor = "set"

// TypeName names the CaseType of a case: the one that a person gave it, or else the one
// that it opened with.
func TypeName(c *v1alpha1.Case) string {
	if c.Status.TypeRef != nil {
		return c.Status.TypeRef.Name
	}
	return c.Spec.TypeRef.Name
}

// corrections are the counted decisions of a kind, in the order in which they came to
// count, without those after the case was closed.
func (f *folding) corrections(kind func(v1alpha1.DecisionSpec) bool) []v1alpha1.Decision {
	var out []v1alpha1.Decision
	for _, d := range f.world.Decisions {
		late := f.events.closure != nil && DecidedTime(&d).After(f.events.closure.Time.Time)
		if kind(d.Spec) && !late {
			out = append(out, d)
		}
	}
	return out
}

// newest is the newest correction of a kind; nil if there is none.
func (f *folding) newest(kind func(v1alpha1.SetDecision) bool) *v1alpha1.Decision {
	sets := f.corrections(func(s v1alpha1.DecisionSpec) bool { return s.Set != nil && kind(*s.Set) })
	if len(sets) == 0 {
		return nil
	}
	return &sets[len(sets)-1]
}

// correctType gives the case the type that a person set. A type that is another one is
// not asked any more; nothing looks it up, scores or starts until the right one is there.
func (f *folding) correctType() {
	d := f.newest(func(s v1alpha1.SetDecision) bool { return s.TypeRef != nil })
	f.status.TypeRef = nil
	if d != nil {
		f.status.TypeRef = &v1alpha1.LocalRef{Name: d.Spec.Set.TypeRef.Name}
	}
	if given := f.world.Type; given != nil && d != nil && given.Name != d.Spec.Set.TypeRef.Name {
		f.world.Type, f.world.Enriched = nil, false
	}
}

// correctSeverity ends the trace with the severity that a person set, whatever the factors say.
func (f *folding) correctSeverity() {
	if f.staysClosed() {
		return
	}
	trace := slices.DeleteFunc(slices.Clone(f.status.SeverityTrace), func(row v1alpha1.SeverityTraceEntry) bool { return row.Factor == setFactor })
	d := f.newest(func(s v1alpha1.SetDecision) bool { return s.Severity != "" })
	if d == nil {
		return
	}
	severity, before := d.Spec.Set.Severity, f.world.Case.Spec.Severity
	if len(trace) > 0 {
		before = trace[len(trace)-1].Severity
	}
	row := v1alpha1.SeverityTraceEntry{Factor: setFactor, Severity: severity, Because: cut(fmt.Sprintf("by %s: %s", Person(d.Spec.Actor).Name, d.Spec.Message), maxBecause)}
	if adjust := int32(severity.Rank() - before.Rank()); adjust != 0 {
		row.Adjust = &adjust
	}
	f.status.Severity, f.status.SeverityTrace = severity, append(trace, row)
}

// byHand are the runs that people ask for. What was asked before the case was last
// reopened, and not started then, is not started any more.
func (f *folding) byHand() []Start {
	var out []Start
	for _, d := range f.corrections(func(s v1alpha1.DecisionSpec) bool { return s.Run != nil }) {
		if f.events.reopened.IsZero() || DecidedTime(&d).After(f.events.reopened) {
			out = append(out, Start{
				Playbook: d.Spec.Run.PlaybookRef.Name, Item: d.Name, Inputs: d.Spec.Run.Inputs.DeepCopy(),
				Decision: &v1alpha1.RecordRef{Name: d.Name, UID: string(d.UID)},
			})
		}
	}
	return out
}

// WhoMoved is the person whose decision made of a world's case what [Fold] says it is
// next, for the journal; nil where automation did, or where it is not one person's doing.
// Of several changes in one pass the weightiest counts: the closure or reopening, the
// type, the severity, owner and queue, what was added, what was started, what was looked up.
func WhoMoved(w World, next Next) *v1alpha1.JournalActor {
	f := newFolding(w)
	was, is := w.Case.Status, next.Status
	by := func(moved func(v1alpha1.Decision) bool) *v1alpha1.JournalActor {
		for _, d := range slices.Backward(f.world.Decisions) {
			if moved(d) {
				person := Person(d.Spec.Actor)
				return &person
			}
		}
		return nil
	}
	switch {
	case is.Closure != nil && was.Closure == nil:
		return is.Closure.By.DeepCopy()
	case was.Closure != nil && is.Closure == nil:
		return by(func(d v1alpha1.Decision) bool { return d.Spec.Verdict == v1alpha1.VerdictReopen })
	}
	return cmp.Or(
		by(func(d v1alpha1.Decision) bool {
			return d.Spec.Set != nil && d.Spec.Set.TypeRef != nil && !sameRef(was.TypeRef, d.Spec.Set.TypeRef) && sameRef(is.TypeRef, d.Spec.Set.TypeRef)
		}),
		by(func(d v1alpha1.Decision) bool {
			return d.Spec.Set != nil && d.Spec.Set.Severity != "" && setBecause(was) != setBecause(is)
		}),
		by(func(d v1alpha1.Decision) bool {
			a, s := d.Spec.Assign, d.Spec.Set
			owns := a != nil && a.Owner != "" && a.Owner == is.Owner && was.Owner != is.Owner
			queues := was.Queue != is.Queue && (a != nil && a.Queue == is.Queue || s != nil && s.Queue == is.Queue)
			return owns || queues
		}),
		by(func(d v1alpha1.Decision) bool { return d.Spec.Add != nil && joined(was, is, *d.Spec.Add) }),
		by(func(d v1alpha1.Decision) bool {
			return slices.ContainsFunc(next.Starts, func(s Start) bool { return s.Decision != nil && s.Decision.Name == d.Name && s.Message == "" })
		}),
		by(func(d v1alpha1.Decision) bool {
			return d.Spec.Lookup != nil && answered(is, d.Name) && !answered(was, d.Name)
		}),
	)
}

func sameRef(a, b *v1alpha1.LocalRef) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// setBecause is who set the severity to what, and why; empty where nobody did.
func setBecause(status v1alpha1.CaseStatus) string {
	if last := len(status.SeverityTrace) - 1; last >= 0 && status.SeverityTrace[last].Factor == setFactor {
		return string(status.Severity) + " " + status.SeverityTrace[last].Because
	}
	return ""
}

// joined tells whether something that was added is new to the case.
func joined(was, is v1alpha1.CaseStatus, add v1alpha1.AddDecision) bool {
	added := func(before, after, given []v1alpha1.Entity) bool {
		return slices.ContainsFunc(given, func(e v1alpha1.Entity) bool {
			same := func(known v1alpha1.Entity) bool { return samePerson(known, e) }
			return slices.ContainsFunc(after, same) && !slices.ContainsFunc(before, same)
		})
	}
	return added(was.Users, is.Users, add.Users) || added(was.Hosts, is.Hosts, add.Hosts) ||
		slices.ContainsFunc(add.Indicators, func(i v1alpha1.Indicator) bool {
			return slices.Contains(is.Indicators, i) && !slices.Contains(was.Indicators, i)
		})
}

func answered(status v1alpha1.CaseStatus, decision string) bool {
	return slices.ContainsFunc(status.Enrichments, func(r v1alpha1.EnrichmentRecord) bool { return r.Decision == decision })
}
