// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

var (
	hash = strings.Repeat("ab", 32)
	when = metav1.NewMicroTime(time.Date(2026, 11, 24, 10, 4, 0, 0, time.UTC))
)

// record is a valid, minimal record of a kind, by plural.
func record(plural, namespace, name string) client.Object {
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	size := int64(2)
	caseRef := v1alpha1.RecordRef{Name: "rt-1", UID: "2b0a"}
	switch plural {
	case "signals":
		return &v1alpha1.Signal{ObjectMeta: meta, Spec: v1alpha1.SignalSpec{
			NormalizedSignal: v1alpha1.NormalizedSignal{
				Category: "Runtime", Severity: v1alpha1.SeverityHigh, Title: "A shell", ObservedTime: when,
				ObservedTimeFrom: v1alpha1.TimePayload, Activity: v1alpha1.ActivityCreate, Fingerprint: hash,
			},
			SourceRef: v1alpha1.LocalRef{Name: "falco"}, CaseRef: v1alpha1.LocalRef{Name: "rt-1"}, Mapping: "falco@1",
			ReceivedTime: when, Raw: v1alpha1.BlobRef{Digest: "sha256:" + hash, Size: &size},
		}}
	case "cases":
		return &v1alpha1.Case{ObjectMeta: meta, Spec: v1alpha1.CaseSpec{
			TypeRef: v1alpha1.LocalRef{Name: "runtime-threat"}, Title: "A shell", Severity: v1alpha1.SeverityHigh, CorrelationKey: hash,
			SignalRef: v1alpha1.LocalRef{Name: "s"}, EvidenceLog: v1alpha1.LogOfTenant,
		}}
	case "playbookruns":
		return &v1alpha1.PlaybookRun{ObjectMeta: meta, Spec: v1alpha1.PlaybookRunSpec{
			CaseRef: caseRef, PlaybookRef: v1alpha1.LocalRef{Name: "isolate-pod"}, Revision: "isolate-pod-1",
		}}
	case "actions":
		return &v1alpha1.Action{ObjectMeta: meta, Spec: v1alpha1.ActionSpec{
			CaseRef: caseRef, Handle: "isolate", ConnectorRef: v1alpha1.RecordRef{Name: "kubernetes", UID: "1"},
			Operation: "kubernetes/isolatePod", Input: apiextensionsv1.JSON{Raw: []byte(`{}`)},
			Target: v1alpha1.Target{Type: "Pod", Name: "web"}, Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent,
			Rollback: v1alpha1.RollbackPlan{Operation: "releasePod"}, PlanDigest: hash,
			Requester: v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "engine"}, DeadlineTime: when,
		}}
	case "decisions":
		return decision(namespace, name)
	}
	panic("no record of kind " + plural)
}

// configuration is a valid, minimal object of a configuration kind, by plural. It names the Secrets hook and key.
func configuration(plural, namespace, name string) client.Object {
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	switch plural {
	case "sources":
		return &v1alpha1.Source{ObjectMeta: meta, Spec: v1alpha1.SourceSpec{
			Webhook: &v1alpha1.WebhookSource{Authentication: v1alpha1.WebhookAuthentication{
				Bearer: &v1alpha1.BearerAuthentication{SecretRef: v1alpha1.SecretKeyRef{Name: "hook", Key: "token"}},
			}},
			MappingRef: v1alpha1.LocalRef{Name: "falco"},
		}}
	case "mappings":
		return &v1alpha1.Mapping{ObjectMeta: meta, Spec: v1alpha1.MappingSpec{
			Product: "Falco", Signal: v1alpha1.SignalMapping{Category: "'Runtime'", Title: "item.rule", Severity: "High"},
		}}
	case "connectors":
		return &v1alpha1.Connector{ObjectMeta: meta, Spec: v1alpha1.ConnectorSpec{
			Kubernetes: &v1alpha1.KubernetesConnector{ServiceAccountRef: v1alpha1.LocalRef{Name: "responder"}},
		}}
	case "guardrails":
		return &v1alpha1.Guardrail{ObjectMeta: meta, Spec: v1alpha1.GuardrailSpec{
			Covers: []string{"kubernetes/*"}, Rules: []v1alpha1.GuardrailRule{{Name: "ask", Ask: &v1alpha1.Ask{Count: 1}}},
		}}
	case "casetypes":
		return &v1alpha1.CaseType{ObjectMeta: meta, Spec: v1alpha1.CaseTypeSpec{
			Match: "true", Correlate: v1alpha1.Correlation{By: []string{"assets"}, Within: metav1.Duration{Duration: time.Hour}}, Queue: "runtime",
		}}
	case "playbooks":
		return &v1alpha1.Playbook{ObjectMeta: meta, Spec: v1alpha1.PlaybookSpec{
			Description: "Fails.", Steps: []v1alpha1.Step{{Name: "stop", Fail: &v1alpha1.FailStep{Message: "no"}}},
		}}
	case "evidencelogs":
		return &v1alpha1.EvidenceLog{ObjectMeta: meta, Spec: v1alpha1.EvidenceLogSpec{
			Origin: "example.com/soc", Bucket: v1alpha1.BucketSpec{Dir: &v1alpha1.DirBucket{Path: "/evidence"}},
			SigningKeyRef: v1alpha1.SecretKeyRef{Name: "key", Key: "key"},
		}}
	}
	panic("no configuration of kind " + plural)
}

// headed is every kind: a status with the common head.
type headed interface {
	client.Object
	Head() *v1alpha1.StatusHead
}
