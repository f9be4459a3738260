// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/test/fixture"
)

// counting makes each pass change the status, and so write one entry.
func counting(d *driven[*v1alpha1.PlaybookRun], commands ...string) {
	passes := 0
	d.kind.decide = func(o *v1alpha1.PlaybookRun) loop.Plan[string] {
		passes++
		o.Status.Step = fmt.Sprintf("step%d", passes)
		return loop.Plan[string]{Commands: commands, Reason: "Counted"}
	}
}

func sequences(o loop.Object) (first, last int64, n int) {
	journal := o.Head().Journal
	return journal[0].Sequence, journal[len(journal)-1].Sequence, len(journal)
}

// What is sealed is trimmed once the journal is half full; the newest stays, and sequences go on without a gap.
func TestSealedEntriesAreTrimmed(t *testing.T) {
	t.Parallel()
	d := drive(t, run(), true, v1alpha1.CompleteCondition)
	counting(d)
	pass := func(n int) {
		t.Helper()
		for range n {
			if _, _, err := d.pass(); err != nil {
				t.Fatal(err)
			}
		}
	}
	pass(101)
	if first, last, _ := sequences(d.read()); first != 1 || last != 101 {
		t.Errorf("entries %d to %d stand while nothing is known to be sealed, want 1 to 101", first, last)
	}
	fixture.CheckReplay(t, d.read())
	d.loop.Heads = sealedTo(90)
	pass(1)
	if first, last, n := sequences(d.read()); first != 91 || last != 102 || n != 12 {
		t.Errorf("entries %d to %d stand after 90 were sealed, want 91 to 102", first, last)
	}
	d.loop.Heads = sealedTo(1000) // everything
	pass(89)
	if first, last, n := sequences(d.read()); last != 191 || first != 102+89-int64(n)+1 || n < 2 {
		t.Errorf("%d entries, %d to %d, stand after all were sealed", n, first, last)
	}
	fixture.CheckReplay(t, d.read())
}

// A journal that nobody drains withholds what has an effect, before it is so full that no entry fits.
func TestFullJournalWithholdsCommands(t *testing.T) {
	t.Parallel()
	d := drive(t, run(), true, v1alpha1.CompleteCondition)
	acted := 0
	d.kind.act = func(*v1alpha1.PlaybookRun, string) error {
		acted++
		return nil
	}
	counting(d, "isolate")
	for range 220 {
		_, result, err := d.pass()
		if err != nil {
			break
		}
		if result.RequeueAfter == time.Minute {
			break
		}
	}
	o := d.read()
	if !loop.JournalFull(o) {
		t.Fatalf("the journal has %d entries and is not full", len(o.Status.Journal))
	}
	before := acted
	if before == 0 || before >= 200 {
		t.Errorf("%d commands were carried out before", before)
	}
	_, result, err := d.pass()
	if err != nil || result.RequeueAfter != time.Minute || acted != before {
		t.Errorf("it answers %+v, %v, and carried out %d more", result, err, acted-before)
	}
	d.loop.Heads = sealedTo(1000)
	if _, _, err := d.pass(); err != nil || acted != before+1 {
		t.Errorf("after draining it carried out %d more, %v", acted-before, err)
	}
	fixture.CheckReplay(t, d.read())
}

// Configuration has no log: its journal keeps what is newest.
func TestJournalOfConfigurationStaysShort(t *testing.T) {
	t.Parallel()
	d := drive(t, mapping(), false, v1alpha1.ReadyCondition)
	passes := 0
	d.kind.decide = func(*v1alpha1.Mapping) loop.Plan[string] {
		passes++
		plan := outcomes["done"].plan
		plan.Headline.Message = fmt.Sprintf("in use for the %dth time", passes)
		return plan
	}
	for range 30 {
		if _, _, err := d.pass(); err != nil {
			t.Fatal(err)
		}
	}
	if _, last, n := sequences(d.read()); last != 30 || n > 21 {
		t.Errorf("it has %d entries up to %d", n, last)
	}
	if len(d.events.said) != 1 {
		t.Errorf("a message alone was announced: %q", d.events.said)
	}
	fixture.CheckReplay(t, d.read())
}
