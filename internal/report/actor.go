// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Actor is who or what did something, in a view.
type Actor struct {
	// Type is Person or Automation.
	Type   string   `json:"type"`
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"`
	// Playbook is the playbook revision that automation followed, Step the step of it.
	Playbook string `json:"playbook,omitempty"`
	Step     string `json:"step,omitempty"`
}

func actorOf(a v1alpha1.JournalActor) Actor {
	return Actor{Type: string(a.Type), Name: a.Name, Groups: a.Groups, Playbook: a.Revision, Step: a.Step}
}

func personOf(a *v1alpha1.Actor) Actor {
	if a == nil {
		return Actor{Type: string(v1alpha1.ActorPerson), Name: "nobody (the API server stamped no actor)"}
	}
	return Actor{Type: string(v1alpha1.ActorPerson), Name: a.Username, Groups: a.Groups}
}

// text is the actor for people: "mia (soc-managers)", "playbook isolate-7f9c".
func (a Actor) text() string {
	switch {
	case a.Type == string(v1alpha1.ActorPerson):
		if groups := telling(a.Groups); len(groups) > 0 {
			return Escape(a.Name + " (" + strings.Join(groups, ", ") + ")")
		}
		return Escape(a.Name)
	case a.Playbook != "":
		return Escape("playbook " + a.Playbook)
	case a.Name == "":
		return "-"
	default:
		return Escape("controller " + a.Name)
	}
}

// telling leaves out the groups that everybody has.
func telling(groups []string) []string {
	return slices.DeleteFunc(slices.Clone(groups), func(group string) bool {
		return group == "system:authenticated"
	})
}

// Viewer is the person who reads.
type Viewer struct {
	// Username and Groups are those that the API server authenticated; empty when they are not known.
	Username string
	Groups   []string
	// Verbs says for each verb on cases whether the person has it; a verb that is absent is not known.
	Verbs map[string]bool
}

// Text names the viewer: "mia (groups soc-managers)".
func (v Viewer) Text() string {
	switch groups := telling(v.Groups); {
	case v.Username == "":
		return "an unknown user"
	case len(groups) == 0:
		return Escape(v.Username)
	case len(groups) == 1:
		return Escape(v.Username + " (group " + groups[0] + ")")
	default:
		return Escape(v.Username + " (groups " + strings.Join(groups, ", ") + ")")
	}
}

// May tells whether the viewer is among those who may answer a question, as far as the viewer can know.
func (v Viewer) May(q v1alpha1.Question) bool {
	if v.Username == "" || slices.Contains(q.Excluded, v.Username) {
		return false
	}
	if may, known := v.Verbs[q.Verb]; known && !may {
		return false
	}
	return len(q.Groups) == 0 || slices.ContainsFunc(q.Groups, func(g string) bool { return slices.Contains(v.Groups, g) })
}

// WhoMayAnswer says who may answer a question: "one person of group soc-managers with the verb approve, not ana".
func WhoMayAnswer(q v1alpha1.Question) string {
	who := "one person"
	if q.Count > 1 {
		who = count(int64(q.Count), "person", "people")
	}
	switch {
	case len(q.Groups) == 1:
		who += " of group " + q.Groups[0]
	case len(q.Groups) > 1:
		who += " of groups " + strings.Join(q.Groups, " or ")
	}
	who += " with the verb " + q.Verb
	if len(q.Excluded) > 0 {
		who += ", not " + strings.Join(q.Excluded, " or ")
	}
	return Escape(who)
}
