// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// cluster is the Kubernetes API as the person who runs the command.
type cluster struct {
	client.WithWatch
	namespace string
}

// connect makes the client for what the flags and the kubeconfig say.
func (o *options) connect() (*cluster, error) {
	loader := o.kube.ToRawKubeConfigLoader()
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, refusedf("cannot read the kubeconfig: %w", err).so("Name a file with --kubeconfig, or a context of it with --context.")
	}
	config, err := o.kube.ToRESTConfig()
	if err != nil {
		return nil, refusedf("cannot connect to a cluster: %w", err).so("Name a kubeconfig with --kubeconfig, or a context of it with --context.")
	}
	config.WarningHandler = nil
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		v1alpha1.AddToScheme, corev1.AddToScheme, authenticationv1.AddToScheme, authorizationv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("make the client: %w", err)
		}
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, apiError("connect to "+config.Host, err)
	}
	return &cluster{WithWatch: c, namespace: namespace}, nil
}

// viewer asks the API server who is asking. A server that does not say leaves the viewer unknown.
func (c *cluster) viewer(ctx context.Context) report.Viewer {
	review := &authenticationv1.SelfSubjectReview{}
	if c.Create(ctx, review) != nil {
		return report.Viewer{}
	}
	return report.Viewer{Username: review.Status.UserInfo.Username, Groups: review.Status.UserInfo.Groups, Verbs: map[string]bool{}}
}

// learn asks for each verb on cases that some questions need whether the viewer has it.
func (c *cluster) learn(ctx context.Context, viewer report.Viewer, namespace string, cases ...v1alpha1.Case) {
	for i := range cases {
		for _, q := range cases[i].Status.Questions {
			if _, known := viewer.Verbs[q.Verb]; known || viewer.Verbs == nil {
				continue
			}
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: namespace, Verb: q.Verb, Group: v1alpha1.GroupName, Resource: "cases",
				},
			}}
			if c.Create(ctx, review) == nil {
				viewer.Verbs[q.Verb] = review.Status.Allowed
			}
		}
	}
}

// findCase reads one case.
func (c *cluster) findCase(ctx context.Context, name string) (*v1alpha1.Case, error) {
	found := &v1alpha1.Case{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, found); err != nil {
		return nil, apiError("read case "+c.namespace+"/"+name, err)
	}
	return found, nil
}

// records reads a case and everything that names it.
func (c *cluster) records(ctx context.Context, name string) (*report.Records, error) {
	found, err := c.findCase(ctx, name)
	if err != nil {
		return nil, err
	}
	var (
		signals   v1alpha1.SignalList
		runs      v1alpha1.PlaybookRunList
		actions   v1alpha1.ActionList
		decisions v1alpha1.DecisionList
	)
	of := []client.ListOption{client.InNamespace(c.namespace), client.MatchingLabels{v1alpha1.CaseLabel: name}}
	// A person may have made a Decision without the label.
	named := []client.ListOption{client.InNamespace(c.namespace), client.MatchingFields{"spec.caseRef.name": name}}
	for _, list := range []struct {
		what    string
		into    client.ObjectList
		options []client.ListOption
	}{
		{"signals", &signals, of}, {"runs", &runs, of}, {"actions", &actions, of}, {"decisions", &decisions, named},
	} {
		if err := c.List(ctx, list.into, list.options...); err != nil {
			return nil, apiError("read the "+list.what+" of case "+c.namespace+"/"+name, err)
		}
	}
	// Another case may have had this name before.
	other := func(ref v1alpha1.RecordRef) bool { return ref.UID != string(found.UID) }
	records := &report.Records{
		Case: *found, Signals: signals.Items,
		Runs:      slices.DeleteFunc(runs.Items, func(r v1alpha1.PlaybookRun) bool { return other(r.Spec.CaseRef) }),
		Actions:   slices.DeleteFunc(actions.Items, func(a v1alpha1.Action) bool { return other(a.Spec.CaseRef) }),
		Decisions: slices.DeleteFunc(decisions.Items, func(d v1alpha1.Decision) bool { return other(d.Spec.CaseRef) }),
	}
	records.Sort()
	return records, nil
}

// log reads the EvidenceLog that seals a case; nil if it cannot be read, which the page says.
func (c *cluster) log(ctx context.Context, found *v1alpha1.Case) *v1alpha1.EvidenceLog {
	namespace := found.Namespace
	if found.Spec.EvidenceLog == v1alpha1.LogOfOperator {
		namespace = operatorNamespace
	}
	log := &v1alpha1.EvidenceLog{}
	if c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "default"}, log) != nil {
		return nil
	}
	return log
}

// operatorNamespace is where the operator's own EvidenceLog is.
const operatorNamespace = "casebook-system"
