// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Command casebook is the operator. One binary has three roles, which may run apart: gateway keeps payloads and writes
// nothing to the API; controllers do everything else. (The console is not here yet.)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// version is set by the linker.
var version = "dev"

// heapGrowth is how much the heap may grow before it is collected, in percent of what is in use, unless GOGC says
// otherwise. It is half of Go's default: an operator waits for the API server, so that it has time rather than memory.
const heapGrowth = 50

func main() {
	options, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "casebook: %v\n", err)
		os.Exit(2)
	}
	if options.version {
		fmt.Println(version)
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	log.SetOutput(discreet{os.Stderr})
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: options.level()})))
	if err := run(ctrl.SetupSignalHandler(), options); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "casebook: %v\n", err)
		os.Exit(1)
	}
}

// The roles.
const (
	roleGateway     = "gateway"
	roleControllers = "controllers"
)

// options are the command line.
type options struct {
	roles      string
	namespace  string
	streamDir  string
	streamURL  string
	gateway    string
	metrics    string
	health     string
	dataDir    string
	allow      string
	deny       string
	leaderless bool
	verbose    bool
	version    bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("casebook", flag.ContinueOnError)
	flags.StringVar(&o.roles, "roles", roleGateway+","+roleControllers, "what this process does: gateway, controllers, or both")
	flags.StringVar(&o.namespace, "namespace", "casebook-system", "the operator's own namespace: its Guardrails and its default EvidenceLog serve every tenant")
	flags.StringVar(&o.streamDir, "stream-dir", "", "folder of the embedded stream, on durable storage; both roles must then be in this process")
	flags.StringVar(&o.streamURL, "stream-url", "", "URL of a NATS cluster with JetStream, instead of the embedded stream")
	flags.StringVar(&o.gateway, "gateway-address", ":8080", "where the gateway takes payloads")
	flags.StringVar(&o.metrics, "metrics-address", "0", "where metrics are served; 0 for nowhere")
	flags.StringVar(&o.health, "health-address", "0", "where /healthz and /readyz of the process are served; 0 for nowhere")
	flags.StringVar(&o.dataDir, "data-dir", "/var/lib/casebook/data", "folder whose sub-folders hold what table and geoip connectors may read: one named after each namespace, and shared for all")
	flags.StringVar(&o.allow, "allow-addresses", "", "ranges of addresses that connectors may dial although they are loopback, link-local or the cluster's own, with commas; they win over --deny-addresses")
	flags.StringVar(&o.deny, "deny-addresses", "", "ranges of addresses that connectors may not dial beside the cluster's own, with commas; where Casebook cannot read all of those, they state the rest")
	flags.BoolVar(&o.leaderless, "without-leader-election", false, "run controllers at once; only where there is certainly no other")
	flags.BoolVar(&o.verbose, "verbose", false, "log what happens, not only what an operator must read")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	if kubeconfig := flag.CommandLine.Lookup("kubeconfig"); kubeconfig != nil { // registered by controller-runtime
		flags.Var(kubeconfig.Value, kubeconfig.Name, kubeconfig.Usage)
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o options) check() error {
	for _, role := range strings.Split(o.roles, ",") {
		if role != roleGateway && role != roleControllers {
			return fmt.Errorf("--roles: there is no role %q; write %s, %s or both with a comma", role, roleGateway, roleControllers)
		}
	}
	if o.version {
		return nil
	}
	switch {
	case (o.streamDir == "") == (o.streamURL == ""):
		return errors.New("give --stream-dir for the embedded stream, or --stream-url for a NATS cluster, and not both")
	case o.streamDir != "" && (!o.has(roleGateway) || !o.has(roleControllers)):
		return errors.New("--stream-dir needs both roles in one process; roles that run apart share a NATS cluster by --stream-url")
	}
	return nil
}

func (o options) has(role string) bool { return slices.Contains(strings.Split(o.roles, ","), role) }

func (o options) level() slog.Level {
	if o.verbose {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
