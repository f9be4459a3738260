// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/ingest/gateway"
	"github.com/casebook-dev/casebook/internal/ingest/intake"
	"github.com/casebook-dev/casebook/internal/ingest/stream"
	"github.com/casebook-dev/casebook/internal/kube"
)

// run builds the roles and runs them until the context ends.
func run(ctx context.Context, o options) error {
	mgr, err := newManager(o)
	if err != nil {
		return err
	}
	kept, err := stream.Open(ctx, stream.Options{Dir: o.streamDir, URL: o.streamURL, Log: ctrl.Log.WithName("stream")})
	if err != nil {
		return err
	}
	if o.has(roleControllers) {
		err = addControllers(ctx, mgr, o, kept)
	}
	if err == nil && o.has(roleGateway) {
		err = addGateway(mgr, o, kept)
	}
	if err == nil {
		err = errors.Join(mgr.Add(everywhere(giveBack)), mgr.Start(ctx))
	}
	return errors.Join(err, kept.Close())
}

func newManager(o options) (manager.Manager, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	config.QPS = -1                  // the API server's own priority and fairness decides
	config.DisableCompression = true // else each watch holds a compressor there and a decompressor here
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  kube.Scheme(),
		Metrics:                 server.Options{BindAddress: o.metrics},
		HealthProbeBindAddress:  o.health,
		LeaderElection:          o.has(roleControllers) && !o.leaderless,
		LeaderElectionID:        "casebook-controllers",
		LeaderElectionNamespace: o.namespace,
		// Another process takes over at once after an orderly end; what was announced but not sent is not its own.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       ptr.To(70 * time.Second), // longer than one exchange with a target
		Cache:                         cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Client: client.Options{Cache: &client.CacheOptions{
			EnableReadYourWritesConsistency: ptr.To(true),
			// Read where they are used: a cache of them would want to list every one.
			DisableFor: []client.Object{&corev1.Secret{}, &appsv1.ControllerRevision{}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	return mgr, errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping))
}

func addControllers(ctx context.Context, mgr manager.Manager, o options, kept *stream.Stream) error {
	holder, err := holder()
	if err != nil {
		return err
	}
	policy, err := o.addresses(ctx, mgr)
	if err != nil {
		return err
	}
	sealer, err := controller.Setup(ctx, mgr, controller.Options{
		Namespace: o.namespace, Holder: holder, OpenLog: openLog,
		Connectors: openers(mgr, o, policy),
	})
	if err != nil {
		return err
	}
	return mgr.Add(intake.New(intake.Options{
		Stream: kept, Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Archive: sealer.StorePayload,
		Record: recordRepeats(mgr.GetClient()), Log: ctrl.Log.WithName("intake"),
	}))
}

// recordRepeats writes a Signal's counts, with the journal entry that says so.
func recordRepeats(c client.Client) func(context.Context, *v1alpha1.Signal, *v1alpha1.Signal, string) error {
	return func(ctx context.Context, before, after *v1alpha1.Signal, reason string) error {
		return loop.Record(ctx, c, before, after, v1alpha1.JournalEntry{
			Time: metav1.NowMicro(), Actor: v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "intake"}, Reason: reason,
		})
	}
}

// holder names this process among all that ever ran, by host and chance.
func holder() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name this process: %w", err)
	}
	chance := make([]byte, 8)
	if _, err := rand.Read(chance); err != nil {
		return "", fmt.Errorf("name this process: %w", err)
	}
	return host + "-" + hex.EncodeToString(chance), nil
}

func addGateway(mgr manager.Manager, o options, kept *stream.Stream) error {
	listener, err := net.Listen("tcp", o.gateway)
	if err != nil {
		return fmt.Errorf("listen for payloads: %w", err)
	}
	g := gateway.New(gateway.Options{
		Sources: gateway.KubeSources{Reader: mgr.GetClient()}, Secrets: &gateway.KubeSecrets{Reader: mgr.GetAPIReader()},
		Stream: kept, Log: ctrl.Log.WithName("gateway"),
	})
	return mgr.Add(everywhere(func(ctx context.Context) error { return g.Serve(ctx, listener) }))
}

// settleIn is when the first look at all that there is should be over.
const settleIn = 10 * time.Second

// giveBack returns to the machine what starting took: most of it is garbage once caches are filled and expressions are
// compiled, and a process that has nothing to do would keep it for minutes.
func giveBack(ctx context.Context) error {
	timer := time.NewTimer(settleIn)
	defer timer.Stop()
	select {
	case <-timer.C:
		debug.FreeOSMemory()
	case <-ctx.Done():
	}
	return nil
}

// everywhere runs on every replica, leader or not.
type everywhere func(context.Context) error

// Start runs it.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection says no.
func (everywhere) NeedLeaderElection() bool { return false }
