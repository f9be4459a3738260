// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// playbook runs a test of a Playbook: from payloads, or a case and inputs, to what was done.
func (c *checker) playbook(ctx context.Context, catalog *Catalog, open Open, name string, t playbookTest) {
	found, err := named("Playbook", catalog.Playbooks, name)
	if c.failed(err) {
		return
	}
	w := &world{ctx: ctx, catalog: catalog, checker: c, name: name, given: t.Given, people: t.People, now: at(t.Given.Time)}
	if w.compiled, err = playbook.Compile(found.Spec); c.failed(err) {
		return
	}
	w.checkPeople(found)
	if c.failed(w.compileGuardrails()) || c.failed(w.openCase(open)) {
		return
	}
	w.live()
	w.tell()
	w.compare(t.Expect)
}

// checkPeople wants everybody's answer to be to a step that can ask.
func (w *world) checkPeople(of *v1alpha1.Playbook) {
	for _, name := range sorted(w.people) {
		i := slices.IndexFunc(of.Spec.Steps, func(s v1alpha1.Step) bool { return s.Name == name })
		answer := w.people[name]
		switch {
		case i < 0:
			w.checker.fail("people.%s: the playbook has no such step", name)
		case of.Spec.Steps[i].Decision != nil && !slices.Contains(of.Spec.Steps[i].Decision.Options, answer):
			w.checker.fail("people.%s: %q is none of the options %s", name, answer, strings.Join(of.Spec.Steps[i].Decision.Options, ", "))
		case of.Spec.Steps[i].Action != nil && answer != approve && answer != deny:
			w.checker.fail("people.%s: %q is neither approve nor deny", name, answer)
		case of.Spec.Steps[i].Decision == nil && of.Spec.Steps[i].Action == nil:
			w.checker.fail("people.%s: the step asks nobody", name)
		}
	}
}

// compare holds what happened up to what the test expects.
func (w *world) compare(want playbookExpect) {
	c := w.checker
	if want.Started != nil && *want.Started != (len(w.runs) > 0) {
		c.fail("started: expected %v, came %v", *want.Started, len(w.runs) > 0)
	}
	closed, note := v1alpha1.Classification(""), ""
	if closure := w.of.Status.Closure; closure != nil {
		closed, note = closure.Classification, closure.Note
	}
	text(c, "closed", want.Closed, closed)
	text(c, "note", want.Note, note)
	text(c, "severity", want.Severity, w.of.Status.Severity)
	text(c, "state", want.State, w.of.Status.State)
	if want.Run != nil {
		for _, run := range w.runs {
			text(c, "run", want.Run, run.Status.State)
		}
	}
	w.compareSteps(want.Steps)
	w.compareActions(want.Actions)
	w.compareLists("asked", want.Asked, w.asked)
	w.compareLists("notified", want.Notified, w.notified)
}

func (w *world) compareLists(what string, want *[]string, got []string) {
	if want != nil && !slices.Equal(*want, got) {
		w.checker.fail("%s: expected %s, came %s", what, list(*want), list(got))
	}
}

func list(names []string) string { return "[" + strings.Join(names, ", ") + "]" }

// compareSteps holds the steps that ran up to the expected ones: those that were skipped are not among them, and a name
// alone is of a step that succeeded.
func (w *world) compareSteps(want *[]any) {
	if want == nil {
		return
	}
	var expected, came []string
	for _, one := range *want {
		if name, ok := one.(string); ok {
			expected = append(expected, name)
			continue
		}
		for name, state := range object(one) {
			expected = append(expected, described(name, v1alpha1.StepState(fmt.Sprint(state))))
		}
	}
	for _, run := range w.runs {
		for _, s := range run.Status.Steps {
			if s.State != v1alpha1.StepSkipped {
				came = append(came, described(s.Name, s.State))
			}
		}
	}
	w.compareLists("steps", &expected, came)
}

func described(name string, state v1alpha1.StepState) string {
	if state == v1alpha1.StepSucceeded {
		return name
	}
	return name + ": " + string(state)
}

// compareActions wants each expected action to have been done, in this order, whatever else was; none expected means that
// none was done. What was only asked for, and what was denied, was not done.
func (w *world) compareActions(want *[]actionExpected) {
	if want == nil {
		return
	}
	var done []*v1alpha1.Action
	var came []string
	for _, a := range w.actions {
		if len(a.Status.Attempts) > 0 || a.Status.State == v1alpha1.ActionNotNeeded {
			done = append(done, a)
			came = append(came, fmt.Sprintf("%s on %s: %s", a.Spec.Operation, a.Spec.Target.Name, a.Status.State))
		}
	}
	if len(*want) == 0 && len(done) > 0 {
		w.checker.fail("actions: expected none, came %s", list(came))
	}
	from := 0
	for i, e := range *want {
		at := slices.IndexFunc(done[from:], func(a *v1alpha1.Action) bool {
			return e.Operation == a.Spec.Operation && (e.Target == "" || e.Target == a.Spec.Target.Name)
		})
		if at < 0 {
			w.checker.fail("actions[%d]: expected %s, came %s", i, e.Operation, list(came))
			continue
		}
		from += at + 1
		w.compareAction(fmt.Sprintf("actions[%d]", i), e, done[from-1])
	}
}

func (w *world) compareAction(what string, want actionExpected, a *v1alpha1.Action) {
	if want.Outcome != "" && want.Outcome != string(a.Status.State) {
		w.checker.fail("%s: expected %s %s, came %s: %s", what, want.Operation, want.Outcome, a.Status.State, a.Status.Message)
	}
	if want.Attempts != nil && *want.Attempts != len(a.Status.Attempts) {
		w.checker.fail("%s: expected %d attempts, came %d", what, *want.Attempts, len(a.Status.Attempts))
	}
	rule := ""
	if a.Status.Verdict != nil {
		rule = a.Status.Verdict.Rule
	}
	text(w.checker, what+".rule", want.Rule, rule)
}
