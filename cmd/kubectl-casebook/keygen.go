// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"os"

	"github.com/spf13/cobra"

	"github.com/casebook-dev/casebook/internal/evidence"
)

func newEvidenceKeygen(o *options) *cobra.Command {
	var private, public string
	cmd := &cobra.Command{
		Use:   "keygen ORIGIN --private FILE --public FILE",
		Short: "Make the signing key of an evidence log",
		Long: "Make the Ed25519 key with which the log of that origin is signed, in the form of C2SP signed-note. The private " +
			"file goes into the Secret that the EvidenceLog names, and then away; the public one goes to whoever verifies. " +
			"No cluster is needed, and no file is overwritten.",
		Args: exactly("ORIGIN"),
		RunE: func(_ *cobra.Command, args []string) error {
			if private == "" || public == "" {
				return usagef("cannot make a key for %s: there is no file for it", args[0]).so("Name both: --private FILE --public FILE.")
			}
			signer, verifier, err := evidence.GenerateKey(rand.Reader, args[0])
			if err != nil {
				return usagef("cannot make a key for %s: %w", args[0], err)
			}
			if err := writeNew(private, signer, 0o600); err != nil {
				return err
			}
			if err := writeNew(public, verifier, 0o644); err != nil {
				return err
			}
			return o.tell("Made: the private key for the Secret, the public key for whoever verifies.\n")
		},
	}
	cmd.Flags().StringVar(&private, "private", "", "file to write the private key to (required)")
	cmd.Flags().StringVar(&public, "public", "", "file to write the public key to (required)")
	return cmd
}

// writeNew writes a file that does not exist yet: a key that is overwritten is a log that nobody can continue.
func writeNew(path, line string, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // the file that the person names
	if err != nil {
		return refusedf("cannot write the key: %w", err).so("Name a file that does not exist yet.")
	}
	if _, err := file.WriteString(line + "\n"); err != nil {
		_ = file.Close()
		return refusedf("cannot write the key: %w", err)
	}
	if err := file.Close(); err != nil {
		return refusedf("cannot write the key: %w", err)
	}
	return nil
}
