// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

// caseCount is how many automated cases run, one after the other.
const caseCount = 20

// cases measures what an automated case with one action costs in API writes, and how long it takes to act, compared with
// a bare create and status write that are made between the cases.
func (b *bench) cases(ctx context.Context) error {
	s, err := b.open(ctx)
	if err != nil {
		return err
	}
	if err := s.automate(ctx); err != nil {
		return s.WithLog(err)
	}
	before, err := s.quiet(ctx, 3)
	if err != nil {
		return err
	}
	took := map[string][]time.Duration{}
	for i := range caseCount {
		if err := s.runCase(ctx, i, took); err != nil {
			return s.WithLog(fmt.Errorf("case %d: %w", i, err))
		}
		bare, err := s.writeBare(ctx, i)
		if err != nil {
			return fmt.Errorf("write a bare object: %w", err)
		}
		took[bareWrites] = append(took[bareWrites], bare)
	}
	after, err := s.quiet(ctx, 5)
	if err != nil {
		return err
	}
	b.judgeCases(after.minus(before))
	b.report.add(figureAcknowledged, median(took[toAcknowledged]).Seconds()/median(took[bareWrites]).Seconds())
	inMillis := map[string]float64{}
	for what, each := range took {
		inMillis[what] = float64(median(each).Microseconds()) / 1e3
	}
	b.report.detail("milliseconds, medians", inMillis)
	return nil
}

// What is timed. The stations between are times that the records themselves tell, each just before it is written.
const (
	bareWrites     = "bare create and status write"
	toKept         = "alert sent to answered as kept"
	toEnriched     = "kept to case enriched and run made"
	toPlanned      = "kept to action made"
	toAnnounced    = "kept to attempt announced"
	toAcknowledged = "kept to acknowledged"
)

func (b *bench) judgeCases(since counts) {
	ours := func(w write) bool { return w.record() }
	creates := func(w write) bool { return w.record() && w.verb == "POST" && w.subresource == "" }
	statuses := func(w write) bool { return w.record() && w.verb != "POST" && w.subresource == "status" }
	b.report.add(figureCreates, since.sum(creates)/caseCount)
	b.report.add(figureStatusWrites, since.sum(statuses)/caseCount)
	b.report.add(figureOtherWrites, since.sum(func(w write) bool { return w.record() && !creates(w) && !statuses(w) })/caseCount)
	b.report.add(figureEvents, since.sum(write.event)/caseCount)
	b.report.detail("API writes per automated case: of its records", since.named(caseCount, func(w write) bool { return ours(w) || w.event() }))
	b.report.detail(fmt.Sprintf("API writes while %d cases ran: all others", caseCount), since.named(1, func(w write) bool { return !ours(w) && !w.event() }))
}

// automate makes the tenant respond without asking, and what it will respond to.
func (s *rig) automate(ctx context.Context) error {
	for _, name := range []string{"playbook.yaml", "casetype.yaml", "bare.yaml"} {
		if err := s.apply(ctx, name); err != nil {
			return err
		}
	}
	if err := s.Kubectl(ctx, nil, []string{"wait", "--for=condition=Established", "--timeout=60s", "crd/bares.bench.example.com"}); err != nil {
		return err
	}
	for i := range caseCount {
		if err := s.Admin.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: podName(i), Namespace: shop, Labels: map[string]string{"app": "web"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "registry.example.com/shop/web:1.4.2"}}},
		}); err != nil {
			return err
		}
	}
	return s.AwaitReady(ctx)
}

func podName(i int) string { return fmt.Sprintf("web-%02d", i) }

// runCase sends an alert, waits until its case is done, and notes how long it took until each station.
func (s *rig) runCase(ctx context.Context, i int, took map[string][]time.Duration) error {
	payload, err := json.Marshal(alert(i, time.Now()))
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.post(ctx, payload); err != nil {
		return err
	}
	kept := time.Now()
	took[toKept] = append(took[toKept], kept.Sub(began))
	note := func(station string, at time.Time) { took[station] = append(took[station], at.Sub(kept)) }
	var a v1alpha1.Action
	var c v1alpha1.Case
	if err := site.Await(ctx, "the case to be closed", func() (ok bool, seen string) {
		a, c, seen = s.outcome(ctx, i)
		return seen == "", seen
	}); err != nil {
		return err
	}
	var run v1alpha1.PlaybookRun
	if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: site.Tenant, Name: a.Spec.RunRef.Name}, &run); err != nil {
		return err
	}
	note(toEnriched, firstEntry(&c))
	note(toPlanned, firstEntry(&run))
	note(toAnnounced, a.Status.Attempts[0].StartTime.Time)
	note(toAcknowledged, a.Status.Attempts[0].EndTime.Time)
	return nil
}

// firstEntry is when a record's status was first written.
func firstEntry(o interface{ Head() *v1alpha1.StatusHead }) time.Time {
	if journal := o.Head().Journal; len(journal) > 0 {
		return journal[0].Time.Time
	}
	return time.Time{}
}

// outcome is the action on a pod and its case, once the one was acknowledged and the other is closed; else what was seen.
func (s *rig) outcome(ctx context.Context, i int) (a v1alpha1.Action, c v1alpha1.Case, seen string) {
	var actions v1alpha1.ActionList
	if err := s.Admin.List(ctx, &actions, client.InNamespace(site.Tenant)); err != nil {
		return a, c, err.Error()
	}
	at := slices.IndexFunc(actions.Items, func(a v1alpha1.Action) bool { return a.Spec.Target.Name == podName(i) })
	if at < 0 {
		return a, c, "there is no action on pod " + podName(i)
	}
	a = actions.Items[at]
	attempts := a.Status.Attempts
	if a.Status.State != v1alpha1.ActionSucceeded || len(attempts) != 1 || attempts[0].Outcome != v1alpha1.OutcomeAcknowledged {
		return a, c, fmt.Sprintf("action %s: %+v", a.Name, a.Status)
	}
	if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: site.Tenant, Name: a.Spec.CaseRef.Name}, &c); err != nil {
		return a, c, err.Error()
	}
	if c.Status.State != v1alpha1.CaseClosed {
		return a, c, fmt.Sprintf("case %s: %s", c.Name, c.Status.State)
	}
	return a, c, ""
}

func (s *rig) post(ctx context.Context, payload []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Gateway+"/v1/"+site.Tenant+"/falco", bytes.NewReader(payload))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.Token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err == nil && answer.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("the gateway answered %s: %s", answer.Status, body)
	}
	return err
}

// alert is one in Falco's documented JSON output, about a pod of its own.
func alert(i int, at time.Time) map[string]any {
	return map[string]any{
		"hostname": "node-3", "priority": "Error", "rule": "Reverse shell in container", "source": "syscall",
		"tags": []string{"container", "mitre_execution", "network", "T1059"}, "time": at.UTC().Format(time.RFC3339Nano),
		"output": "Reverse shell connection (command=bash -i connection=10.0.3.7:41200->198.51.100.7:4444 pod=" + podName(i) + " ns=" + shop + ")",
		"output_fields": map[string]any{
			"evt.type": "dup2", "user.name": "root", "proc.name": "bash", "proc.cmdline": "bash -i", "proc.pname": "node",
			"fd.name": "10.0.3.7:41200->198.51.100.7:4444", "fd.rip": "198.51.100.7", "container.id": "7a2566e8e462",
			"container.image.repository": "registry.example.com/shop/web", "k8s.ns.name": shop, "k8s.pod.name": podName(i),
		},
	}
}

// writeBare creates a bare object and writes its status, and returns how long both took.
func (s *rig) writeBare(ctx context.Context, i int) (time.Duration, error) {
	o := bareObject(i)
	began := time.Now()
	if err := s.Admin.Create(ctx, o); err != nil {
		return 0, err
	}
	withStatus(o)
	err := s.Admin.Status().Update(ctx, o)
	return time.Since(began), err
}

func bareObject(i int) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"text": strings.Repeat("as long as a case. ", 64)}}}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: "bench.example.com", Version: "v1", Kind: "Bare"})
	o.SetNamespace(site.Tenant)
	o.SetName(fmt.Sprintf("bare-%02d", i))
	return o
}

func withStatus(o *unstructured.Unstructured) {
	o.Object["status"] = map[string]any{"state": "New", "conditions": []any{
		map[string]any{"type": "Enriched", "status": "True", "reason": "LookupsAnswered", "message": "every lookup of the type answered"},
	}}
}
