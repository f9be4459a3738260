// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

const (
	changedByPolicy = "casebook-changed-by"
	secretsPolicy   = "casebook-secrets-by-readers"
)

// editor may write a configuration kind and read every Secret of the namespace.
func editor(t *testing.T, ns, name, plural string) person {
	t.Helper()
	who := person{name: name}
	grant(t, ns, who, on(plural, "create", "get", "update", "patch"), getSecrets())
	return who
}

func getSecrets(names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}, ResourceNames: names}
}

func changedBy(t *testing.T, o client.Object) string {
	t.Helper()
	stored := o.DeepCopyObject().(client.Object)
	must(t, clientFor(t, admin).Get(t.Context(), key(o), stored))
	return stored.GetAnnotations()[v1alpha1.ChangedByAnnotation]
}

// Who last changed the spec of a configuration object is on it, for every kind.
func TestChangedBy(t *testing.T) {
	ns := namespace(t)
	for _, plural := range configKinds {
		t.Run(plural, func(t *testing.T) {
			ana, lea := editor(t, ns, "ana", plural), editor(t, ns, "lea", plural)
			o := configuration(plural, ns, "r")
			o.SetAnnotations(map[string]string{v1alpha1.ChangedByAnnotation: "lea"})
			must(t, clientFor(t, ana).Create(t.Context(), o))
			if got := changedBy(t, o); got != "ana" {
				t.Errorf("created by ana, who wrote lea: changed-by is %q", got)
			}
			patch := func(who person, patch string) {
				t.Helper()
				must(t, clientFor(t, who).Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(patch))))
			}
			patch(lea, `{"metadata":{"annotations":{"casebook.dev/changed-by":"mia","casebook.dev/requested-at":"1"}}}`)
			if got := changedBy(t, o); got != "ana" {
				t.Errorf("lea changed metadata alone, and wrote mia: changed-by is %q, want ana", got)
			}
			patch(lea, `{"metadata":{"annotations":null}}`)
			if got := changedBy(t, o); got != "ana" {
				t.Errorf("lea took the annotations away: changed-by is %q, want ana", got)
			}
			patch(lea, specPatch[plural])
			if got := changedBy(t, o); got != "lea" {
				t.Errorf("lea changed the spec: changed-by is %q", got)
			}
			must(t, controllers(t).Status().Update(t.Context(), o))
			if got := changedBy(t, o); got != "lea" {
				t.Errorf("the controllers wrote status: changed-by is %q, want lea", got)
			}
		})
	}
}

// specPatch changes the spec that configuration makes.
var specPatch = map[string]string{
	"sources":      `{"spec":{"only":"true"}}`,
	"mappings":     `{"spec":{"product":"Falco 2"}}`,
	"connectors":   `{"spec":{"settle":"6s"}}`,
	"guardrails":   `{"spec":{"covers":["kubernetes/isolatePod"]}}`,
	"casetypes":    `{"spec":{"queue":"night"}}`,
	"playbooks":    `{"spec":{"description":"Fails at once."}}`,
	"evidencelogs": `{"spec":{"archiveAfter":"48h"}}`,
}

// An object without the annotation, as one from before the policy is, gets none by a change of metadata.
func TestChangedByIsNotInvented(t *testing.T) {
	ns := namespace(t)
	ana := editor(t, ns, "ana", "mappings")
	c := clientFor(t, ana)
	old := configuration("mappings", ns, "from-before")
	withoutChangedBy(t, ns, func() { must(t, c.Create(t.Context(), old)) })
	if got := changedBy(t, old); got != "" {
		t.Fatalf("changed-by is %q without the policy", got)
	}
	for _, annotations := range []string{`{"a":"b"}`, `{"casebook.dev/changed-by":"lea"}`} {
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":`+annotations+`}}`))
		must(t, c.Patch(t.Context(), old, patch))
		if got := changedBy(t, old); got != "" {
			t.Errorf("after annotations %s changed-by is %q, want none", annotations, got)
		}
	}
	must(t, c.Patch(t.Context(), old, client.RawPatch("application/merge-patch+json", []byte(specPatch["mappings"]))))
	if got := changedBy(t, old); got != "ana" {
		t.Errorf("after a change of spec changed-by is %q, want ana", got)
	}
}

// withoutChangedBy runs a function while neither policy of changed-by is in force.
func withoutChangedBy(t *testing.T, ns string, do func()) {
	t.Helper()
	ana := person{name: "ana"}
	stored := func() (client.Object, error) {
		probe := configuration("mappings", ns, "probe")
		probe.SetAnnotations(map[string]string{v1alpha1.ChangedByAnnotation: "lea"})
		err := clientFor(t, ana).Create(t.Context(), probe, client.DryRunAll)
		return probe, err
	}
	defer unbind(t, &admissionregistrationv1.MutatingAdmissionPolicyBinding{}, changedByPolicy, func() bool {
		_, err := stored()
		return err != nil
	})()
	// Without the stamp, the comparison alone refuses what is not true.
	_, err := stored()
	refused(t, err, changedByPolicy, `the annotation casebook.dev/changed-by is "lea", but the spec was last changed by "ana"`)
	defer unbind(t, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, changedByPolicy, func() bool {
		_, err := stored()
		return err == nil
	})()
	do()
}

// A plugin that rewrites who changed an object gets the change refused, or achieves nothing.
func TestChangedByRewritten(t *testing.T) {
	ns := namespace(t)
	ana := editor(t, ns, "ana", "mappings")
	o := configuration("mappings", ns, "rewrite-changed-by")
	o.SetAnnotations(map[string]string{"a": "b"}) // the plugin adds to annotations that are there
	if err := clientFor(t, ana).Create(t.Context(), o); err != nil {
		refused(t, err, changedByPolicy, `is "lea", but the spec was last changed by "ana"`, "remove that plugin")
	} else if got := changedBy(t, o); got != "ana" {
		t.Errorf("changed-by is %q, want ana", got)
	}
}

// Whoever writes a spec must be allowed to read each Secret it names.
func TestSecretsByReaders(t *testing.T) {
	ns := namespace(t)
	hmac := func(o client.Object) {
		authentication := &o.(*v1alpha1.Source).Spec.Webhook.Authentication
		authentication.HMAC = &v1alpha1.HMACAuthentication{SecretRef: authentication.Bearer.SecretRef, Header: "X-Signature"}
		authentication.Bearer = nil
	}
	cases := map[string]struct {
		plural string
		change func(client.Object)
		secret string
	}{
		"the token of a webhook":          {"sources", func(client.Object) {}, "hook"},
		"the signing key of a webhook":    {"sources", hmac, "hook"},
		"the key that signs the evidence": {"evidencelogs", func(client.Object) {}, "key"},
	}
	number := 0
	for name, test := range cases {
		number++
		suffix := string(rune('a' + number))
		t.Run(name, func(t *testing.T) {
			o := configuration(test.plural, ns, "named-"+suffix)
			test.change(o)
			write := on(test.plural, "create", "get", "update", "patch")
			reader, stranger, other := person{name: "reader-" + suffix}, person{name: "stranger-" + suffix}, person{name: "other-" + suffix}
			grant(t, ns, reader, write, getSecrets(test.secret))
			grant(t, ns, stranger, write)
			grant(t, ns, other, write, getSecrets("another"))
			for _, who := range []person{stranger, other} {
				want := who.name + " may not write " + test.plural + " " + ns + "/" + o.GetName() + ": it names Secret " + test.secret +
					", which " + who.name + " may not read; ask an administrator for the verb \"get\" on that Secret in namespace " + ns
				refused(t, clientFor(t, who).Create(t.Context(), o.DeepCopyObject().(client.Object)), secretsPolicy, want)
			}
			must(t, clientFor(t, reader).Create(t.Context(), o))
			// The rest of a spec decides where the Secret goes, so a change of anything in it is asked.
			change := client.RawPatch("application/merge-patch+json", []byte(specPatch[test.plural]))
			refused(t, clientFor(t, stranger).Patch(t.Context(), o, change), secretsPolicy, "names Secret "+test.secret)
			metadata := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"casebook.dev/requested-at":"1"}}}`))
			must(t, clientFor(t, stranger).Patch(t.Context(), o, metadata))
			must(t, clientFor(t, reader).Patch(t.Context(), o, change))
		})
	}
	for name, spec := range map[string]string{
		"the secret of a header":        `{"http": {"baseURL": "https://a.example", "authentication": {"header": {"name": "X", "secretRef": {"name": "hidden", "key": "k"}}}}, "operations": [` + anyRead + `]}`,
		"a bearer token":                `{"http": {"baseURL": "https://a.example", "authentication": {"bearer": {"secretRef": {"name": "hidden", "key": "k"}}}}, "operations": [` + anyRead + `]}`,
		"a password":                    `{"http": {"baseURL": "https://a.example", "authentication": {"basic": {"username": "u", "secretRef": {"name": "hidden", "key": "k"}}}}, "operations": [` + anyRead + `]}`,
		"the secret of an OAuth client": `{"http": {"baseURL": "https://a.example", "authentication": {"oauth2": {"tokenURL": "https://a.example/t", "clientID": "c", "secretRef": {"name": "hidden", "key": "k"}}}}, "operations": [` + anyRead + `]}`,
		"a client certificate":          `{"http": {"baseURL": "https://a.example", "tls": {"clientCertificateRef": {"name": "hidden"}}}, "operations": [` + anyRead + `]}`,
		"a table in a Secret":           `{"table": {"secretRef": {"name": "hidden", "key": "k"}, "key": ["a"]}}`,
		"a table in a ConfigMap":        `{"table": {"configMapRef": {"name": "hidden", "key": "k"}, "key": ["a"]}}`,
		"the password of a mail server": `{"smtp": {"host": "a", "from": "a@b.example", "username": "u", "passwordRef": {"name": "hidden", "key": "k"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := &v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "c-"}}
			must(t, json.Unmarshal([]byte(spec), &c.Spec))
			number++
			reader, stranger := person{name: fmt.Sprintf("sees-%d", number)}, person{name: fmt.Sprintf("sees-not-%d", number)}
			grant(t, ns, reader, on("connectors", "create"), getSecrets("hidden"), rbacv1.PolicyRule{
				APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}, ResourceNames: []string{"hidden"},
			})
			grant(t, ns, stranger, on("connectors", "create"))
			refused(t, clientFor(t, stranger).Create(t.Context(), c.DeepCopy()), secretsPolicy, " hidden, which "+stranger.name+" may not read")
			must(t, clientFor(t, reader).Create(t.Context(), c))
		})
	}
	t.Run("the cluster's own connector names none", func(t *testing.T) {
		who := person{name: "connector-writer"}
		grant(t, ns, who, on("connectors", "create"))
		must(t, clientFor(t, who).Create(t.Context(), configuration("connectors", ns, "kubernetes")))
	})
}

const anyRead = `{"name": "find", "effect": "Read", "request": {"method": "GET", "path": "/"}}`

// The policy knows the path of every reference to a Secret in the API.
func TestEverySecretReferenceIsKnown(t *testing.T) {
	known := map[string]bool{
		"sources.spec.webhook.authentication.bearer.secretRef": true,
		"sources.spec.webhook.authentication.hmac.secretRef":   true,
		"evidencelogs.spec.signingKeyRef":                      true,
		"connectors.spec.http.authentication.header.secretRef": true,
		"connectors.spec.http.authentication.bearer.secretRef": true,
		"connectors.spec.http.authentication.basic.secretRef":  true,
		"connectors.spec.http.authentication.oauth2.secretRef": true,
		"connectors.spec.table.secretRef":                      true,
		"connectors.spec.table.configMapRef":                   true, // of a ConfigMap, asked alike
		"connectors.spec.smtp.passwordRef":                     true,
	}
	for plural, crd := range crds(t) {
		walk(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, plural, func(path string, schema schemaProps) {
			_, name := schema.Properties["name"]
			_, k := schema.Properties["key"]
			if name && k && len(schema.Properties) == 2 && strings.HasPrefix(path, plural+".spec") && !known[path] {
				t.Errorf("%s names a Secret: add it to config/policy/secrets_by_readers.yaml and to this test", path)
			}
		})
	}
}
