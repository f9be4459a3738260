// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Bounds of what Verify reads. A file beyond its bound is wrong.
const (
	maxFiles    = 2 * MaxEntries
	maxManifest = 16 << 10
	maxProofs   = 512 << 20
	// MaxPayload is the size of the largest payload: mail at intake is bounded at 25 MiB.
	MaxPayload = 32 << 20
)

// Problem says what is the matter with a file of a bundle.
type Problem string

// The problems of a file.
const (
	Missing    Problem = "missing"      // it belongs to the bundle and is not there
	Unknown    Problem = "unknown"      // it is there and belongs to nothing
	Unreadable Problem = "unreadable"   // it is there and cannot be read
	Wrong      Problem = "wrong"        // it does not say what it must
	OutOfOrder Problem = "out of order" // it is another entry than the one that belongs there
)

// BundleError names the first file of a bundle that is not as it must be, and says how it must be.
type BundleError struct {
	File    string
	Problem Problem
	Detail  string
	err     error
}

// Error implements error.
func (e *BundleError) Error() string { return fmt.Sprintf("%s is %s: %s", e.File, e.Problem, e.Detail) }

// Unwrap returns the cause, if there is one.
func (e *BundleError) Unwrap() error { return e.err }

func bad(file string, problem Problem, format string, args ...any) *BundleError {
	err := fmt.Errorf(format, args...)
	return &BundleError{File: file, Problem: problem, Detail: err.Error(), err: errors.Unwrap(err)}
}

// Verify verifies a bundle, given as a folder, with the public key of its log: that the entries are all there and in
// order, that replayed they are the records, that each is included in the log, that the checkpoint is signed, that the
// payloads are those the signals name, that the seal of a closed case lists exactly what is there, and that there is
// nothing else. The first thing that is not so is the error, a *BundleError.
//
// Of a case that is open the end is not sealed: that later entries were left out is not seen, and the report says so.
func Verify(bundle fs.FS, vkey string) (Report, error) {
	v := &verifier{bundle: bundle, unused: map[string]bool{}}
	steps := []func() error{
		v.list, v.manifest, func() error { return v.checkCheckpoint(vkey) }, v.readProofs, v.readEntries, v.checkRecords,
		v.checkSeals, v.checkPayloads, v.nothingElse,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return Report{}, fmt.Errorf("verify the bundle: %w; keep it for comparison and export the case again from its log", err)
		}
	}
	return v.report, nil
}

// verifier is a verification under way.
type verifier struct {
	bundle     fs.FS
	unused     map[string]bool // files that no step has read yet
	about      manifest
	checkpoint Checkpoint
	proofs     []Proof
	entries    []Entry
	state      string // of the case as replayed
	report     Report
}

// list notes the files. Anything but a file or folder, a symbolic link above all, could show another content later.
func (v *verifier) list() error {
	return fs.WalkDir(v.bundle, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return bad(path, Unreadable, "%w", err)
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			return bad(path, Unknown, "it is neither a file nor a folder (%s)", entry.Type())
		case len(v.unused) == maxFiles:
			return bad(path, Unknown, "there are more than %d files", maxFiles)
		}
		v.unused[path] = true
		return nil
	})
}

// open opens a file that belongs to the bundle.
func (v *verifier) open(path, why string) (fs.File, error) {
	if !v.unused[path] {
		return nil, bad(path, Missing, "%s", why)
	}
	delete(v.unused, path)
	file, err := v.bundle.Open(path)
	if err != nil {
		return nil, bad(path, Unreadable, "%w", err)
	}
	return file, nil
}

// read reads a file that belongs to the bundle.
func (v *verifier) read(path string, limit int64, why string) ([]byte, error) {
	file, err := v.open(path, why)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, bad(path, Unreadable, "%w", err)
	}
	if int64(len(data)) > limit {
		return nil, bad(path, Wrong, "it has more than %d bytes", limit)
	}
	return data, nil
}

func (v *verifier) manifest() error {
	data, err := v.read(manifestFile, maxManifest, "a bundle begins with it; name the folder that holds it")
	if err != nil {
		return err
	}
	if err := decode(data, &v.about); err != nil {
		return bad(manifestFile, Wrong, "%w", err)
	}
	if v.about.Format != BundleFormat {
		return bad(manifestFile, Wrong, "its format is %q; this version reads %q", v.about.Format, BundleFormat)
	}
	return nil
}

func (v *verifier) checkCheckpoint(vkey string) error {
	data, err := v.read(checkpointFile, MaxCheckpoint, "the signed state of the log belongs there")
	if err != nil {
		return err
	}
	if v.checkpoint, err = VerifyCheckpoint(data, vkey); err != nil {
		return bad(checkpointFile, Wrong, "%w", err)
	}
	want := manifestOf(v.about.Case, v.checkpoint)
	if v.about != want {
		return bad(manifestFile, Wrong, "it says log %q, size %d, exported %s; the signed checkpoint says %q, %d, %s",
			v.about.Origin, v.about.TreeSize, v.about.Exported, want.Origin, want.TreeSize, want.Exported)
	}
	v.report = Report{Case: v.about.Case, Log: v.checkpoint.Origin, TreeSize: v.checkpoint.Size, Time: v.checkpoint.Time}
	return nil
}

func (v *verifier) readProofs() error {
	data, err := v.read(proofsFile, maxProofs, "the proofs of inclusion belong there")
	if err != nil {
		return err
	}
	var p proofs
	if err := decode(data, &p); err != nil {
		return bad(proofsFile, Wrong, "%w", err)
	}
	if p.Format != ProofsFormat {
		return bad(proofsFile, Wrong, "its format is %q; this version reads %q", p.Format, ProofsFormat)
	}
	v.proofs = p.Proofs
	return nil
}

func (v *verifier) checkPayloads() error {
	digests, err := Payloads(v.entries)
	if err != nil {
		return bad(entriesFolder, Wrong, "%w", err)
	}
	for _, digest := range digests {
		if err := v.checkPayload(digest); err != nil {
			return err
		}
	}
	v.report.Payloads = len(digests)
	return nil
}

func (v *verifier) checkPayload(digest string) error {
	path := PayloadPath(digest)
	file, err := v.open(path, "a signal of the case names it")
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(file, MaxPayload+1))
	if err != nil {
		return bad(path, Unreadable, "%w", err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); n > MaxPayload || digestPrefix+got != digest {
		return bad(path, Wrong, "its SHA-256 is %s; the signal that names it says %s", got, strings.TrimPrefix(digest, digestPrefix))
	}
	return nil
}

func (v *verifier) nothingElse() error {
	if len(v.unused) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Keys(v.unused)))
	return bad(first, Unknown, "nothing in the bundle accounts for it; %d such file(s)", len(v.unused))
}
