// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/casebook-dev/casebook/internal/blob/dir"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/evidence/store"
)

const (
	verifyEntries = 200
	verifyRuns    = 9
	verifyOrigin  = "bench.example.com/soc"
)

var verifyCase = evidence.CaseRef{Namespace: "soc", Name: "rt-bench", UID: "00000000-0000-4000-8000-00000000000c"}

// verify measures how long it takes to verify the exported bundle of a long case, read from disk.
func (b *bench) verify(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "casebook-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	bundle := filepath.Join(folder, "bundle")
	key, err := exportLongCase(ctx, filepath.Join(folder, "bucket"), bundle)
	if err != nil {
		return err
	}
	var took []time.Duration
	for range verifyRuns {
		began := time.Now()
		report, err := evidence.Verify(os.DirFS(bundle), key)
		took = append(took, time.Since(began))
		if err != nil {
			return err
		}
		if report.Entries != verifyEntries {
			return fmt.Errorf("%d entries were verified, not %d", report.Entries, verifyEntries)
		}
	}
	b.report.add(figureVerify, float64(median(took).Microseconds())/1e3)
	return nil
}

// exportLongCase seals a case of verifyEntries entries in a log of its own and exports it. It returns the log's public key.
func exportLongCase(ctx context.Context, bucket, bundle string) (key string, err error) {
	private, public, err := evidence.GenerateKey(rand.Reader, verifyOrigin)
	if err != nil {
		return "", err
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return "", err
	}
	kept, err := dir.Open(bucket)
	if err != nil {
		return "", err
	}
	log, err := store.Open(ctx, store.Options{Bucket: kept, Signer: signer, Origin: verifyOrigin, Clock: time.Now, Salt: salt})
	if err != nil {
		return "", err
	}
	drafts, err := longCase()
	if err != nil {
		return "", err
	}
	if _, err := log.Append(ctx, drafts); err != nil {
		return "", err
	}
	return public, store.Export(ctx, kept, verifyCase, nil, func(path string, data []byte) error {
		path = filepath.Join(bundle, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o600)
	})
}

func salt() []byte {
	out := make([]byte, evidence.SaltSize)
	_, _ = rand.Read(out) // never fails (crypto/rand)
	return out
}

// longCase is a case to which one item is added by each entry after the first.
func longCase() ([]evidence.Draft, error) {
	drafts := make([]evidence.Draft, verifyEntries)
	before := caseStatus{}
	for i := range drafts {
		d := evidence.Draft{
			Object:   evidence.Object{APIVersion: "casebook.dev/v1alpha1", Kind: "Case", Namespace: verifyCase.Namespace, Name: verifyCase.Name, UID: verifyCase.UID},
			Case:     evidence.Case{Name: verifyCase.Name, UID: verifyCase.UID},
			Sequence: int64(i), Reason: "Changed", Actor: evidence.Actor{Type: evidence.Automation, Name: "case"},
			Time: evidence.MicroTime{Time: time.Date(2026, 11, 24, 10, 0, i, 0, time.UTC)},
		}
		var err error
		if i == 0 {
			d.Spec, err = evidence.Creation(fmt.Appendf(nil, `{"apiVersion":%q,"kind":"Case","metadata":{"name":%q,"namespace":%q,"uid":%q},"spec":{"title":"Reverse shell in container"}}`,
				d.Object.APIVersion, verifyCase.Name, verifyCase.Namespace, verifyCase.UID))
		} else {
			after := before.with(i)
			d.Patch, err = diff(before, after)
			before = after
		}
		if err != nil {
			return nil, err
		}
		drafts[i] = d
	}
	return drafts, nil
}

// caseStatus is a status that grows.
type caseStatus struct {
	Status struct {
		State string `json:"state,omitempty"`
		Items []item `json:"items,omitempty"`
	} `json:"status,omitzero"`
}

type item struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

func (c caseStatus) with(i int) caseStatus {
	added := item{Name: fmt.Sprintf("item %d", i), Message: "what happened, in about as many words as people use"}
	c.Status.State = "Triage"
	c.Status.Items = append(c.Status.Items[:i-1:i-1], added)
	return c
}

func diff(before, after caseStatus) (string, error) {
	was, err := json.Marshal(before)
	if err != nil {
		return "", err
	}
	is, err := json.Marshal(after)
	if err != nil {
		return "", err
	}
	return evidence.Diff(was, is)
}
