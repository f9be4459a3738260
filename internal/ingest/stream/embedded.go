// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats-server/v2/server"
)

const startTimeout = 60 * time.Second // a large store is read at start

// embedded is a NATS server within this process.
type embedded struct {
	server *server.Server
	lock   *os.File
	before map[string]bool // streams that the storage held before the server started
}

func startEmbedded(options Options) (*embedded, error) {
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("could not make the stream's storage: %w; give the process a directory that it may write", err)
	}
	lock, err := lockDir(options.Dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{lock: lock, before: storedStreams(options.Dir)}
	for stream := range e.before {
		if err := inspect(options.Dir, stream); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	e.server, err = server.NewServer(&server.Options{
		ServerName: "casebook", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: options.Dir, SyncAlways: true, DisableJetStreamBanner: true,
		JetStreamMaxMemory: 1 << 20, // no stream is kept in memory
		JetStreamMaxStore:  options.MaxBytes + options.MaxDeadBytes,
		MaxPayload:         maxPayload,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("could not start the stream in %s: %w", options.Dir, err), lock.Close())
	}
	e.server.SetLoggerV2(serverLog{options.Log}, false, false, false)
	e.server.Start()
	if !e.server.ReadyForConnections(startTimeout) || !e.server.JetStreamEnabled() {
		return nil, errors.Join(fmt.Errorf("could not start the stream in %s: the server was not ready within %s; its log says why", options.Dir, startTimeout), e.stop())
	}
	if err := e.damage(); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return e, nil
}

// lockDir makes this process the only one that writes to the storage: two
// servers on one directory would destroy it.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "casebook.lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, fmt.Errorf("could not lock the stream's storage: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("could not lock the stream's storage %s: %w; another process uses it: stop that one, or give each a directory of its own", dir, err), file.Close())
	}
	return file, nil
}

// storedStreams names the streams that a storage directory holds, whether they
// can be read or not. The layout is that of JetStream's global account.
func storedStreams(dir string) map[string]bool {
	found := map[string]bool{}
	entries, _ := os.ReadDir(filepath.Join(dir, "jetstream", "$G", "streams")) // absent at first
	for _, entry := range entries {
		found[entry.Name()] = true
	}
	return found
}

func (e *embedded) had(stream string) bool { return e.before[stream] }

// damage errs if reading the storage lost messages that had been kept.
func (e *embedded) damage() error {
	report, err := e.server.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return fmt.Errorf("could not ask for the state of the stream: %w", err)
	}
	for _, account := range report.AccountDetails {
		for _, stream := range account.Streams {
			if lost := stream.State.Lost; lost != nil && len(lost.Msgs) > 0 {
				return fmt.Errorf("the storage of stream %s is damaged: %d kept payloads cannot be read (numbers %s). Restore the directory, or move it aside to begin with an empty stream",
					stream.Name, len(lost.Msgs), firstNumbers(lost.Msgs))
			}
		}
	}
	return nil
}

func firstNumbers(numbers []uint64) string {
	const most = 5
	text := strings.Trim(fmt.Sprint(numbers[:min(most, len(numbers))]), "[]")
	if len(numbers) > most {
		text += " ..."
	}
	return text
}

// healthy errs once a write has failed: after a failed sync the file is not
// trusted again until a restart has read it back.
func (e *embedded) healthy() error {
	if health := e.server.Healthz(nil); health.StatusCode != 200 {
		return fmt.Errorf("the stream's server is not healthy: %s%v; check the disk under its storage, then restart", health.Error, health.Errors)
	}
	return nil
}

func (e *embedded) stop() error {
	e.server.Shutdown()
	e.server.WaitForShutdown()
	return e.lock.Close()
}

// serverLog writes what the server says where the operator's log is.
type serverLog struct {
	log logr.Logger
}

// Noticef tells what is worth knowing when one looks for it.
func (l serverLog) Noticef(format string, v ...any) { l.log.V(1).Info(fmt.Sprintf(format, v...)) }

// Warnf tells what an operator should know.
func (l serverLog) Warnf(format string, v ...any) { l.log.Info(fmt.Sprintf(format, v...)) }

// Errorf tells what went wrong.
func (l serverLog) Errorf(format string, v ...any) { l.log.Error(fmt.Errorf(format, v...), "stream") }

// Fatalf tells what went wrong; it does not end the process.
func (l serverLog) Fatalf(format string, v ...any) { l.log.Error(fmt.Errorf(format, v...), "stream") }

// Debugf tells nothing.
func (l serverLog) Debugf(string, ...any) {}

// Tracef tells nothing.
func (l serverLog) Tracef(string, ...any) {}
