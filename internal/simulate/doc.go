// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package simulate runs what people write against what they say of the world, with no cluster and no network: the tests
// beside Playbooks, Mappings, Guardrails and Connectors.
//
//	suite, err := simulate.Parse("impossible-travel.test.yaml", raw)
//	for _, result := range suite.Run(ctx, catalog, open) { … }
//
// It drives the code of the operator itself: normalize, casefile.Fold, enrich, playbook.Next, guard.Evaluate and
// action.Next, on a clock that jumps to whatever is due next. What is simulated is the world alone: lookups, the answers
// of targets, and people.
//
// The package is pure: files, and the connectors whose requests are rendered, come in as arguments.
package simulate
