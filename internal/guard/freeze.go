// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"cmp"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// Freeze is a person's stop: nothing is sent until it is thawed.
type Freeze struct {
	// Namespace is where it was decided: the tenant's, or the operator's, where it stops
	// every tenant.
	Namespace string
	// Decision names the Decision.
	Decision string
	// By is who decided, empty if the API server stamped nobody; Message says why.
	By, Message string
	// Since is when it was decided.
	Since time.Time
}

// Frozen is the freeze that stands over a tenant, of the decisions of its namespace and
// of the operator's; nil if none does. If both are frozen it is the operator's. Other
// verdicts are passed over.
//
// In a namespace the newest Freeze or Thaw decides. A Freeze stops from the moment it
// exists, unless it turned out Void; a Thaw lifts only once it counts. Their order is
// that in which the API server took them, for the controllers may get to a Freeze after
// the Thaw that was meant for it. Within the second that the API server tells apart it is
// the order in which they were judged, and in doubt the namespace is frozen.
func Frozen(tenant, operator []v1alpha1.Decision) *Freeze {
	if f := frozen(operator); f != nil {
		return f
	}
	return frozen(tenant)
}

func frozen(decisions []v1alpha1.Decision) *Freeze {
	var last *v1alpha1.Decision
	for i := range decisions {
		d := &decisions[i]
		freezes := d.Spec.Verdict == v1alpha1.VerdictFreeze && d.Status.State != v1alpha1.DecisionVoid
		thaws := d.Spec.Verdict == v1alpha1.VerdictThaw && d.Status.State == v1alpha1.DecisionCounted
		if (freezes || thaws) && (last == nil || laterStop(d, last) > 0) {
			last = d
		}
	}
	if last == nil || last.Spec.Verdict == v1alpha1.VerdictThaw {
		return nil
	}
	out := &Freeze{Namespace: last.Namespace, Decision: last.Name, Message: last.Spec.Message, Since: casefile.DecidedTime(last).Time}
	if last.Spec.Actor != nil {
		out.By = last.Spec.Actor.Username
	}
	return out
}

// laterStop compares by creation, then by judgement, where one that is not judged yet is
// the later; then a Freeze is the later.
func laterStop(a, b *v1alpha1.Decision) int {
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(unjudged(a), unjudged(b)),
		casefile.DecidedTime(a).Compare(casefile.DecidedTime(b).Time),
		-strings.Compare(string(a.Spec.Verdict), string(b.Spec.Verdict)), // Freeze before Thaw
		strings.Compare(a.Name, b.Name),
	)
}

func unjudged(d *v1alpha1.Decision) int {
	if d.Status.State == "" {
		return 1
	}
	return 0
}
