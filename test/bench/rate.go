// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

const (
	// steadyCases come at steadyEvery, whatever became of those before.
	steadyCases = 40
	steadyEvery = 500 * time.Millisecond
	// burstCases come as fast as the gateway keeps them, from burstWorkers at once.
	burstCases   = 100
	burstWorkers = 8
	// barePairs are the bare writes that a burst is compared with.
	barePairs = 200
)

// hosts is a target over HTTP: PUT sets whether a host is contained, GET reads it. It notes when the first byte of each
// change arrived.
type hosts struct {
	mu        sync.Mutex
	contained map[string]bool
	first     map[string]time.Time
	repeated  int
}

// ServeHTTP serves /hosts/{name} and /hosts/{name}/contained.
func (h *hosts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	name, change := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/hosts/"), "/contained")
	h.mu.Lock()
	defer h.mu.Unlock()
	if change {
		if _, known := h.first[name]; known {
			h.repeated++
		}
		h.first[name] = arrived
		var to bool
		if json.NewDecoder(r.Body).Decode(&to) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		h.contained[name] = to
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "contained": h.contained[name]})
}

func (h *hosts) arrival(name string) (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, ok := h.first[name]
	return at, ok
}

func (h *hosts) arrivals() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.first)
}

// rate measures how soon the first byte of an unattended action reaches its target at a steady rate, and how many cases
// a second are worked to their end, as API writes over what bare writes reach.
func (b *bench) rate(ctx context.Context) error {
	s, err := b.open(ctx)
	if err != nil {
		return err
	}
	target := &hosts{contained: map[string]bool{}, first: map[string]time.Time{}}
	server := httptest.NewServer(target)
	defer server.Close()
	if err := s.apply(ctx, "bare.yaml"); err != nil {
		return err
	}
	text, err := testdata.ReadFile("testdata/rate.yaml")
	if err != nil {
		return err
	}
	if err := s.Kubectl(ctx, []byte(strings.Replace(string(text), "BASEURL", server.URL, 1)), []string{"apply", "-f", "-"},
		[]string{"wait", "--for=condition=Established", "--timeout=60s", "crd/bares.bench.example.com"}); err != nil {
		return err
	}
	if err := s.AwaitReady(ctx); err != nil {
		return s.WithLog(err)
	}
	if err := b.steady(ctx, s, target); err != nil {
		return s.WithLog(err)
	}
	if err := b.burst(ctx, s, target); err != nil {
		return s.WithLog(err)
	}
	if target.repeated > 0 {
		return fmt.Errorf("%d changes arrived twice", target.repeated)
	}
	return nil
}

// steady sends alerts at two a second, each with a bare write between.
func (b *bench) steady(ctx context.Context, s *rig, target *hosts) error {
	if _, err := s.quiet(ctx, 2); err != nil {
		return err
	}
	kept := map[string]time.Time{}
	var bare []time.Duration
	tick := time.NewTicker(steadyEvery)
	defer tick.Stop()
	for i := range steadyCases {
		name := fmt.Sprintf("steady-%03d", i)
		if err := s.send(ctx, name); err != nil {
			return err
		}
		kept[name] = time.Now()
		<-tick.C // by now the case is done; the bare write shares the machine with nothing else
		took, err := s.writeBare(ctx, 1000+i)
		if err != nil {
			return err
		}
		bare = append(bare, took)
	}
	var firstByte []time.Duration
	for name, since := range kept {
		if err := site.Await(ctx, "the change of "+name, func() (bool, string) {
			_, ok := target.arrival(name)
			return ok, "nothing arrived"
		}); err != nil {
			return err
		}
		at, _ := target.arrival(name)
		firstByte = append(firstByte, at.Sub(since))
	}
	b.report.add(figureFirstByte, median(firstByte).Seconds()/median(bare).Seconds())
	b.report.detail("milliseconds at 2 signals/s, medians", map[string]float64{
		"kept to first byte at the target": float64(median(firstByte).Microseconds()) / 1e3, bareWrites: float64(median(bare).Microseconds()) / 1e3,
	})
	return nil
}

// burst works many cases to their end, and compares the writes they took with what bare writes reach.
func (b *bench) burst(ctx context.Context, s *rig, target *hosts) error {
	creates, statuses, bareRate, err := s.bareRate(ctx)
	if err != nil {
		return err
	}
	before, err := s.quiet(ctx, 2)
	if err != nil {
		return err
	}
	began := time.Now()
	var group errgroup.Group
	group.SetLimit(burstWorkers)
	for i := range burstCases {
		group.Go(func() error { return s.send(ctx, fmt.Sprintf("burst-%03d", i)) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	// The target tells when it is nearly done: whoever lists all cases all the time slows what is measured.
	if err := site.Await(ctx, "every change to arrive", func() (bool, string) {
		arrived := target.arrivals()
		return arrived == steadyCases+burstCases, fmt.Sprintf("%d arrived", arrived)
	}); err != nil {
		return err
	}
	if err := site.Await(ctx, "every case to be closed", func() (bool, string) {
		var list v1alpha1.CaseList
		if err := s.Admin.List(ctx, &list, client.InNamespace(site.Tenant), client.MatchingLabels{v1alpha1.TypeLabel: "a-rate"}); err != nil {
			return false, err.Error()
		}
		closed := 0
		for _, c := range list.Items {
			if c.Status.State == v1alpha1.CaseClosed {
				closed++
			}
		}
		return closed == steadyCases+burstCases, fmt.Sprintf("%d of %d", closed, steadyCases+burstCases)
	}); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	after, err := countWrites(ctx, s.Plane)
	if err != nil {
		return err
	}
	made := after.minus(before)
	weighted := made.sum(func(w write) bool { return w.record() && w.verb == "POST" && w.subresource == "" })*creates +
		made.sum(func(w write) bool { return w.record() && w.subresource == "status" })*statuses
	b.report.add(figureSustained, weighted/took/bareRate)
	b.report.detail("a burst of cases with a verified action", map[string]float64{
		"cases": burstCases, "cases per second": burstCases / took, "bare pairs of writes per second": bareRate / (creates + statuses),
	})
	return nil
}

// send posts an alert about a host of its own.
func (s *rig) send(ctx context.Context, name string) error {
	body := alert(0, time.Now())
	body["rule"] = "Rate"
	body["output_fields"].(map[string]any)["k8s.pod.name"] = name
	body["output"] = "Rate " + name
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.post(ctx, payload)
}

// bareRate writes what a case's records are, and nothing else: Signals with a status as long as an action's, with the
// controllers' own rights, from as many workers as a burst has. It returns what each kind of write costs relative to a
// create, and the weighted writes per second.
func (s *rig) bareRate(ctx context.Context) (create, status, rate float64, err error) {
	config, err := s.Plane.ServiceAccount(ctx, "casebook-system", "casebook-controllers")
	if err != nil {
		return 0, 0, 0, err
	}
	config.QPS = -1
	operator, err := client.New(config, client.Options{Scheme: kube.Scheme()})
	if err != nil {
		return 0, 0, 0, err
	}
	var signals v1alpha1.SignalList
	var actions v1alpha1.ActionList
	if err := errors.Join(s.Admin.List(ctx, &signals, client.InNamespace(site.Tenant)), s.Admin.List(ctx, &actions, client.InNamespace(site.Tenant))); err != nil {
		return 0, 0, 0, err
	}
	var mu sync.Mutex
	var createTook, statusTook time.Duration
	began := time.Now()
	var group errgroup.Group
	group.SetLimit(burstWorkers)
	for i := range barePairs {
		group.Go(func() error {
			o := &v1alpha1.Signal{Spec: *signals.Items[0].Spec.DeepCopy()}
			o.Namespace, o.Name, o.Spec.CaseRef.Name = site.Tenant, fmt.Sprintf("bare-%03d", i), "bare"
			at := time.Now()
			if err := operator.Create(ctx, o); err != nil {
				return err
			}
			made := time.Now()
			seen := metav1.NowMicro()
			o.Status.Count, o.Status.LastSeenTime, o.Status.Journal = 2, &seen, actions.Items[0].Status.Journal
			err := operator.Status().Update(ctx, o)
			mu.Lock()
			defer mu.Unlock()
			createTook, statusTook = createTook+made.Sub(at), statusTook+time.Since(made)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, 0, 0, err
	}
	status = statusTook.Seconds() / createTook.Seconds()
	return 1, status, barePairs * (1 + status) / time.Since(began).Seconds(), nil
}
