// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/guard"
)

// decided is a decision that was made at a second after noon, and judged so many
// milliseconds after noon; zero: not yet.
func decided(verdict v1alpha1.Verdict, name string, second, judged int, state v1alpha1.DecisionState) v1alpha1.Decision {
	d := v1alpha1.Decision{ObjectMeta: metav1.ObjectMeta{
		Namespace: "soc", Name: name, CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(second) * time.Second)),
	}}
	d.Spec.Verdict, d.Spec.Message, d.Status.State = verdict, "because of "+name, state
	if judged > 0 {
		d.Status.Journal = []v1alpha1.JournalEntry{{Time: metav1.NewMicroTime(noon.Add(time.Duration(judged) * time.Millisecond))}}
	}
	return d
}

func TestFrozen(t *testing.T) {
	const freeze, thaw, counted, void = v1alpha1.VerdictFreeze, v1alpha1.VerdictThaw, v1alpha1.DecisionCounted, v1alpha1.DecisionVoid
	tests := map[string]struct {
		decisions []v1alpha1.Decision
		want      string // the decision that freezes
	}{
		"nobody decided":                              {},
		"a freeze that counts":                        {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, counted)}, "f"},
		"one that nobody has judged yet":              {[]v1alpha1.Decision{decided(freeze, "f", 0, 0, "")}, "f"},
		"one that is void":                            {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, void)}, ""},
		"a state that is not known":                   {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, "Wondered")}, "f"},
		"a thaw after it":                             {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, counted), decided(thaw, "t", 5, 5010, counted)}, ""},
		"a thaw that nobody has judged yet":           {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, counted), decided(thaw, "t", 5, 0, "")}, "f"},
		"a thaw that is void":                         {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, counted), decided(thaw, "t", 5, 5010, void)}, "f"},
		"a thaw before it":                            {[]v1alpha1.Decision{decided(thaw, "t", 0, 10, counted), decided(freeze, "f", 5, 0, "")}, "f"},
		"a thaw before it that was judged after it":   {[]v1alpha1.Decision{decided(thaw, "t", 0, 9000, counted), decided(freeze, "f", 5, 5010, counted)}, "f"},
		"a thaw after it that was judged before it":   {[]v1alpha1.Decision{decided(freeze, "f", 0, 9000, counted), decided(thaw, "t", 5, 5010, counted)}, ""},
		"a thaw after one that is not judged":         {[]v1alpha1.Decision{decided(freeze, "f", 0, 0, ""), decided(thaw, "t", 5, 5010, counted)}, ""},
		"both in a second, thawed":                    {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, counted), decided(thaw, "t", 0, 20, counted)}, ""},
		"both in a second, frozen":                    {[]v1alpha1.Decision{decided(thaw, "f", 0, 10, counted), decided(freeze, "t", 0, 20, counted)}, "t"},
		"both in a second, the freeze not judged yet": {[]v1alpha1.Decision{decided(freeze, "f", 0, 0, ""), decided(thaw, "t", 0, 20, counted)}, "f"},
		"both at the same moment":                     {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, counted), decided(thaw, "t", 0, 10, counted)}, "f"},
		"frozen twice, thawed once":                   {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, counted), decided(freeze, "g", 1, 1010, counted), decided(thaw, "t", 2, 2010, counted)}, ""},
		"frozen again":                                {[]v1alpha1.Decision{decided(freeze, "f", 0, 10, counted), decided(thaw, "t", 2, 2010, counted), decided(freeze, "g", 3, 3010, counted)}, "g"},
		"another verdict":                             {[]v1alpha1.Decision{decided(v1alpha1.VerdictComment, "c", 0, 10, counted)}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				got := guard.Frozen(tc.decisions, nil)
				if (got != nil) != (tc.want != "") || got != nil && got.Decision != tc.want {
					t.Errorf("got %+v, want %q", got, tc.want)
				}
				slices.Reverse(tc.decisions)
			}
		})
	}
}

func TestFrozenNamesWhoAndWhere(t *testing.T) {
	tenant, operator := decided(v1alpha1.VerdictFreeze, "f", 5, 5010, v1alpha1.DecisionCounted), decided(v1alpha1.VerdictFreeze, "o", 0, 10, v1alpha1.DecisionCounted)
	operator.Namespace, operator.Spec.Actor = "casebook-system", &v1alpha1.Actor{Username: "mia"}
	both := guard.Frozen([]v1alpha1.Decision{tenant}, []v1alpha1.Decision{operator})
	want := &guard.Freeze{Namespace: "casebook-system", Decision: "o", By: "mia", Message: "because of o", Since: noon.Add(10 * time.Millisecond)}
	if diff := cmp.Diff(want, both); diff != "" {
		t.Errorf("both (-want +got):\n%s", diff)
	}
	thaw := decided(v1alpha1.VerdictThaw, "t", 9, 9010, v1alpha1.DecisionCounted)
	if got := guard.Frozen([]v1alpha1.Decision{tenant, thaw}, []v1alpha1.Decision{operator}); got == nil || got.Decision != "o" {
		t.Errorf("the tenant's thaw lifts the operator's freeze: %+v", got)
	}
	if got := guard.Frozen([]v1alpha1.Decision{tenant}, []v1alpha1.Decision{operator, thaw}); got == nil || got.Decision != "f" {
		t.Errorf("the operator's thaw lifts the tenant's freeze: %+v", got)
	}
}
