// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kube is what Casebook's controllers share of Kubernetes: derived names, reference indexes, creating records,
// and asking the authorizer.
package kube

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
)

// The indexes of the records' cache.
const (
	// ByCase finds the records of a Case, by its name, in the cache and, for Decisions, at the API server alike. Those of
	// the empty name are about the whole namespace: freezes and thaws.
	ByCase = "spec.caseRef.name"
	// ByRun finds the Actions of a PlaybookRun, by its name.
	ByRun = "spec.runRef.name"
)

// Scheme knows the built-in kinds and Casebook's.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // two kinds of one name: a programming error
		}
	}
	return scheme
}

// Index sets up the indexes.
func Index(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		object client.Object
		field  string
		value  client.IndexerFunc
	}{
		{&v1alpha1.Signal{}, ByCase, func(o client.Object) []string { return one(o.(*v1alpha1.Signal).Spec.CaseRef.Name) }},
		{&v1alpha1.PlaybookRun{}, ByCase, func(o client.Object) []string { return one(o.(*v1alpha1.PlaybookRun).Spec.CaseRef.Name) }},
		{&v1alpha1.Action{}, ByCase, func(o client.Object) []string { return one(o.(*v1alpha1.Action).Spec.CaseRef.Name) }},
		{&v1alpha1.Decision{}, ByCase, func(o client.Object) []string { return one(o.(*v1alpha1.Decision).Spec.CaseRef.Name) }},
		{&v1alpha1.Action{}, ByRun, func(o client.Object) []string {
			if run := o.(*v1alpha1.Action).Spec.RunRef; run != nil {
				return one(run.Name)
			}
			return nil
		}},
	} {
		if err := indexer.IndexField(ctx, index.object, index.field, index.value); err != nil {
			return fmt.Errorf("index %T by %s: %w", index.object, index.field, err)
		}
	}
	return nil
}

func one(name string) []string { return []string{name} }

// ChildName derives a name from what makes a record the one it is, so that making it again meets the same name. The
// prefix is for people; the 50 bits of hash after it are what differs.
func ChildName(prefix string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:10])
	const most = 52 // what is left of a DNS label
	if len(prefix) > most {
		prefix = strings.TrimRight(prefix[:most], "-.")
	}
	return prefix + "-" + hash
}

// Create makes a record under its derived name. One that exists already is success if same says it is what was meant:
// same is given the record as it stands.
func Create[T client.Object](ctx context.Context, c client.Client, record T, same func(existing T) bool) error {
	wanted := record.DeepCopyObject().(T)
	err := c.Create(ctx, record)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	existing := record.DeepCopyObject().(T)
	if err := c.Get(ctx, client.ObjectKeyFromObject(wanted), existing); err != nil {
		return fmt.Errorf("look at the %T %s that exists already: %w", wanted, client.ObjectKeyFromObject(wanted), err)
	}
	if !same(existing) {
		return fmt.Errorf("make the %T %s: another object has its name; delete that one if nothing needs it", wanted, client.ObjectKeyFromObject(wanted))
	}
	return nil
}

// Access is the authorizer's answer.
type Access struct {
	// Allowed says that the person may.
	Allowed bool
	// Reason is the authorizer's own explanation, if it gave one.
	Reason string
}

// Review asks the authorizer whether a person may do verb on a case (a SubjectAccessReview as the stamped actor).
func Review(ctx context.Context, c client.Client, actor v1alpha1.Actor, verb, namespace, name string) (Access, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: actor.Username, UID: actor.UID, Groups: actor.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: v1alpha1.GroupName, Version: "v1alpha1", Resource: "cases", Name: name,
		},
	}}
	if err := c.Create(ctx, review); err != nil {
		return Access{}, fmt.Errorf("ask whether %s may %s case %s/%s: %w", actor.Username, verb, namespace, name, err)
	}
	return Access{Allowed: review.Status.Allowed, Reason: review.Status.Reason}, nil
}

// Secret reads one key of a Secret, live. What stands in the way is a terminal fault with the command that mends it.
func Secret(ctx context.Context, live client.Reader, namespace string, ref v1alpha1.SecretKeyRef) ([]byte, error) {
	var secret corev1.Secret
	err := live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &secret)
	switch {
	case apierrors.IsForbidden(err):
		return nil, fault.Terminalf(v1alpha1.SecretForbiddenReason,
			"the operator may not read secret %s: kubectl -n %s create role read-%s --verb=get --resource=secrets --resource-name=%s, and bind it to its ServiceAccounts",
			ref.Name, namespace, ref.Name, ref.Name)
	case apierrors.IsNotFound(err):
		return nil, fault.Terminalf(v1alpha1.SecretNotFoundReason, "there is no secret %s in namespace %s: create it", ref.Name, namespace)
	case err != nil:
		return nil, fmt.Errorf("read secret %s/%s: %w", namespace, ref.Name, err)
	}
	value, ok := secret.Data[ref.Key]
	if !ok || len(value) == 0 {
		return nil, fault.Terminalf(v1alpha1.SecretNotFoundReason, "secret %s in namespace %s has no key %s", ref.Name, namespace, ref.Key)
	}
	return value, nil
}
