// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package model

// The two actions of a search. The second takes back the first.
const (
	forward = iota
	rollback
)

// most is the greatest number of an attempt.
const most = 5

// status is a status that was met, by its place in the table of a search; zero is an action that is not there.
type status uint16

// state is all that tells two moments of a search apart. Times are not in it: what the protocol measures is turned into
// what may have happened meanwhile.
type state struct {
	stored  [2]status
	replica [2]replica
	wire    [2][most + 1]request // by the attempt's number
	told    [2]uint8             // attempts that were ever stored as announced, a bit each
	closed  [2]uint8             // attempts whose deadline passed, by the clock of the process that announced them
	target  target
	env     environment
	bad     violation
}

// replica is one process of the operator. Both always believe that they lead.
type replica struct {
	up     bool
	cache  [2]copied
	hand   [2]hand
	memory [2]memory
}

// copied is a status as a process last saw it.
type copied struct {
	status status
	fresh  bool // its resourceVersion is the one that is stored
}

// hand is what a process is about to do.
type hand struct {
	doing  doing
	base   copied // what the pass saw
	next   status // what it will write
	number uint8  // of the attempt it will send, or sent
}

type doing uint8

const (
	nothing doing = iota
	writing       // it has decided, and will write
	sending       // it has decided to send, and will read what guards the first byte
	leaving       // the guard let it through, and the first byte is about to leave
	waiting       // for the answer
)

// memory is what a process remembers to have sent of an action.
type memory struct {
	number  uint8
	outcome outcome // unknown while the exchange is under way
}

type outcome uint8

const (
	unknown outcome = iota
	acknowledged
	refused
	notSent
	inDoubt
)

// request is where the request of an attempt is.
type request uint8

const (
	unsent    request = iota
	awaited           // on the wire, and its sender waits
	abandoned         // on the wire, and its sender does not wait any more
	due               // abandoned before a settling began: it arrives, if at all, before that settling is over
	over              // it arrived, or never will
)

func (r request) flies() bool { return r == awaited || r == abandoned || r == due }

// target is the system that is changed.
type target struct {
	on     setting // of an absolute state
	things uint8   // that the forward action made and that are there, up to two
	key    bool    // it knows the idempotency key
	hidden bool    // a read may not show yet what the forward action did
	effect [2]bool // the action changed it
	stands [2]bool // the action changed it, and nobody changed it since
}

type setting uint8

const (
	off setting = iota
	onByAction
	onByRival
)

// environment is what else may happen, and how often it did.
type environment struct {
	crashes, losses, refusals, rivals uint8
	denied, expired                   bool
	frozen                            freeze
	age                               age
	decisions                         [2][2]uint8 // what people found of each action: an index into findings
}

type freeze uint8

const (
	unfrozen freeze = iota
	frozen
	thawed
)

// age is how old the idempotency key is.
type age uint8

const (
	young     age = iota
	margin        // the target may forget it soon
	forgotten     // by the target
)

type violation uint8

const (
	none violation = iota
	unannounced
	twice
	resent
	empty
	denies
	undone
	unquiet
	stuck
)

var violations = map[violation]string{
	unannounced: "I1 an effect that no stored announcement preceded",
	twice:       "I2 two effects",
	resent:      "I2 an attempt was sent twice",
	empty:       "I3 Succeeded without an effect",
	denies:      "I3' ended as if nothing had happened, and its effect stands",
	undone:      "I13 a late request undid a finished rollback",
	unquiet:     "I13 it has ended, and a request of it may still arrive",
	stuck:       "I6 neither an end nor Unknown can be reached",
}
