// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// MaxEnrichments is how many enrichment records a case takes.
const MaxEnrichments = 64

// What the schema of a Case takes beside them.
const (
	maxEntities   = 100
	maxIndicators = 200
	maxPlaybooks  = 64
	maxQuestions  = 32
	maxSightings  = 64
)

// entities collects what signals speak of: each thing once, in the order in which it
// was first spoken of, the first hundred.
type entities struct {
	list []v1alpha1.Entity
	same func(a, b v1alpha1.Entity) bool
}

func (l *entities) add(found []v1alpha1.Entity) {
	for _, e := range found {
		if i := l.index(e); i >= 0 {
			l.list[i] = completed(l.list[i], e)
		} else if len(l.list) < maxEntities {
			l.list = append(l.list, e)
		}
	}
}

// keepNames writes what the case knows already as the case does, though a signal that came
// later, of earlier, may write it in other letters: runs and lookups go by its name.
func (l *entities) keepNames(known []v1alpha1.Entity) {
	for _, k := range known {
		if i := l.index(k); i >= 0 {
			l.list[i].Name = k.Name
		}
	}
}

func (l *entities) index(e v1alpha1.Entity) int {
	for i, known := range l.list {
		if l.same(known, e) {
			return i
		}
	}
	return -1
}

// samePerson holds for users and hosts: names differ by case between tools, each tool
// has a uid of its own for the same one, and who adds one by hand may say no type.
func samePerson(a, b v1alpha1.Entity) bool {
	if a.Type == "" || b.Type == "" {
		a.Type, b.Type = "", ""
	}
	return samePlace(a, b) && strings.EqualFold(a.Name, b.Name)
}

// sameThing holds for assets: two uids are two things, as a pod and the one that
// replaced it under its name are.
func sameThing(a, b v1alpha1.Entity) bool {
	return samePlace(a, b) && a.Name == b.Name && (a.UID == "" || b.UID == "" || a.UID == b.UID)
}

func samePlace(a, b v1alpha1.Entity) bool {
	return a.Type == b.Type && a.Cluster == b.Cluster && a.Namespace == b.Namespace
}

// completed adds what only the later one knows.
func completed(first, later v1alpha1.Entity) v1alpha1.Entity {
	if first.DisplayName == "" {
		first.DisplayName = later.DisplayName
	}
	if first.UID == "" {
		first.UID = later.UID
	}
	if first.Type == "" {
		first.Type = later.Type
	}
	return first
}

// addIndicators adds each indicator once, up to the bound.
func addIndicators(list, found []v1alpha1.Indicator, seen map[v1alpha1.Indicator]bool) []v1alpha1.Indicator {
	for _, i := range found {
		if !seen[i] && len(list) < maxIndicators {
			seen[i] = true
			list = append(list, i)
		}
	}
	return list
}
