// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/gowebpki/jcs"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// PlanDigest is the SHA-256, in lower-case hex, of the canonical JSON (RFC 8785) of everything that an approval covers:
// revision, step, operation, input, target, connector and the revision of its operations, effect, semantics, rollback and
// what is rolled back. The error says that
// the input is not JSON.
func PlanDigest(spec v1alpha1.ActionSpec) (string, error) {
	plan := map[string]any{
		"revision":     spec.Revision,
		"step":         spec.Step,
		"operation":    spec.Operation,
		"input":        spec.Input,
		"target":       spec.Target,
		"connectorRef": spec.ConnectorRef,
		"operations":   spec.ConnectorRevision,
		"effect":       spec.Effect,
		"semantics":    spec.Semantics,
		"rollback":     spec.Rollback,
		"rollbackOf":   spec.RollbackOf,
	}
	raw, err := json.Marshal(plan)
	if err != nil {
		return "", fmt.Errorf("digest the plan of %s: %w", spec.Operation, err)
	}
	canonical, err := jcs.Transform(raw)
	if err != nil {
		return "", fmt.Errorf("digest the plan of %s: %w", spec.Operation, err)
	}
	return hash(string(canonical)), nil
}

// Key is the idempotency key of an action: it does not change from attempt to attempt.
func Key(namespace, name, planDigest string) string {
	return hash(namespace + "\x00" + name + "\x00" + planDigest)
}

// Mark is what an operation leaves at its target to tell whose work it is: the action's own name, or for a rollback the
// name of the action that is taken back.
func Mark(name string, spec v1alpha1.ActionSpec) string {
	if spec.RollbackOf != nil {
		return spec.RollbackOf.Name
	}
	return name
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
