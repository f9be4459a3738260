// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"encoding/json"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
)

// What the connector declares, and when a key is too old and an action too late. The protocol leaves off using a key while
// what it announced before can still arrive in time. An attempt's deadline is after both: by the wall clock none is ever
// late, so that only the clock that does not jump keeps an attempt from being sent.
const (
	timeout   = 10 * time.Second
	settle    = 5 * time.Second
	retention = 25 * time.Second
	tooOld    = 9 * time.Second
	tooLate   = 9500 * time.Millisecond
	patience  = 8 * time.Second
)

var start = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// names of the processes, and of those that are gone.
var names = [2]string{"a", "b"}

const gone = "gone"

// sight is what a read of the target showed.
type sight uint8

const (
	unread sight = iota
	unreadable
	absent
	asLeft
	desired
)

// look is all that one call of the protocol depends on.
type look struct {
	action    uint8
	base      status
	replica   uint8
	seen      seen
	late      bool
	sent      outcome
	before    sight
	after     sight
	denied    bool
	withheld  bool
	unready   bool
	acting    bool // the answer to what was just sent
	decisions [2]uint8
	expired   bool
	age       age
}

// seen is how long a process has seen an action as it stands.
type seen uint8

const (
	justNow seen = iota
	enough       // for what the protocol waits for
	plenty       // and for reading again until it gives up
)

// verdict is what the protocol answers.
type verdict struct {
	next      status
	send      bool
	announced bool
}

// known is a status and what is asked of it again and again.
type known struct {
	v1alpha1.ActionStatus
	last   uint8  // number of the last attempt; zero if there is none
	holder string // of the last attempt
	young  bool   // the last attempt was announced before the key grew old
	ages   bool   // the first was, from which the age of the key is counted
}

// protocol calls the code, and remembers its answers.
type protocol struct {
	specs      [2]v1alpha1.ActionSpec
	verifiable [2]bool
	rules      rules
	known      []known
	places     map[string]status
	answers    map[look]verdict
	renamed    map[renaming]status
}

type renaming struct {
	status   status
	from, to string
}

func newProtocol(semantics v1alpha1.Semantics, verifiable bool, r rules) *protocol {
	p := &protocol{
		verifiable: [2]bool{verifiable, true}, rules: r, known: make([]known, 1), places: map[string]status{},
		answers: map[look]verdict{}, renamed: map[renaming]status{},
	}
	if r.retryWhatever {
		semantics = v1alpha1.Idempotent
	}
	p.specs[forward] = spec(semantics, nil)
	p.specs[rollback] = spec(v1alpha1.Idempotent, &v1alpha1.RecordRef{Name: "forward", UID: "f"})
	return p
}

func spec(semantics v1alpha1.Semantics, of *v1alpha1.RecordRef) v1alpha1.ActionSpec {
	s := v1alpha1.ActionSpec{
		Operation: "tool/do", Input: apiextensionsv1.JSON{Raw: []byte(`{}`)}, Semantics: semantics, RollbackOf: of,
		Target: v1alpha1.Target{Type: "Thing", Name: "thing"}, DeadlineTime: metav1.NewMicroTime(start.Add(tooLate)),
	}
	var err error
	if s.PlanDigest, err = action.PlanDigest(s); err != nil {
		panic(err)
	}
	return s
}

// wants asks which reads the protocol wants to see.
func (p *protocol) wants(l look) action.Reads {
	return action.Wants(p.known[l.base].ActionStatus, p.world(l))
}

// next asks the protocol how an action goes on.
func (p *protocol) next(l look) verdict {
	if v, ok := p.answers[l]; ok {
		return v
	}
	s := *p.known[l.base].DeepCopy()
	step := action.Next("soc", actionNames[l.action], p.specs[l.action], &s, p.world(l), now(l))
	if step.Headline.Status != "" {
		step.Headline.Type, step.Headline.LastTransitionTime = v1alpha1.ExecutedCondition, metav1.NewTime(start)
		meta.SetStatusCondition(&s.Conditions, step.Headline)
	}
	v := verdict{next: p.keep(s), send: step.Command == action.Send, announced: step.Announced}
	p.answers[l] = v
	return v
}

var actionNames = [2]string{"forward", "rollback"}

func now(l look) time.Time {
	switch {
	case l.expired:
		return start.Add(tooLate)
	case l.age >= margin:
		return start.Add(tooOld)
	}
	return start
}

// world is what the controller would observe.
func (p *protocol) world(l look) action.World {
	w := action.World{
		Holder: names[l.replica], Timeout: timeout, Settle: settle, VerifyWithin: patience, KeyRetention: retention,
		Verifiable: p.verifiable[l.action], Late: l.late, Sent: p.sent(l.sent), Before: sightOf(l.before), After: sightOf(l.after),
		Permission: action.Permission{Verdict: v1alpha1.GuardVerdict{Answer: v1alpha1.AnswerAllow, Because: "the rule", Time: metav1.NewMicroTime(start)}},
	}
	if p.rules.keysForever {
		w.KeyRetention = 1000 * time.Hour
	}
	if l.denied {
		w.Permission.Verdict.Answer = v1alpha1.AnswerDeny
	}
	if l.withheld {
		w.Withheld = "frozen"
	}
	if l.unready {
		w.Unready = "it has not ended"
	}
	if l.before == unreadable || l.after == unreadable {
		w.ReadError = "no answer"
	}
	switch l.seen {
	case enough:
		w.SeenFor = p.waits(l.base)
	case plenty:
		w.SeenFor = time.Hour
	}
	for i, found := range l.decisions {
		if found != 0 {
			w.Resolutions = append(w.Resolutions, v1alpha1.Resolution{
				Decision: decisionNames[i], Outcome: findings[found], Actor: v1alpha1.Actor{Username: "mia"}, Time: metav1.NewMicroTime(start),
			})
		}
	}
	return w
}

var (
	decisionNames = [2]string{"d1", "d2"}
	findings      = [...]v1alpha1.ResolveOutcome{happened: v1alpha1.ResolveHappened, didNot: v1alpha1.ResolveDidNot, retryIt: v1alpha1.ResolveRetry}
)

// What people find.
const (
	happened uint8 = iota + 1
	didNot
	retryIt
)

// waits is the shortest time that is enough for what the protocol waits for in a state.
func (p *protocol) waits(s status) time.Duration {
	switch p.known[s].State {
	case v1alpha1.ActionExecuting:
		return timeout + action.Skew
	case v1alpha1.ActionSettling:
		return settle
	case v1alpha1.ActionVerifying:
		return patience
	default:
		return time.Hour // a pause between attempts
	}
}

func (p *protocol) sent(o outcome) *action.Sent {
	outcomes := map[outcome]v1alpha1.AttemptOutcome{
		acknowledged: v1alpha1.OutcomeAcknowledged, refused: v1alpha1.OutcomeRefused, notSent: v1alpha1.OutcomeNotSent, inDoubt: v1alpha1.OutcomeInDoubt,
	}
	if o == unknown {
		return nil
	}
	if o == inDoubt && p.rules.timeoutIsFailure {
		o = refused
	}
	return &action.Sent{Outcome: outcomes[o], Time: start}
}

func sightOf(s sight) *action.Sight {
	switch s {
	case unread, unreadable:
		return nil
	default:
		return &action.Sight{Desired: s == desired, AsLeft: s == asLeft}
	}
}

// keep gives a status its place. What people read and when it was are not part of it, nor who held an attempt that is
// over; only what the protocol measures by the wall clock is, when an attempt was announced.
func (p *protocol) keep(s v1alpha1.ActionStatus) status {
	at := metav1.NewMicroTime(start)
	s.Message = ""
	if s.EndTime != nil {
		s.EndTime = &at
	}
	s.Verdict = nil
	for i := range s.Attempts {
		s.Attempts[i].Message = ""
		if s.Attempts[i].EndTime != nil {
			s.Attempts[i].EndTime, s.Attempts[i].Holder = &at, gone
		}
	}
	for i := range s.Conditions {
		s.Conditions[i].Message, s.Conditions[i].LastTransitionTime = "", metav1.NewTime(start)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	if place, ok := p.places[string(raw)]; ok {
		return place
	}
	k := known{ActionStatus: s}
	if n := len(s.Attempts); n > 0 {
		last := s.Attempts[n-1]
		k.last, k.holder = uint8(last.Number), last.Holder
		k.young, k.ages = last.StartTime.Time.Equal(start), s.Attempts[0].StartTime.Time.Equal(start)
	}
	p.known = append(p.known, k)
	place := status(len(p.known) - 1)
	p.places[string(raw)] = place
	return place
}

// rename gives the status in which a process has another name.
func (p *protocol) rename(s status, from, to string) status {
	if s == 0 {
		return 0
	}
	if named, ok := p.renamed[renaming{s, from, to}]; ok {
		return named
	}
	named := *p.known[s].DeepCopy()
	for i := range named.Attempts {
		if named.Attempts[i].Holder == from {
			named.Attempts[i].Holder = to
		}
	}
	place := p.keep(named)
	p.renamed[renaming{s, from, to}] = place
	return place
}

// executes tells whether a status announces this attempt as the one to be sent.
func (p *protocol) executes(s status, n uint8) bool {
	return s != 0 && p.known[s].State == v1alpha1.ActionExecuting && p.known[s].last == n
}
