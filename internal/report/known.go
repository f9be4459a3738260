// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// mostSeen is how many users and addresses the page of a case shows.
const mostSeen = 10

// Sighting is one address that a signal of the case names.
type Sighting struct {
	IP     string    `json:"ip"`
	Time   time.Time `json:"time"`
	Signal string    `json:"signal"`
}

func sightings(c *v1alpha1.Case) []Sighting {
	out := make([]Sighting, len(c.Status.Sightings))
	for i, s := range c.Status.Sightings {
		out[i] = Sighting{IP: s.IP, Time: s.Time.UTC(), Signal: s.Signal}
	}
	return out
}

// typeOf names the type of a case: the one that a person gave it, or else the one that it opened with.
func typeOf(c *v1alpha1.Case) string {
	if c.Status.TypeRef != nil {
		return c.Status.TypeRef.Name
	}
	return c.Spec.TypeRef.Name
}

// about tells whether a lookup was made for something that the page shows elsewhere: by its name, or for a sighting of
// an address, which is named by the address and its time.
func (e Enrichment) about(name string) bool {
	return e.Item != "" && e.Decision == "" && (e.Item == name || strings.HasPrefix(e.Item, name+" at "))
}

// who are the users, each with what lookups say of them.
func (c Case) who() []string {
	var out []string
	for i, user := range c.Users {
		if i == mostSeen {
			return append(out, fmt.Sprintf("and %d more users (-o json shows all)", len(c.Users)-i))
		}
		line := Escape(user.Name)
		if user.DisplayName != "" && user.DisplayName != user.Name {
			line += "   " + Escape(user.DisplayName)
		}
		out = append(out, line)
		out = append(out, c.said(user.Name)...)
	}
	return out
}

// said are the lines of what lookups say of one thing, each answer once.
func (c Case) said(name string) []string {
	var out []string
	for _, e := range c.Enrichments {
		if line := "  " + e.line(); e.about(name) && !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

// where are the hosts and the indicators; of an address also when it was seen and what lookups say of it.
func (c Case) where(p *page) []string {
	var out []string
	for _, host := range c.Hosts {
		out = append(out, Escape(entity(host)))
		out = append(out, c.said(host.Name)...)
	}
	for i, indicator := range c.Indicators {
		if i == mostSeen {
			return append(out, fmt.Sprintf("and %d more indicators (-o json shows all)", len(c.Indicators)-i))
		}
		seen := c.seen(p, indicator.Value)
		room := p.width() - labelWidth - caseColumn - columns(seen)
		out = append(out, pad(Escape(indicator.Type), caseColumn)+cut(Defang(indicator.Type, indicator.Value), room)+seen)
		out = append(out, c.said(indicator.Value)...)
	}
	return out
}

// seen says when an address was seen; empty for what is no sighting.
func (c Case) seen(p *page, ip string) string {
	var times []time.Time
	for _, s := range c.Sightings {
		if s.IP == ip {
			times = append(times, s.Time)
		}
	}
	switch n := len(times); n {
	case 0:
		return ""
	case 1:
		return "   at " + p.clock(times[0])
	default:
		return fmt.Sprintf("   %d times, %s to %s", n, p.clock(times[0]), p.clock(times[n-1]))
	}
}

// known is what lookups say of the case itself, and of what the page shows nowhere else.
func (c Case) known() []string {
	var out []string
	for _, e := range c.Enrichments {
		shown := slices.ContainsFunc(c.Users[:min(len(c.Users), mostSeen)], func(u Entity) bool { return e.about(u.Name) }) ||
			slices.ContainsFunc(c.Hosts, func(h Entity) bool { return e.about(h.Name) }) ||
			slices.ContainsFunc(c.Indicators[:min(len(c.Indicators), mostSeen)], func(i Indicator) bool { return e.about(i.Value) })
		if !shown {
			out = append(out, e.line())
		}
	}
	return out
}

// line is what one lookup said.
func (e Enrichment) line() string {
	said := summary(e.Input, e.Result)
	if e.Error != "" {
		said = "FAILED: " + e.Error
	}
	by := e.Lookup
	if e.Decision != "" {
		by += ", asked by hand"
	}
	return Escape(pad(e.Name, caseColumn-2)) + "  " + Prose(cut(said, 400)) + "   (" + Escape(by) + ")"
}

// summary is an answer on one line: its plain values by their path, in order. What was asked is left out of it, and
// "none" is an answer without anything in it.
func summary(input, result []byte) string {
	value, err := numbered(result)
	if err != nil {
		return string(result)
	}
	if nothing(value) {
		return "none"
	}
	asked, _ := numbered(input)
	if record, ok := value.(map[string]any); ok {
		given, _ := asked.(map[string]any)
		for key, text := range given {
			if _, isText := text.(string); isText && record[key] == text {
				delete(record, key)
			}
		}
	}
	var parts []string
	flatten("", value, &parts)
	if len(parts) == 0 {
		return compact(result)
	}
	return strings.Join(parts, ", ")
}

// numbered decodes JSON and keeps its numbers as they are written.
func numbered(raw []byte) (any, error) {
	var out any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	err := decoder.Decode(&out)
	return out, err
}

// nothing tells whether an answer is that there is none.
func nothing(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0 || v["found"] == false
	default:
		return v == ""
	}
}

// unread are members of answers that are long, and nothing to read; -o json has them.
var unread = []string{"uid", "annotations", "latitude", "longitude", "radiusKm"}

func flatten(path string, value any, parts *[]string) {
	switch v := value.(type) {
	case nil:
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			if !slices.Contains(unread, key) {
				keys = append(keys, key)
			}
		}
		sort.Strings(keys)
		for _, key := range keys {
			name := key
			if path != "" {
				name = path + "." + key
			}
			flatten(name, v[key], parts)
		}
	case []any:
		for i, item := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), item, parts)
		}
	default:
		switch {
		case v == "" || path == "found" || strings.Contains(path, "kubernetes.io/"): // nothing to read
		case path == "":
			*parts = append(*parts, fmt.Sprint(v))
		default:
			*parts = append(*parts, fmt.Sprintf("%s=%v", path, v))
		}
	}
}
