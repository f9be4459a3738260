// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest"
)

// gateway answers as the gateway does, and lets a sender in by the gateway's own check.
func gateway(t *testing.T, source *v1alpha1.Source, secret string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/v1/"+source.Namespace+"/"+source.Name {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		if err := ingest.Verify(source.Spec.Webhook.Authentication, []byte(secret), r.Header.Get, body, time.Now()); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"status":401,"detail":"the credentials do not fit this Source"}`)
			return
		}
		if string(body) == "full" {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestSubmit(t *testing.T) {
	n := newTenant(t)
	n.admin(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "hook"}, StringData: map[string]string{"value": "s3cret"},
	})
	ref := v1alpha1.SecretKeyRef{Name: "hook", Key: "value"}
	ways := map[string]v1alpha1.WebhookAuthentication{
		"bearer": {Bearer: &v1alpha1.BearerAuthentication{SecretRef: ref}},
		"hmac":   {HMAC: &v1alpha1.HMACAuthentication{SecretRef: ref, Header: "X-Signature"}},
		"stamp":  {HMAC: &v1alpha1.HMACAuthentication{SecretRef: ref, Header: "X-Signature", TimeHeader: "X-Time"}},
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(file, []byte(`{"rule":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, way := range ways {
		source := &v1alpha1.Source{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: name}}
		source.Spec.MappingRef.Name, source.Spec.Webhook = "falco", &v1alpha1.WebhookSource{Authentication: way}
		n.admin(source)
		url := gateway(t, source, "s3cret").URL
		n.as("admin", "system:masters", "submit", name, file, "--gateway", url).want(t, exitDone, "Kept: 12 bytes for source "+n.namespace+"/"+name)
		n.ana("submit", name, file, "--gateway", url, "--token-file", token).want(t, exitDone, "Kept: 12 bytes")
		n.ana("submit", name, file, "--gateway", url).want(t, exitRefused, "read secret "+n.namespace+"/hook", `ana lacks the verb "get" on secrets`, "--token-file")
		other := gateway(t, source, "another").URL
		n.ana("submit", name, file, "--gateway", other, "--token-file", token).want(t, exitRefused, "401 Unauthorized: the credentials do not fit this Source")
	}
	source := &v1alpha1.Source{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "bearer"}}
	source.Spec.Webhook = &v1alpha1.WebhookSource{Authentication: ways["bearer"]}
	full := filepath.Join(t.TempDir(), "full")
	if err := os.WriteFile(full, []byte("full"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := gateway(t, source, "s3cret").URL
	n.ana("submit", "bearer", full, "--gateway", url, "--token-file", token).want(t, exitRefused, "503 Service Unavailable", "Try again in 30 seconds.")
	n.ana("submit", "nothing", full, "--gateway", url).want(t, exitRefused, "cannot read source "+n.namespace+"/nothing")
	n.ana("submit", "bearer", full, "--gateway", "http://127.0.0.1:1", "--token-file", token).want(t, exitRefused, "Check --gateway")
}
