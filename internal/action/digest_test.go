// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func TestNextRefusesASpecThatIsNotWhatItsDigestSays(t *testing.T) {
	spec := intent(t, v1alpha1.Idempotent)
	spec.Target.Name = "db-1" // changed after it was approved
	status := attempted(v1alpha1.ActionExecuting, nil)
	if step := Next("soc", "a1", spec, &status, world(allowed()), now); step.Command != "" || status.State != v1alpha1.ActionReady {
		t.Errorf("command %q, state %s: a changed plan must not be sent", step.Command, status.State)
	}
}

func TestPlanDigestCoversWhatIsApproved(t *testing.T) {
	base := intent(t, v1alpha1.Idempotent)
	for field, change := range map[string]func(*v1alpha1.ActionSpec){
		"revision":   func(s *v1alpha1.ActionSpec) { s.Revision = "x" },
		"step":       func(s *v1alpha1.ActionSpec) { s.Step = "x" },
		"operation":  func(s *v1alpha1.ActionSpec) { s.Operation = "kubernetes/x" },
		"input":      func(s *v1alpha1.ActionSpec) { s.Input.Raw = []byte(`{"name":"web-2"}`) },
		"target":     func(s *v1alpha1.ActionSpec) { s.Target.UID = "u2" },
		"connector":  func(s *v1alpha1.ActionSpec) { s.ConnectorRef.UID = "c2" },
		"operations": func(s *v1alpha1.ActionSpec) { s.ConnectorRevision = "r2" },
		"effect":     func(s *v1alpha1.ActionSpec) { s.Effect = v1alpha1.EffectIrreversible },
		"semantics":  func(s *v1alpha1.ActionSpec) { s.Semantics = v1alpha1.AtMostOnce },
		"rollback":   func(s *v1alpha1.ActionSpec) { s.Rollback.NotPossible = "x" },
		"rollbackOf": func(s *v1alpha1.ActionSpec) { s.RollbackOf = &v1alpha1.RecordRef{Name: "x"} },
	} {
		changed := *base.DeepCopy()
		change(&changed)
		if digest, err := PlanDigest(changed); err != nil || digest == base.PlanDigest {
			t.Errorf("a change of %s leaves the digest as it is (%v)", field, err)
		}
	}
	same := *base.DeepCopy()
	same.Input.Raw = []byte("{ \"name\" : \"web-1\" }")
	if digest, _ := PlanDigest(same); digest != base.PlanDigest {
		t.Error("the same input written otherwise has another digest")
	}
}
