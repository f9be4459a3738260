// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/report"
)

func newEvidence(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "Take out the evidence of a case, and verify it",
		Args:  exactly(),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEvidenceExport(o), newEvidenceVerify(o), newEvidenceKeygen(o))
	return cmd
}

// verified is what a verification found.
type verified struct {
	evidence.Report
}

// Text is the report for people.
func (v verified) Text(report.Screen) string { return v.String() }

// verifiedView is the report for machines.
type verifiedView struct {
	Case           evidence.CaseRef `json:"case"`
	Entries        int              `json:"entries"`
	Records        map[string]int   `json:"records"`
	Payloads       int              `json:"payloads"`
	Log            string           `json:"log"`
	LogSize        int64            `json:"logSize"`
	CheckpointTime string           `json:"checkpointTime"`
	Sealed         bool             `json:"sealed"`
}

func newEvidenceVerify(o *options) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "verify DIR --key FILE",
		Short: "Verify a bundle offline, from entries to signature",
		Long: "Verify the bundle of a case with the public key of its log. No cluster is needed. Exit code 0 means that all of it " +
			"verified; 1 names the first file or entry that is wrong, missing or out of order.",
		Args: exactly("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			if keyFile == "" {
				return usagef("cannot verify %s: there is no key", args[0]).
					so("Name the file with the log's public key: --key FILE. It is in status.verifierKey of the EvidenceLog.")
			}
			key, err := os.ReadFile(keyFile) //nolint:gosec // the file that the person names
			if err != nil {
				return usagef("cannot read the key: %w", err).so("Name the file with the log's public key: --key FILE.")
			}
			if err := isFolder(args[0]); err != nil {
				return err
			}
			found, err := evidence.Verify(os.DirFS(args[0]), string(bytes.TrimSpace(key)))
			if err != nil {
				return refusedf("%s does not verify: %w", args[0], err)
			}
			if o.output == "" {
				return o.print(verified{found})
			}
			return o.encode(verifiedView{
				Case: found.Case, Entries: found.Entries, Records: found.Records, Payloads: found.Payloads, Log: found.Log,
				LogSize: found.TreeSize, CheckpointTime: found.Time.UTC().Format("2006-01-02T15:04:05Z07:00"), Sealed: found.Sealed,
			})
		},
	}
	cmd.Flags().StringVar(&keyFile, "key", "", "file with the public key of the log (required)")
	o.addOutput(cmd)
	return cmd
}

func isFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("cannot verify %s: there is no such folder", path).so("Name the folder that evidence export wrote.")
	case err != nil:
		return usagef("cannot verify %s: %w", path, err)
	case !info.IsDir():
		return usagef("cannot verify %s: it is no folder", path).so("Name the folder that evidence export wrote.")
	default:
		return nil
	}
}
