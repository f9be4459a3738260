// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
)

// What an ask says where its Guardrail does not.
const (
	// DefaultVerb is the RBAC verb on the case that an approver needs.
	DefaultVerb = "approve"
	// DefaultCount is how many different people must approve.
	DefaultCount = 1
	// DefaultValidFor is how long the question stands.
	DefaultValidFor = time.Hour

	maxAskBecause = 512
)

// Effective is the ask with every documented default applied: verb approve, one
// person, one hour, and never the requester.
func Effective(a v1alpha1.Ask) v1alpha1.Ask {
	out := *a.DeepCopy()
	out.Verb = cmp.Or(out.Verb, DefaultVerb)
	out.Count = max(out.Count, DefaultCount)
	if out.ValidFor == nil {
		out.ValidFor = &metav1.Duration{Duration: DefaultValidFor}
	}
	out.DistinctFrom = union(out.DistinctFrom, []v1alpha1.Excluded{v1alpha1.ExcludedRequester})
	return out
}

// Merge makes one ask of two, with defaults applied: whoever satisfies it satisfies
// both. It has the larger count, everybody that either excludes, the shorter time, and
// the finer verb: approve-hosts over approve, which admission asks of every approver
// anyway. Groups are intersected, and a side that names none leaves the other's: a
// member of a group that both name satisfies both. An ask cannot say "one of these
// groups and one of those", nor two finer verbs, so where no group or verb is left it
// is an error, and the rules contradict each other until somebody changes one.
func Merge(a, b v1alpha1.Ask) (v1alpha1.Ask, error) {
	a, b = Effective(a), Effective(b)
	out := a
	out.Count = max(a.Count, b.Count)
	out.DistinctFrom = union(a.DistinctFrom, b.DistinctFrom)
	if b.ValidFor.Duration < a.ValidFor.Duration {
		out.ValidFor = b.ValidFor
	}
	switch {
	case a.Verb == DefaultVerb:
		out.Verb = b.Verb
	case b.Verb != DefaultVerb && b.Verb != a.Verb:
		return v1alpha1.Ask{}, fmt.Errorf("one asks for the verb %s, the other for %s; make them ask for the same", a.Verb, b.Verb)
	}
	switch {
	case len(a.Groups) == 0:
		out.Groups = b.Groups
	case len(b.Groups) > 0:
		out.Groups = slices.DeleteFunc(slices.Clone(a.Groups), func(g string) bool { return !slices.Contains(b.Groups, g) })
		if len(out.Groups) == 0 {
			return v1alpha1.Ask{}, fmt.Errorf("one asks for the groups %s, the other for %s; name a group in both",
				strings.Join(a.Groups, ", "), strings.Join(b.Groups, ", "))
		}
	}
	return out, nil
}

// Question is what people are asked where the verdict is to ask; nil for any other.
func (v Verdict) Question(of v1alpha1.ActionSpec, now time.Time) *v1alpha1.Question {
	if v.Ask == nil {
		return nil
	}
	return &v1alpha1.Question{
		Kind: v1alpha1.QuestionApproval, Prompt: fmt.Sprintf("%s on %s?", of.Operation, casefile.DescribeTarget(of.Target)),
		Verb: v.Ask.Verb, Groups: v.Ask.Groups, Excluded: ExcludedFrom(*v.Ask, of.Requester, of.Author), Count: v.Ask.Count,
		Digest: of.PlanDigest, Because: v.Because, DueTime: metav1.NewMicroTime(now.Add(v.Ask.ValidFor.Duration)),
	}
}

// union is sorted, so that equal sets are equal lists.
func union(a, b []v1alpha1.Excluded) []v1alpha1.Excluded {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// ExcludedFrom are the usernames that may not approve under an ask: the requester, if
// that is a person, and the author of the playbook where the ask excludes them.
func ExcludedFrom(a v1alpha1.Ask, requester v1alpha1.JournalActor, author string) []string {
	var out []string
	if requester.Type == v1alpha1.ActorPerson {
		out = append(out, requester.Name)
	}
	if author != "" && slices.Contains(a.DistinctFrom, v1alpha1.ExcludedPlaybookAuthor) && !slices.Contains(out, author) {
		out = append(out, author)
	}
	return out
}
