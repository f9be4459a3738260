// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/casebook-dev/casebook/test/fixture"
)

// Stories mostly wait: for an attempt's deadline, for a batch to be sealed.
const beside = "6"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", beside); err != nil { // a flag given to go test comes after and wins
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fixture.Main(m)
}
