// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// resolved is what a person found of an action.
var resolved = map[v1alpha1.ResolveOutcome]string{
	v1alpha1.ResolveHappened: "it happened", v1alpha1.ResolveDidNot: "it did not happen", v1alpha1.ResolveRetry: "try again",
}

// correctionText is what a decision of a person's own accord is about, beside its verdict; nothing for other verdicts.
func correctionText(r *Records, spec v1alpha1.DecisionSpec) []string {
	switch {
	case spec.Resolve != nil:
		return []string{handleOf(r, spec.Resolve.ActionRef.Name) + ",", cmp.Or(resolved[spec.Resolve.Outcome], string(spec.Resolve.Outcome))}
	case spec.Lookup != nil:
		return []string{spec.Lookup.Operation}
	case spec.Run != nil:
		return []string{"playbook", spec.Run.PlaybookRef.Name}
	case spec.Set != nil:
		return []string{setText(*spec.Set)}
	case spec.Add != nil:
		return []string{addText(*spec.Add)}
	default:
		return nil
	}
}

func setText(s v1alpha1.SetDecision) string {
	var words []string
	if s.Severity != "" {
		words = append(words, "severity "+string(s.Severity))
	}
	if s.TypeRef != nil {
		words = append(words, "type "+s.TypeRef.Name)
	}
	if s.Queue != "" {
		words = append(words, "queue "+s.Queue)
	}
	return strings.Join(words, ", ")
}

func addText(a v1alpha1.AddDecision) string {
	var words []string
	for _, user := range a.Users {
		words = append(words, "user "+user.Name)
	}
	for _, host := range a.Hosts {
		words = append(words, "host "+host.Name)
	}
	for _, i := range a.Indicators {
		words = append(words, string(i.Type)+" "+i.Value)
	}
	return strings.Join(words, ", ")
}
