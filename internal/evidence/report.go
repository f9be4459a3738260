// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report says what Verify has verified.
type Report struct {
	Case    CaseRef
	Entries int
	// Records counts the replayed records by kind.
	Records  map[string]int
	Payloads int
	// Log is the name of the log, TreeSize its size and Time the time of the checkpoint that was verified.
	Log      string
	TreeSize int64
	Time     time.Time
	// Sealed says that the case is closed and its seal lists all there is. Otherwise the bundle is complete only up to
	// its last entry.
	Sealed bool
}

func (r *Report) count(kind string) {
	if r.Records == nil {
		r.Records = map[string]int{}
	}
	r.Records[kind]++
}

// String returns the report for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "✓ %s, in order, none missing\n", plural(r.Entries, "entry"))
	fmt.Fprintf(&b, "✓ replayed: %s match their records\n", r.records())
	fmt.Fprintf(&b, "✓ all %s included in the log at size %s\n", thousands(int64(r.Entries)), thousands(r.TreeSize))
	if r.Payloads > 0 {
		fmt.Fprintf(&b, "✓ %s as received\n", plural(r.Payloads, "payload"))
	}
	fmt.Fprintf(&b, "✓ checkpoint signed by %s, %s\n", r.Log, r.Time.UTC().Format(time.RFC3339))
	if r.Sealed {
		fmt.Fprintf(&b, "✓ closed and sealed: nothing is cut off\n%s is what happened.\n", r.Case.Name)
		return b.String()
	}
	fmt.Fprintf(&b, "%s is what happened so far.\nopen case: complete up to entry %d of the log at size %s\n",
		r.Case.Name, r.Entries-1, thousands(r.TreeSize))
	return b.String()
}

// kinds says how people call the kinds, in the order of the flow.
var kinds = []struct{ kind, word string }{{"Signal", "signal"}, {"PlaybookRun", "run"}, {"Action", "action"}, {"Decision", "decision"}}

func (r Report) records() string {
	parts := []string{"case"}
	known := map[string]bool{"Case": true}
	for _, k := range kinds {
		known[k.kind] = true
		if n := r.Records[k.kind]; n > 0 {
			parts = append(parts, plural(n, k.word))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Records)) {
		if !known[kind] {
			parts = append(parts, fmt.Sprintf("%d of kind %s", r.Records[kind], kind))
		}
	}
	return strings.Join(parts, ", ")
}

func plural(n int, word string) string {
	switch {
	case n == 1:
		return "1 " + word
	case strings.HasSuffix(word, "y"):
		return thousands(int64(n)) + " " + strings.TrimSuffix(word, "y") + "ies"
	default:
		return thousands(int64(n)) + " " + word + "s"
	}
}

// thousands writes a number as 8,420.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
