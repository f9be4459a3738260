// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// errNotInTime says that an object did not become what was waited for before the context ended.
var errNotInTime = errors.New("it did not come in time")

// await waits until an object is as done says, and returns it as last seen. The object may not exist yet. The error is
// errNotInTime when the context ends first.
func await[T client.Object](ctx context.Context, c *cluster, object T, list client.ObjectList, done func(T) bool) (T, error) {
	for {
		err := c.Get(ctx, client.ObjectKeyFromObject(object), object)
		switch {
		case ctx.Err() != nil:
			return object, errNotInTime
		case err == nil && done(object):
			return object, nil
		case err != nil && !apierrors.IsNotFound(err):
			return object, err
		}
		options := []client.ListOption{
			client.InNamespace(object.GetNamespace()), client.MatchingFields{"metadata.name": object.GetName()},
			&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: object.GetResourceVersion()}},
		}
		watcher, err := c.Watch(ctx, list, options...)
		if err != nil {
			if ctx.Err() != nil {
				return object, errNotInTime
			}
			return object, err
		}
		latest, over := follow(watcher, object, done)
		watcher.Stop()
		object = latest
		if over {
			return object, nil
		}
	}
}

// follow reads a watch until the object is as done says (true) or the watch ends (false).
func follow[T client.Object](watcher watch.Interface, object T, done func(T) bool) (T, bool) {
	for event := range watcher.ResultChan() {
		if event.Type != watch.Added && event.Type != watch.Modified {
			return object, false // deleted, or the watch is too old: read again
		}
		if next, ok := event.Object.(T); ok {
			object = next
		}
		if done(object) {
			return object, true
		}
	}
	return object, false
}
