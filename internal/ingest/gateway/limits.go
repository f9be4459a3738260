// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// limits holds a token bucket for each Source: its rate a minute, of which ten
// seconds' worth may come at once.
type limits struct {
	mu      sync.Mutex
	buckets map[types.UID]*rate.Limiter
}

// maxBuckets is when all are forgotten: Sources that are gone leave theirs behind.
const maxBuckets = 10_000

// take counts one request, or says how long to wait before the next.
func (l *limits) take(source *v1alpha1.Source, now time.Time) (time.Duration, bool) {
	perMinute := source.Spec.Webhook.RequestsPerMinute
	limit, burst := rate.Limit(float64(perMinute)/60), max(1, int(perMinute/6))
	l.mu.Lock()
	if l.buckets == nil || len(l.buckets) > maxBuckets {
		l.buckets = map[types.UID]*rate.Limiter{}
	}
	bucket := l.buckets[source.UID]
	if bucket == nil {
		bucket = rate.NewLimiter(limit, burst)
		l.buckets[source.UID] = bucket
	}
	l.mu.Unlock()
	if bucket.Limit() != limit {
		bucket.SetLimitAt(now, limit)
		bucket.SetBurstAt(now, burst)
	}
	reservation := bucket.ReserveN(now, 1)
	if wait := reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return wait, false
	}
	return 0, true
}
