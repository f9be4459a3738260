// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

const (
	// defaultTimeout is that of spec.timeout.
	defaultTimeout = 10 * time.Second
	// maxClients bounds the cache of clients; past it, it starts over. A client
	// is small and shares its connections with the others.
	maxClients = 1024
)

// Opener opens connectors whose spec has kubernetes. Use New.
type Opener struct {
	base     *rest.Config
	operator types.NamespacedName

	mu      sync.Mutex
	clients map[types.NamespacedName]*api
}

var _ connector.Opener = (*Opener)(nil)

// New returns an Opener that reaches the API server as base says. Base's own
// identity is used to impersonate and for nothing else; its rate limits are not
// used, because an action may not wait behind another tenant's reads, and the
// API server's priority and fairness judges the impersonated account. Operator
// is the ServiceAccount behind base, which messages name as the one to grant
// impersonation to.
func New(base *rest.Config, operator types.NamespacedName) *Opener {
	return &Opener{base: rest.CopyConfig(base), operator: operator, clients: map[types.NamespacedName]*api{}}
}

// Open implements connector.Opener. Clients are kept by ServiceAccount.
func (o *Opener) Open(object *v1alpha1.Connector) (connector.Connector, error) {
	spec := object.Spec.Kubernetes
	if spec == nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason,
			"could not open connector %s/%s: spec.kubernetes is missing: say which ServiceAccount to act as", object.Namespace, object.Name)
	}
	account := types.NamespacedName{Namespace: object.Namespace, Name: spec.ServiceAccountRef.Name}
	// An empty or odd name must not become no impersonation, or that of a user.
	if len(validation.IsDNS1123Label(account.Namespace)) > 0 || len(validation.IsDNS1123Subdomain(account.Name)) > 0 {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason,
			"could not open connector %s/%s: spec.kubernetes.serviceAccountRef.name %q is not the name of a ServiceAccount: write one such as casebook-responder",
			object.Namespace, object.Name, account.Name)
	}
	client, err := o.client(account)
	if err != nil {
		return nil, fmt.Errorf("open connector %s/%s: %w", object.Namespace, object.Name, err)
	}
	timeout := defaultTimeout
	if object.Spec.Timeout != nil {
		timeout = object.Spec.Timeout.Duration
	}
	return &connection{
		api: client, account: account, cluster: spec.Cluster, timeout: timeout,
		grants: grants{account: account, operator: o.operator},
	}, nil
}

// client returns the kept client of a ServiceAccount, or makes one.
func (o *Opener) client(account types.NamespacedName) (*api, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if client, ok := o.clients[account]; ok {
		return client, nil
	}
	client, err := newAPI(o.base, account)
	if err != nil {
		return nil, err
	}
	if len(o.clients) >= maxClients {
		clear(o.clients)
	}
	o.clients[account] = client
	return client, nil
}

// newAPI makes a client that impersonates the account.
func newAPI(base *rest.Config, account types.NamespacedName) (*api, error) {
	config := rest.CopyConfig(base)
	config.Impersonate = rest.ImpersonationConfig{UserName: userName(account)}
	config.QPS, config.RateLimiter = -1, nil
	config.Timeout = 0 // every exchange has its own
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.UserAgent = "casebook-connector"
	config.WarningHandler = rest.NoWarnings{}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	restClient, err := rest.UnversionedRESTClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	return &api{rest: restClient}, nil
}

// userName is how the API server calls a ServiceAccount.
func userName(account types.NamespacedName) string {
	return "system:serviceaccount:" + account.Namespace + ":" + account.Name
}
