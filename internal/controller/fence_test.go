// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/connector"
)

// Between the decision to send and the first byte, the API server is asked once more: the cache may be old.
func TestNothingIsSentThatTheAPIServerDoesNotConfirm(t *testing.T) {
	frozen := v1alpha1.Decision{Spec: v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictFreeze, Message: "Stop."}}
	for name, test := range map[string]struct {
		cached, live view
		sends        int
	}{
		"what it confirms is sent":                        {cached: view{version: "5"}, live: view{version: "5"}, sends: 1},
		"not what another has changed meanwhile":          {cached: view{version: "5"}, live: view{version: "6"}},
		"not what was made anew":                          {cached: view{version: "5"}, live: view{version: "5", uid: "another"}},
		"not while the namespace is frozen":               {cached: view{version: "5"}, live: view{version: "5", tenant: []v1alpha1.Decision{frozen}}},
		"not while everything is frozen":                  {cached: view{version: "5"}, live: view{version: "5", operator: []v1alpha1.Decision{frozen}}},
		"a freeze that the cache alone still has is over": {cached: view{version: "5", tenant: []v1alpha1.Decision{frozen}}, live: view{version: "5"}, sends: 1},
	} {
		t.Run(name, func(t *testing.T) {
			target := &counting{}
			a := announced("5")
			seen := sightingsFromNow()
			seen.since(a)
			seen.announce(a)
			kind := &actionKind{
				client: test.cached, live: test.live, connectors: &connectors{client: test.cached, opener: target},
				guardrails: &guardrails{client: test.cached, live: test.live, namespace: "casebook-system"},
				holder:     "me", sent: &sentAttempts{}, seen: seen, clock: clock.RealClock{},
			}
			err := kind.Act(t.Context(), a, action.Send)
			if target.sends != test.sends || (err == nil) != (test.sends == 1) {
				t.Errorf("sent %d times (%v), want %d", target.sends, err, test.sends)
			}
		})
	}
}

func announced(version string) *v1alpha1.Action {
	now := time.Now()
	a := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "a", UID: "a", ResourceVersion: version}}
	a.Spec.Operation, a.Spec.ConnectorRef = "target/change", v1alpha1.RecordRef{Name: "target", UID: "c"}
	a.Spec.Input = apiextensionsv1.JSON{Raw: []byte(`{}`)}
	a.Status.State = v1alpha1.ActionExecuting
	a.Status.Attempts = []v1alpha1.Attempt{{Number: 1, Holder: "me", StartTime: metav1.NewMicroTime(now), DeadlineTime: metav1.NewMicroTime(now.Add(time.Minute))}}
	return a
}

// view is what a reader sees: one action, its connector, and freezes.
type view struct {
	client.Client
	version, uid     string
	tenant, operator []v1alpha1.Decision
}

// Get finds the action as this reader has it, and the connector.
func (v view) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	switch o := into.(type) {
	case *v1alpha1.Action:
		*o = *announced(v.version)
		if v.uid != "" {
			o.UID = "another"
		}
	case *v1alpha1.Connector:
		o.Name, o.UID, o.Spec.Kubernetes = "target", "c", &v1alpha1.KubernetesConnector{}
	}
	return nil
}

// List finds the freezes of a namespace, and nothing else.
func (v view) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	if decisions, ok := list.(*v1alpha1.DecisionList); ok {
		decisions.Items = v.tenant
		if o.Namespace == "casebook-system" {
			decisions.Items = v.operator
		}
	}
	return nil
}

// counting is a target that counts what it is sent.
type counting struct {
	connector.Connector
	sends int
}

// Open opens it.
func (c *counting) Open(*v1alpha1.Connector) (connector.Connector, error) { return c, nil }

// Operations are its one change.
func (*counting) Operations() []connector.Operation {
	return []connector.Operation{{Name: "change", Effect: v1alpha1.EffectIrreversible, NotPossible: "x", TargetType: "Thing", AcknowledgedOnly: true}}
}

// Do counts.
func (c *counting) Do(context.Context, connector.Request) connector.Result {
	c.sends++
	return connector.Result{Outcome: v1alpha1.OutcomeAcknowledged}
}
