// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package dir_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/blobtest"
	"github.com/casebook-dev/casebook/internal/blob/dir"
)

// counterFolder tells the test binary that it is a child of TestReplaceAmongProcesses, and in which folder.
const counterFolder = "CASEBOOK_TEST_COUNTER_FOLDER"

const counts = 50

func TestMain(m *testing.M) {
	if folder := os.Getenv(counterFolder); folder != "" {
		if err := count(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func open(t *testing.T, path string) *dir.Bucket {
	t.Helper()
	b, err := dir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Bucket { return open(t, t.TempDir()) })
}

// count adds counts to the number in the object "counter", by compare-and-set.
func count(folder string) error {
	b, err := dir.Open(folder)
	if err != nil {
		return err
	}
	ctx := context.Background() // a child process has no test to take one from
	for added := 0; added < counts; {
		got, err := b.Get(ctx, "counter", 100)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(got.Data))
		if err != nil {
			return err
		}
		_, err = b.Replace(ctx, "counter", []byte(strconv.Itoa(n+1)), got.ETag)
		if err == nil {
			added++
		} else if !errors.Is(err, blob.ErrChanged) {
			return err
		}
	}
	return b.Close()
}

func TestReplaceAmongProcesses(t *testing.T) {
	folder := t.TempDir()
	b := open(t, folder)
	if _, err := b.Create(t.Context(), "counter", []byte("0")); err != nil {
		t.Fatal(err)
	}
	const processes = 3
	var children [processes]*exec.Cmd
	for i := range children {
		children[i] = exec.CommandContext(t.Context(), os.Args[0])
		children[i].Env = append(os.Environ(), counterFolder+"="+folder)
		children[i].Stderr = os.Stderr
		if err := children[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, child := range children {
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}
	got, err := b.Get(t.Context(), "counter", 100)
	if want := strconv.Itoa(processes * counts); err != nil || string(got.Data) != want {
		t.Errorf("counter = %s, %v, want %s: every successful replace counts once", got.Data, err, want)
	}
}

func TestOpenMakesTheFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	b := open(t, folder)
	if _, err := b.Create(t.Context(), "c/d", []byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "c", "d")); err != nil {
		t.Errorf("an object is a file under its key: %v", err)
	}
}

func TestOpenOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Open of a file: %v, want an error that names it", err)
	}
}

func TestSymbolicLinksDoNotLeadOut(t *testing.T) {
	outside, folder := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(folder, "out")); err != nil {
		t.Fatal(err)
	}
	b := open(t, folder)
	if got, err := b.Get(t.Context(), "out/secret", 100); err == nil {
		t.Errorf("Get through a link that leads out = %q, want an error", got.Data)
	}
	if _, err := b.Create(t.Context(), "out/new", nil); err == nil {
		t.Error("Create through a link that leads out succeeded")
	}
}

func TestNoTemporaryFilesRemain(t *testing.T) {
	folder := t.TempDir()
	b := open(t, folder)
	etag, err := b.Create(t.Context(), "a", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = b.Create(t.Context(), "a", []byte("two"))
	_, _ = b.Replace(t.Context(), "a", []byte("two"), "stale")
	if _, err := b.Replace(t.Context(), "a", []byte("two"), etag); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(folder, ".tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v left in .tmp, %v", left, err)
	}
}
