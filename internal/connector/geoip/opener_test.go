// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package geoip

import (
	"fmt"
	"testing"

	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func TestWhatIsInMemoryIsBounded(t *testing.T) {
	opener := NewOpener(nil, clock.RealClock{})
	named := func(namespace, key string) *database {
		t.Helper()
		d, err := opener.database(namespace, v1alpha1.BucketObject{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	// Three that share one content weigh as one, so with another they just fit.
	half := &content{size: maxKeptBytes - len(sound(t)), digest: [32]byte{1}}
	for i := range 3 {
		named("soc", fmt.Sprint("shared", i)).content.Store(half)
	}
	latest := named("soc", "latest")
	if err := opener.load(latest, sound(t)); err != nil {
		t.Fatal(err)
	}
	if opener.order.Len() != 4 {
		t.Errorf("%d databases are kept, want all 4", opener.order.Len())
	}
	again := named("shop", "latest")
	if again == latest {
		t.Error("two namespaces are taken for one")
	}
	if err := opener.load(again, sound(t)); err != nil || again.content.Load() != latest.content.Load() {
		t.Errorf("%v: equal contents are two", err)
	}
	// One byte too many: those opened longest ago go.
	named("soc", "more").content.Store(&content{size: 1, digest: [32]byte{2}})
	opener.fit(latest)
	if opener.order.Len() != 3 || len(opener.databases) != 3 || named("soc", "latest") != latest {
		t.Errorf("%d databases are kept (%d), want the last 3", opener.order.Len(), len(opener.databases))
	}
	// What was just read stays, whatever it weighs.
	latest.content.Store(&content{size: 2 * maxKeptBytes, digest: [32]byte{3}})
	opener.fit(latest)
	if opener.order.Len() != 1 || named("soc", "latest") != latest {
		t.Errorf("%d databases are kept, want the one that was read", opener.order.Len())
	}
	for i := range 2 * maxKept {
		named("soc", fmt.Sprint(i))
	}
	if opener.order.Len() != maxKept || len(opener.databases) != maxKept {
		t.Errorf("%d databases are kept (%d), want %d", opener.order.Len(), len(opener.databases), maxKept)
	}
	if named("soc", fmt.Sprint(maxKept)) == latest || opener.order.Len() != maxKept {
		t.Error("what is opened again is made anew")
	}
}
