// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package playbook

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Bounds of a notify step.
const (
	// MaxAttempts is how often a message is sent at most.
	MaxAttempts = 5
	// maxDeliveries and maxTold bound what one step adds to the run's record: messages, and bytes of all their texts.
	maxDeliveries = 64
	maxTold       = 24 << 10
	maxAddress    = 320
	maxSubject    = 998
	maxText       = 16384
)

// backoff is how long to wait after each attempt that failed.
var backoff = [MaxAttempts]time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 5 * time.Minute}

// Send is a message to send: its announcement is in the status as it was read.
type Send struct {
	// Step is the notify step.
	Step string
	// MessageID is the left part of the message's Message-ID, the same whenever it is sent.
	MessageID string
	// Connector is the smtp Connector.
	Connector string
	// To is one address, without a display name.
	To string
	// Subject is one line.
	Subject string
	// Text is plain text.
	Text string
	// Attempt counts from 1 which sending this is.
	Attempt int32
}

// Sent is what became of a Send.
type Sent struct {
	// Attempt is that of the Send.
	Attempt int32
	// State is Accepted or Refused; Announced for a failure that may pass.
	State v1alpha1.DeliveryState
	// Message says what went wrong; empty if nothing did.
	Message string
	// Time is when it was sent.
	Time time.Time
}

// NoteSent notes in a run's status what became of a message that was sent. It may be noted at once, by who sent it, or
// by Next from [Facts].Sent, or both: an attempt is noted once. A failure that may pass is final after [MaxAttempts].
func NoteSent(status *v1alpha1.PlaybookRunStatus, messageID string, sent Sent) {
	for i := range status.Steps {
		if status.Steps[i].State != v1alpha1.StepWaiting {
			continue
		}
		for j := range status.Steps[i].Deliveries {
			if d := &status.Steps[i].Deliveries[j]; d.MessageID == messageID {
				note(d, sent)
			}
		}
	}
}

func note(d *v1alpha1.Delivery, sent Sent) {
	if d.State != v1alpha1.DeliveryAnnounced || sent.Attempt != attempts(d)+1 {
		return
	}
	d.Attempts, d.Message = &sent.Attempt, cut(sent.Message)
	if when := metav1.NewMicroTime(sent.Time); !when.IsZero() {
		d.SentTime = &when
	}
	switch {
	case sent.State == v1alpha1.DeliveryAccepted, sent.State == v1alpha1.DeliveryRefused:
		d.State = sent.State
	case sent.Attempt >= MaxAttempts:
		d.State, d.Message = v1alpha1.DeliveryRefused, cut(fmt.Sprintf("tried %d times: %s", sent.Attempt, sent.Message))
	}
}

func attempts(d *v1alpha1.Delivery) int32 {
	if d.Attempts == nil {
		return 0
	}
	return *d.Attempts
}

// MessageID is the left part of the Message-ID of a run's (by uid) message to an address: 32 hexadecimal digits.
func MessageID(run, step, address string) string {
	raw, err := json.Marshal([]string{run, step, address})
	if err != nil {
		return "" // strings always encode
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// announce announces a message to each address, once. What cannot be told is announced as refused, so that the record
// names it and the step fails for it.
func (n *next) announce(s *step, text string, at *v1alpha1.StepStatus) {
	n.due(at, timeout(s))
	subject, err := n.render(s.subject)
	if err != nil {
		n.finish(at, v1alpha1.StepFailed, "its subject cannot be made: "+err.Error())
		return
	}
	subject, text = cutTo(oneLine(subject), maxSubject), cutTo(lines(text), maxText)
	empty := 0
	for i, to := range s.to {
		value, err := to.Render(n.ctx, n.vars())
		if err != nil {
			n.deliver(at, s.Notify.To[i], "its address cannot be made: "+err.Error())
			continue
		}
		empty += n.addresses(at, value)
	}
	if empty > 0 {
		at.Message = fmt.Sprintf("passed over %d of its addresses, for they are empty", empty)
	}
	told := 0
	for i := range at.Deliveries {
		if d := &at.Deliveries[i]; d.State == v1alpha1.DeliveryAnnounced {
			d.Subject, d.Text = subject, text
			told += len(subject) + len(text)
		}
	}
	if len(at.Deliveries) == 0 {
		n.finish(at, v1alpha1.StepFailed, "there is nobody to tell: every address is empty")
	} else if len(at.Deliveries) > maxDeliveries || told > maxTold {
		told, many := told>>10, len(at.Deliveries)
		at.Deliveries = nil
		n.finish(at, v1alpha1.StepFailed, fmt.Sprintf("nobody was told: %d messages of %d KiB together are more than the run's record takes, %d of %d KiB: tell fewer, or shorten it",
			many, told, maxDeliveries, maxTold>>10))
	}
}

// addresses announces to a value that one of the step's addresses gave; it counts those that are empty.
func (n *next) addresses(at *v1alpha1.StepStatus, value any) (empty int) {
	switch v := value.(type) {
	case nil:
		return 1
	case []any:
		for _, one := range v {
			if _, nested := one.([]any); nested {
				n.deliver(at, "a list in a list", "it is no address")
				continue
			}
			empty += n.addresses(at, one)
		}
		return empty
	case string:
		if strings.TrimSpace(v) == "" {
			return 1
		}
		if parsed, err := mail.ParseAddress(v); err != nil || len(parsed.Address) > maxAddress {
			n.deliver(at, v, "it is no address (RFC 5322)")
		} else {
			n.deliver(at, parsed.Address, "")
		}
	default:
		n.deliver(at, described(value), "it is no address")
	}
	return 0
}

// deliver announces one message, unless its address has one; refused says why there will be none.
func (n *next) deliver(at *v1alpha1.StepStatus, address, refused string) {
	d := v1alpha1.Delivery{
		MessageID: MessageID(n.facts.Run, at.Name, address), To: cutTo(oneLine(address), maxAddress), State: v1alpha1.DeliveryAnnounced, Message: cut(refused),
	}
	if refused != "" {
		d.State = v1alpha1.DeliveryRefused
	}
	if !slices.ContainsFunc(at.Deliveries, func(known v1alpha1.Delivery) bool { return known.MessageID == d.MessageID }) {
		at.Deliveries = append(at.Deliveries, d)
	}
}

// lookAtDeliveries sends what was announced before this pass, and ends the step when all is decided.
func (n *next) lookAtDeliveries(s *step, at *v1alpha1.StepStatus) {
	open := false
	for i := range at.Deliveries {
		d := &at.Deliveries[i]
		if sent, ok := n.facts.Sent[d.MessageID]; ok {
			note(d, sent)
		}
		if d.State == v1alpha1.DeliveryAnnounced && !n.now.Before(at.DueTime.Time) {
			d.State, d.Message = v1alpha1.DeliveryRefused, cut("it was not accepted in time; "+cmp.Or(d.Message, "it may have been sent"))
		}
		if d.State == v1alpha1.DeliveryAnnounced {
			open = true
			n.send(s, at, d)
		}
	}
	if open {
		n.recheck(at.DueTime.Sub(n.now))
		return
	}
	var missed []string
	for _, d := range at.Deliveries {
		if d.State != v1alpha1.DeliveryAccepted {
			missed = append(missed, fmt.Sprintf("%s (%s)", d.To, d.Message))
		}
	}
	if len(missed) > 0 {
		n.finish(at, v1alpha1.StepFailed, "not told: "+strings.Join(missed, ", "))
		return
	}
	n.finish(at, v1alpha1.StepSucceeded, at.Message)
}

// send asks for a message to be sent whose announcement was read, when it is its time.
func (n *next) send(s *step, at *v1alpha1.StepStatus, d *v1alpha1.Delivery) {
	if !n.announced[d.MessageID] {
		return // the write of this pass announces it; its own event brings the next
	}
	if tried := attempts(d); tried > 0 && d.SentTime != nil {
		if again := d.SentTime.Add(backoff[min(tried, MaxAttempts)-1]); n.now.Before(again) {
			n.recheck(again.Sub(n.now))
			return
		}
	}
	n.result.Sends = append(n.result.Sends, Send{
		Step: at.Name, MessageID: d.MessageID, Connector: s.Notify.Connector, To: d.To, Subject: d.Subject, Text: d.Text, Attempt: attempts(d) + 1,
	})
}

// recheck asks to be called again after this, or sooner.
func (n *next) recheck(after time.Duration) {
	if n.result.Recheck == 0 || after < n.result.Recheck {
		n.result.Recheck = after
	}
}

// announcedIn are the messages that a status announces.
func announcedIn(status *v1alpha1.PlaybookRunStatus) map[string]bool {
	out := map[string]bool{}
	for _, s := range status.Steps {
		for _, d := range s.Deliveries {
			out[d.MessageID] = true
		}
	}
	return out
}

// oneLine is text without line breaks and other control characters, for a header or an address.
func oneLine(text string) string {
	text = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ").Replace(text)
	return strings.TrimSpace(printable(text, ' '))
}

// lines is plain text: lines that end in a line feed, and no other control characters but tabs.
func lines(text string) string {
	return printable(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), '\n', '\t')
}

// printable is text in which control characters, but some, and those that turn the direction of reading are made
// visible: what comes from a payload must not pass for something else in a mail program.
func printable(text string, but ...rune) string {
	return strings.Map(func(r rune) rune {
		if (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) && !slices.Contains(but, r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
