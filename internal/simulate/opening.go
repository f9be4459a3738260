// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/normalize"
)

// openCase makes the case: of the signals of payloads, or as the test gives it.
func (w *world) openCase(open Open) error {
	files := w.given.Signals
	if w.given.Signal != "" {
		files = append([]string{w.given.Signal}, files...)
	}
	if len(files) == 0 {
		return w.givenCase()
	}
	if w.given.Case != nil {
		return errors.New("given has both signals and a case: the signals make the case")
	}
	var caseTypes []*casefile.Type
	for _, object := range w.catalog.CaseTypes {
		t, err := casefile.Compile(object)
		if err != nil {
			return err
		}
		caseTypes = append(caseTypes, t)
	}
	for _, file := range files {
		if err := w.payload(open, file, caseTypes); err != nil {
			return err
		}
	}
	if w.of == nil {
		return fmt.Errorf("no signal came of %s: nothing in it is a finding, or the source's only keeps it out", list(files))
	}
	return nil
}

// payload makes signals of a file.
func (w *world) payload(open Open, file string, caseTypes []*casefile.Type) error {
	raw, err := open(file)
	if err != nil {
		return err
	}
	source, mapping, err := w.reads(file, raw)
	if err != nil {
		return err
	}
	result, err := mapping.Signals(w.ctx, raw, w.now)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, finding := range result.Signals {
		kept, err := w.keeps(source, finding)
		if err != nil {
			return err
		}
		if kept {
			w.take(source.Name, mapping.Name(), finding, caseTypes)
		}
	}
	return nil
}

// reads finds the source and the Mapping that a payload is for: the one that the test names, that of the first source
// whose Mapping is meant for it, or the first Mapping that is.
func (w *world) reads(file string, raw []byte) (*v1alpha1.Source, *normalize.Mapping, error) {
	byTest := &v1alpha1.Source{ObjectMeta: metav1.ObjectMeta{Name: "test"}}
	compile := func(name string) (*normalize.Mapping, error) {
		object, err := named("Mapping", w.catalog.Mappings, name)
		if err != nil {
			return nil, err
		}
		return normalize.Compile(object)
	}
	if w.given.Mapping != "" {
		mapping, err := compile(w.given.Mapping)
		return byTest, mapping, err
	}
	for _, source := range w.catalog.Sources {
		mapping, err := compile(source.Spec.MappingRef.Name)
		if err != nil {
			return nil, nil, err
		}
		if payload, err := mapping.Decode(raw); err == nil && mapping.Fits(w.ctx, payload) {
			return source, mapping, nil
		}
	}
	for _, object := range w.catalog.Mappings {
		mapping, err := normalize.Compile(object)
		if err != nil {
			return nil, nil, err
		}
		if payload, err := mapping.Decode(raw); err == nil && mapping.Fits(w.ctx, payload) {
			return byTest, mapping, nil
		}
	}
	return nil, nil, fmt.Errorf("no Mapping is meant for %s; name one under given.mapping", file)
}

var sourceConditions = sync.OnceValue(func() *expr.Env { return expr.MustNew(expr.Source) })

// keeps asks the source's own condition. One that cannot be decided keeps the finding.
func (w *world) keeps(source *v1alpha1.Source, finding v1alpha1.NormalizedSignal) (bool, error) {
	if source.Spec.Only == "" {
		return true, nil
	}
	program, err := sourceConditions().CompileBool(source.Spec.Only)
	if err != nil {
		return false, fmt.Errorf("spec.only of source %s: %w", source.Name, err)
	}
	truth, _ := program.EvalBool(w.ctx, map[string]any{"signal": casefile.SignalVars(finding)})
	return truth != expr.False, nil
}

// take opens the case with the first signal, and adds what has its key. Another finding's case is not followed.
func (w *world) take(source, mapping string, finding v1alpha1.NormalizedSignal, caseTypes []*casefile.Type) {
	t, notes := casefile.Explain(w.ctx, caseTypes, finding)
	key, by := t.Key(finding, source)
	name := casefile.SignalName(source, finding.Fingerprint, 0)
	switch {
	case w.of == nil:
		w.caseType = t
		w.of = &v1alpha1.Case{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: casefile.CaseName(t, key, ""), UID: caseUID, CreationTimestamp: metav1.NewTime(w.now)},
			Spec: v1alpha1.CaseSpec{
				TypeRef: v1alpha1.LocalRef{Name: t.Name}, Title: finding.Title, Severity: finding.Severity,
				CorrelationKey: key, CorrelatedBy: by, SignalRef: v1alpha1.LocalRef{Name: name},
			},
		}
	case w.of.Spec.CorrelationKey != key:
		w.checker.trace("signal  %s: %s is of another case (%s), which is not followed", finding.Severity, finding.Title, by)
		return
	case slices.ContainsFunc(w.signals, func(s v1alpha1.Signal) bool { return s.Name == name }):
		w.checker.trace("signal  %s: %s is a repeat", finding.Severity, finding.Title)
		return
	}
	for _, note := range notes {
		w.checker.trace("signal  %s", note)
	}
	w.checker.trace("signal  %s: %s (%s)", finding.Severity, finding.Title, by)
	w.signals = append(w.signals, v1alpha1.Signal{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SignalSpec{
			NormalizedSignal: finding, SourceRef: v1alpha1.LocalRef{Name: source}, CaseRef: v1alpha1.LocalRef{Name: w.of.Name},
			Mapping: mapping, ReceivedTime: metav1.NewMicroTime(w.now),
		},
	})
}

// givenCase makes a case that no signal opened.
func (w *world) givenCase() error {
	if w.given.Inputs == nil {
		return errors.New("given says neither a signal nor inputs: name a payload under given.signal, or give what the playbook starts with under given.inputs")
	}
	given := caseGiven{}
	if w.given.Case != nil {
		given = *w.given.Case
	}
	w.caseType = casefile.Unclassified()
	if given.Type != "" {
		object, err := named("CaseType", w.catalog.CaseTypes, given.Type)
		if err != nil {
			return err
		}
		if w.caseType, err = casefile.Compile(object); err != nil {
			return err
		}
	}
	w.of = given.object(w.caseType.Name)
	w.of.CreationTimestamp = metav1.NewTime(w.now)
	if w.of.Spec.Severity.Rank() == 0 {
		return fmt.Errorf("given.case.severity: %q is none of Informational, Low, Medium, High and Critical", given.Severity)
	}
	return nil
}

func (g caseGiven) object(typeName string) *v1alpha1.Case {
	severity := v1alpha1.Severity(cmp.Or(g.Severity, string(v1alpha1.SeverityMedium)))
	out := &v1alpha1.Case{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "case", UID: caseUID},
		Spec: v1alpha1.CaseSpec{
			TypeRef: v1alpha1.LocalRef{Name: cmp.Or(g.Type, typeName)}, Title: cmp.Or(g.Title, "A case of the test"), Severity: severity,
		},
		Status: v1alpha1.CaseStatus{Severity: severity, State: v1alpha1.CaseTriage},
	}
	for _, name := range g.Users {
		out.Status.Users = append(out.Status.Users, v1alpha1.Entity{Name: name, Type: "User"})
	}
	for _, name := range g.Hosts {
		out.Status.Hosts = append(out.Status.Hosts, v1alpha1.Entity{Name: name, Type: "Host"})
	}
	return out
}
