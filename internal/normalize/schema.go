// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Bounds of the schema, in characters and elements, as the CRD of Signal has them.
const (
	maxSeverityOriginal = 128
	maxTitle            = 512
	maxDescription      = 4096
	maxEntities         = 64
	maxName             = 512
	maxType             = 64
	maxNamespace        = 63
	maxCluster          = 253
	maxIndicators       = 100
	maxIndicator        = 2048
	maxTechniques       = 32
	maxURL              = 2048
	maxID               = 512
	maxNotes            = 32 // gaps, warnings
	maxNote             = 512
	maxExpression       = 1024
	maxPath             = 512
	maxExplained        = 256
)

// Text that the lists of one signal may hold, in bytes. The bounds of the schema
// alone would let one payload fill an object to more than the API server stores.
const (
	maxEntityText    = 8 << 10
	maxIndicatorText = 16 << 10
)

// schemaField is one field of the schema: where a Mapping has its expression, and
// how its value is set.
type schemaField struct {
	name       string
	required   bool
	expression func(*v1alpha1.SignalMapping) string
	// set puts a value that is not empty into the signal and reports whether it could.
	set func(*builder, any) bool
}

// schema has the fields in the order in which they are evaluated and explained.
var schema = []schemaField{
	{"category", true, func(s *v1alpha1.SignalMapping) string { return s.Category }, (*builder).setCategory},
	{"title", true, func(s *v1alpha1.SignalMapping) string { return s.Title }, (*builder).setTitle},
	{"severity", true, func(s *v1alpha1.SignalMapping) string { return s.Severity }, (*builder).setSeverity},
	{"severityOriginal", false, func(s *v1alpha1.SignalMapping) string { return s.SeverityOriginal },
		text("severityOriginal", maxSeverityOriginal, func(s *v1alpha1.NormalizedSignal) *string { return &s.SeverityOriginal })},
	{"confidence", false, func(s *v1alpha1.SignalMapping) string { return s.Confidence }, (*builder).setConfidence},
	{"description", false, func(s *v1alpha1.SignalMapping) string { return s.Description },
		text("description", maxDescription, func(s *v1alpha1.NormalizedSignal) *string { return &s.Description })},
	{"observedTime", false, func(s *v1alpha1.SignalMapping) string { return s.ObservedTime }, (*builder).setObservedTime},
	{"activity", false, func(s *v1alpha1.SignalMapping) string { return s.Activity }, (*builder).setActivity},
	{"outcome", false, func(s *v1alpha1.SignalMapping) string { return s.Outcome }, (*builder).setOutcome},
	{"users", false, func(s *v1alpha1.SignalMapping) string { return s.Users },
		entities("users", func(s *v1alpha1.NormalizedSignal) *[]v1alpha1.Entity { return &s.Users })},
	{"hosts", false, func(s *v1alpha1.SignalMapping) string { return s.Hosts },
		entities("hosts", func(s *v1alpha1.NormalizedSignal) *[]v1alpha1.Entity { return &s.Hosts })},
	{"assets", false, func(s *v1alpha1.SignalMapping) string { return s.Assets },
		entities("assets", func(s *v1alpha1.NormalizedSignal) *[]v1alpha1.Entity { return &s.Assets })},
	{"indicators", false, func(s *v1alpha1.SignalMapping) string { return s.Indicators }, (*builder).setIndicators},
	{"techniques", false, func(s *v1alpha1.SignalMapping) string { return s.Techniques }, (*builder).setTechniques},
	{"sourceURL", false, func(s *v1alpha1.SignalMapping) string { return s.SourceURL }, (*builder).setSourceURL},
	{"ruleId", false, func(s *v1alpha1.SignalMapping) string { return s.RuleID },
		text("ruleId", maxID, func(s *v1alpha1.NormalizedSignal) *string { return &s.RuleID })},
	{"eventId", false, func(s *v1alpha1.SignalMapping) string { return s.EventID },
		text("eventId", maxID, func(s *v1alpha1.NormalizedSignal) *string { return &s.EventID })},
}
