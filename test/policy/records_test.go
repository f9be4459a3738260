// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

const recordsPolicy = "casebook-records"

// strangers are those who may be thought of as exceptions, and are none. RBAC lets each of them try.
func strangers() map[string]person {
	named := func(name string) person {
		p := serviceAccount("kube-system", name)
		p.groups = append(p.groups, "system:masters")
		return p
	}
	return map[string]person{
		"system:masters":                admin,
		"the garbage collector":         named("generic-garbage-collector"),
		"the namespace controller":      named("namespace-controller"),
		"the gateway":                   {name: "system:serviceaccount:casebook-system:casebook-gateway", groups: []string{"system:masters"}},
		"controllers of another tenant": {name: "system:serviceaccount:soc:casebook-controllers", groups: []string{"system:masters"}},
	}
}

// Only the controllers create, change and delete records; nobody is an exception.
func TestRecordsAreTheControllers(t *testing.T) {
	ns := namespace(t)
	for _, plural := range recordKinds {
		t.Run(plural, func(t *testing.T) {
			o := record(plural, ns, "r")
			for name, who := range strangers() {
				t.Run("created by "+name, func(t *testing.T) {
					err := clientFor(t, who).Create(t.Context(), record(plural, ns, "forged"))
					refused(t, err, recordsPolicy, who.name+" may not create "+plural+" "+ns+"/forged: records are evidence")
				})
			}
			must(t, controllers(t).Create(t.Context(), o))
			theirs(t, plural, o)
			must(t, controllers(t).Delete(t.Context(), o))
		})
	}
}

// A Decision is its author's for one moment only.
func TestDecisionsAreTheControllersOnceMade(t *testing.T) {
	ns := namespace(t)
	o := record("decisions", ns, "r")
	must(t, clientFor(t, admin).Create(t.Context(), o))
	theirs(t, "decisions", o)
	must(t, controllers(t).Delete(t.Context(), o))
}

// theirs checks that nobody but the controllers changes or deletes an existing record.
func theirs(t *testing.T, plural string, o client.Object) {
	t.Helper()
	subject := plural + " " + o.GetNamespace() + "/" + o.GetName()
	patches := map[string]string{
		"labels":      `{"metadata":{"labels":{"casebook.dev/case":"rt-2"}}}`,
		"annotations": `{"metadata":{"annotations":{"a":"b"}}}`,
		"finalizers":  `{"metadata":{"finalizers":["example.com/hold"]}}`,
		"owners":      `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"1"}]}}`,
	}
	for name, who := range strangers() {
		c := clientFor(t, who)
		for what, patch := range patches {
			t.Run(what+" changed by "+name, func(t *testing.T) {
				err := c.Patch(t.Context(), o.DeepCopyObject().(client.Object), client.RawPatch("application/merge-patch+json", []byte(patch)))
				refused(t, err, recordsPolicy, who.name+" may not update "+subject, "kubectl casebook")
			})
		}
		t.Run("deleted by "+name, func(t *testing.T) {
			refused(t, c.Delete(t.Context(), o.DeepCopyObject().(client.Object)), recordsPolicy, who.name+" may not delete "+subject, "sealed")
		})
		t.Run("deleted with all others by "+name, func(t *testing.T) {
			err := c.DeleteAllOf(t.Context(), o.DeepCopyObject().(client.Object), client.InNamespace(o.GetNamespace()))
			refused(t, err, recordsPolicy, who.name+" may not delete "+subject)
		})
	}
	t.Run("is still there", func(t *testing.T) {
		kept := o.DeepCopyObject().(client.Object)
		must(t, clientFor(t, admin).Get(t.Context(), key(o), kept))
		if kept.GetDeletionTimestamp() != nil || kept.GetResourceVersion() != o.GetResourceVersion() {
			t.Errorf("%s was changed: %+v", subject, kept)
		}
	})
}

// The controllers put the seal on a Case and take it off; an administrator cannot strip it.
func TestSealFinalizer(t *testing.T) {
	ns := namespace(t)
	c := record("cases", ns, "rt-1")
	c.SetFinalizers([]string{v1alpha1.SealFinalizer})
	must(t, controllers(t).Create(t.Context(), c))
	must(t, controllers(t).Delete(t.Context(), c))
	strip := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	refused(t, clientFor(t, admin).Patch(t.Context(), c.DeepCopyObject().(client.Object), strip), recordsPolicy, "may not update")
	must(t, controllers(t).Get(t.Context(), key(c), c))
	c.SetFinalizers(nil)
	must(t, controllers(t).Update(t.Context(), c))
	if err := clientFor(t, admin).Get(t.Context(), key(c), c); !apierrors.IsNotFound(err) {
		t.Errorf("get = %v, want NotFound: the case was sealed and deleted", err)
	}
}

// The status of every kind is the controllers', whatever a role grants.
func TestStatusIsTheControllers(t *testing.T) {
	ns := namespace(t)
	owner := clientFor(t, admin)
	for _, plural := range slices.Concat(configKinds, recordKinds, []string{"decisions"}) {
		t.Run(plural, func(t *testing.T) {
			var o client.Object
			maker := owner
			switch {
			case slices.Contains(configKinds, plural):
				o = configuration(plural, ns, "r")
			case plural == "decisions":
				o = record(plural, ns, "r")
			default:
				o, maker = record(plural, ns, "r"), controllers(t)
			}
			o.(headed).Head().ObservedGeneration = 7
			must(t, maker.Create(t.Context(), o))
			if o.(headed).Head().ObservedGeneration != 0 {
				t.Error("a status was stored with the create")
			}
			forged := o.DeepCopyObject().(headed)
			forged.Head().ObservedGeneration = 7
			for name, who := range strangers() {
				words := who.name + " may not change the status of " + plural + " " + ns + "/r"
				t.Run("updated by "+name, func(t *testing.T) {
					refused(t, clientFor(t, who).Status().Update(t.Context(), forged.DeepCopyObject().(client.Object)), "casebook-status", words)
				})
				t.Run("patched by "+name, func(t *testing.T) {
					patch := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"observedGeneration":7}}`))
					err := clientFor(t, who).Status().Patch(t.Context(), o.DeepCopyObject().(client.Object), patch)
					refused(t, err, "casebook-status", words)
				})
			}
			must(t, controllers(t).Status().Update(t.Context(), forged))
			if forged.Head().ObservedGeneration != 7 {
				t.Error("the controllers' status was not stored")
			}
		})
	}
}

// A namespace that is deleted with records waits, and goes when the controllers have deleted them.
func TestNamespaceWaitsForItsRecords(t *testing.T) {
	ns := namespace(t)
	kept := record("cases", ns, "rt-1")
	must(t, controllers(t).Create(t.Context(), kept))
	made := record("decisions", ns, "d-1")
	must(t, clientFor(t, admin).Create(t.Context(), made))
	c := clientFor(t, admin)
	must(t, c.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}))

	eventually(t, "the namespace says that its content could not be deleted", func(ctx context.Context) (bool, error) {
		n := &corev1.Namespace{}
		if err := c.Get(ctx, client.ObjectKey{Name: ns}, n); err != nil {
			return false, err
		}
		return slices.ContainsFunc(n.Status.Conditions, func(cond corev1.NamespaceCondition) bool {
			return cond.Type == corev1.NamespaceDeletionContentFailure && strings.Contains(cond.Message, "records are evidence")
		}), nil
	})
	for _, o := range []client.Object{kept, made} {
		must(t, c.Get(t.Context(), key(o), o))
		if o.GetDeletionTimestamp() != nil {
			t.Errorf("%s is being deleted", o.GetName())
		}
		must(t, controllers(t).Delete(t.Context(), o))
	}
	eventually(t, "the namespace is gone", func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKey{Name: ns}, &corev1.Namespace{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

// The revision of a playbook that runs execute is not swapped for another; it goes with its namespace.
func TestRevisionsAreTheControllers(t *testing.T) {
	ns := namespace(t)
	revision := func(name string, labels map[string]string) *appsv1.ControllerRevision {
		return &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels},
			Data:       runtime.RawExtension{Raw: []byte(`{"steps":[]}`)}, Revision: 1,
		}
	}
	pinned := map[string]string{"casebook.dev/revision": "playbook"}
	o := revision("isolate-pod-1", pinned)
	must(t, controllers(t).Create(t.Context(), o))
	const policy = "casebook-revisions"
	for name, who := range strangers() {
		t.Run(name, func(t *testing.T) {
			c := clientFor(t, who)
			words := "controllerrevisions " + ns + "/"
			refused(t, c.Create(t.Context(), revision("isolate-pod-2", pinned)), policy, who.name+" may not create "+words+"isolate-pod-2")
			refused(t, c.Delete(t.Context(), o.DeepCopy()), policy, who.name+" may not delete "+words+"isolate-pod-1")
			unlabel := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":null}}`))
			refused(t, c.Patch(t.Context(), o.DeepCopy(), unlabel), policy, who.name+" may not update "+words+"isolate-pod-1")
		})
	}
	t.Run("those of others are nobody's business", func(t *testing.T) {
		other := revision("daemon-1", nil)
		must(t, clientFor(t, admin).Create(t.Context(), other))
		label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"casebook.dev/revision":"x"}}}`))
		refused(t, clientFor(t, admin).Patch(t.Context(), other.DeepCopy(), label), policy, "may not update")
		must(t, clientFor(t, admin).Delete(t.Context(), other))
	})
	c := clientFor(t, admin)
	must(t, c.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}))
	eventually(t, "the namespace is gone, and the revision with it", func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKey{Name: ns}, &corev1.Namespace{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}
