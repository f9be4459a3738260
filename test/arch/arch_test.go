// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"errors"
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// root is the repository's, seen from this package.
var root = filepath.Join("..", "..")

// TestImports holds every package to the rules. It reads the sources itself
// rather than asking the go command, so that `go test` sees what it depends on
// and does not answer from its cache after a change.
func TestImports(t *testing.T) {
	checked := 0
	for _, top := range []string{"api", "internal"} {
		for _, dir := range goDirs(t, filepath.Join(root, top)) {
			pkg, err := build.ImportDir(dir, 0)
			var none *build.NoGoError
			if errors.As(err, &none) {
				continue // nothing but tests
			} else if err != nil {
				t.Errorf("read %s: %v", dir, err)
				continue
			}
			rel, err := filepath.Rel(root, dir)
			if err != nil {
				t.Fatal(err)
			}
			checked++
			for _, problem := range violations(module+filepath.ToSlash(rel), pkg.Imports) {
				t.Error(problem)
			}
		}
	}
	if checked == 0 {
		t.Fatal("no package was found: is the test run from the repository?")
	}
}

// TestEvidenceBuildsWithoutKubernetes follows imports to the end.
func TestEvidenceBuildsWithoutKubernetes(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "./internal/evidence")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		if strings.HasPrefix(dep, "k8s.io/") || strings.HasPrefix(dep, "sigs.k8s.io/") {
			t.Errorf("internal/evidence depends on %s: the verifier must build without Kubernetes", dep)
		}
	}
}

// Limits of a file's length in lines.
const (
	maxLines     = 400
	maxTestLines = 600
)

// TestFiles holds every Go file to its length and its licence header.
func TestFiles(t *testing.T) {
	header, err := os.ReadFile(filepath.Join(root, "hack", "boilerplate.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, top := range []string{"api", "cmd", "internal", "test", filepath.Join("hack", "localenv")} {
		for _, dir := range goDirs(t, filepath.Join(root, top)) {
			files, err := filepath.Glob(filepath.Join(dir, "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				checkFile(t, file, header)
			}
		}
	}
}

func checkFile(t *testing.T, file string, header []byte) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("\n// Code generated ")) {
		return
	}
	if !bytes.HasPrefix(raw, bytes.TrimSpace(header)) {
		t.Errorf("%s does not begin with hack/boilerplate.go.txt", file)
	}
	limit := maxLines
	if strings.HasSuffix(file, "_test.go") {
		limit = maxTestLines
	}
	if lines := bytes.Count(raw, []byte("\n")); lines > limit {
		t.Errorf("%s has %d lines, more than %d: split it by what it is about", file, lines, limit)
	}
}

// goDirs returns the directories at and below top that hold Go files; none if
// top does not exist yet.
func goDirs(t *testing.T, top string) []string {
	t.Helper()
	if _, err := os.Stat(top); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var dirs []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			return nil
		}
		if entry.Name() == "testdata" {
			return filepath.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if len(files) > 0 {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func TestViolations(t *testing.T) {
	tests := map[string]struct {
		path    string
		imports []string
		want    []string
	}{
		"a parent may import values, api and what comes before it": {
			path: internal + "guard", imports: []string{"net/netip", "time", api, internal + "expr"}},
		"a parent may not reach the network": {
			path: internal + "guard", imports: []string{"net/http"},
			want: []string{"internal/guard imports net/http: move the effect into internal/guard/..."}},
		"nor a client": {
			path: internal + "guard", imports: []string{"sigs.k8s.io/controller-runtime/pkg/client"},
			want: []string{"internal/guard imports sigs.k8s.io/controller-runtime/pkg/client: move the effect into internal/guard/..."}},
		"nor what comes after it": {
			path: internal + "guard", imports: []string{internal + "playbook"},
			want: []string{"internal/guard imports " + internal + "playbook: it comes later in the order: turn the dependency round or pass a value"}},
		"nor its own child": {
			path: internal + "blob", imports: []string{internal + "blob/dir"},
			want: []string{"internal/blob imports " + internal + "blob/dir: beyond the standard library it may import only []"}},
		"nor another's child": {
			path: internal + "report", imports: []string{internal + "blob/dir"},
			want: []string{"internal/report imports " + internal + "blob/dir: a parent never imports a child: declare the interface here and inject the child"}},
		"nor what it is kept apart from": {
			path: internal + "action", imports: []string{internal + "connector"},
			want: []string{"internal/action imports " + internal + "connector: the two are kept apart: pass what is needed as an argument"}},
		"evidence knows neither api nor Kubernetes": {
			path: internal + "evidence", imports: []string{"golang.org/x/mod/sumdb/tlog", api},
			want: []string{"internal/evidence imports " + api + ": beyond the standard library it may import only [golang.org/x/mod/sumdb/tlog golang.org/x/mod/sumdb/note github.com/evanphx/json-patch/v5 github.com/gowebpki/jcs]"}},
		"an unknown parent has no place": {
			path: internal + "util", want: []string{"internal/util is in no layer: add it to layers in test/arch/rules.go, where it belongs in the order"}},
		"a child may import the world and parents": {
			path: internal + "blob/dir", imports: []string{"os", internal + "blob", internal + "report"}},
		"a child may not import a child": {
			path: internal + "evidence/store", imports: []string{internal + "blob/dir"},
			want: []string{"internal/evidence/store imports " + internal + "blob/dir: a child imports parents only: let cmd inject the other through an interface of the parent"}},
		"a child may not import the Kubernetes side": {
			path: internal + "connector/kubernetes", imports: []string{internal + "kube"},
			want: []string{"internal/connector/kubernetes imports " + internal + "kube: a child imports parents only: let cmd inject the other through an interface of the parent"}},
		"a controller may import parents, kube and the loop": {
			path: internal + "controller", imports: []string{api, internal + "guard", internal + "kube", internal + "controller/loop", "k8s.io/client-go/tools/events"}},
		"a controller may not import a child": {
			path: internal + "controller", imports: []string{internal + "blob/dir", "net/http"},
			want: []string{
				"internal/controller imports " + internal + "blob/dir: it may import only " + strings.Join(kubernetes["controller"], ", "),
				"internal/controller imports net/http: the Kubernetes side reaches tools through interfaces of their parents",
			}},
		"the loop may not import a domain package": {
			path: internal + "controller/loop", imports: []string{internal + "guard"},
			want: []string{"internal/controller/loop imports " + internal + "guard: it may import only api, fault, kube, evidence"}},
		"api may import apimachinery and nothing of ours": {
			path: api, imports: []string{"k8s.io/apimachinery/pkg/runtime", "k8s.io/api/core/v1", internal + "fault"},
			want: []string{
				"api/v1alpha1 imports k8s.io/api/core/v1: beyond the standard library it may import only [k8s.io/apimachinery/ k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1]",
				"api/v1alpha1 imports " + internal + "fault: beyond the standard library it may import only [k8s.io/apimachinery/ k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1]",
			}},
		"commands may import everything": {
			path: module + "cmd/casebook", imports: []string{"net/http", internal + "blob/dir", internal + "controller"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, violations(tt.path, tt.imports)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
