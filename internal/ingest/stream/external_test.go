// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/casebook-dev/casebook/internal/ingest"
)

// external starts a NATS server on the loopback interface, as an operator would beside Casebook.
func external(t *testing.T, maxPayload int32) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: maxPayload,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	return s.ClientURL()
}

func TestAnExternalServerIsSharedByGatewayAndControllers(t *testing.T) {
	url := external(t, maxPayload)
	gateway, controllers := open(t, Options{URL: url}), open(t, Options{URL: url, MaxBytes: 128 << 20})
	kept := publish(t, gateway, payload(1))
	got := next(t, subscribe(t, controllers, ingest.Intake))
	if got.Sequence != kept.Sequence || got.Digest != payload(1).Digest {
		t.Errorf("got %+v, want number %d", got, kept.Sequence)
	}
	if err := gateway.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnExternalServerForSmallMessagesIsRefused(t *testing.T) {
	if _, err := Open(t.Context(), Options{URL: external(t, 1<<20)}); err == nil || !strings.Contains(err.Error(), "set its max_payload") {
		t.Errorf("answered %v", err)
	}
}
