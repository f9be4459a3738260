// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// A namespace keeps the actions of years: a guardrail that changes, and a freeze, wake those that can still go on.
func TestOpenActions(t *testing.T) {
	for name, tt := range map[string]struct {
		namespace string
		want      []string
	}{
		"those of a tenant":            {"soc", []string{"soc/asking"}},
		"of every tenant, for our own": {"casebook-system", []string{"soc/asking", "other/settling"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range openActions(t.Context(), tenants{}, "casebook-system", tt.namespace) {
				got = append(got, r.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// tenants is a cluster with actions in two namespaces.
type tenants struct{ client.Reader }

// List finds them.
func (tenants) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	for _, one := range []struct {
		namespace, name string
		state           v1alpha1.ActionState
	}{
		{"soc", "asking", v1alpha1.ActionAsking},
		{"soc", "succeeded", v1alpha1.ActionSucceeded},
		{"soc", "unknown", v1alpha1.ActionUnknown},
		{"other", "settling", v1alpha1.ActionSettling},
	} {
		if o.Namespace == "" || o.Namespace == one.namespace {
			a := v1alpha1.Action{Status: v1alpha1.ActionStatus{State: one.state}}
			a.Namespace, a.Name = one.namespace, one.name
			list.(*v1alpha1.ActionList).Items = append(list.(*v1alpha1.ActionList).Items, a)
		}
	}
	return nil
}
