// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package playbook

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

func telling(to ...string) v1alpha1.PlaybookSpec {
	return v1alpha1.PlaybookSpec{
		Inputs: []v1alpha1.PlaybookInput{{Name: "user", Type: "User"}},
		Steps: []v1alpha1.Step{
			{Name: "tell", Notify: &v1alpha1.NotifyStep{Connector: "mail", To: to, Subject: "About ${inputs.user.name}", Message: "Your sessions were ended."}},
			{Name: "after", Set: &v1alpha1.SetStep{State: v1alpha1.CaseContained}},
		},
	}
}

// about is what a run about a user knows, whose lookups said this.
func about(members map[string]any) Facts {
	f := facts()
	f.Vars = map[string]any{"inputs": map[string]any{"item": "ana@example.com"}}
	f.Entity = func(_ string, given any) map[string]any {
		out := map[string]any{"name": given}
		for key, value := range members {
			out[key] = value
		}
		return out
	}
	return f
}

func TestNotifyAnnouncesBeforeItSends(t *testing.T) {
	c, f := compiled(t, telling("${inputs.user.name}", "mia@example.com")), about(nil)
	var status v1alpha1.PlaybookRunStatus
	if got := c.Next(t.Context(), &status, f, now); len(got.Sends) > 0 || got.Recheck != DefaultTimeout || status.State != v1alpha1.RunWaiting {
		t.Fatalf("the pass that announces: %+v, state %s", got, status.State)
	}
	got := c.Next(t.Context(), &status, f, now)
	want := []Send{
		{Step: "tell", MessageID: MessageID("run-uid", "tell", "ana@example.com"), Connector: "mail", To: "ana@example.com", Subject: "About ana@example.com", Text: "Your sessions were ended.", Attempt: 1},
		{Step: "tell", MessageID: MessageID("run-uid", "tell", "mia@example.com"), Connector: "mail", To: "mia@example.com", Subject: "About ana@example.com", Text: "Your sessions were ended.", Attempt: 1},
	}
	if diff := cmp.Diff(want, got.Sends); diff != "" {
		t.Fatal(diff)
	}
	for _, s := range status.Steps[0].Deliveries {
		if s.State != v1alpha1.DeliveryAnnounced || s.Attempts != nil || s.Text == "" {
			t.Errorf("announced as %+v", s)
		}
	}

	// One is taken at once, the other is not answered: it alone is sent again, under the same id.
	f.Sent = map[string]Sent{want[0].MessageID: {Attempt: 1, State: v1alpha1.DeliveryAccepted, Time: now}}
	got = c.Next(t.Context(), &status, f, now)
	if diff := cmp.Diff(want[1:], got.Sends); diff != "" {
		t.Fatal(diff)
	}
	NoteSent(&status, want[1].MessageID, Sent{Attempt: 1, State: v1alpha1.DeliveryAccepted, Time: now})
	if got = c.Next(t.Context(), &status, f, now); len(got.Sends) > 0 || status.State != v1alpha1.RunSucceeded {
		t.Errorf("when all was taken: %+v, state %s: %s", got, status.State, status.Message)
	}
}

func TestNotifyAddresses(t *testing.T) {
	down := expr.Unavailable{Reason: "lookup person failed: gone"}
	many := make([]any, 70)
	for i := range many {
		many[i] = fmt.Sprintf("u%d@example.com", i)
	}
	for name, tt := range map[string]struct {
		to      []string
		members map[string]any
		text    string
		want    []string // address and state, then the step's state and message
	}{
		"a list gives each its own":      {to: []string{"${inputs.user.all}"}, members: map[string]any{"all": []any{"a@x.example", "b@x.example"}}, want: []string{"a@x.example Announced", "b@x.example Announced", "Waiting "}},
		"an address is told once":        {to: []string{"a@x.example", "Ana <a@x.example>"}, want: []string{"a@x.example Announced", "Waiting "}},
		"what is empty is passed over":   {to: []string{"a@x.example", "${inputs.user.boss}", "${inputs.user.none}", " "}, members: map[string]any{"boss": nil, "none": []any{"", nil}}, want: []string{"a@x.example Announced", "Waiting passed over 4 of its addresses, for they are empty"}},
		"nobody is no success":           {to: []string{"${inputs.user.boss}"}, members: map[string]any{"boss": nil}, want: []string{"Failed there is nobody to tell: every address is empty"}},
		"a lookup that failed is said":   {to: []string{"a@x.example", "${inputs.user.person.mail}"}, members: map[string]any{"person": down}, want: []string{"a@x.example Announced", "${inputs.user.person.mail} Refused", "Waiting "}},
		"what is no address is refused":  {to: []string{"a@x.example", "${inputs.user.odd}"}, members: map[string]any{"odd": []any{"a b", 7.0, []any{"c@x.example"}, map[string]any{}}}, want: []string{"a@x.example Announced", "a b Refused", "a number Refused", "a list in a list Refused", "a record Refused", "Waiting "}},
		"an address cannot add a header": {to: []string{"${inputs.user.odd}", "a@x.example"}, members: map[string]any{"odd": "b@x.example\r\nBcc: c@x.example"}, want: []string{"b@x.example Bcc: c@x.example Refused", "a@x.example Announced", "Waiting "}},
		"nobody who can be told":         {to: []string{"nobody"}, want: []string{"nobody Refused", "Failed not told: nobody (it is no address (RFC 5322))"}},
		"more than a record takes":       {to: []string{"${inputs.user.all}"}, members: map[string]any{"all": many}, want: []string{"Failed nobody was told: 70 messages of 3 KiB together are more than the run's record takes, 64 of 24 KiB: tell fewer, or shorten it"}},
		"texts larger than a record":     {to: []string{"${inputs.user.all}"}, members: map[string]any{"all": many[:10], "story": strings.Repeat("x", 5000)}, text: "${inputs.user.story}", want: []string{"Failed nobody was told: 10 messages of 49 KiB together are more than the run's record takes, 64 of 24 KiB: tell fewer, or shorten it"}},
		"a text that cannot be made":     {to: []string{"a@x.example"}, members: map[string]any{"person": down}, text: "${inputs.user.person}", want: []string{"Failed its text cannot be made: "}},
		"a text with nothing in it":      {to: []string{"a@x.example"}, members: map[string]any{"story": "\r\n"}, text: "${inputs.user.story}", want: []string{"Failed its text cannot be made: nothing comes out of it"}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := telling(tt.to...)
			if tt.text != "" {
				spec.Steps[0].Notify.Message = tt.text
			}
			var status v1alpha1.PlaybookRunStatus
			if got := compiled(t, spec).Next(t.Context(), &status, about(tt.members), now); len(got.Sends) > 0 {
				t.Fatalf("sent before it was announced: %+v", got.Sends)
			}
			var got []string
			for _, d := range status.Steps[0].Deliveries {
				got = append(got, d.To+" "+string(d.State))
			}
			got = append(got, string(status.Steps[0].State)+" "+status.Steps[0].Message)
			last := len(tt.want) - 1
			if len(got) == len(tt.want) && strings.HasSuffix(tt.want[last], "made: ") && strings.HasPrefix(got[last], tt.want[last]) {
				got[last] = tt.want[last]
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNotifyTriesAgain(t *testing.T) {
	c, f := compiled(t, telling("a@x.example", "b@x.example")), about(nil)
	f.Sent = map[string]Sent{}
	var status v1alpha1.PlaybookRunStatus
	c.Next(t.Context(), &status, f, now)
	id := MessageID("run-uid", "tell", "a@x.example")
	f.Sent[MessageID("run-uid", "tell", "b@x.example")] = Sent{Attempt: 1, State: v1alpha1.DeliveryRefused, Message: "550 no such user", Time: now}
	at := now
	for attempt := int32(1); attempt <= MaxAttempts; attempt++ {
		got := c.Next(t.Context(), &status, f, at)
		if len(got.Sends) != 1 || got.Sends[0].MessageID != id || got.Sends[0].Attempt != attempt {
			t.Fatalf("attempt %d: %+v", attempt, got.Sends)
		}
		f.Sent[id] = Sent{Attempt: attempt, State: v1alpha1.DeliveryAnnounced, Message: "connection refused", Time: at}
		got = c.Next(t.Context(), &status, f, at)
		if len(got.Sends) > 0 || attempt < MaxAttempts && got.Recheck != backoff[attempt-1] {
			t.Fatalf("after attempt %d: %+v", attempt, got)
		}
		at = at.Add(backoff[attempt-1])
	}
	want := "step tell: not told: a@x.example (tried 5 times: connection refused), b@x.example (550 no such user)"
	if status.State != v1alpha1.RunFailed || status.Message != want || *status.Steps[0].Deliveries[0].Attempts != MaxAttempts {
		t.Errorf("at the end: %s, %q", status.State, status.Message)
	}
}

func TestNotifyTakesTime(t *testing.T) {
	spec := telling("a@x.example")
	spec.Steps[0].Timeout, spec.Steps[0].OnFailure = &metav1.Duration{Duration: time.Minute}, v1alpha1.FailureContinue
	c, f := compiled(t, spec), about(nil)
	var status v1alpha1.PlaybookRunStatus
	c.Next(t.Context(), &status, f, now)
	if got := c.Next(t.Context(), &status, f, now.Add(time.Minute-1)); len(got.Sends) != 1 || got.Recheck != 1 {
		t.Errorf("while there is time: %+v", got)
	}
	late := *status.DeepCopy()
	if got := c.Next(t.Context(), &late, f, now.Add(time.Minute)); len(got.Sends) > 0 || late.Steps[0].State != v1alpha1.StepFailed || late.State != v1alpha1.RunSucceeded {
		t.Errorf("after it: %+v, %s", got, late.State)
	}
	if want := "not told: a@x.example (it was not accepted in time; it may have been sent)"; late.Steps[0].Message != want {
		t.Errorf("got %q", late.Steps[0].Message)
	}
	f.Sent = map[string]Sent{status.Steps[0].Deliveries[0].MessageID: {Attempt: 1, State: v1alpha1.DeliveryAccepted}}
	c.Next(t.Context(), &status, f, now.Add(time.Hour))
	if status.Steps[0].State != v1alpha1.StepSucceeded || status.Steps[0].Deliveries[0].SentTime != nil {
		t.Errorf("what was accepted counts, however late it is known: %+v", status.Steps[0])
	}
}

func TestNotifyWritesPlainText(t *testing.T) {
	spec := telling("a@x.example")
	spec.Steps[0].Notify.Subject, spec.Steps[0].Notify.Message = "${inputs.user.odd}", "${inputs.user.odd}"
	f := about(map[string]any{"odd": "a\r\nBcc: b@x.example\x00 ${inputs.user.name} {{.X}}\r.\n\tc\u202ed"})
	var status v1alpha1.PlaybookRunStatus
	compiled(t, spec).Next(t.Context(), &status, f, now)
	d := status.Steps[0].Deliveries[0]
	if d.Subject != "a Bcc: b@x.example\uFFFD ${inputs.user.name} {{.X}} . \uFFFDc\uFFFDd" {
		t.Errorf("subject %q", d.Subject)
	}
	if d.Text != "a\nBcc: b@x.example\uFFFD ${inputs.user.name} {{.X}}\n.\n\tc\uFFFDd" {
		t.Errorf("text %q", d.Text)
	}
	f = about(map[string]any{"odd": strings.Repeat("ä", 20_000)})
	status = v1alpha1.PlaybookRunStatus{}
	spec.Steps[0].Notify.Subject = strings.Repeat("s", 2000)
	compiled(t, spec).Next(t.Context(), &status, f, now)
	if s := status.Steps[0]; s.State != v1alpha1.StepFailed || !strings.Contains(s.Message, "32 KiB") {
		t.Errorf("a long text: %+v", s)
	}
}

func TestStepsSayWhatWasDelivered(t *testing.T) {
	spec := telling("a@x.example", "nobody")
	spec.Steps[0].OnFailure = v1alpha1.FailureContinue
	spec.Steps[1] = v1alpha1.Step{Name: "end", Fail: &v1alpha1.FailStep{Message: "${steps.tell.deliveries.filter(d, d.state != 'Accepted').map(d, d.to).join(', ')} of ${size(steps.tell.deliveries)}"}}
	c, f := compiled(t, spec), about(nil)
	f.Sent = map[string]Sent{MessageID("run-uid", "tell", "a@x.example"): {Attempt: 1, State: v1alpha1.DeliveryAccepted, Time: now}}
	var status v1alpha1.PlaybookRunStatus
	c.Next(t.Context(), &status, f, now)
	c.Next(t.Context(), &status, f, now)
	if status.Message != "nobody of 2" {
		t.Errorf("got %q", status.Message)
	}
}

func TestConnectors(t *testing.T) {
	spec := isolate()
	spec.Steps = append(spec.Steps, telling("a@x.example").Steps[0])
	spec.Inputs = append(spec.Inputs, v1alpha1.PlaybookInput{Name: "user", Type: "User"})
	c := compiled(t, spec)
	if diff := cmp.Diff([]string{"kubernetes", "mail"}, c.Connectors()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"mail"}, c.Notifiers()); diff != "" {
		t.Error(diff)
	}
}
