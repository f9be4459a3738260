// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"
)

func TestChoose(t *testing.T) {
	tests := map[string]struct {
		in   []string
		want []string // nil: no program
	}{
		"a symbolic link's name chooses the program":    {[]string{"/x/bin/assets/etcd", "--version"}, []string{"/x/bin/assets/etcd", "--version"}},
		"else the first argument chooses it":            {[]string{"bin/localenv", "kubectl", "get", "pods"}, []string{"kubectl", "get", "pods"}},
		"an argument after a program's name is its own": {[]string{"kubectl", "etcd"}, []string{"kubectl", "etcd"}},
		"an unknown program is refused":                 {[]string{"localenv", "kubelet"}, nil},
		"no program is refused":                         {[]string{"localenv"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			run, got := choose(tt.in)
			if (run == nil) != (tt.want == nil) {
				t.Fatalf("choose(%q) found a program: %t", tt.in, run != nil)
			}
			if run != nil && !slices.Equal(got, tt.want) {
				t.Errorf("choose(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestWithDefaults(t *testing.T) {
	few, plain := "--controllers=garbage-collector-controller,namespace-controller", "--use-service-account-credentials=false"
	tests := map[string]struct{ in, want []string }{
		"both are added when absent":    {[]string{"kcm"}, []string{"kcm", few, plain}},
		"a flag with its value stays":   {[]string{"kcm", "--controllers=*"}, []string{"kcm", "--controllers=*", plain}},
		"a flag before its value stays": {[]string{"kcm", "--controllers", "*"}, []string{"kcm", "--controllers", "*", plain}},
		"a longer flag is not mistaken": {[]string{"kcm", "--controllers-x=1"}, []string{"kcm", "--controllers-x=1", few, plain}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := withDefaults(tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("withDefaults(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestTakeParent(t *testing.T) {
	tests := map[string]struct {
		in     []string
		parent int
		rest   []string
		fails  bool
	}{
		"absent, nothing changes": {in: []string{"etcd", "--a"}, rest: []string{"etcd", "--a"}},
		"the flag is taken out":   {in: []string{"etcd", "--exit-with-parent=42", "--a"}, parent: 42, rest: []string{"etcd", "--a"}},
		"a word is no process id": {in: []string{"etcd", "--exit-with-parent=me"}, fails: true},
		"zero is no process id":   {in: []string{"etcd", "--exit-with-parent=0"}, fails: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			parent, rest, err := takeParent(tt.in)
			if (err != nil) != tt.fails || parent != tt.parent || !slices.Equal(rest, tt.rest) {
				t.Errorf("takeParent(%q) = %d, %q, %v", tt.in, parent, rest, err)
			}
		})
	}
}
