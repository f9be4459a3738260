// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/ingest"
	"github.com/casebook-dev/casebook/internal/normalize"
)

const (
	maxBecause = 512
	maxMapping = 253
	// longestChain of cases with one key that follow each other is beyond any that is alive.
	longestChain = 1_000
)

// ensureSignal returns the Signal under a key, and makes it if there is none: the
// Case first, so that no Signal names a Case that never was.
func (i *Intake) ensureSignal(ctx context.Context, d ingest.Delivery, read reading, key types.NamespacedName, finding v1alpha1.NormalizedSignal) (*v1alpha1.Signal, error) {
	var existing v1alpha1.Signal
	if err := i.get(ctx, key, &existing); err == nil || !apierrors.IsNotFound(err) {
		return &existing, explain(err, "read Signal", key)
	}
	signal, err := i.compose(ctx, d, read, key, finding)
	if err != nil {
		return nil, err
	}
	err = i.Client.Create(ctx, signal)
	if apierrors.IsInvalid(err) { // what the Mapping made breaks the schema: the finding stays, under the same name
		reason := fmt.Sprintf("Mapping %s made a signal that breaks the schema: %v", read.mapping, err)
		bare := normalize.Generic(d.Source, d.Body, d.Received, reason)
		bare.Fingerprint = finding.Fingerprint
		signal.Spec.NormalizedSignal = bare
		if err = i.Client.Create(ctx, signal); apierrors.IsInvalid(err) {
			return nil, &poison{reason: fmt.Sprintf("no signal can be made of it: %v", err)}
		}
	}
	if apierrors.IsAlreadyExists(err) { // an attempt of ours whose answer was lost, or a repeat
		err = i.Live.Get(ctx, key, signal)
	}
	return signal, explain(err, "create Signal", key)
}

// compose is the Signal with the Case that it belongs to, which exists when it returns.
func (i *Intake) compose(ctx context.Context, d ingest.Delivery, read reading, key types.NamespacedName, finding v1alpha1.NormalizedSignal) (*v1alpha1.Signal, error) {
	caseTypes, notes, err := i.caseTypes(ctx, d.Namespace)
	if err != nil {
		return nil, err
	}
	caseType, undecided := casefile.Explain(ctx, caseTypes, finding)
	for _, note := range append(notes, undecided...) {
		warn(&finding, note)
	}
	c, because, err := i.ensureCase(ctx, d, caseType, key.Name, finding)
	if err != nil {
		return nil, err
	}
	size := int64(len(d.Body))
	return &v1alpha1.Signal{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name,
			Labels:      labels(v1alpha1.CaseLabel, c.Name, v1alpha1.TypeLabel, caseType.Name, v1alpha1.SourceLabel, d.Source),
			Annotations: map[string]string{SequenceAnnotation: fmt.Sprint(d.Sequence)},
		},
		Spec: v1alpha1.SignalSpec{
			NormalizedSignal: finding,
			SourceRef:        v1alpha1.LocalRef{Name: d.Source},
			CaseRef:          v1alpha1.LocalRef{Name: c.Name},
			Mapping:          cut(read.mapping, maxMapping),
			ReceivedTime:     metav1.MicroTime{Time: d.Received},
			GroupedBecause:   cut(because, maxBecause),
			Raw:              v1alpha1.BlobRef{Digest: d.Digest, Size: &size, MediaType: d.MediaType},
		},
	}, nil
}

// ensureCase finds the open case that takes a signal, or makes one. Its name is
// derived from that of the case before it, so two attempts meet in one.
func (i *Intake) ensureCase(ctx context.Context, d ingest.Delivery, t *casefile.Type, signal string, finding v1alpha1.NormalizedSignal) (*v1alpha1.Case, string, error) {
	correlation, by := t.Key(finding, d.Source)
	joined := fmt.Sprintf("the open %s case with %s took it, within %s of its last signal", t.Name, by, t.Spec.Correlate.Within.Duration)
	// A case that an earlier attempt at this payload opened takes it: it was received before that.
	takes := func(c *v1alpha1.Case) bool { return casefile.Takes(c, t, correlation, d.Received) }
	if c, err := i.openCase(ctx, d.Namespace, correlation, takes); err != nil || c != nil {
		return c, joined, err
	}
	previous := ""
	for range longestChain {
		key := types.NamespacedName{Namespace: d.Namespace, Name: casefile.CaseName(t, correlation, previous)}
		var existing v1alpha1.Case
		err := i.Live.Get(ctx, key, &existing)
		if apierrors.IsNotFound(err) {
			c := newCase(key, t, correlation, by, previous, signal, finding)
			if c.Spec.EvidenceLog, err = i.logOwner(ctx, d.Namespace); err != nil {
				return nil, "", err
			}
			err = i.Client.Create(ctx, c)
			if apierrors.IsInvalid(err) { // what the Mapping made breaks the schema: the case stays, under the same name
				bare := normalize.Generic(d.Source, d.Body, d.Received, "")
				c.Spec.Title, c.Spec.Severity, c.Spec.CorrelatedBy = bare.Title, bare.Severity, ""
				err = i.Client.Create(ctx, c)
			}
			if err == nil {
				return c, fmt.Sprintf("no open %s case has %s: it opened one", t.Name, by), nil
			}
			if apierrors.IsAlreadyExists(err) {
				err = i.Live.Get(ctx, key, &existing)
			}
		}
		if err != nil {
			return nil, "", explain(err, "make Case", key)
		}
		if takes(&existing) {
			return &existing, joined, nil
		}
		previous = key.Name
	}
	return nil, "", fmt.Errorf("could not open a case of type %s in namespace %s: %d cases with its key follow each other", t.Name, d.Namespace, longestChain)
}

// openCase looks among the cases alive for one that takes the signal: the chain of
// names has a gap where a case was closed, sealed and removed.
func (i *Intake) openCase(ctx context.Context, namespace, correlation string, takes func(*v1alpha1.Case) bool) (*v1alpha1.Case, error) {
	var all v1alpha1.CaseList
	if err := i.Client.List(ctx, &all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("could not list the cases of namespace %s: %w", namespace, err)
	}
	for n := range all.Items {
		if c := &all.Items[n]; c.Spec.CorrelationKey != correlation || !takes(c) {
			continue
		}
		var live v1alpha1.Case
		err := i.Live.Get(ctx, client.ObjectKeyFromObject(&all.Items[n]), &live)
		if err == nil && takes(&live) {
			return &live, nil
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("could not read the case that takes a signal: %w", err)
		}
	}
	return nil, nil
}

func newCase(key types.NamespacedName, t *casefile.Type, correlation, by, previous, signal string, finding v1alpha1.NormalizedSignal) *v1alpha1.Case {
	c := &v1alpha1.Case{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, Labels: labels(v1alpha1.TypeLabel, t.Name), Finalizers: []string{v1alpha1.SealFinalizer},
		},
		Spec: v1alpha1.CaseSpec{
			TypeRef: v1alpha1.LocalRef{Name: t.Name}, Title: finding.Title, Severity: finding.Severity,
			CorrelationKey: correlation, CorrelatedBy: by, SignalRef: v1alpha1.LocalRef{Name: signal},
		},
	}
	if previous != "" {
		c.Spec.PreviousCaseRef = &v1alpha1.LocalRef{Name: previous}
	}
	return c
}

// logOwner says whose EvidenceLog seals a case: its namespace's, if it has one.
func (i *Intake) logOwner(ctx context.Context, namespace string) (v1alpha1.LogOwner, error) {
	err := i.get(ctx, types.NamespacedName{Namespace: namespace, Name: v1alpha1.DefaultEvidenceLog}, &v1alpha1.EvidenceLog{})
	switch {
	case err == nil:
		return v1alpha1.LogOfTenant, nil
	case apierrors.IsNotFound(err):
		return v1alpha1.LogOfOperator, nil
	}
	return "", fmt.Errorf("could not look for an EvidenceLog in namespace %s: %w", namespace, err)
}

// caseTypes are the types of a namespace that compile, and a note on each that does not.
func (i *Intake) caseTypes(ctx context.Context, namespace string) ([]*casefile.Type, []string, error) {
	var list v1alpha1.CaseTypeList
	if err := i.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, nil, fmt.Errorf("could not list the CaseTypes of namespace %s: %w", namespace, err)
	}
	var compiledTypes []*casefile.Type
	var notes []string
	for n := range list.Items {
		t, err := i.compiled.caseType(&list.Items[n])
		if err != nil {
			notes = append(notes, fmt.Sprintf("CaseType %s was passed over: it does not compile", list.Items[n].Name))
			continue
		}
		compiledTypes = append(compiledTypes, t)
	}
	return compiledTypes, notes, nil
}

// explain says what could not be done. An object that can never be there, because
// of its namespace or the schema, is poison.
func explain(err error, what string, key types.NamespacedName) error {
	if err == nil {
		return nil
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || namespaceMissing(err) {
		return &poison{reason: fmt.Sprintf("namespace %s does not exist or is being deleted", key.Namespace)}
	}
	if apierrors.IsInvalid(err) {
		return &poison{reason: fmt.Sprintf("could not %s %s: %v", what, key, err)}
	}
	return fmt.Errorf("could not %s %s: %w", what, key, err)
}

func namespaceMissing(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && apierrors.IsNotFound(err) && status.ErrStatus.Details != nil && status.ErrStatus.Details.Kind == "namespaces"
}

// labels are pairs of name and value; a value that is too long for a label is left out.
func labels(pairs ...string) map[string]string {
	out := map[string]string{}
	for n := 0; n+1 < len(pairs); n += 2 {
		if len(validation.IsValidLabelValue(pairs[n+1])) == 0 {
			out[pairs[n]] = pairs[n+1]
		}
	}
	return out
}
