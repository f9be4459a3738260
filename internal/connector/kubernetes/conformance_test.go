// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/internal/connector/conntest"
	"github.com/casebook-dev/casebook/internal/connector/kubernetes"
)

func TestIsolatePodKeepsThePromises(t *testing.T) {
	conntest.Run(t, conntest.Subject{Operation: kubernetes.IsolatePod, New: func(tb testing.TB) *conntest.Fixture {
		s := newShop(tb, responderRules())
		return s.fixture(kubernetes.IsolatePod, func() bool {
			pod := s.now()
			return pod.UID == s.pod.UID && pod.Labels["casebook.dev/isolated"] == mark && slices.Contains(s.policies(), "casebook-isolate-"+mark)
		})
	}})
}

func TestReleasePodKeepsThePromises(t *testing.T) {
	conntest.Run(t, conntest.Subject{Operation: kubernetes.ReleasePod, New: func(tb testing.TB) *conntest.Fixture {
		s := newShop(tb, responderRules())
		s.do(kubernetes.IsolatePod)
		return s.fixture(kubernetes.ReleasePod, func() bool {
			pod := s.now()
			_, labelled := pod.Labels["casebook.dev/isolated"]
			return len(s.policies()) == 0 && (pod.UID != s.pod.UID || !labelled)
		})
	}})
}

func (s *shop) fixture(operation string, holds func() bool) *conntest.Fixture {
	return &conntest.Fixture{
		Connector: s.conn, Wire: s.wire, Request: s.request(operation), Holds: holds,
		Forbid: func() {
			s.t.Helper()
			if err := admin.RbacV1().RoleBindings(s.name).Delete(s.t.Context(), "responder", metav1.DeleteOptions{}); err != nil {
				s.t.Fatal(err)
			}
			s.await(false, "networking.k8s.io", "networkpolicies", "get")
		},
		Replace: func() func() error {
			s.deletePod()
			made := s.makePod(s.pod.Name, nil)
			return func() error {
				now := s.now()
				if now.UID != made.UID || now.ResourceVersion != made.ResourceVersion {
					return fmt.Errorf("the other pod of the name was touched: %v", now.ObjectMeta)
				}
				return nil
			}
		},
		Rival: func() func() error {
			s.relabel("rival")
			return func() error {
				if got := s.now().Labels["casebook.dev/isolated"]; got != "rival" {
					return fmt.Errorf("the rival's label became %q", got)
				}
				return nil
			}
		},
	}
}
