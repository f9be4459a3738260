// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/kube"
)

// Log is a log of evidence, open for appending by this process alone.
type Log interface {
	// Append seals drafts, all or a prefix; one that is sealed already is no harm.
	Append(ctx context.Context, drafts []evidence.Draft) error
	// Head is the last sealed sequence of an object; false if none is.
	Head(ctx context.Context, uid string) (int64, bool, error)
	// Seal closes a case's evidence, or finds it closed as it stands.
	Seal(ctx context.Context, of evidence.CaseRef, drained []evidence.SealedRecord, actor evidence.Actor) error
	// Payload stores a raw payload under its digest.
	Payload(ctx context.Context, payload []byte, digest string) error
	// Checkpoint is the newest signed checkpoint, and the tree size it is of.
	Checkpoint() (signed string, size int64)
	// VerifierKey is the public key that verifies the checkpoints.
	VerifierKey() string
}

// OpenLog opens the log of an EvidenceLog with its signing key. The last checkpoint kept in its status must be
// continued by what the bucket holds.
type OpenLog func(ctx context.Context, of *v1alpha1.EvidenceLog, signingKey string) (Log, error)

// Sealer drains journals into evidence logs. It never writes a record; it deletes the records of cases that are sealed
// and may leave.
type Sealer struct {
	client    client.Client
	live      client.Reader
	open      OpenLog
	namespace string // the operator's own
	clock     clock.PassiveClock

	mu     sync.Mutex
	logs   map[types.NamespacedName]openLog
	dirty  map[types.NamespacedName]map[types.NamespacedName]bool // log -> cases with something to seal
	sealed map[types.UID]int64                                    // object -> last sealed sequence
	closed map[types.UID]int64                                    // case -> entries when its evidence was closed
}

type openLog struct {
	Log
	uid        types.UID
	generation int64
}

// Head tells how far an object is sealed, as far as this process sealed it.
func (s *Sealer) Head(_ context.Context, uid types.UID) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sequence, known := s.sealed[uid]
	return sequence, known
}

// StorePayload keeps a raw payload in the log that a namespace's cases are sealed in.
func (s *Sealer) StorePayload(ctx context.Context, namespace string, payload []byte, digest string) error {
	log, err := s.logOfNamespace(ctx, namespace)
	if err != nil {
		return err
	}
	return log.Payload(ctx, payload, digest)
}

// logOf says whose EvidenceLog seals the cases that open in a namespace now.
func logOf(ctx context.Context, c client.Reader, namespace string) (v1alpha1.LogOwner, error) {
	var log v1alpha1.EvidenceLog
	err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: v1alpha1.DefaultEvidenceLog}, &log)
	if apierrors.IsNotFound(err) {
		return v1alpha1.LogOfOperator, nil
	}
	return v1alpha1.LogOfTenant, err
}

func (s *Sealer) logOfNamespace(ctx context.Context, namespace string) (Log, error) {
	owner, err := logOf(ctx, s.client, namespace)
	if err != nil {
		return nil, fmt.Errorf("find the evidence log of namespace %s: %w", namespace, err)
	}
	key := s.keyOf(namespace, owner)
	var log v1alpha1.EvidenceLog
	if err := s.client.Get(ctx, key, &log); err != nil {
		return nil, fmt.Errorf("read evidence log %s: %w", key, err)
	}
	return s.logFor(ctx, &log)
}

func (s *Sealer) keyOf(namespace string, owner v1alpha1.LogOwner) types.NamespacedName {
	if owner == v1alpha1.LogOfTenant {
		return types.NamespacedName{Namespace: namespace, Name: v1alpha1.DefaultEvidenceLog}
	}
	return types.NamespacedName{Namespace: s.namespace, Name: v1alpha1.DefaultEvidenceLog}
}

// logFor opens a log once for each generation of its EvidenceLog.
func (s *Sealer) logFor(ctx context.Context, of *v1alpha1.EvidenceLog) (Log, error) {
	key := client.ObjectKeyFromObject(of)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.logs[key]; ok && known.uid == of.UID && known.generation == of.Generation {
		return known, nil
	}
	signingKey, err := kube.Secret(ctx, s.live, of.Namespace, of.Spec.SigningKeyRef)
	if err != nil {
		return nil, err
	}
	opened, err := s.open(ctx, of, string(signingKey))
	if err != nil {
		return nil, err
	}
	if s.logs == nil {
		s.logs = map[types.NamespacedName]openLog{}
	}
	s.logs[key] = openLog{Log: opened, uid: of.UID, generation: of.Generation}
	return opened, nil
}

// reopen forgets an open log after a failure: the next pass reads its state from the bucket again.
func (s *Sealer) reopen(of *v1alpha1.EvidenceLog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.logs, client.ObjectKeyFromObject(of))
}

// mark notes that a case has something to seal, and says in which log.
func (s *Sealer) mark(c *v1alpha1.Case) types.NamespacedName {
	log := s.keyOf(c.Namespace, c.Spec.EvidenceLog)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty == nil {
		s.dirty = map[types.NamespacedName]map[types.NamespacedName]bool{}
	}
	if s.dirty[log] == nil {
		s.dirty[log] = map[types.NamespacedName]bool{}
	}
	s.dirty[log][client.ObjectKeyFromObject(c)] = true
	return log
}

// take takes the cases that wait for a log.
func (s *Sealer) take(log types.NamespacedName) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]types.NamespacedName, 0, len(s.dirty[log]))
	for key := range s.dirty[log] {
		out = append(out, key)
	}
	delete(s.dirty, log)
	return out
}

func (s *Sealer) putBack(log types.NamespacedName, keys []types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty == nil {
		s.dirty = map[types.NamespacedName]map[types.NamespacedName]bool{}
	}
	if s.dirty[log] == nil {
		s.dirty[log] = map[types.NamespacedName]bool{}
	}
	for _, key := range keys {
		s.dirty[log][key] = true
	}
}

// drain seals what the marked cases of a log have to say. Cases that failed are kept for the next time. It returns when
// the next closed case may leave; zero if none waits.
func (s *Sealer) drain(ctx context.Context, of *v1alpha1.EvidenceLog, log Log) (next time.Duration, err error) {
	key := client.ObjectKeyFromObject(of)
	taken := s.take(key)
	var later []types.NamespacedName
	var failures []error
	for _, name := range taken {
		wait, done, err := s.sealCase(ctx, of, log, name)
		if err != nil {
			failures = append(failures, fmt.Errorf("seal case %s: %w", name, err))
		}
		if !done {
			later = append(later, name)
		}
		if wait > 0 && (next == 0 || wait < next) {
			next = wait
		}
	}
	s.putBack(key, later)
	return next, errors.Join(failures...)
}

// sealCase seals one case's entries. Once the case has ended and all is sealed it closes its evidence; once it may leave
// it deletes its records. Not done: it is to be looked at again.
func (s *Sealer) sealCase(ctx context.Context, of *v1alpha1.EvidenceLog, log Log, name types.NamespacedName) (wait time.Duration, done bool, err error) {
	if name.Name == "" {
		err := s.sealNamespace(ctx, log, name.Namespace)
		return 0, err == nil, err
	}
	var c v1alpha1.Case
	if err := s.client.Get(ctx, name, &c); err != nil {
		return 0, apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	}
	records, err := s.recordsOf(ctx, &c)
	if err != nil {
		return 0, false, err
	}
	if err := s.append(ctx, log, &c, records); err != nil {
		return 0, false, err
	}
	leaving, err := s.mustLeave(ctx, c.Namespace)
	if err != nil {
		return 0, false, err
	}
	if !ended(&c, records, leaving) {
		if leaving {
			return time.Second, false, nil // an attempt is under way: its outcome is evidence
		}
		return 0, true, nil
	}
	if err := s.close(ctx, log, &c, records); err != nil {
		return 0, false, err
	}
	if left, err := s.stays(ctx, of, &c, records, leaving); err != nil || left > 0 {
		return left, false, err
	}
	return 0, true, s.dispose(ctx, &c, records)
}

// close closes a case's evidence, once for each number of entries that it ever had.
func (s *Sealer) close(ctx context.Context, log Log, c *v1alpha1.Case, records []loop.Object) error {
	entries := int64(0)
	drained := make([]evidence.SealedRecord, 0, len(records))
	for _, record := range records {
		gvk, err := apiutil.GVKForObject(record, s.client.Scheme())
		if err != nil {
			return err
		}
		drained = append(drained, evidence.SealedRecord{
			Kind: gvk.Kind, Name: record.GetName(), UID: string(record.GetUID()), Sequence: lastSequence(record),
		})
		entries += lastSequence(record) + 1
	}
	s.mu.Lock()
	already := s.closed[c.UID] == entries
	s.mu.Unlock()
	if already {
		return nil
	}
	actor := evidence.Actor{Type: evidence.Automation, Name: "evidencelog"}
	if err := log.Seal(ctx, evidence.CaseRef{Namespace: c.Namespace, Name: c.Name, UID: string(c.UID)}, drained, actor); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.closed = map[types.UID]int64{}
	}
	s.closed[c.UID] = entries
	return nil
}

func (s *Sealer) recordsOf(ctx context.Context, c *v1alpha1.Case) ([]loop.Object, error) {
	var signals v1alpha1.SignalList
	var runs v1alpha1.PlaybookRunList
	var actions v1alpha1.ActionList
	var decisions v1alpha1.DecisionList
	of := []client.ListOption{client.InNamespace(c.Namespace), client.MatchingFields{kube.ByCase: c.Name}}
	for _, list := range []client.ObjectList{&signals, &runs, &actions, &decisions} {
		if err := s.client.List(ctx, list, of...); err != nil {
			return nil, fmt.Errorf("list its records: %w", err)
		}
	}
	out := []loop.Object{c}
	for i := range signals.Items {
		out = append(out, &signals.Items[i])
	}
	for i := range runs.Items {
		if runs.Items[i].Spec.CaseRef.UID == string(c.UID) {
			out = append(out, &runs.Items[i])
		}
	}
	for i := range actions.Items {
		if actions.Items[i].Spec.CaseRef.UID == string(c.UID) {
			out = append(out, &actions.Items[i])
		}
	}
	for i := range decisions.Items {
		if decisions.Items[i].Spec.CaseRef.UID == string(c.UID) {
			out = append(out, &decisions.Items[i])
		}
	}
	return out, nil
}

// mustLeave tells whether a namespace is being deleted: its records then leave as soon as they are sealed.
func (s *Sealer) mustLeave(ctx context.Context, namespace string) (bool, error) {
	var ns corev1.Namespace
	if err := s.client.Get(ctx, types.NamespacedName{Name: namespace}, &ns); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return !ns.DeletionTimestamp.IsZero(), nil
}

// ended tells whether nothing of a case will change any more. In a namespace that is being deleted only what was sent
// and is not known yet is waited for.
func ended(c *v1alpha1.Case, records []loop.Object, leaving bool) bool {
	if !leaving && c.Status.State != v1alpha1.CaseClosed {
		return false
	}
	for _, record := range records {
		switch r := record.(type) {
		case *v1alpha1.PlaybookRun:
			if !leaving && !r.Status.State.Ended() {
				return false
			}
		case *v1alpha1.Action:
			underWay := r.Status.State == v1alpha1.ActionExecuting || r.Status.State == v1alpha1.ActionSettling || r.Status.State == v1alpha1.ActionVerifying
			if underWay || !leaving && !r.Status.State.Ended() {
				return false
			}
		case *v1alpha1.Decision:
			if !leaving && r.Status.State == "" {
				return false
			}
		}
	}
	return true
}
