// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// patience is how long anything may take before a story fails with what it saw: far longer than anything needs, so that a
// busy machine fails nothing.
const patience = 60 * time.Second

// eventually waits until something holds; seen is what the error shows if it does not.
func eventually(what string, holds func() (ok bool, seen string)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		ok, seen := holds()
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s for %s; last seen:\n%s", patience, what, seen)
		}
	}
}

// kinds are what await can wait for, as kubectl calls them.
var kinds = map[string]string{
	"source": "Source", "mapping": "Mapping", "connector": "Connector", "guardrail": "Guardrail", "casetype": "CaseType",
	"playbook": "Playbook", "evidencelog": "EvidenceLog", "signal": "Signal", "case": "Case", "run": "PlaybookRun",
	"action": "Action", "decision": "Decision",
}

// await KIND[/NAME] FIELD=VALUE...: wait until an object is as it should be, and print it.
//
// A field is a path in status, or one that begins with spec, metadata or status; or the type of a condition, alone for
// its status or with .reason or .message. Numbers in a path count from 0 in a list. An empty value means that the field
// is absent, and != means any other. Without a name, any object of the kind will do.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: await KIND[/NAME] FIELD=VALUE...")
	}
	found := of(ts).awaitObject(ts, args[0], args[1:], func(*unstructured.Unstructured) bool { return true })
	_, err := fmt.Fprint(ts.Stdout(), show(found))
	ts.Check(err)
}

// awaitCase [FIELD=VALUE...]: wait for a case that this story has not met, and name it in $CASE, its uid in $CASE_UID.
func awaitCase(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: await-case [FIELD=VALUE...]")
	}
	s := of(ts)
	found := s.awaitObject(ts, "case", args, func(c *unstructured.Unstructured) bool { return !s.met[c.GetName()] })
	s.met[found.GetName()] = true
	ts.Setenv("CASE", found.GetName())
	ts.Setenv("CASE_UID", string(found.GetUID()))
	_, err := fmt.Fprint(ts.Stdout(), show(found))
	ts.Check(err)
}

func (s *story) awaitObject(
	ts *testscript.TestScript, what string, wants []string, fits func(*unstructured.Unstructured) bool,
) (found *unstructured.Unstructured) {
	kind, name, _ := strings.Cut(what, "/")
	if kinds[kind] == "" {
		ts.Fatalf("await knows no kind %q", kind)
	}
	ts.Check(eventually(what+" with "+strings.Join(wants, ", "), func() (bool, string) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind(kinds[kind] + "List"))
		if err := stage.admin.List(context.Background(), list, client.InNamespace(s.namespace)); err != nil {
			return false, err.Error()
		}
		seen := fmt.Sprintf("%d objects of the kind\n", len(list.Items))
		for i := range list.Items {
			o := &list.Items[i]
			if name != "" && o.GetName() != name || !fits(o) {
				continue
			}
			missed := slices.IndexFunc(wants, func(want string) bool { return !holds(o, want) })
			if missed < 0 {
				found = o
				return true, ""
			}
			seen += "not " + wants[missed] + ":\n" + show(o)
		}
		return false, seen
	}))
	return found
}

// let VARIABLE KIND[/NAME] FIELD [FIELD=VALUE]...: keep a field of an object, once it has it, in a variable.
func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: let VARIABLE KIND[/NAME] FIELD [FIELD=VALUE]...")
	}
	wants := append([]string{args[2] + "!="}, args[3:]...)
	found := of(ts).awaitObject(ts, args[1], wants, func(*unstructured.Unstructured) bool { return true })
	ts.Setenv(args[0], field(found, strings.Split(args[2], ".")))
}

// holds tells whether one FIELD=VALUE or FIELD!=VALUE does.
func holds(o *unstructured.Unstructured, want string) bool {
	path, value, _ := strings.Cut(want, "=")
	path, other := strings.CutSuffix(path, "!")
	return (field(o, strings.Split(path, ".")) == value) != other
}

func field(o *unstructured.Unstructured, path []string) string {
	switch {
	case slices.Contains([]string{"metadata", "spec", "status"}, path[0]):
	case strings.ToLower(path[0][:1]) != path[0][:1]:
		return condition(o, path)
	default:
		path = append([]string{"status"}, path...)
	}
	var at any = o.Object
	for _, step := range path {
		switch v := at.(type) {
		case map[string]any:
			at = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return ""
			}
			at = v[i]
		default:
			return ""
		}
	}
	if list, ok := at.([]any); at == nil || ok && len(list) == 0 {
		return ""
	}
	return fmt.Sprint(at)
}

func condition(o *unstructured.Unstructured, path []string) string {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, each := range conditions {
		if c, ok := each.(map[string]any); ok && c["type"] == path[0] {
			name := append(path[1:], "status")[0]
			return fmt.Sprint(c[name])
		}
	}
	return ""
}

// show is an object as YAML, without what nobody reads. Long lines are not folded, so that patterns match.
func show(o *unstructured.Unstructured) string {
	shown := o.DeepCopy()
	shown.SetManagedFields(nil)
	raw, err := yaml.Marshal(shown.Object)
	if err != nil {
		return err.Error()
	}
	return "---\n" + string(raw)
}
