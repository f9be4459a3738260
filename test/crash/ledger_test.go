// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/kubernetes"
	"github.com/casebook-dev/casebook/test/fixture"
)

// ledger is what the target of a story saw, whoever sent it.
type ledger struct {
	t     testing.TB
	world *fixture.World

	mu       sync.Mutex
	policies map[watch.EventType]int
	marks    []string       // of the pod, one after the other
	sent     map[string]int // calls of Do, by key and deadline: by attempt
}

// keepLedger watches the shop until the test ends.
func keepLedger(t testing.TB, w *fixture.World, pod *corev1.Pod) *ledger {
	t.Helper()
	l := &ledger{t: t, world: w, policies: map[watch.EventType]int{}, sent: map[string]int{}, marks: []string{""}}
	l.watch(&networkingv1.NetworkPolicyList{}, func(e watch.Event) { l.policies[e.Type]++ })
	l.watch(&corev1.PodList{}, func(e watch.Event) {
		seen, ok := e.Object.(*corev1.Pod)
		if !ok || seen.UID != pod.UID {
			return
		}
		if mark := seen.Labels[kubernetes.IsolatedLabel]; mark != l.marks[len(l.marks)-1] {
			l.marks = append(l.marks, mark)
		}
	})
	return l
}

func (l *ledger) watch(list client.ObjectList, note func(watch.Event)) {
	l.t.Helper()
	events, err := fixture.Admin().Watch(context.Background(), list, client.InNamespace(l.world.Shop))
	if err != nil {
		l.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range events.ResultChan() {
			l.mu.Lock()
			note(e)
			l.mu.Unlock()
		}
	}()
	l.t.Cleanup(func() {
		events.Stop()
		<-done
	})
}

// connectors wraps what opens connectors, so that every send is seen, and wants it to be announced.
func (l *ledger) connectors(next connector.Opener) connector.Opener { return opener{next, l} }

type opener struct {
	connector.Opener
	ledger *ledger
}

// Open implements connector.Opener.
func (o opener) Open(object *v1alpha1.Connector) (connector.Connector, error) {
	opened, err := o.Opener.Open(object)
	return watched{opened, o.ledger}, err
}

type watched struct {
	connector.Connector
	ledger *ledger
}

// Do implements connector.Connector.
func (c watched) Do(ctx context.Context, request connector.Request) connector.Result {
	if err := c.ledger.announced(ctx, request); err != nil {
		c.ledger.t.Error(err)
	}
	return c.Connector.Do(ctx, request)
}

// announced wants a stored Action whose last attempt has the request's key, deadline and no outcome, and no attempt to be
// sent twice.
func (l *ledger) announced(ctx context.Context, request connector.Request) error {
	attempt := request.Key + request.Deadline.String()
	l.mu.Lock()
	l.sent[attempt]++
	again := l.sent[attempt] > 1
	l.mu.Unlock()
	if again {
		return fmt.Errorf("%s on %+v is sent twice in one attempt", request.Operation, request.Target)
	}
	var list v1alpha1.ActionList
	if err := fixture.Admin().List(context.WithoutCancel(ctx), &list, client.InNamespace(l.world.Namespace)); err != nil {
		return err
	}
	for _, a := range list.Items {
		if n := len(a.Status.Attempts); n > 0 {
			last := a.Status.Attempts[n-1]
			if last.Key == request.Key && last.Outcome == "" && last.DeadlineTime.Time.Equal(request.Deadline) && a.Spec.Target == request.Target {
				return nil
			}
		}
	}
	return fmt.Errorf("%s on %+v is sent, and no stored action announces it", request.Operation, request.Target)
}

// check wants the target to have seen what the story says: an operation whose outcome died with its operator may be sent
// in another attempt, because it is idempotent, and changes nothing then.
func (l *ledger) check(s story) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.policies[watch.Added] != s.made || l.policies[watch.Deleted] != s.deleted {
		l.t.Errorf("network policies were made and changed like this: %v, want %d made and %d deleted", l.policies, s.made, s.deleted)
	}
	if len(l.marks) != s.marks {
		l.t.Errorf("the pod was marked %q, want %d changes", l.marks, s.marks-1)
	}
	if len(l.sent) < s.marks-1 {
		l.t.Errorf("%d attempts were sent, want at least %d", len(l.sent), s.marks-1)
	}
}

// made is how many network policies were ever made.
func (l *ledger) made() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.policies[watch.Added]
}
