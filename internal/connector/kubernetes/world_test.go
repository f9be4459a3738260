// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/conntest"
	"github.com/casebook-dev/casebook/internal/connector/kubernetes"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

const (
	tenant    = "soc"
	responder = "casebook-responder"
	mark      = "rt-0q9wd-isolate-7f3k2"
)

var (
	plane     *controlplane.Plane
	admin     *clientset.Clientset
	operator  *rest.Config // the controllers' own identity, with its own power and no more
	operating = types.NamespacedName{Namespace: "casebook-system", Name: "casebook-controllers"}
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if plane, err = controlplane.Start(controlplane.Options{}); err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := plane.Stop(); err == nil {
			err = stopErr
		}
	}()
	if admin, err = clientset.NewForConfig(plane.Config()); err != nil {
		return 1, err
	}
	ctx := context.Background()
	for _, account := range []types.NamespacedName{operating, {Namespace: tenant, Name: responder}, {Namespace: tenant, Name: "unlent"}} {
		if err := makeAccount(ctx, account); err != nil {
			return 1, err
		}
	}
	if operator, err = plane.ServiceAccount(ctx, operating.Namespace, operating.Name); err != nil {
		return 1, err
	}
	if err := lend(ctx, responder); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func makeAccount(ctx context.Context, account types.NamespacedName) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: account.Namespace}}
	if _, err := admin.CoreV1().Namespaces().Get(ctx, account.Namespace, metav1.GetOptions{}); err != nil {
		if _, err := admin.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	object := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account.Name}}
	_, err := admin.CoreV1().ServiceAccounts(account.Namespace).Create(ctx, object, metav1.CreateOptions{})
	return err
}

// lend lets the operator act as a ServiceAccount of the tenant, as the tenant's administrator would.
func lend(ctx context.Context, name string) error {
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{name}, Verbs: []string{"impersonate"}}}
	if err := grant(ctx, tenant, "impersonate-"+name, operating, rules); err != nil {
		return err
	}
	return awaitAccess(ctx, operating, true, authorizationv1.ResourceAttributes{
		Namespace: tenant, Verb: "impersonate", Resource: "serviceaccounts", Name: name,
	})
}

// grant gives an account rules in a namespace.
func grant(ctx context.Context, namespace, name string, account types.NamespacedName, rules []rbacv1.PolicyRule) error {
	meta := metav1.ObjectMeta{Name: name}
	if _, err := admin.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := admin.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: account.Namespace, Name: account.Name}},
	}, metav1.CreateOptions{})
	return err
}

// awaitAccess waits until the authorizer, which learns of RBAC by a watch, says allowed or not.
func awaitAccess(ctx context.Context, account types.NamespacedName, allowed bool, of authorizationv1.ResourceAttributes) error {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + account.Namespace + ":" + account.Name,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + account.Namespace, "system:authenticated"}, ResourceAttributes: &of,
	}}
	err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		answer, err := admin.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed == allowed, err
	})
	if err != nil {
		return fmt.Errorf("wait for access of %s to %+v to be %t: %w", account, of, allowed, err)
	}
	return nil
}

// responderRules are what the documentation asks a tenant to grant.
func responderRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "patch"}},
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets", "deployments", "statefulsets", "daemonsets"}, Verbs: []string{"get"}},
		{APIGroups: []string{"batch"}, Resources: []string{"jobs", "cronjobs"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get"}},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"get", "list", "create", "patch", "delete"}},
	}
}

// shop is a namespace with a pod, in which the responder has some rules.
type shop struct {
	t    testing.TB
	name string
	pod  *corev1.Pod
	wire *conntest.Wire
	conn connector.Connector
}

var shops atomic.Int64

// newShop makes a namespace with a pod, and a connector that reaches it.
func newShop(tb testing.TB, rules []rbacv1.PolicyRule) *shop {
	tb.Helper()
	s := &shop{t: tb, name: fmt.Sprintf("shop-%d", shops.Add(1)), wire: &conntest.Wire{}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.name, Labels: map[string]string{"tier": "1"}}}
	if _, err := admin.CoreV1().Namespaces().Create(tb.Context(), namespace, metav1.CreateOptions{}); err != nil {
		tb.Fatal(err)
	}
	s.pod = s.makePod("web", nil)
	if len(rules) > 0 {
		account := types.NamespacedName{Namespace: tenant, Name: responder}
		if err := grant(tb.Context(), s.name, "responder", account, rules); err != nil {
			tb.Fatal(err)
		}
		last := rules[len(rules)-1]
		s.await(true, last.APIGroups[0], last.Resources[0], last.Verbs[0])
	}
	config := rest.CopyConfig(operator)
	config.Wrap(s.wire.Wrap)
	s.conn = open(tb, config, connectorObject(responder))
	return s
}

func connectorObject(account string) *v1alpha1.Connector {
	return &v1alpha1.Connector{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "kubernetes"},
		Spec:       v1alpha1.ConnectorSpec{Kubernetes: &v1alpha1.KubernetesConnector{ServiceAccountRef: v1alpha1.LocalRef{Name: account}}},
	}
}

func open(tb testing.TB, config *rest.Config, object *v1alpha1.Connector) connector.Connector {
	tb.Helper()
	conn, err := kubernetes.New(config, operating).Open(object)
	if err != nil {
		tb.Fatal(err)
	}
	return conn
}

func (s *shop) await(allowed bool, group, resource, verb string) {
	s.t.Helper()
	err := awaitAccess(s.t.Context(), types.NamespacedName{Namespace: tenant, Name: responder}, allowed,
		authorizationv1.ResourceAttributes{Namespace: s.name, Group: group, Resource: resource, Verb: verb})
	if err != nil {
		s.t.Fatal(err)
	}
}

// makePod makes a pod; no node runs it, so it stays Pending.
func (s *shop) makePod(name string, change func(*corev1.Pod)) *corev1.Pod {
	s.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "registry.example/web:1"}}},
	}
	if change != nil {
		change(pod)
	}
	made, err := admin.CoreV1().Pods(s.name).Create(s.t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return made
}

func (s *shop) input() map[string]any {
	return map[string]any{"namespace": s.name, "name": s.pod.Name, "uid": string(s.pod.UID)}
}

func (s *shop) request(operation string) connector.Request {
	s.t.Helper()
	target, err := s.conn.Target(operation, s.input())
	if err != nil {
		s.t.Fatal(err)
	}
	return connector.Request{Operation: operation, Input: s.input(), Target: target, Mark: mark}
}

// do sends an operation that must be acknowledged.
func (s *shop) do(operation string) {
	s.t.Helper()
	if result := s.conn.Do(s.t.Context(), s.request(operation)); result.Outcome != v1alpha1.OutcomeAcknowledged {
		s.t.Fatalf("Do of %s = %+v", operation, result)
	}
}

// now is the pod of the name, whichever it is.
func (s *shop) now() *corev1.Pod {
	s.t.Helper()
	pod, err := admin.CoreV1().Pods(s.name).Get(s.t.Context(), s.pod.Name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return pod
}

// policies are the names of the network policies there.
func (s *shop) policies() []string {
	s.t.Helper()
	list, err := admin.NetworkingV1().NetworkPolicies(s.name).List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, policy := range list.Items {
		names = append(names, policy.Name)
	}
	return names
}

// relabel sets the isolation label as someone else; empty removes it.
func (s *shop) relabel(value string) {
	s.t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"labels":{"casebook.dev/isolated":%q}}}`, value)
	if value == "" {
		patch = `{"metadata":{"labels":{"casebook.dev/isolated":null}}}`
	}
	_, err := admin.CoreV1().Pods(s.name).Patch(s.t.Context(), s.pod.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "rival"})
	if err != nil {
		s.t.Fatal(err)
	}
}

// deletePod deletes the pod at once.
func (s *shop) deletePod() {
	s.t.Helper()
	now := int64(0)
	if err := admin.CoreV1().Pods(s.name).Delete(s.t.Context(), s.pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		s.t.Fatal(err)
	}
}
