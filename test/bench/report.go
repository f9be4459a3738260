// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
)

// report is what was measured.
type report struct {
	Machine machine  `json:"machine"`
	Figures []figure `json:"figures"`
	// Details by topic are what has no bound but explains what has.
	Details map[string]map[string]float64 `json:"details,omitempty"`
}

// machine says where the figures were measured, for who compares them.
type machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	Cores int    `json:"cores"`
	// Load is the load average of the minute before, where it is known: beyond the number of cores, times say little.
	Load string `json:"load,omitempty"`
}

func thisMachine() machine {
	m := machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(raw), " ")
	}
	return m
}

// figure is one measured figure.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	Bound float64 `json:"bound"`
	// AtLeast says that the bound is the least, not the most.
	AtLeast bool   `json:"atLeast,omitempty"`
	Holds   bool   `json:"holds"`
	About   string `json:"about"`
}

// add notes a figure and judges it by its bound. A figure without one is a mistake in this program.
func (r *report) add(name string, value float64) {
	at := slices.IndexFunc(bounds, func(b bound) bool { return b.name == name })
	if at < 0 {
		panic("the figure " + name + " has no bound in bounds.go")
	}
	b := bounds[at]
	holds := value <= b.limit
	if b.atLeast {
		holds = value >= b.limit
	}
	r.Figures = append(r.Figures, figure{Name: name, Value: value, Unit: b.unit, Bound: b.limit, AtLeast: b.atLeast, Holds: holds, About: b.about})
}

func (r *report) detail(topic string, values map[string]float64) {
	if r.Details == nil {
		r.Details = map[string]map[string]float64{}
	}
	if r.Details[topic] == nil {
		r.Details[topic] = map[string]float64{}
	}
	maps.Copy(r.Details[topic], values)
}

// broken names the figures beyond their bounds.
func (r *report) broken() []string {
	var out []string
	for _, f := range r.Figures {
		if !f.Holds {
			out = append(out, f.Name)
		}
	}
	return out
}

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	}
	for _, topic := range slices.Sorted(maps.Keys(r.Details)) {
		fmt.Fprintf(w, "%s\n", topic)
		for _, key := range slices.Sorted(maps.Keys(r.Details[topic])) {
			fmt.Fprintf(w, "  %8.2f  %s\n", r.Details[topic][key], key)
		}
	}
	load := ""
	if r.Machine.Load != "" {
		load = ", load " + r.Machine.Load + " before"
	}
	fmt.Fprintf(w, "figures on %s/%s, %d cores%s\n", r.Machine.OS, r.Machine.Arch, r.Machine.Cores, load)
	for _, f := range r.Figures {
		mark := "✓"
		if !f.Holds {
			mark = "✗"
		}
		sign := "<="
		if f.AtLeast {
			sign = ">="
		}
		fmt.Fprintf(w, "%s %-22s %8.2f %-2s %s %-4g %s\n", mark, f.Name, f.Value, f.Unit, sign, f.Bound, f.About)
	}
	return nil
}
