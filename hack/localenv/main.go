// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Command localenv is a Kubernetes control plane in one binary: etcd,
// kube-apiserver, kube-controller-manager and kubectl, built from their own
// sources so that a machine with Go alone can run the tests and the demo.
//
// The program it becomes is chosen by the base name it is called by, so that
// symbolic links in a KUBEBUILDER_ASSETS directory work, or by its first
// argument:
//
//	localenv etcd --data-dir=...
//	bin/assets/kube-apiserver --version
//
// It differs from the upstream programs in two ways. The controller manager
// runs only garbage collection and namespace deletion unless --controllers
// says otherwise, because a test cluster has no nodes and no workloads. And
// every program takes --exit-with-parent=PID: it then ends as soon as PID is no
// longer its parent, so that a killed test leaves nothing running.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"

	_ "k8s.io/client-go/plugin/pkg/client/auth"           // kubectl: credentials from exec plugins
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // request metrics of the servers
	_ "k8s.io/component-base/metrics/prometheus/version"  // build information in /metrics
)

// programs maps the names this binary answers to onto what it then does. Each
// reads os.Args and returns the exit code of the process.
var programs = map[string]func() int{
	"etcd":                    runEtcd,
	"kube-apiserver":          runAPIServer,
	"kube-controller-manager": runControllerManager,
	"kubectl":                 runKubectl,
}

func main() {
	run, args := choose(os.Args)
	if run == nil {
		fmt.Fprintf(os.Stderr, "localenv: unknown program: call it as, or with the first argument, one of %s\n", strings.Join(names(), ", "))
		os.Exit(2)
	}
	parent, args, err := takeParent(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "localenv: %v\n", err)
		os.Exit(2)
	}
	if parent != 0 {
		go exitWithout(parent)
	}
	os.Args = args
	os.Exit(run())
}

// choose picks the program for a command line and returns the command line
// which that program should see.
func choose(args []string) (func() int, []string) {
	if run, ok := programs[strings.TrimSuffix(filepath.Base(args[0]), ".exe")]; ok {
		return run, args
	}
	if len(args) < 2 {
		return nil, nil
	}
	return programs[args[1]], args[1:]
}

func names() []string {
	all := make([]string, 0, len(programs))
	for name := range programs {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func runEtcd() int {
	etcdmain.Main(os.Args) // exits by itself when it fails
	return 0
}

func runAPIServer() int { return cli.Run(apiserver.NewAPIServerCommand()) }

func runControllerManager() int {
	os.Args = withDefaults(os.Args)
	return cli.Run(controllermanager.NewControllerManagerCommand())
}

// withDefaults adds the flags of a controller manager without nodes or
// workloads, unless the caller has set them.
func withDefaults(args []string) []string {
	defaults := []struct{ flag, value string }{
		{"--controllers", "garbage-collector-controller,namespace-controller"},
		{"--use-service-account-credentials", "false"},
	}
	out := slices.Clone(args)
	for _, d := range defaults {
		given := slices.ContainsFunc(args, func(arg string) bool {
			return arg == d.flag || strings.HasPrefix(arg, d.flag+"=")
		})
		if !given {
			out = append(out, d.flag+"="+d.value)
		}
	}
	return out
}

func runKubectl() int {
	if _, err := logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)); err != nil {
		fmt.Fprintf(os.Stderr, "kubectl: set log verbosity: %v\n", err)
	}
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err) // prints as kubectl does, and exits
	}
	return 0
}
