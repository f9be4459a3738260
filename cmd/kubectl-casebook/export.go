// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/dir"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/evidence/store"
	"github.com/casebook-dev/casebook/internal/report"
)

// exporting is an export under way.
type exporting struct {
	*options
	into, bucket, uid string
	timeout           time.Duration
}

func newEvidenceExport(o *options) *cobra.Command {
	e := &exporting{options: o}
	cmd := &cobra.Command{
		Use:   "export CASE -o DIR",
		Short: "Write the evidence of a case as a folder that anyone can verify",
		Long: "Write the entries, records and payloads of a case, with the proofs that lead to the log's signed checkpoint. What is " +
			"not sealed yet is waited for.\n\nThe bucket is the one of the EvidenceLog; where this machine sees it elsewhere, name it " +
			"with --bucket. A case that has left the cluster is exported by --uid, which its signals and reports name.",
		Args:              exactly("CASE"),
		ValidArgsFunction: completeCases(o),
		RunE:              e.run,
	}
	cmd.Flags().StringVarP(&e.into, "output-dir", "o", "", "folder to write, absent or empty (required)")
	cmd.Flags().StringVar(&e.bucket, "bucket", "", "folder of the evidence bucket, instead of the EvidenceLog's")
	cmd.Flags().StringVar(&e.uid, "uid", "", "uid of a case that has left the cluster; needs --bucket")
	cmd.Flags().DurationVar(&e.timeout, "timeout", defaultWait, "how long to wait for what is not sealed yet")
	return cmd
}

func (e *exporting) run(cmd *cobra.Command, args []string) error {
	name, err := parseCase(cmd, args[0])
	switch {
	case err != nil:
		return err
	case e.into == "":
		return usagef("cannot export %s: there is no folder to write", name).so("Name one that is absent or empty: -o DIR")
	case e.uid != "" && e.bucket == "":
		return usagef("cannot export %s by its uid: there is no bucket", name).so("Name its folder with --bucket DIR")
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), e.timeout)
	defer cancel()
	from, err := e.source(ctx, name)
	if err != nil {
		return err
	}
	bucket, err := openBucket(e.bucket)
	if err != nil {
		return err
	}
	defer bucket.Close() //nolint:errcheck // read only
	files, err := e.write(ctx, bucket, from)
	if err != nil {
		return err
	}
	return e.options.write(fmt.Sprintf("Exported case %s: %d files in %s\nVerify: kubectl casebook evidence verify %s --key FILE\n",
		report.Escape(name), files, report.Escape(e.into), report.Escape(e.into)))
}

// source is where the case's records are read from again at each attempt.
type source struct {
	ref     evidence.CaseRef
	records func(context.Context) ([]json.RawMessage, error)
}

// source finds the case, and the bucket that its EvidenceLog names unless a flag did.
func (e *exporting) source(ctx context.Context, name string) (source, error) {
	none := func(context.Context) ([]json.RawMessage, error) { return nil, nil }
	if e.uid != "" {
		namespace, _, err := e.kube.ToRawKubeConfigLoader().Namespace()
		if err != nil {
			return source{}, refusedf("cannot export %s: %w", name, err).so("Name its namespace with -n.")
		}
		return source{ref: evidence.CaseRef{Namespace: namespace, Name: name, UID: e.uid}, records: none}, nil
	}
	c, err := e.connect()
	if err != nil {
		return source{}, err
	}
	of, err := c.findCase(ctx, name)
	if err != nil {
		return source{}, err
	}
	if e.bucket == "" {
		log := c.log(ctx, of)
		if log == nil || log.Spec.Bucket.Dir == nil {
			return source{}, refusedf("cannot find the bucket of case %s: its EvidenceLog cannot be read", name).so("Name its folder with --bucket DIR.")
		}
		e.bucket = log.Spec.Bucket.Dir.Path
	}
	ref := evidence.CaseRef{Namespace: of.Namespace, Name: of.Name, UID: string(of.UID)}
	return source{ref: ref, records: func(ctx context.Context) ([]json.RawMessage, error) { return c.served(ctx, ref) }}, nil
}

// served reads the records of a case as the API server serves them, no field dropped.
func (c *cluster) served(ctx context.Context, ref evidence.CaseRef) ([]json.RawMessage, error) {
	var out []json.RawMessage
	add := func(object *unstructured.Unstructured) error {
		raw, err := object.MarshalJSON()
		out = append(out, raw)
		return err
	}
	of := &unstructured.Unstructured{}
	of.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("Case"))
	if err := c.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, of); err != nil {
		return nil, apiError("read case "+ref.Name, err)
	}
	if err := add(of); err != nil {
		return nil, err
	}
	labelled := client.MatchingLabels{v1alpha1.CaseLabel: ref.Name}
	for kind, option := range map[string]client.ListOption{
		"Signal": labelled, "PlaybookRun": labelled, "Action": labelled, "Decision": client.MatchingFields{"spec.caseRef.name": ref.Name},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind(kind + "List"))
		if err := c.List(ctx, list, client.InNamespace(ref.Namespace), option); err != nil {
			return nil, apiError("read the records of case "+ref.Name, err)
		}
		for i := range list.Items {
			uid, named, _ := unstructured.NestedString(list.Items[i].Object, "spec", "caseRef", "uid")
			if named && uid != ref.UID {
				continue // of another case that had this name before
			}
			if err := add(&list.Items[i]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// openBucket opens a folder that is there: making an empty one would only hide that it is elsewhere.
func openBucket(folder string) (*dir.Bucket, error) {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, refusedf("cannot open the bucket %s: this machine has no such folder", folder).
			so("That is its path as the controllers see it. Name the folder as you see it: --bucket DIR")
	}
	bucket, err := dir.Open(folder)
	if err != nil {
		return nil, refusedf("cannot open the bucket: %w", err)
	}
	return bucket, nil
}

// again is how long to wait before looking again for what is not sealed yet.
const again = 500 * time.Millisecond

// errUnsealed says that a case is closed and its evidence is not yet: the bundle would not verify.
var errUnsealed = errors.New("the case is closed, but the seal that closes its evidence is not in the log yet")

// write exports, again and again until everything is sealed or the time is over. What an attempt before wrote is written
// over, for a bundle only grows.
func (e *exporting) write(ctx context.Context, bucket blob.Bucket, from source) (int, error) {
	into, err := emptyFolder(e.into)
	if err != nil {
		return 0, err
	}
	defer into.Close() //nolint:errcheck // each file was written and closed
	var behind error   // why the attempt before was too early
	for {
		files, err := e.attempt(ctx, bucket, from, into)
		switch {
		case err == nil:
			return files, nil
		case early(err):
			behind = err
		case behind == nil || ctx.Err() == nil: // else the attempt was cut short
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, timeoutf("cannot export the evidence within %s: %w", e.timeout, behind).so("See whether the controllers run and the EvidenceLog is Ready, and try again.")
		case <-time.After(again):
		}
	}
}

// early tells whether an export failed only because the log is not as far as the case.
func early(err error) bool {
	_, undrained := errors.AsType[*evidence.NotDrainedError](err)
	return undrained || errors.Is(err, errUnsealed) || errors.Is(err, store.ErrUnsettled) || errors.Is(err, blob.ErrNotFound)
}

// attempt exports once.
func (e *exporting) attempt(ctx context.Context, bucket blob.Bucket, from source, into *os.Root) (files int, err error) {
	records, err := from.records(ctx)
	if err != nil {
		return 0, err
	}
	var last []byte // entry; they come in order
	err = store.Export(ctx, bucket, from.ref, records, func(name string, data []byte) error {
		files++
		if path.Dir(name) == "entries" {
			last = data
		}
		if err := into.MkdirAll(path.Dir(name), 0o750); err != nil {
			return err
		}
		return into.WriteFile(name, data, 0o640)
	})
	if err == nil && closed(records) && !isSeal(last) {
		err = errUnsealed
	}
	if err != nil && !early(err) {
		err = refusedf("cannot export the evidence: %w", err)
	}
	return files, err
}

// closed tells whether the records are those of a case that is closed, and therefore sealed soon.
func closed(records []json.RawMessage) bool {
	return slices.ContainsFunc(records, func(raw json.RawMessage) bool {
		var of v1alpha1.Case
		return json.Unmarshal(raw, &of) == nil && of.Kind == "Case" && of.Status.State == v1alpha1.CaseClosed
	})
}

func isSeal(entry []byte) bool {
	parsed, err := evidence.ParseEntry(entry)
	return err == nil && parsed.Object.Kind == evidence.SealKind
}

// emptyFolder makes a folder, or takes one that is empty: another file in it would make the bundle wrong.
func emptyFolder(name string) (*os.Root, error) {
	entries, err := os.ReadDir(name)
	switch {
	case err == nil && len(entries) > 0:
		return nil, usagef("cannot write to %s: it is not empty, and every file of a bundle counts", name).so("Name a folder that is absent or empty.")
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(name, 0o750)
	}
	if err != nil {
		return nil, usagef("cannot write to %s: %w", name, err)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, usagef("cannot write to %s: %w", name, err)
	}
	return root, nil
}
