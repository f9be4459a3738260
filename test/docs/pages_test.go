// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/test/fixture/controlplane"
)

// page is one Markdown file of the repository.
type page struct {
	path string // relative to the root, with slashes
	text string
}

// root is the root of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// pages are the Markdown files at the root and below docs.
func pages(t *testing.T) []page {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(root(t), "docs"), func(path string, _ os.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []page
	for _, file := range files {
		name, err := filepath.Rel(root(t), file)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page{filepath.ToSlash(name), read(t, file)})
	}
	if len(out) < 15 {
		t.Fatalf("%d pages were found: the README and those of docs are missing", len(out))
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// fence is a block of code of a page.
type fence struct {
	language string
	line     int // of its first line of content, from 1
	text     string
}

// split takes a page apart into its blocks of code and its prose; the prose keeps
// the page's line numbers.
func (p page) split() (fences []fence, prose []string) {
	var open *fence
	for i, line := range strings.Split(p.text, "\n") {
		language, mark := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case mark && open == nil:
			open = &fence{language: language, line: i + 2}
		case mark:
			fences, open = append(fences, *open), nil
		case open != nil:
			open.text += line + "\n"
		default:
			prose = append(prose, line)
			continue
		}
		prose = append(prose, "")
	}
	return fences, prose
}

var (
	heading    = regexp.MustCompile(`^#+ (.*)$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	inlineCode = regexp.MustCompile("`[^`]*`")
	inlineLink = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
)

// anchors are what a link to a heading of the page may name, as GitHub makes them.
func (p page) anchors() []string {
	_, prose := p.split()
	var out []string
	for _, line := range prose {
		if match := heading.FindStringSubmatch(line); match != nil {
			slug := notInSlug.ReplaceAllString(strings.ToLower(match[1]), "")
			out = append(out, strings.ReplaceAll(slug, " ", "-"))
		}
	}
	return out
}

// Every relative link leads to a file, a folder or a heading of this repository.
func TestLinks(t *testing.T) {
	known := map[string]page{}
	for _, p := range pages(t) {
		known[p.path] = p
	}
	links := 0
	for _, p := range known {
		_, prose := p.split()
		for i, line := range prose {
			for _, match := range inlineLink.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, ""), -1) {
				if strings.Contains(match[1], "://") {
					continue
				}
				links++
				if problem := follow(t, known, p, match[1]); problem != "" {
					t.Errorf("%s:%d: the link %s leads nowhere: %s", p.path, i+1, match[1], problem)
				}
			}
		}
	}
	if links < 50 {
		t.Errorf("%d relative links were found: they are not read", links)
	}
}

func follow(t *testing.T, known map[string]page, from page, link string) string {
	t.Helper()
	file, anchor, _ := strings.Cut(link, "#")
	to := from.path
	if file != "" {
		to = filepath.ToSlash(filepath.Join(filepath.Dir(from.path), file))
	}
	if _, err := os.Stat(filepath.Join(root(t), to)); err != nil {
		return "there is no such file"
	}
	if target, ok := known[to]; anchor != "" && (!ok || !slices.Contains(target.anchors(), anchor)) {
		return "the page has no such heading"
	}
	return ""
}
