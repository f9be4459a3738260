// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"fmt"
	"testing"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// What was tried again as often as may be is not tried once more, and can still be ended: else its case never closes.
func TestResolveEndsAfterAllTries(t *testing.T) {
	for name, tt := range map[string]struct {
		tries   int
		outcome v1alpha1.ResolveOutcome
		want    v1alpha1.ActionState
	}{
		"the last try":      {v1alpha1.MaxResolutions - 2, v1alpha1.ResolveRetry, v1alpha1.ActionReady},
		"a try too many":    {v1alpha1.MaxResolutions - 1, v1alpha1.ResolveRetry, v1alpha1.ActionUnknown},
		"that it happened":  {v1alpha1.MaxResolutions - 1, v1alpha1.ResolveHappened, v1alpha1.ActionSucceeded},
		"that it did not":   {v1alpha1.MaxResolutions - 1, v1alpha1.ResolveDidNot, v1alpha1.ActionFailed},
		"behind a late try": {v1alpha1.MaxResolutions - 1, "", v1alpha1.ActionSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			spec, w := intent(t, v1alpha1.Idempotent), world(allowed())
			status := attempted(v1alpha1.ActionUnknown, doubtful(time.Minute))
			for i := range tt.tries {
				status.Resolutions = append(status.Resolutions, v1alpha1.Resolution{Decision: fmt.Sprint("r", i), Outcome: v1alpha1.ResolveRetry})
			}
			resolved(tt.outcome)(&w, spec)
			if tt.outcome == "" { // two tries counted at once, for the last place but one; then it happened
				resolved(v1alpha1.ResolveRetry)(&w, spec)
				w.Resolutions = append(w.Resolutions, v1alpha1.Resolution{Decision: "d2", Outcome: v1alpha1.ResolveHappened})
			}
			Next("soc", "a1", spec, &status, w, now)
			if status.State != tt.want || len(status.Resolutions) > v1alpha1.MaxResolutions {
				t.Errorf("it is %s after %d resolutions, want %s", status.State, len(status.Resolutions), tt.want)
			}
		})
	}
}
