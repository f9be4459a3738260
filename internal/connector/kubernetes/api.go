// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// resource is one resource of the API server.
type resource struct {
	prefix, group, plural string
}

var (
	pods            = resource{"/api/v1", "", "pods"}
	namespaces      = resource{"/api/v1", "", "namespaces"}
	networkPolicies = resource{"/apis/networking.k8s.io/v1", "networking.k8s.io", "networkpolicies"}
	selfReviews     = resource{"/apis/authentication.k8s.io/v1", "authentication.k8s.io", "selfsubjectreviews"}
)

// String is how RBAC and kubectl call the resource.
func (r resource) String() string {
	if r.group == "" {
		return r.plural
	}
	return r.plural + "." + r.group
}

// api sends single requests: no retry, no redirect, no waiting in line.
// client-go would repeat any request, a write too, on an answer with
// Retry-After, hence MaxRetries(0) on each.
type api struct {
	rest rest.Interface
}

func (a *api) get(ctx context.Context, of resource, namespace, name string, into runtime.Object) error {
	return a.rest.Get().AbsPath(of.prefix).NamespaceIfScoped(namespace, namespace != "").Resource(of.plural).Name(name).
		MaxRetries(0).Do(ctx).Into(into)
}

func (a *api) list(ctx context.Context, of resource, namespace string, into runtime.Object) error {
	return a.rest.Get().AbsPath(of.prefix).Namespace(namespace).Resource(of.plural).
		MaxRetries(0).Do(ctx).Into(into)
}

// create is for reviews, which change nothing.
func (a *api) create(ctx context.Context, of resource, object, into runtime.Object) error {
	return a.rest.Post().AbsPath(of.prefix).Resource(of.plural).Body(object).
		MaxRetries(0).Do(ctx).Into(into)
}

// reply is what is known of one write.
type reply struct {
	// err is nil when the server said that it did it, in an answer that could be read.
	err error
	// notSent says that no connection was had, so that no byte can have left.
	notSent bool
	// created says that the write made the object.
	created bool
}

// apply sends a server-side apply without force: it conflicts with whoever else
// set one of its fields to another value.
func (a *api) apply(ctx context.Context, of resource, namespace, name, manager string, object any, into runtime.Object) reply {
	return a.patch(ctx, types.ApplyYAMLPatchType, of, namespace, name, manager, object, into)
}

// jsonPatch sends an RFC 6902 patch.
func (a *api) jsonPatch(ctx context.Context, of resource, namespace, name, manager string, patch any, into runtime.Object) reply {
	return a.patch(ctx, types.JSONPatchType, of, namespace, name, manager, patch, into)
}

func (a *api) patch(ctx context.Context, kind types.PatchType, of resource, namespace, name, manager string, body any, into runtime.Object) reply {
	raw, err := json.Marshal(body)
	if err != nil {
		return reply{err: err, notSent: true}
	}
	request := a.rest.Patch(kind).AbsPath(of.prefix).Namespace(namespace).Resource(of.plural).Name(name).
		Param("fieldManager", manager).Param("fieldValidation", "Strict").Body(raw)
	return write(ctx, request, into)
}

// remove deletes the object of that name if it still has that uid.
func (a *api) remove(ctx context.Context, of resource, namespace, name string, uid types.UID) reply {
	options := &metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions: &metav1.Preconditions{UID: &uid},
	}
	raw, err := json.Marshal(options)
	if err != nil {
		return reply{err: err, notSent: true}
	}
	request := a.rest.Delete().AbsPath(of.prefix).Namespace(namespace).Resource(of.plural).Name(name).Body(raw)
	return write(ctx, request, &metav1.Status{})
}

// write sends one write. The server is told to give up at the same deadline, so
// that it does not go on with a request that nobody waits for.
func write(ctx context.Context, request *rest.Request, into runtime.Object) reply {
	if err := ctx.Err(); err != nil {
		return reply{err: err, notSent: true}
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		if left <= 0 {
			return reply{err: context.DeadlineExceeded, notSent: true}
		}
		request = request.Timeout(left)
	}
	var asked, got atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
	})
	var code int
	result := request.MaxRetries(0).Do(ctx).StatusCode(&code)
	r := reply{created: code == http.StatusCreated}
	r.err = result.Into(into) // an answer that cannot be read is no acknowledgement
	// Only on evidence: a transport that traces nothing proves nothing.
	r.notSent = r.err != nil && (asked.Load() && !got.Load() || dialFailed(r.err))
	return r
}

// dialFailed reports whether no connection could be made. net/http sends a
// request on a second connection only if the first took none of it, so this
// holds for the whole exchange.
func dialFailed(err error) bool {
	operation, ok := errors.AsType[*net.OpError](err)
	return ok && operation.Op == "dial"
}
