// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster knows the addresses of the cluster that Casebook runs in, which connectors may not dial: those of its
// API server, nodes, pods and services. It watches what tells them.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/internal/connector"
)

// startTimeout is how long the first look at everything may take.
const startTimeout = 30 * time.Second

// pageSize is how many objects are read at once: of each only its addresses are kept.
const pageSize = 500

// Pauses before a kind is read again.
const (
	afterAnEnd    = time.Second     // of a watch, which the API server ends now and then
	afterAProblem = 5 * time.Second // so that rights that are granted are noticed
)

// Options are what Read needs.
type Options struct {
	// Client reads past any cache. Its scheme knows the built-in kinds.
	Client client.WithWatch
	// Host is how this process reaches the API server: a URL, or a host with or without a port.
	Host string
	// Log is told what cannot be read.
	Log logr.Logger
}

// Addresses are the cluster's own, as last seen.
type Addresses struct {
	client client.WithWatch
	log    logr.Logger

	mu      sync.Mutex
	sources []*source
	host    told
	merged  *connector.Cluster // nil: a source changed since
}

// Read reads the cluster's addresses. What it may not read, or what this cluster does not have, is an unknown of the
// Cluster that is told and no error. Start keeps it all fresh.
func Read(ctx context.Context, o Options) (*Addresses, error) {
	a := &Addresses{client: o.Client, log: o.Log, sources: sources(), host: ofHost(o.Host)}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, s := range a.sources {
		_, objects, err := a.list(ctx, s)
		why := unreadable(s.resource, err)
		if err != nil && why == "" {
			return nil, fmt.Errorf("read the addresses of the cluster: list %s: %w", s.resource, err)
		}
		a.set(s, objects, why)
	}
	return a, nil
}

// Cluster is what is known now. The caller must not change it.
func (a *Addresses) Cluster() connector.Cluster {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.merged == nil {
		merged := merge(a.host, a.sources)
		a.merged = &merged
	}
	return *a.merged
}

// Start watches until the context ends.
func (a *Addresses) Start(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range a.sources {
		all.Go(func() { a.follow(ctx, s) })
	}
	all.Wait()
	return nil
}

// NeedLeaderElection says no: whoever dials asks the process it is in.
func (*Addresses) NeedLeaderElection() bool { return false }

// follow reads one kind and watches it, again and again. While the API server does not answer, what was seen last is what
// there is: then it takes no new node either.
func (a *Addresses) follow(ctx context.Context, s *source) {
	for ctx.Err() == nil {
		pause := afterAnEnd
		if err := a.watch(ctx, s); err != nil && ctx.Err() == nil {
			pause = afterAProblem
			if why := unreadable(s.resource, err); why != "" {
				a.set(s, nil, why)
			} else {
				a.log.Info("Could not watch what tells addresses of the cluster: those seen last are kept from connectors", "resource", s.resource, "why", err.Error())
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// watch takes what there is, once changes to it are told too, and then those.
func (a *Addresses) watch(ctx context.Context, s *source) error {
	version, objects, err := a.list(ctx, s)
	if err != nil {
		return err
	}
	events, err := a.client.Watch(ctx, s.list(), append(s.options, &client.ListOptions{Raw: since(version)})...)
	if err != nil {
		return err
	}
	defer events.Stop()
	a.set(s, objects, "")
	for event := range events.ResultChan() {
		switch event.Type {
		case watch.Added, watch.Modified, watch.Deleted:
			if err := a.change(s, event); err != nil {
				return err
			}
		case watch.Bookmark:
		case watch.Error: // mostly that the version is too old by now
			return apierrors.FromObject(event.Object)
		}
	}
	return nil
}

// list reads a kind and the version it was read at, page by page.
func (a *Addresses) list(ctx context.Context, s *source) (version string, objects map[string]told, err error) {
	objects = map[string]told{}
	for next := ""; ; {
		page := s.list()
		if err := a.client.List(ctx, page, append(s.options, client.Limit(pageSize), client.Continue(next))...); err != nil {
			return "", nil, err
		}
		err := meta.EachListItem(page, func(o runtime.Object) error {
			object, ok := o.(client.Object)
			if !ok {
				return fmt.Errorf("%T is no object", o)
			}
			objects[object.GetName()] = s.read(object)
			return nil
		})
		if err != nil {
			return "", nil, err
		}
		if next = page.GetContinue(); next == "" {
			return page.GetResourceVersion(), objects, nil
		}
	}
}

// set takes what was read of a kind, or why it could not be, which leaves what was seen last.
func (a *Addresses) set(s *source, objects map[string]told, unknown string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch unknown {
	case s.unknown:
	case "":
		a.log.Info("Addresses of the cluster are known now", "resource", s.resource)
	default:
		a.log.Info("Addresses of the cluster are not known: connectors may not dial private addresses, unless they are listed with "+
			"--allow-addresses or the cluster's are with --deny-addresses", "resource", s.resource, "why", unknown)
	}
	if s.unknown = unknown; unknown == "" {
		s.objects = objects
	}
	a.merged = nil
}

func (a *Addresses) change(s *source, event watch.Event) error {
	object, ok := event.Object.(client.Object)
	if !ok {
		return fmt.Errorf("an event of %s is about a %T", s.resource, event.Object)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	name, is := object.GetName(), s.read(object)
	if event.Type == watch.Deleted {
		delete(s.objects, name)
	} else if before, known := s.objects[name]; known && before.equal(is) {
		return nil // a node tells every few minutes that it is well
	} else {
		s.objects[name] = is
	}
	a.merged = nil
	return nil
}

// unreadable says why a kind can't be read until somebody changes that; empty for all else.
func unreadable(resource string, err error) string {
	var missing *meta.NoKindMatchError
	switch {
	case apierrors.IsForbidden(err):
		return "Casebook may not list and watch " + resource
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err), errors.As(err, &missing):
		return "this cluster has no " + resource
	default:
		return ""
	}
}
