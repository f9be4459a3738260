// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// constants are the values of a Go file's string constants whose names end in one of the suffixes.
func constants(t *testing.T, path string, suffixes ...string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), path), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.CONST {
			continue
		}
		for _, spec := range general.Specs {
			value := spec.(*ast.ValueSpec)
			if len(value.Values) != 1 || !slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(value.Names[0].Name, s) }) {
				continue
			}
			text, err := strconv.Unquote(value.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no constant that ends in %v", path, suffixes)
	}
	return out
}

var (
	inCode    = regexp.MustCompile("`([A-Z][A-Za-z]+)`")
	standing  = regexp.MustCompile("`([A-Z][A-Za-z]+)=(?:True|False|Unknown)")
	afterWord = regexp.MustCompile("(?:reason|reasons) `([A-Z][A-Za-z]+)`")
)

// named are the words of a page that are said to be conditions or reasons: those in
// a column of that name, "reason X", and "X=True" and its like. Each has its line.
func named(p page, column string) map[string]int {
	out := map[string]int{}
	_, prose := p.split()
	at := -1
	for i, line := range prose {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			at = -1
		case at < 0 && !strings.HasPrefix(line, "|-"):
			at = slices.IndexFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) == column })
			if at < 0 {
				at = len(cells) + 1 // a table without that column
			}
		case at < len(cells):
			for _, match := range inCode.FindAllStringSubmatch(cells[at], -1) {
				out[match[1]] = i + 1
			}
		}
		text := map[string]*regexp.Regexp{"condition": standing, "reason": afterWord}[column]
		if text == nil {
			continue
		}
		for _, match := range text.FindAllStringSubmatch(line, -1) {
			out[match[1]] = i + 1
		}
	}
	return out
}

// Every condition and reason that a page names is one of the API; a connector's own
// reasons stand in columns of their own.
func TestConditionsAndReasons(t *testing.T) {
	const api = "api/v1alpha1/conditions.go"
	known := map[string][]string{
		"condition":        constants(t, api, "Condition"),
		"reason":           constants(t, api, "Reason"),
		"connector reason": constants(t, "internal/connector/connector.go", "Reason"),
	}
	said := map[string]map[string]bool{}
	for column, names := range known {
		said[column] = map[string]bool{}
		for _, p := range pages(t) {
			for word, line := range named(p, column) {
				said[column][word] = true
				if !slices.Contains(names, word) {
					t.Errorf("%s:%d: there is no %s %s", p.path, line, column, word)
				}
			}
		}
	}
	for column, names := range known {
		for _, name := range names {
			if !said[column][name] {
				t.Errorf("no page says what the %s %s means and what to do", column, name)
			}
		}
	}
}

var testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9]*`)

// Every test that a page names exists.
func TestNamesOfTests(t *testing.T) {
	known := map[string]bool{}
	err := filepath.WalkDir(root(t), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != root(t) && (entry.Name() == "bin" || strings.HasPrefix(entry.Name(), ".")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		for _, match := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(read(t, path), -1) {
			known[match[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mentioned := 0
	for _, p := range pages(t) {
		for i, line := range strings.Split(p.text, "\n") {
			for _, name := range testName.FindAllString(line, -1) {
				mentioned++
				if !known[name] {
					t.Errorf("%s:%d: there is no %s", p.path, i+1, name)
				}
			}
		}
	}
	if mentioned == 0 {
		t.Error("no page names a test: docs/promises.md says which test holds what")
	}
}
