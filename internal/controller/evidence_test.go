// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/test/fixture"
)

// fullDisk is a bucket that can be read, and written only while it is not full.
type fullDisk struct {
	blob.Bucket
	*disk
}

type disk struct {
	full    atomic.Bool
	refused atomic.Int64
}

func (d *disk) wrap(b blob.Bucket) blob.Bucket { return fullDisk{b, d} }

func (d *disk) refuses() bool {
	if d.full.Load() {
		d.refused.Add(1)
		return true
	}
	return false
}

var errFull = errors.New("no space left on device")

// Create implements blob.Bucket.
func (b fullDisk) Create(ctx context.Context, key string, data []byte) (string, error) {
	if b.refuses() {
		return "", errFull
	}
	return b.Bucket.Create(ctx, key, data)
}

// Replace implements blob.Bucket.
func (b fullDisk) Replace(ctx context.Context, key string, data []byte, etag string) (string, error) {
	if b.refuses() {
		return "", errFull
	}
	return b.Bucket.Replace(ctx, key, data, etag)
}

// awaitRefusals waits until so many more writes were refused.
func (d *disk) awaitRefusals(w *fixture.World, more int64) {
	until := d.refused.Load() + more
	w.Eventually("the bucket to be tried again", func() (bool, string) {
		now := d.refused.Load()
		return now >= until, fmt.Sprintf("%d of %d refusals", now, until)
	})
}

func evidenceLog(w *fixture.World) *v1alpha1.EvidenceLog {
	return &v1alpha1.EvidenceLog{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: w.Namespace}}
}

// While the bucket cannot be written, cases go on and their entries wait; the log says so, once; afterwards nothing is missing.
func TestBucketUnwritableForAWhile(t *testing.T) {
	t.Parallel()
	var disk disk
	w := fixture.NewTenant(t)
	w.Run(fixture.Faults{Bucket: disk.wrap})
	w.AwaitReady()
	disk.full.Store(true)

	pod := w.Pod("web-1")
	c := w.Alert(pod)
	q := w.AwaitQuestion(c, "keep")
	if !w.Isolated(pod) {
		t.Error("the pod is not isolated while the bucket is full")
	}
	log := fixture.Await(w, evidenceLog(w), "to say that the bucket is unavailable", func(l *v1alpha1.EvidenceLog) bool {
		ready := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ReadyCondition)
		return ready.Status == metav1.ConditionFalse && ready.Reason == v1alpha1.BucketUnavailableReason && strings.Contains(ready.Message, errFull.Error())
	})
	fixture.CheckConditions(t, log)
	w.Judged(w.Decide(fixture.Lead, c, fixture.Answer(q, "keep")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.AwaitRest(c)
	w.Judged(w.Decide(fixture.Analyst, c, fixture.Close("TruePositive", "Confirmed")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.AwaitState(c, v1alpha1.CaseClosed)
	disk.awaitRefusals(w, 1)
	version := fixture.Await(w, log, "to be there", func(*v1alpha1.EvidenceLog) bool { return true }).ResourceVersion
	message := meta.FindStatusCondition(log.Status.Conditions, v1alpha1.ReadyCondition).Message
	disk.awaitRefusals(w, 2)
	fixture.Await(w, log, "to be there", func(*v1alpha1.EvidenceLog) bool { return true })
	if now := meta.FindStatusCondition(log.Status.Conditions, v1alpha1.ReadyCondition).Message; log.ResourceVersion != version {
		t.Errorf("the log was written again while the bucket was as unavailable as before:\n%s\n%s", message, now)
	}

	disk.full.Store(false)
	fixture.Await(w, log, "to be ready again", func(l *v1alpha1.EvidenceLog) bool {
		return meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ReadyCondition)
	})
	w.Evidence(c, true)
	w.Check()
}

// A closed case leaves the API when its time has come, sealed, and its evidence stays.
func TestClosedCaseIsArchivedAfterItsTime(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t)
	c := w.Alert(w.Pod("web-1"))
	q := w.AwaitQuestion(c, "keep")
	w.Judged(w.Decide(fixture.Lead, c, fixture.Answer(q, "keep")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.AwaitRest(c)
	w.Decide(fixture.Analyst, c, fixture.Close("TruePositive", "Confirmed"))
	w.AwaitState(c, v1alpha1.CaseClosed)
	before := w.Evidence(c, true)
	w.Check()

	w.Forward(23 * time.Hour)
	fixture.Await(w, c, "to be there for a day", func(*v1alpha1.Case) bool { return true })
	w.Forward(2 * time.Hour)
	w.AwaitGone(c)
	if left := w.Records(); len(left) > 0 {
		t.Errorf("records are left: %v", left)
	}
	after := w.Evidence(c, true)
	if before.Entries > after.Entries {
		t.Errorf("the evidence shrank from %d to %d entries", before.Entries, after.Entries)
	}
}

// A case that closes while the bucket cannot be written does not leave, however late it is.
func TestNothingLeavesBeforeItIsSealed(t *testing.T) {
	t.Parallel()
	var disk disk
	w := fixture.NewTenant(t)
	w.Run(fixture.Faults{Bucket: disk.wrap})
	w.AwaitReady()
	c := w.Alert(w.Pod("web-1"))
	q := w.AwaitQuestion(c, "keep")
	disk.full.Store(true)
	w.Judged(w.Decide(fixture.Lead, c, fixture.Answer(q, "keep")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.AwaitRest(c)
	w.Decide(fixture.Analyst, c, fixture.Close("TruePositive", "Confirmed"))
	w.AwaitState(c, v1alpha1.CaseClosed)
	w.Forward(48 * time.Hour)
	fixture.Await(w, evidenceLog(w), "to say that the bucket is unavailable", func(l *v1alpha1.EvidenceLog) bool {
		return meta.IsStatusConditionFalse(l.Status.Conditions, v1alpha1.ReadyCondition)
	})
	var now v1alpha1.Case
	if err := fixture.Admin().Get(t.Context(), client.ObjectKeyFromObject(c), &now); err != nil || !now.DeletionTimestamp.IsZero() {
		t.Fatalf("the case leaves before it is sealed: %v", err)
	}
	disk.full.Store(false)
	w.AwaitGone(c)
	w.Evidence(c, true)
}

// A namespace that is deleted with an open case waits until its records are sealed; then it goes, and the evidence stays.
func TestNamespaceDeletedWithAnOpenCase(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t)
	pod := w.Pod("web-1")
	c := w.Alert(pod)
	w.AwaitQuestion(c, "keep")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	if err := fixture.Admin().Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	w.AwaitGone(ns)
	report := w.Evidence(c, false)
	if want := map[string]int{"Case": 1, "Signal": 1, "PlaybookRun": 1, "Action": 1}; report.Records["Action"] != 1 || report.Records["PlaybookRun"] != 1 {
		t.Errorf("the evidence has %v, want %v", report.Records, want)
	}
	if !w.Isolated(pod) {
		t.Error("the pod was let go with the namespace; nobody decided that")
	}
}

// The operator that sees the namespace go need not be the one that sealed its cases before. The key went with the
// namespace: the records wait, say for what, and are sealed in the operator's log.
func TestNamespaceDeletedWhileTheOperatorIsAway(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	first := w.Run(fixture.Faults{})
	w.AwaitReady()
	c := w.Alert(w.Pod("web-1"))
	w.AwaitQuestion(c, "keep")
	first.Stop()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	if err := fixture.Admin().Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	w.AwaitGone(evidenceLog(w))
	w.Run(fixture.Faults{})
	w.AwaitEvent(ns.Name, "create one, and they are sealed there")
	if left := w.Records(); len(left) != 4 {
		t.Errorf("these records are left: %v; want all four", left)
	}
	w.OperatorLog()
	w.AwaitGone(ns)
	w.Evidence(c, false)
}

// Budgets count what is in the API: a case does not leave while one counts an action of it, however soon its log would let it
// go. Else the next operator would not know what had run.
func TestNothingLeavesThatABudgetCounts(t *testing.T) {
	t.Parallel()
	most := int32(1)
	w := fixture.NewTenant(t, func(o client.Object) {
		switch o := o.(type) {
		case *v1alpha1.EvidenceLog:
			o.Spec.ArchiveAfter = &metav1.Duration{Duration: time.Minute}
		case *v1alpha1.Guardrail:
			o.Spec.Budgets = []v1alpha1.Budget{
				{Name: "isolations", Operations: []string{"kubernetes/isolatePod"}, Max: &most, Per: metav1.Duration{Duration: 6 * time.Hour}},
				{Name: "releases", Operations: []string{"kubernetes/releasePod"}, Max: &most, Per: metav1.Duration{Duration: 24 * time.Hour}},
			}
		}
	})
	first := w.Run(fixture.Faults{})
	w.AwaitReady()
	gone := w.Pod("web-0")
	if err := fixture.Admin().Delete(t.Context(), gone, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	nothingBegan := w.Alert(gone)
	closure := fixture.Close("TruePositive", "It went by itself")
	w.Judged(w.Decide(fixture.Analyst, nothingBegan, closure), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.AwaitState(nothingBegan, v1alpha1.CaseClosed)
	c := w.Alert(w.Pod("web-1"))
	q := w.AwaitQuestion(c, "keep")
	w.Judged(w.Decide(fixture.Lead, c, fixture.Answer(q, "keep")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.AwaitRest(c)
	w.Decide(fixture.Analyst, c, fixture.Close("TruePositive", "Confirmed"))
	w.AwaitState(c, v1alpha1.CaseClosed)
	w.Evidence(c, true)
	w.Forward(2 * time.Hour)
	w.AwaitGone(nothingBegan)
	first.Stop()

	w.Run(fixture.Faults{})
	other := w.Alert(w.Pod("web-2"))
	if q := w.AwaitQuestion(other, "isolate"); !strings.Contains(q.Because, "1 of 1 isolations in the last 6 hours") {
		t.Errorf("it asks because %q", q.Because)
	}
	fixture.Await(w, c, "to be there while it is counted", func(*v1alpha1.Case) bool { return true })
	w.Check()
	w.Forward(5 * time.Hour)
	w.AwaitGone(c)
}
