// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob/dir"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/evidence/store"
)

// sealed seals the creation of a case in a log of its own, and gives the bucket and the file with the key.
func sealed(t *testing.T, object []byte, ref evidence.CaseRef) (bucket, key string) {
	t.Helper()
	bucket, key = t.TempDir(), filepath.Join(t.TempDir(), "vkey")
	skey, vkey, err := evidence.GenerateKey(rand.Reader, "soc-evidence")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte(vkey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := dir.Open(bucket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	log, err := store.Open(t.Context(), store.Options{
		Bucket: folder, Signer: signer, Origin: "soc-evidence", Clock: time.Now, Salt: func() []byte { return bytes.Repeat([]byte{7}, evidence.SaltSize) },
	})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := evidence.Creation(object)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), []evidence.Draft{{
		Object: evidence.Object{APIVersion: "casebook.dev/v1alpha1", Kind: "Case", Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID},
		Case:   evidence.Case{Name: ref.Name, UID: ref.UID}, Reason: "Created", Time: evidence.MicroTime{Time: time.Now()},
		Actor: evidence.Actor{Type: evidence.Automation, Name: "case"}, Spec: spec,
	}}); err != nil {
		t.Fatal(err)
	}
	return bucket, key
}

func TestExportAndVerifyWithoutACluster(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	object := []byte(`{"apiVersion":"casebook.dev/v1alpha1","kind":"Case","metadata":{"name":"rt-1","namespace":"soc","uid":"u-1"},"spec":{"title":"t"}}`)
	bucket, key := sealed(t, object, evidence.CaseRef{Namespace: "soc", Name: "rt-1", UID: "u-1"})
	t.Chdir(t.TempDir())
	const into = "bundle"
	command(t, "", "evidence", "export", "rt-1", "-n", "soc", "--uid", "u-1", "--bucket", bucket, "-o", into).want(t, exitDone, "Exported case rt-1")
	command(t, "", "evidence", "verify", into, "--key", key).want(t, exitDone, "✓ 1 entry, in order, none missing", "✓ checkpoint signed by soc-evidence")
	command(t, "", "evidence", "verify", into, "--key", key, "-o", "json").want(t, exitDone, `"entries": 1`, `"sealed": false`)
	command(t, "", "evidence", "export", "rt-1", "-n", "soc", "--uid", "u-1", "--bucket", bucket, "-o", into).want(t, exitUsage, "it is not empty")

	record := filepath.Join(into, "records", "case-rt-1.json")
	raw, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, []byte(strings.Replace(string(raw), `"t"`, `"u"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "", "evidence", "verify", into, "--key", key).want(t, exitRefused, "records/case-rt-1.json is wrong")
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	command(t, "", "evidence", "verify", into, "--key", key).want(t, exitRefused, "records/case-rt-1.json is missing")
	command(t, "", "evidence", "export", "rt-9", "-n", "soc", "--uid", "u-9", "--bucket", bucket, "-o", filepath.Join(t.TempDir(), "b"), "--timeout", "10ms").
		want(t, exitTimeout, "the log has no entry of a case with uid u-9")
}

func TestExportFromTheClustersBucket(t *testing.T) {
	n := newTenant(t)
	c := n.newCase("rt-1")
	object, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	bucket, key := sealed(t, withKind(t, object), evidence.CaseRef{Namespace: n.namespace, Name: "rt-1", UID: string(c.UID)})
	log := &v1alpha1.EvidenceLog{}
	log.Namespace, log.Name = n.namespace, "default"
	log.Spec = v1alpha1.EvidenceLogSpec{
		Origin: "soc-evidence", Bucket: v1alpha1.BucketSpec{Dir: &v1alpha1.DirBucket{Path: bucket}},
		SigningKeyRef: v1alpha1.SecretKeyRef{Name: "evidence-key", Key: "key"},
	}
	n.admin(log)
	t.Chdir(t.TempDir())
	const into = "bundle"
	n.ana("evidence", "export", "rt-1", "-o", into).want(t, exitDone, "Exported case rt-1")
	command(t, "", "evidence", "verify", into, "--key", key).want(t, exitDone, "replayed: case match their records")

	c.Status.State = v1alpha1.CaseTriage
	n.status(c)
	n.ana("evidence", "export", "rt-1", "-o", filepath.Join(t.TempDir(), "b"), "--timeout", "700ms").
		want(t, exitTimeout, "it is not what its entries up to 0 say")
}

// withKind gives a typed object the kind that the API server would serve it with.
func withKind(t *testing.T, object []byte) []byte {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(object, &fields); err != nil {
		t.Fatal(err)
	}
	fields["apiVersion"], fields["kind"] = "casebook.dev/v1alpha1", "Case"
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
