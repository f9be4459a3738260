// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"time"
)

// clock is a time of day for people, with the day where it is not the reader's today.
func (s Screen) clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return s.moment(t, "15:04:05")
}

// minute is clock without the seconds.
func (s Screen) minute(t time.Time) string { return s.moment(t, "15:04") }

func (s Screen) moment(t time.Time, layout string) string {
	now, local := s.local(s.Now), s.local(t)
	if now.Format(time.DateOnly) != local.Format(time.DateOnly) {
		return local.Format("2006-01-02 " + layout)
	}
	return local.Format(layout)
}

func (s Screen) local(t time.Time) time.Time { return t.In(s.Now.Location()) }

// away says how far t is from now: "in 12m", "5m ago".
func (s Screen) away(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if d := t.Sub(s.Now); d >= 0 {
		return "in " + short(d)
	}
	return short(s.Now.Sub(t)) + " ago"
}

// short is a duration in its largest unit.
func short(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d/time.Hour))
	default:
		return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
	}
}
