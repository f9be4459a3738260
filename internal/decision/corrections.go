// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// What a case takes of each, as its schema says.
const (
	maxEntities   = 100
	maxIndicators = 200
)

// told is what the outcomes of a resolution say.
var told = map[v1alpha1.ResolveOutcome]string{
	v1alpha1.ResolveHappened: "it happened", v1alpha1.ResolveDidNot: "it did not happen", v1alpha1.ResolveRetry: "it did not happen and is tried again",
}

// ofNamespace tells whether a verdict is about a whole namespace, and no case.
func ofNamespace(v v1alpha1.Verdict) bool {
	return v == v1alpha1.VerdictFreeze || v == v1alpha1.VerdictThaw
}

// namespace is the tenant that a decision is made in.
func namespace(in Input) string {
	if in.Case == nil {
		return in.Decision.Namespace
	}
	return cmp.Or(in.Decision.Namespace, in.Case.Namespace)
}

// tellsWhatHappened tells whether a decision only says what became of an action.
func tellsWhatHappened(spec v1alpha1.DecisionSpec) bool {
	return spec.Resolve != nil && spec.Resolve.Outcome != v1alpha1.ResolveRetry
}

// outcomeIsUnknown holds that only what nobody knows is resolved, and once. Whoever asked
// for the action may say what became of it: it is a finding and no approval.
func outcomeIsUnknown(in Input, _ time.Time) *Ruling {
	spec := in.Decision.Spec
	if spec.Verdict != v1alpha1.VerdictResolve {
		return nil
	}
	a := in.Action
	if a == nil || string(a.UID) != spec.Resolve.ActionRef.UID || a.Spec.CaseRef.UID != spec.CaseRef.UID {
		return void(v1alpha1.SubjectMissingReason, "could not %s: case %s has no such action", deed(in), spec.CaseRef.Name)
	}
	if told[spec.Resolve.Outcome] == "" {
		return void(v1alpha1.InvalidSpecReason, "could not %s with %q: say Happened, DidNot or Retry", deed(in), spec.Resolve.Outcome)
	}
	known := func(name string) bool {
		return slices.ContainsFunc(a.Status.Resolutions, func(r v1alpha1.Resolution) bool { return r.Decision == name })
	}
	for _, e := range in.Earlier {
		if e.Spec.Resolve != nil && e.Spec.Resolve.Outcome == v1alpha1.ResolveRetry && !a.Status.MayRetry() {
			continue // one that counted beside the last: the action has no place for it
		}
		if e.Spec.Resolve != nil && e.Spec.Actor != nil && e.Spec.Resolve.ActionRef.UID == string(a.UID) && e.Name != in.Decision.Name && !known(e.Name) {
			return void(v1alpha1.LateReason, "could not %s: it was resolved already by %s: %s", deed(in), e.Spec.Actor.Username, told[e.Spec.Resolve.Outcome])
		}
	}
	if a.Status.State == v1alpha1.ActionUnknown && spec.Resolve.Outcome == v1alpha1.ResolveRetry && !a.Status.MayRetry() {
		return void(v1alpha1.LateReason, "could not %s with --retry: it was tried again %d times, and no more; look at the target and say --happened or "+
			"--did-not, and if it is still wanted do it anew by hand: kubectl casebook do %s", deed(in), len(a.Status.Resolutions), spec.CaseRef.Name)
	}
	if a.Status.State == v1alpha1.ActionUnknown {
		return nil
	}
	if last := len(a.Status.Resolutions) - 1; last >= 0 {
		r := a.Status.Resolutions[last]
		return void(v1alpha1.LateReason, "could not %s: it was resolved already by %s: %s; it is %s", deed(in), r.Actor.Username, told[r.Outcome], a.Status.State)
	}
	return void(v1alpha1.StaleReason, "could not %s: it is %s, and only an action whose outcome is Unknown is resolved", deed(in),
		cmp.Or(a.Status.State, v1alpha1.ActionPending))
}

// playbookRuns holds that there is something to run.
func playbookRuns(in Input, _ time.Time) *Ruling {
	spec := in.Decision.Spec
	if spec.Verdict != v1alpha1.VerdictRun {
		return nil
	}
	name := spec.Run.PlaybookRef.Name
	switch {
	case in.Playbook == nil:
		return void(v1alpha1.SubjectMissingReason, "could not %s: there is no playbook %s in namespace %s; kubectl get playbooks lists what there is", deed(in), name, namespace(in))
	case in.Playbook.Status.Revision == "":
		return void(v1alpha1.SubjectMissingReason, "could not %s: playbook %s has no revision that compiles; see kubectl describe playbook %s", deed(in), name, name)
	case in.PlaybookError != nil:
		return void(v1alpha1.InvalidSpecReason, "could not %s: playbook %s: %v", deed(in), name, in.PlaybookError)
	}
	return nil
}

// correctionFits holds that the case can be what it is said to be, and takes what is added to it.
func correctionFits(in Input, _ time.Time) *Ruling {
	spec := in.Decision.Spec
	switch {
	case spec.Verdict == v1alpha1.VerdictSet && spec.Set.TypeRef != nil && in.TypeError != nil:
		return void(v1alpha1.InvalidSpecReason, "could not %s: %v", deed(in), in.TypeError)
	case spec.Verdict == v1alpha1.VerdictLookup && len(in.Case.Status.Enrichments) >= casefile.MaxEnrichments:
		return full(in, "answers of lookups", casefile.MaxEnrichments)
	case spec.Verdict == v1alpha1.VerdictAdd:
		have := in.Case.Status
		switch {
		case overflows(have.Users, spec.Add.Users):
			return full(in, "users", maxEntities)
		case overflows(have.Hosts, spec.Add.Hosts):
			return full(in, "hosts", maxEntities)
		case len(have.Indicators)+len(without(spec.Add.Indicators, have.Indicators)) > maxIndicators:
			return full(in, "indicators", maxIndicators)
		}
	}
	return nil
}

func full(in Input, what string, most int) *Ruling {
	return void(v1alpha1.CaseFullReason, "could not %s: a case keeps %d %s, and there is no room for more; open another case for what is new", deed(in), most, what)
}

func overflows(have, added []v1alpha1.Entity) bool {
	fresh := slices.DeleteFunc(slices.Clone(added), func(a v1alpha1.Entity) bool {
		return slices.ContainsFunc(have, func(h v1alpha1.Entity) bool { return strings.EqualFold(h.Name, a.Name) })
	})
	return len(fresh) > 0 && len(have)+len(fresh) > maxEntities
}

func without(added, have []v1alpha1.Indicator) []v1alpha1.Indicator {
	return slices.DeleteFunc(slices.Clone(added), func(i v1alpha1.Indicator) bool { return slices.Contains(have, i) })
}

// somethingIsFrozen holds that there is a freeze to end. To freeze what is frozen counts:
// the reason may be another.
func somethingIsFrozen(in Input, _ time.Time) *Ruling {
	if in.Decision.Spec.Verdict != v1alpha1.VerdictThaw || in.Frozen {
		return nil
	}
	return void(v1alpha1.SubjectMissingReason, "could not %s: nothing is frozen there", deed(in))
}
