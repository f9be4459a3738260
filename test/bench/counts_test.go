// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const metrics = `# TYPE apiserver_request_total counter
apiserver_request_total{code="201",component="apiserver",dry_run="",group="casebook.dev",resource="cases",scope="resource",subresource="",verb="POST",version="v1alpha1"} 3
apiserver_request_total{code="409",component="apiserver",dry_run="",group="casebook.dev",resource="cases",scope="resource",subresource="status",verb="PUT",version="v1alpha1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="casebook.dev",resource="cases",scope="resource",subresource="status",verb="PUT",version="v1alpha1"} 6
apiserver_request_total{code="201",component="apiserver",dry_run="All",group="casebook.dev",resource="actions",scope="resource",subresource="",verb="POST",version="v1alpha1"} 9
apiserver_request_total{code="200",component="apiserver",dry_run="",group="casebook.dev",resource="cases",scope="resource",subresource="",verb="GET",version="v1alpha1"} 40
apiserver_request_total{code="201",component="apiserver",dry_run="",group="authorization.k8s.io",resource="subjectaccessreviews",scope="cluster",subresource="",verb="POST",version="v1"} 8
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 1.2e+01
apiserver_request_total{code="201",component="apiserver",dry_run="",group="events.k8s.io",resource="events",scope="resource",subresource="",verb="POST",version="v1"} 1
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="events",scope="resource",subresource="",verb="POST",version="v1"} 1
`

func TestWritesAreWhatWasStored(t *testing.T) {
	got, err := parseWrites(metrics)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"POST cases": 3, "PUT cases/status": 6, "PUT leases": 12, "POST events": 2}
	if diff := cmp.Diff(want, got.named(1, func(write) bool { return true })); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if records := got.sum(func(w write) bool { return w.record() }); records != 9 {
		t.Errorf("%v writes of records, want 9", records)
	}
}

func TestWritesSinceAreTheDifference(t *testing.T) {
	a, b := write{verb: "POST", resource: "a"}, write{verb: "POST", resource: "b"}
	got := counts{a: 5, b: 2}.minus(counts{a: 3, b: 2})
	if len(got) != 1 || got[a] != 2 {
		t.Errorf("since: %v, want 2 of a alone", got)
	}
}

func TestMetricsWithoutWritesAreNoZero(t *testing.T) {
	if got, err := parseWrites("apiserver_requests{verb=\"POST\"} 3\n"); err == nil {
		t.Errorf("metrics of another form are read as %v", got)
	}
}

func TestResidentMemoryIsRead(t *testing.T) {
	if got, err := parseMemory("VmPeak:\t 900 kB\nVmRSS:\t   59000 kB\nThreads:\t9\n", "VmRSS"); err != nil || got != 59000<<10 {
		t.Errorf("resident: %d, %v; want %d", got, err, 59000<<10)
	}
	if got, err := parseMemory("Name:\tcasebook\nState:\tZ (zombie)\n", "VmRSS"); err == nil {
		t.Errorf("an ended process is said to have %d bytes", got)
	}
}

func TestFigureBeyondItsBoundIsBroken(t *testing.T) {
	var r report
	for _, b := range bounds {
		r.add(b.name, b.limit)
	}
	if broken := r.broken(); len(broken) > 0 {
		t.Errorf("figures at their bounds are broken: %v", broken)
	}
	r.add(figureCreates, 4.05)
	if diff := cmp.Diff([]string{figureCreates}, r.broken()); diff != "" {
		t.Errorf("broken (-want +got):\n%s", diff)
	}
}
