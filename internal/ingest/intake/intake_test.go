// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest"
	"github.com/casebook-dev/casebook/internal/ingest/intake"
)

// at is in the past, in the middle of an hour, so that tests do not cross a window.
var at = time.Now().UTC().Truncate(time.Hour).Add(-30 * time.Minute)

func TestAFindingOpensACase(t *testing.T) {
	w := newWorld(t)
	body := event("Shell in container", "Critical", "web-1")
	kept := w.publish("falco", body, at)
	w.rest()

	signals, cases := w.signals(), w.cases()
	if len(signals) != 1 || len(cases) != 1 {
		t.Fatalf("there are %d signals and %d cases, want one of each", len(signals), len(cases))
	}
	s, c := signals[0], cases[0]
	size := int64(len(body))
	wantSignal := v1alpha1.SignalSpec{
		NormalizedSignal: s.Spec.NormalizedSignal,
		SourceRef:        v1alpha1.LocalRef{Name: "falco"}, CaseRef: v1alpha1.LocalRef{Name: c.Name}, Mapping: "falco@1",
		ReceivedTime: s.Spec.ReceivedTime, GroupedBecause: "no open runtime-threat case has assets=prod-1:shop/web-1: it opened one",
		Raw: v1alpha1.BlobRef{Digest: ingest.Digest([]byte(body)), Size: &size, MediaType: "application/json"},
	}
	if diff := gocmp.Diff(wantSignal, s.Spec); diff != "" || !s.Spec.ReceivedTime.Equal(&s.Spec.ObservedTime) || !s.Spec.ReceivedTime.Time.Equal(at) {
		t.Errorf("the signal was received %v\n%s", s.Spec.ReceivedTime, diff)
	}
	if s.Spec.Title != "Shell in container" || s.Spec.Severity != v1alpha1.SeverityCritical || s.Spec.Assets[0].Cluster != "prod-1" {
		t.Errorf("the finding is %+v", s.Spec.NormalizedSignal)
	}
	wantCase := v1alpha1.CaseSpec{
		TypeRef: v1alpha1.LocalRef{Name: "runtime-threat"}, Title: "Shell in container", Severity: v1alpha1.SeverityCritical,
		CorrelationKey: c.Spec.CorrelationKey, CorrelatedBy: "assets=prod-1:shop/web-1",
		SignalRef: v1alpha1.LocalRef{Name: s.Name}, EvidenceLog: v1alpha1.LogOfOperator,
	}
	if diff := gocmp.Diff(wantCase, c.Spec); diff != "" {
		t.Error(diff)
	}
	wantLabels := map[string]string{v1alpha1.CaseLabel: c.Name, v1alpha1.TypeLabel: "runtime-threat", v1alpha1.SourceLabel: "falco"}
	if diff := gocmp.Diff(wantLabels, s.Labels) + gocmp.Diff(map[string]string{v1alpha1.TypeLabel: "runtime-threat"}, c.Labels) + gocmp.Diff([]string{v1alpha1.SealFinalizer}, c.Finalizers); diff != "" {
		t.Error(diff)
	}
	if s.Annotations[intake.SequenceAnnotation] != fmt.Sprint(kept.Sequence) || s.ResourceVersion == "" || s.Status.Count != 0 || c.Status.State != "" {
		t.Errorf("the signal has annotations %v and status %+v, the case %+v", s.Annotations, s.Status, c.Status)
	}
	if w.archived[s.Spec.Raw.Digest] != body {
		t.Error("the payload is not in the archive")
	}
}

func TestSignalsAreGrouped(t *testing.T) {
	w := newWorld(t)
	w.publish("falco", event("Shell in container", "Critical", "web-1"), at)
	w.publish("falco", event("Outbound connection", "Warning", "web-1"), at.Add(time.Second))
	w.publish("falco", event("Shell in container", "Critical", "web-2"), at.Add(2*time.Second))
	w.publish("falco", event("Noise", "Debug", "web-3"), at)
	w.publish("falco", event("Noise", "Notice", "web-3"), at)
	w.rest()
	byCase := map[string]int{}
	for _, s := range w.signals() {
		byCase[s.Spec.CaseRef.Name+" "+s.Spec.Assets[0].Name]++
	}
	var web1 string
	for _, s := range w.signals() {
		if s.Spec.Title == "Outbound connection" {
			web1 = s.Spec.CaseRef.Name
			if !strings.Contains(s.Spec.GroupedBecause, "the open runtime-threat case with assets=prod-1:shop/web-1 took it") {
				t.Errorf("it was grouped because %s", s.Spec.GroupedBecause)
			}
		}
	}
	if len(w.cases()) != 2 || len(byCase) != 2 || byCase[web1+" web-1"] != 2 {
		t.Errorf("signals by case and pod are %v", byCase)
	}
	want := map[string]int{"the finding condition is false": 1, "the Source's only is false": 1}
	if diff := gocmp.Diff(want, w.skipped); diff != "" {
		t.Error(diff)
	}
}

func TestAClosedCaseIsFollowedByAnother(t *testing.T) {
	w := newWorld(t)
	w.publish("falco", event("Shell in container", "Critical", "web-1"), at)
	w.rest()
	first := w.cases()[0]
	first.Status.State = v1alpha1.CaseClosed
	w.must(api.Status().Update(t.Context(), &first))
	w.publish("falco", event("Outbound connection", "Critical", "web-1"), at)
	w.rest()
	w.publish("falco", event("Package manager", "Critical", "web-1"), at)
	w.rest()
	if len(w.cases()) != 2 {
		t.Fatalf("there are %d cases, want 2", len(w.cases()))
	}
	for _, c := range w.cases() {
		if c.Name != first.Name && (c.Spec.PreviousCaseRef == nil || c.Spec.PreviousCaseRef.Name != first.Name) {
			t.Errorf("the second case follows %v, want %s", c.Spec.PreviousCaseRef, first.Name)
		}
	}

	// The first is sealed and removed: the second is still the open one.
	w.must(client.IgnoreNotFound(api.Delete(t.Context(), &first)))
	w.must(api.Patch(t.Context(), &first, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
	w.publish("falco", event("Crypto miner", "Critical", "web-1"), at)
	w.rest()
	if len(w.cases()) != 1 {
		t.Errorf("there are %d cases after the first was removed, want the second alone", len(w.cases()))
	}
}

func TestRepeatsAreCountedExactly(t *testing.T) {
	w := newWorld(t)
	const sent = 200
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for range sent / 4 {
				w.publish("falco", event("Shell in container", "Critical", "web-1"), at)
			}
		})
	}
	stop := w.start(w.options(api))
	senders.Wait()
	stop() // in the middle of it
	w.rest()
	signals := w.signals()
	if len(signals) != 1 || len(w.cases()) != 1 {
		t.Fatalf("there are %d signals and %d cases", len(signals), len(w.cases()))
	}
	if status := signals[0].Status; status.Count != sent || status.LastSeenTime == nil || !status.LastSeenTime.Time.Equal(at) || status.CountedSequence == 0 {
		t.Errorf("%d were sent, the status is %+v", sent, status)
	}
	w.publish("falco", event("Shell in container", "Critical", "web-1"), at.Add(time.Hour))
	w.rest()
	if len(w.signals()) != 2 || len(w.cases()) != 1 {
		t.Errorf("after the window there are %d signals and %d cases, want 2 and 1", len(w.signals()), len(w.cases()))
	}
}

func TestOnePayloadMayRepeatItself(t *testing.T) {
	w := newWorld(t)
	one := event("Shell in container", "Critical", "web-1")
	w.publish("falco", fmt.Sprintf(`{"events":[%s,%s,%s,%s]}`, one, one, event("Other", "Critical", "web-1"), one), at)
	w.rest()
	counts := map[string]int64{}
	for _, s := range w.signals() {
		counts[s.Spec.Title] = s.Status.Count
	}
	if diff := gocmp.Diff(map[string]int64{"Shell in container": 3, "Other": 0}, counts); diff != "" {
		t.Error(diff)
	}
}

func TestWhateverIsWrongADecodablePayloadBecomesASignal(t *testing.T) {
	for name, tt := range map[string]struct {
		source, body string
		dropped      string // from the configuration
		says         string // in the warnings
		kind         string // the case's type
	}{
		"no Source":                     {source: "gone", body: "{}", says: "does not exist any more", kind: "unclassified"},
		"no Mapping":                    {source: "unmapped", body: "{}", says: "Mapping none of Source unmapped does not exist", kind: "unclassified"},
		"a Mapping that does not work":  {source: "miscompiled", body: "{}", says: "does not compile", kind: "unclassified"},
		"a payload in another format":   {source: "falco", body: "{}\n{}\n", says: "cannot read it", kind: "unclassified"},
		"a payload of another schema":   {source: "falco", body: `{"priority":"Critical"}`, says: "title", kind: "runtime-threat"},
		"no CaseType that matches":      {source: "falco", body: event("x", "Critical", "p"), dropped: "kind: CaseType", kind: "unclassified"},
		"a CaseType that is not in use": {source: "unmapped", body: "[1,2]", dropped: "kind: CaseType", says: "does not exist", kind: "unclassified"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, cmp.Or(tt.dropped, "kind: Nothing"))
			w.publish(tt.source, tt.body, at)
			w.rest()
			signals, cases := w.signals(), w.cases()
			if len(signals) != 1 || len(cases) != 1 || len(w.dead()) != 0 {
				t.Fatalf("there are %d signals, %d cases, %d dead letters", len(signals), len(cases), len(w.dead()))
			}
			s := signals[0].Spec
			if !strings.Contains(strings.Join(s.Warnings, "\n"), tt.says) || cases[0].Spec.TypeRef.Name != tt.kind || s.Raw.Digest != ingest.Digest([]byte(tt.body)) {
				t.Errorf("the signal of a case of type %s warns of %q, want %s and %q", cases[0].Spec.TypeRef.Name, s.Warnings, tt.kind, tt.says)
			}
		})
	}
}

func TestASignalThatBreaksTheSchemaBecomesAGenericOne(t *testing.T) {
	w := newWorld(t)
	var refused atomic.Int64
	c := interceptor.NewClient(api, interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		if s, ok := o.(*v1alpha1.Signal); ok && s.Spec.Title == "Bad" {
			refused.Add(1)
			s.Spec.Category = "Nonsense" // what the Mapping gave
		}
		return c.Create(ctx, o, opts...)
	}})
	w.publish("falco", event("Bad", "Critical", "web-1"), at)
	stop := w.start(w.options(c))
	w.await("a signal", func() bool { return len(w.signals()) == 1 })
	stop()
	w.rest()
	s := w.signals()[0].Spec
	if refused.Load() != 1 || s.Category != "Other" || !strings.Contains(strings.Join(s.Warnings, "\n"), "breaks the schema") || len(w.cases()) != 1 {
		t.Errorf("the signal is %+v; %d cases", s.NormalizedSignal, len(w.cases()))
	}
}

func TestPoisonIsSetAsideAndItsSourceGoesOn(t *testing.T) {
	w := newWorld(t)
	c := interceptor.NewClient(api, interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		s, ok := o.(*v1alpha1.Signal)
		if ok && s.Spec.Title == "Panics" {
			panic("index out of range")
		}
		if ok && (s.Spec.Title == "Never" || s.Spec.Category == "Other") { // the generic one, too
			return apierrors.NewInvalid(schema.GroupKind{Group: v1alpha1.GroupName, Kind: "Signal"}, s.Name, field.ErrorList{field.Invalid(field.NewPath("spec"), "", "never")})
		}
		return c.Create(ctx, o, opts...)
	}})
	w.publish("falco", event("Panics", "Critical", "web-1"), at)
	w.publish("falco", event("Never", "Critical", "web-2"), at)
	w.publish("falco", event("Good", "Critical", "web-3"), at)
	stop := w.start(w.options(c))
	defer stop()
	w.await("the end", func() bool { return w.waiting() == 0 })
	letters := w.dead()
	if len(letters) != 2 || !strings.Contains(letters[0].Reason, "panicked: index out of range") || !strings.Contains(letters[1].Reason, "never") {
		t.Fatalf("the dead letters are %+v", letters)
	}
	if len(w.signals()) != 1 || w.signals()[0].Spec.Title != "Good" || len(w.archived) != 3 {
		t.Errorf("there are %d signals and %d archived payloads, want 1 and 3", len(w.signals()), len(w.archived))
	}
}

func TestANamespaceThatIsGoneSetsItsPayloadsAside(t *testing.T) {
	w := newWorld(t)
	w.namespace = "never-there"
	w.publish("falco", event("Good", "Critical", "web-3"), at)
	w.rest()
	if letters := w.dead(); len(letters) != 1 || !strings.Contains(letters[0].Reason, "namespace never-there does not exist") {
		t.Errorf("the dead letters are %+v", letters)
	}
}

func TestTheArchiveIsTriedUntilItTakes(t *testing.T) {
	w := newWorld(t)
	w.publish("falco", event("Good", "Critical", "web-3"), at)
	options := w.options(api)
	take, failed := options.Archive, atomic.Int64{}
	options.Archive = func(ctx context.Context, namespace string, payload []byte, digest string) error {
		switch failed.Add(1) {
		case 1:
			return errors.New("the bucket is away")
		case 2:
			panic("the bucket's client is broken")
		}
		return take(ctx, namespace, payload, digest)
	}
	stop := w.start(options)
	defer stop()
	w.await("an empty stream", func() bool { return w.waiting() == 0 })
	if len(w.archived) != 1 || len(w.dead()) != 0 {
		t.Errorf("%d payloads are archived, %d set aside", len(w.archived), len(w.dead()))
	}
}
