// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package dir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs f on a thread whose file access is that of an ordinary user, also where the tests run as root. The
// thread ends with the goroutine.
func asNobody(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				panic(err)
			}
		}
		f()
	}()
	<-done
}

func TestUnwritableFolder(t *testing.T) {
	folder := t.TempDir()
	for path := filepath.Dir(folder); path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil { // the user of asNobody must get to the folder
			t.Fatal(err)
		}
	}
	if err := os.Chmod(folder, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(folder, 0o700) })
	b := open(t, folder)
	var err error
	asNobody(func() { _, err = b.Create(t.Context(), "checkpoint", []byte("x")) })
	if !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("Create in a folder that cannot be written: %v, want fs.ErrPermission", err)
	}
	for _, part := range []string{"create checkpoint", folder, "permission denied", "give user"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}
