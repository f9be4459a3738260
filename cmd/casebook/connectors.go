// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/cluster"
	"github.com/casebook-dev/casebook/internal/connector/geoip"
	"github.com/casebook-dev/casebook/internal/connector/httptool"
	"github.com/casebook-dev/casebook/internal/connector/kubernetes"
	"github.com/casebook-dev/casebook/internal/connector/smtp"
	"github.com/casebook-dev/casebook/internal/connector/table"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/kube"
)

// openers knows every kind of connector. What dials keeps to the policy.
func openers(mgr manager.Manager, o options, policy connector.AddressPolicy) connector.Opener {
	values := kube.Values{Live: mgr.GetAPIReader()}
	operator := types.NamespacedName{Namespace: o.namespace, Name: "casebook-controllers"}
	return connector.Registry{
		Kubernetes: kubernetes.New(mgr.GetConfig(), operator),
		HTTP:       httptool.NewOpener(httptool.Dependencies{Values: values, Policy: policy, Clock: clock.RealClock{}}),
		Table:      table.NewOpener(values, o.buckets, clock.RealClock{}),
		GeoIP:      geoip.NewOpener(o.buckets, clock.RealClock{}),
		SMTP:       smtp.NewOpener(smtp.Dependencies{Values: values, Policy: policy, Clock: clock.RealClock{}}),
	}
}

// shared is the folder below --data-dir that every namespace may read.
const shared = "shared"

// buckets opens what tables and databases are read from. A folder is only opened below the one that whoever runs Casebook
// set apart for the namespace, or for all: without that, a Connector could read any file that this process can.
func (o options) buckets(namespace string, spec v1alpha1.BucketSpec) (blob.Bucket, error) {
	if spec.Dir != nil && !o.mayRead(namespace, spec.Dir.Path) {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason,
			"bucket.dir.path %s is not below %s or %s, which are what connectors of namespace %s may read: see --data-dir",
			spec.Dir.Path, filepath.Join(o.dataDir, namespace), filepath.Join(o.dataDir, shared), namespace)
	}
	return openBucket(spec)
}

func (o options) mayRead(namespace, path string) bool {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		resolved = filepath.Clean(path) // what is not there is told by who opens it
	}
	for _, allowed := range []string{filepath.Join(o.dataDir, namespace), filepath.Join(o.dataDir, shared)} {
		if target, err := filepath.EvalSymlinks(allowed); err == nil {
			allowed = target
		}
		if resolved == allowed || strings.HasPrefix(resolved, allowed+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// addresses is what connectors may dial: not the machine itself, not its link, not the cluster, unless listed. What the
// cluster's addresses are is watched while the manager runs.
func (o options) addresses(ctx context.Context, mgr manager.Manager) (connector.AddressPolicy, error) {
	var policy connector.AddressPolicy
	for flag, list := range map[string]struct {
		text string
		into *[]netip.Prefix
	}{"--allow-addresses": {o.allow, &policy.Allow}, "--deny-addresses": {o.deny, &policy.Deny}} {
		for text := range strings.FieldsFuncSeq(list.text, func(r rune) bool { return r == ',' || r == ' ' }) {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				return policy, fmt.Errorf("%s: %q is no range of addresses; write one such as 10.0.0.0/8", flag, text)
			}
			*list.into = append(*list.into, prefix.Masked())
		}
	}
	live, err := client.NewWithWatch(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return policy, fmt.Errorf("read the addresses of the cluster: %w", err)
	}
	own, err := cluster.Read(ctx, cluster.Options{Client: live, Host: mgr.GetConfig().Host, Log: ctrl.Log.WithName("addresses")})
	if err != nil {
		return policy, err
	}
	policy.Cluster = own.Cluster
	return policy, mgr.Add(own)
}
