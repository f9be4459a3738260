// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	module   = "github.com/casebook-dev/casebook/"
	internal = module + "internal/"
	api      = module + "api/v1alpha1"
)

// world matches imports through which a package could touch anything but its
// arguments.
var world = regexp.MustCompile(`^(net|os|syscall|database|log|math/rand|crypto/rand|testing)(/|$)|^k8s\.io/client-go|^sigs\.k8s\.io/controller-runtime`)

// values are packages under those names that hold values only.
var values = map[string]bool{"net/url": true, "net/netip": true, "net/mail": true, "net/textproto": true}

// layer is a package at the first level of internal, and what it may import of
// ours: every layer before it, but not those it denies.
type layer struct {
	name string
	// deny names layers before this one that it must not import; "api" is
	// api/v1alpha1.
	deny []string
	// only, if not nil, are the imports outside the standard library that are
	// allowed, as a path or, with a final slash, as a prefix. It replaces the
	// rule of the order.
	only []string
}

// layers is the order: no package imports one that comes after it.
var layers = []layer{
	{name: "fault", only: []string{}},
	{name: "expr", only: []string{
		"github.com/google/cel-go/", "k8s.io/apiserver/pkg/cel/", "google.golang.org/protobuf/",
		"golang.org/x/net/idna", "golang.org/x/net/publicsuffix",
	}},
	// Records must be readable when their API versions are gone, and the verifier
	// must build without Kubernetes.
	{name: "evidence", only: []string{
		"golang.org/x/mod/sumdb/tlog", "golang.org/x/mod/sumdb/note",
		"github.com/evanphx/json-patch/v5", "github.com/gowebpki/jcs",
	}},
	{name: "blob", only: []string{}},
	{name: "redact", only: []string{}},
	{name: "connector"},
	{name: "ingest"},
	{name: "normalize", deny: []string{"ingest", "connector"}},
	{name: "casefile"},
	{name: "enrich"},
	{name: "guard"},
	{name: "decision", deny: []string{"guard"}},
	{name: "action", deny: []string{"connector"}},
	{name: "playbook", deny: []string{"action"}},
	// What people write is tried against the code that runs it.
	{name: "simulate", deny: []string{"ingest", "blob", "evidence"}},
	{name: "report"},
	{name: "notify"},
	{name: "console"},
}

// kubernetes are the packages that are the Kubernetes side, with the ones of
// ours that each may import, as names below internal and "api".
var kubernetes = map[string][]string{
	"kube": {"api", "fault"},
	// A journal entry is made by the loop in the evidence's canonical form.
	"controller/loop": {"api", "fault", "kube", "evidence"},
	"controller":      append([]string{"api", "kube", "controller/loop"}, layerNames()...),
}

// apiMayImport is what api/v1alpha1 may import outside the standard library, so
// that it can become a module of its own.
var apiMayImport = []string{"k8s.io/apimachinery/", "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"}

func layerNames() []string {
	names := make([]string, len(layers))
	for i, l := range layers {
		names[i] = l.name
	}
	return names
}

// violations returns what a package's imports break, each with what to do.
func violations(path string, imports []string) []string {
	name := strings.TrimPrefix(path, internal)
	var check func(imported string) string
	switch _, side := kubernetes[name]; {
	case path == api:
		check = func(imp string) string { return checkOnly(imp, apiMayImport) }
	case !strings.HasPrefix(path, internal):
		return nil
	case side:
		check = func(imp string) string { return checkKubernetes(name, imp) }
	case strings.Contains(name, "/"):
		check = func(imp string) string { return checkChild(name, imp) }
	default:
		i := slices.Index(layerNames(), name)
		if i < 0 {
			return []string{fmt.Sprintf("internal/%s is in no layer: add it to layers in test/arch/rules.go, where it belongs in the order", name)}
		}
		check = func(imp string) string { return checkParent(i, imp) }
	}
	var found []string
	for _, imp := range imports {
		if problem := check(imp); problem != "" {
			found = append(found, fmt.Sprintf("%s imports %s: %s", strings.TrimPrefix(path, module), imp, problem))
		}
	}
	return found
}

// checkParent checks an import of a layer: it is pure, and looks only up.
func checkParent(i int, imp string) string {
	l := layers[i]
	if world.MatchString(imp) && !values[imp] {
		return fmt.Sprintf("move the effect into internal/%s/...", l.name)
	}
	if l.only != nil {
		return checkOnly(imp, l.only)
	}
	dep := ours(imp)
	switch {
	case dep == "":
		return ""
	case slices.Contains(l.deny, dep):
		return "the two are kept apart: pass what is needed as an argument"
	case dep == "api" || slices.Contains(layerNames()[:i], dep):
		return ""
	case strings.Contains(dep, "/"):
		return "a parent never imports a child: declare the interface here and inject the child"
	default:
		return "it comes later in the order: turn the dependency round or pass a value"
	}
}

// checkChild checks an import of a child: any parent, but no other child and
// nothing of the Kubernetes side.
func checkChild(name, imp string) string {
	dep := ours(imp)
	switch {
	case dep == "" || dep == "api" || slices.Contains(layerNames(), dep):
		return ""
	case strings.HasPrefix(dep, name+"/"):
		return ""
	default:
		return "a child imports parents only: let cmd inject the other through an interface of the parent"
	}
}

func checkKubernetes(name, imp string) string {
	if imp == "net/http" {
		return "the Kubernetes side reaches tools through interfaces of their parents"
	}
	if dep := ours(imp); dep != "" && !slices.Contains(kubernetes[name], dep) {
		return "it may import only " + strings.Join(kubernetes[name], ", ")
	}
	return ""
}

// checkOnly checks an import against a list; the standard library is always
// allowed, but for what touches the world.
func checkOnly(imp string, only []string) string {
	first, _, _ := strings.Cut(imp, "/")
	standard := !strings.Contains(first, ".")
	if standard && (!world.MatchString(imp) || values[imp]) {
		return ""
	}
	for _, allowed := range only {
		if imp == allowed || strings.HasSuffix(allowed, "/") && strings.HasPrefix(imp, allowed) {
			return ""
		}
	}
	return fmt.Sprintf("beyond the standard library it may import only [%s]", strings.Join(only, " "))
}

// ours returns the name of an import that is ours as the rules spell it: "api",
// a path below internal, or a path below the module; empty for all others.
func ours(imp string) string {
	switch {
	case imp == api:
		return "api"
	case strings.HasPrefix(imp, internal):
		return strings.TrimPrefix(imp, internal)
	case strings.HasPrefix(imp, module):
		return strings.TrimPrefix(imp, module)
	default:
		return ""
	}
}
