// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/internal/report"
)

// versionView is the version of this binary.
type versionView struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

// Text is the version on one line.
func (v versionView) Text(report.Screen) string {
	text := "kubectl casebook " + v.Version
	if v.Commit != "" {
		text += " (" + v.Commit + ")"
	}
	return text + ", " + v.Go + "\n"
}

func newVersion(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this plugin",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			view := versionView{Version: version, Go: runtime.Version()}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, setting := range info.Settings {
					if setting.Key == "vcs.revision" {
						view.Commit = setting.Value
					}
				}
			}
			return o.print(view)
		},
	}
	o.addOutput(cmd)
	return cmd
}
