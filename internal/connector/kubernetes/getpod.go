// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// object is any object of the API.
type object interface {
	metav1.Object
	runtime.Object
}

// ownerKind is a kind that may own a pod, or own such an owner.
type ownerKind struct {
	resource
	empty func() object
}

// ownerKinds are those that can be read, by kind and API group and version.
var ownerKinds = map[metav1.TypeMeta]ownerKind{
	{Kind: "ReplicaSet", APIVersion: "apps/v1"}:  {resource{"/apis/apps/v1", "apps", "replicasets"}, func() object { return &appsv1.ReplicaSet{} }},
	{Kind: "Deployment", APIVersion: "apps/v1"}:  {resource{"/apis/apps/v1", "apps", "deployments"}, func() object { return &appsv1.Deployment{} }},
	{Kind: "StatefulSet", APIVersion: "apps/v1"}: {resource{"/apis/apps/v1", "apps", "statefulsets"}, func() object { return &appsv1.StatefulSet{} }},
	{Kind: "DaemonSet", APIVersion: "apps/v1"}:   {resource{"/apis/apps/v1", "apps", "daemonsets"}, func() object { return &appsv1.DaemonSet{} }},
	{Kind: "Job", APIVersion: "batch/v1"}:        {resource{"/apis/batch/v1", "batch", "jobs"}, func() object { return &batchv1.Job{} }},
	{Kind: "CronJob", APIVersion: "batch/v1"}:    {resource{"/apis/batch/v1", "batch", "cronjobs"}, func() object { return &batchv1.CronJob{} }},
}

// maxOwners bounds the way up from a pod; two is the longest of those known.
const maxOwners = 4

// workload is the topmost owner as far as it could be followed.
type workload struct {
	kind string
	meta metav1.Object
}

func (c *connection) getPod(ctx context.Context, namespace, name string) (any, error) {
	pod, err := c.readPod(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	if pod == nil {
		return map[string]any{"found": false}, nil
	}
	top, notes, err := c.topOwner(ctx, pod)
	if err != nil {
		return nil, err
	}
	by, isolated := pod.Labels[IsolatedLabel]
	result := map[string]any{
		"found": true,
		"pod": map[string]any{
			"name": pod.Name, "namespace": pod.Namespace, "uid": string(pod.UID), "labels": anyMap(pod.Labels),
			"node": pod.Spec.NodeName, "phase": string(pod.Status.Phase),
			"serviceAccount": pod.Spec.ServiceAccountName, "images": images(pod.Spec),
		},
		"workload": map[string]any{
			"kind": top.kind, "name": top.meta.GetName(), "namespace": namespace, "uid": string(top.meta.GetUID()),
			"labels": anyMap(top.meta.GetLabels()), "annotations": anyMap(top.meta.GetAnnotations()),
		},
		"isolated": isolated, "isolatedBy": by,
	}
	more, err := c.namespaceLabels(ctx, namespace, result)
	if notes = append(notes, more...); len(notes) > 0 {
		result["notes"] = notes
	}
	return result, err
}

// topOwner follows controller references up from the pod. An owner of a kind
// that it does not know, or that is gone, ends the way with what the reference says.
func (c *connection) topOwner(ctx context.Context, pod *corev1.Pod) (workload, []any, error) {
	top := workload{"Pod", pod}
	for range maxOwners {
		reference := metav1.GetControllerOf(top.meta)
		if reference == nil {
			return top, nil, nil
		}
		named := &metav1.ObjectMeta{Name: reference.Name, Namespace: pod.Namespace, UID: reference.UID}
		kind, known := ownerKinds[metav1.TypeMeta{Kind: reference.Kind, APIVersion: reference.APIVersion}]
		if !known {
			note := fmt.Sprintf("the labels of %s %s are not read: kind %s is not known to getPod", reference.Kind, reference.Name, reference.Kind)
			return workload{reference.Kind, named}, []any{note}, nil
		}
		owner := kind.empty()
		err := c.api.get(ctx, kind.resource, pod.Namespace, reference.Name, owner)
		if apierrors.IsNotFound(err) || err == nil && owner.GetUID() != reference.UID {
			note := fmt.Sprintf("%s %s with uid %s no longer exists", reference.Kind, reference.Name, reference.UID)
			return workload{reference.Kind, named}, []any{note}, nil
		}
		if err != nil {
			return top, nil, c.readFault(err, "get", kind.resource, pod.Namespace,
				fmt.Sprintf("%s %s/%s, which owns the pod", reference.Kind, pod.Namespace, reference.Name))
		}
		top = workload{reference.Kind, owner}
	}
	return top, nil, nil
}

// namespaceLabels adds the labels of the namespace. A tenant that may not read
// them gets the rest and a note.
func (c *connection) namespaceLabels(ctx context.Context, name string, result map[string]any) ([]any, error) {
	namespace := &corev1.Namespace{}
	err := c.api.get(ctx, namespaces, "", name, namespace)
	if apierrors.IsForbidden(err) && !impersonationDenied(err) {
		return []any{"namespaceLabels are left out: " + c.missing("get", namespaces, name)}, nil
	}
	if err != nil {
		return nil, c.readFault(err, "get", namespaces, name, "namespace "+name)
	}
	result["namespaceLabels"] = anyMap(namespace.Labels)
	return nil, nil
}

// images are those of all containers, each once, in order.
func images(spec corev1.PodSpec) []any {
	var found []any
	add := func(image string) {
		if !slices.Contains(found, any(image)) {
			found = append(found, image)
		}
	}
	for _, container := range spec.Containers {
		add(container.Image)
	}
	for _, container := range spec.InitContainers {
		add(container.Image)
	}
	for _, container := range spec.EphemeralContainers {
		add(container.Image)
	}
	return found
}

// anyMap is a JSON object; never nil, so that an expression may look into it.
func anyMap(values map[string]string) map[string]any {
	result := make(map[string]any, len(values))
	for key, value := range values {
		result[key] = value
	}
	return result
}
