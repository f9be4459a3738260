// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/ingest/gateway"
)

// reader answers every read of a Secret.
type reader struct {
	client.Reader
	reads int
	data  map[string][]byte
	err   error
}

func (r *reader) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	r.reads++
	object.(*corev1.Secret).Data = r.data
	return r.err
}

func TestKubeSecretsReadsOnceForAWhile(t *testing.T) {
	clock := now
	r := &reader{data: map[string][]byte{"token": []byte("one")}}
	secrets := &gateway.KubeSecrets{Reader: r, Now: func() time.Time { return clock }}
	get := func(key string) string {
		t.Helper()
		value, err := secrets.Get(t.Context(), "soc", v1alpha1.SecretKeyRef{Name: "hook", Key: key})
		if err != nil {
			return "error: " + err.Error()
		}
		return string(value)
	}
	for _, step := range []struct {
		does  string
		after time.Duration
		data  string
		err   error
		key   string
		want  string
		reads int
	}{
		{does: "it is read at first", data: "one", key: "token", want: "one", reads: 1},
		{does: "and not again at once", after: 9 * time.Second, data: "two", key: "token", want: "one", reads: 1},
		{does: "a changed one counts later", after: 2 * time.Second, data: "two", key: "token", want: "two", reads: 2},
		{does: "a key that is not there is told", data: "two", key: "none", want: `error: could not read key "none" of Secret soc/hook: there is no such key`, reads: 2},
		{does: "an error is told", after: 11 * time.Second, err: errors.New("forbidden"), key: "token", want: "forbidden; bind the gateway's ServiceAccount", reads: 3},
		{does: "and not asked for again at once", key: "token", want: "forbidden", reads: 3},
		{does: "and passes", after: 11 * time.Second, data: "three", key: "token", want: "three", reads: 4},
	} {
		clock = clock.Add(step.after)
		r.data, r.err = map[string][]byte{"token": []byte(step.data)}, step.err
		if got := get(step.key); !strings.Contains(got, step.want) || r.reads != step.reads {
			t.Errorf("%s: got %q after %d reads, want %q after %d", step.does, got, r.reads, step.want, step.reads)
		}
	}
}

func TestASenderWhoLeavesSaysNothingOfTheSecret(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r := &reader{err: context.Canceled}
	secrets := &gateway.KubeSecrets{Reader: r}
	ref := v1alpha1.SecretKeyRef{Name: "hook", Key: "token"}
	if _, err := secrets.Get(gone, "soc", ref); err == nil {
		t.Fatal("a cancelled read answered")
	}
	r.err, r.data = nil, map[string][]byte{"token": []byte("one")}
	if value, err := secrets.Get(t.Context(), "soc", ref); err != nil || string(value) != "one" {
		t.Errorf("the next sender got %q, %v", value, err)
	}
}
