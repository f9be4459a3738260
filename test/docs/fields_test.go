// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the tables of fields anew")

// definitions are the custom resource definitions by kind.
func definitions(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), "config/crd/casebook.dev_*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions were found (%v)", err)
	}
	out := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, file := range files {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal([]byte(read(t, file)), crd); err != nil {
			t.Fatal(err)
		}
		out[crd.Spec.Names.Kind] = crd
	}
	return out
}

// Every kind has a page, with the fields that the schema has.
func TestFields(t *testing.T) {
	for kind, crd := range definitions(t) {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(root(t), "docs/kinds", strings.ToLower(kind)+".md")
			text := read(t, path)
			schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
			now := text
			for _, part := range []string{"spec", "status"} {
				begin, end := fmt.Sprintf("<!-- fields of %s -->\n", part), fmt.Sprintf("<!-- end of %s -->\n", part)
				before, rest, opened := strings.Cut(now, begin)
				_, after, closed := strings.Cut(rest, end)
				if !opened || !closed {
					t.Fatalf("the page has no place for the fields: write %s%s", begin, end)
				}
				now = before + begin + table(schema.Properties[part]) + end + after
			}
			if *update {
				if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(now, text); diff != "" {
				t.Errorf("the tables are not what the schema says; write them anew with go test ./test/docs -run TestFields -update\n%s", diff)
			}
		})
	}
}

// PROJECT names exactly the kinds of the API.
func TestProject(t *testing.T) {
	var project struct {
		Resources []struct {
			Kind string `json:"kind"`
		} `json:"resources"`
	}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(root(t), "PROJECT"))), &project); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, resource := range project.Resources {
		got = append(got, resource.Kind)
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(definitions(t))), got); diff != "" {
		t.Error(diff)
	}
}

// table writes the fields below a schema, one a row.
func table(schema apiextensionsv1.JSONSchemaProps) string {
	w := &writer{seen: map[string]string{}}
	w.fields(schema, "")
	if len(w.rows) == 0 {
		return "It has no fields of its own.\n"
	}
	return "| field | type | what it is | bounds |\n|---|---|---|---|\n" + strings.Join(w.rows, "")
}

type writer struct {
	rows []string
	seen map[string]string // a schema with fields, and where it was written out
}

// everywhere are the fields that every status has; docs/kinds/README.md speaks of them.
var everywhere = []string{"conditions", "journal", "observedGeneration"}

func (w *writer) fields(schema apiextensionsv1.JSONSchemaProps, prefix string) {
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if prefix == "" && slices.Contains(everywhere, name) {
			continue
		}
		w.field(prefix+name, schema.Properties[name], slices.Contains(schema.Required, name))
	}
}

func (w *writer) field(path string, schema apiextensionsv1.JSONSchemaProps, required bool) {
	item := schema
	if schema.Items != nil {
		item = *schema.Items.Schema
	}
	kind, note := typeOf(schema), ""
	if required {
		kind += ", required"
	}
	key := ""
	if len(item.Properties) > 0 {
		raw, _ := json.Marshal(item.Properties) // a schema was read from YAML
		key = string(raw)
		if before := w.seen[key]; before != "" {
			note = fmt.Sprintf(" Fields as of `%s`.", before)
		}
	}
	w.rows = append(w.rows, fmt.Sprintf("| `%s` | %s | %s%s | %s |\n", path, kind, cell(describe(path, schema)), note, cell(strings.Join(bounds(schema), "; "))))
	if key == "" || note != "" {
		return
	}
	if schema.Items != nil {
		path += "[]"
	}
	w.seen[key] = path
	w.fields(item, path+".")
}

func typeOf(schema apiextensionsv1.JSONSchemaProps) string {
	switch {
	case schema.Items != nil:
		return "list of " + typeOf(*schema.Items.Schema) + "s"
	case schema.Format == "date-time":
		return "time"
	case schema.XPreserveUnknownFields != nil || schema.Type == "":
		return "any JSON"
	default:
		return schema.Type
	}
}

var firstWord = regexp.MustCompile(`^[a-zA-Z]+ `)

// describe is the doc comment without the name of the field that it begins with.
func describe(path string, schema apiextensionsv1.JSONSchemaProps) string {
	text := strings.Join(strings.Fields(schema.Description), " ")
	name := path[strings.LastIndex(path, ".")+1:]
	if word := firstWord.FindString(text); strings.TrimSpace(word) == name {
		text = strings.TrimPrefix(text, word)
	}
	return text
}

// bounds says what the schema wants of a value.
func bounds(schema apiextensionsv1.JSONSchemaProps) []string {
	var out []string
	if len(schema.Enum) > 0 {
		var values []string
		for _, raw := range schema.Enum {
			values = append(values, "`"+strings.Trim(string(raw.Raw), `"`)+"`")
		}
		out = append(out, "one of "+strings.Join(values, ", "))
	}
	out = append(out, rangeOf(schema.MinLength, schema.MaxLength, " characters")...)
	out = append(out, rangeOf(schema.MinItems, schema.MaxItems, " items")...)
	out = append(out, rangeOf(whole(schema.Minimum), whole(schema.Maximum), "")...)
	if schema.Pattern != "" {
		out = append(out, "matches `"+schema.Pattern+"`")
	}
	if schema.MinProperties != nil {
		out = append(out, fmt.Sprintf("at least %d of its fields", *schema.MinProperties))
	}
	for _, rule := range schema.XValidations {
		out = append(out, rule.Message)
	}
	if schema.Items != nil {
		for _, each := range bounds(*schema.Items.Schema) {
			out = append(out, "each: "+each)
		}
	}
	return out
}

func whole(number *float64) *int64 {
	if number == nil {
		return nil
	}
	out := int64(*number)
	return &out
}

func rangeOf(least, most *int64, what string) []string {
	switch {
	case least != nil && most != nil && *least == *most:
		return []string{fmt.Sprintf("%d%s", *least, what)}
	case least != nil && most != nil:
		return []string{fmt.Sprintf("%d to %d%s", *least, *most, what)}
	case least != nil:
		return []string{fmt.Sprintf("at least %d%s", *least, what)}
	case most != nil:
		return []string{fmt.Sprintf("at most %d%s", *most, what)}
	default:
		return nil
	}
}

// cell makes text fit into a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
