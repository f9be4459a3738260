// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// layouts are the forms of time that tools write. One without a zone is read as UTC.
var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999 Z07:00",
	"2006-01-02 15:04:05.999999999 -0700 MST",
	"2006-01-02 15:04:05.999999999 -0700",
	"2006-01-02 15:04:05.999999999 MST",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04Z07:00",
	"2006-01-02",
	"2006/01/02 15:04:05.999999999",
	"20060102T150405Z",
	time.RFC1123Z, time.RFC1123, time.RFC850, time.ANSIC, time.UnixDate, time.RubyDate,
	"Mon, 2 Jan 2006 15:04:05 -0700",
	"02/Jan/2006:15:04:05 -0700",
	"Jan 2 2006 15:04:05",
	"Jan 2 2006 15:04:05 MST",
	// With a half of the day it is the month that comes first, as in exports of Azure.
	"1/2/2006 3:04:05 PM", "1/2/2006, 3:04:05.999999999 PM", "1/2/2006 3:04:05 PM Z07:00",
}

// parseTime is time(dyn): a timestamp from text in one of the layouts, or from
// seconds, milliseconds, microseconds or nanoseconds since 1970 as a number or
// text, told apart by magnitude (up to 1e11, 1e14, 1e17). Absent and null give
// null. What cannot be read is an error, so that the reason shows where a gap would not.
func parseTime(value ref.Val) ref.Val {
	switch v := unwrap(value).(type) {
	case types.Null, types.Timestamp:
		return v
	case types.Int:
		return fromEpoch(int64(v))
	case types.Uint:
		if uint64(v) <= math.MaxInt64 {
			return fromEpoch(int64(v))
		}
	case types.Double:
		return fromFraction(float64(v))
	case types.String:
		return fromText(strings.TrimSpace(string(v)))
	}
	return types.NewErr("time() cannot read %s", unwrap(value).Type().TypeName())
}

func fromText(text string) ref.Val {
	if text == "" {
		return types.NullValue
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return fromEpoch(n)
	}
	for _, layout := range layouts {
		// In UTC, because time.Parse would give an abbreviation this machine's meaning.
		t, err := time.ParseInLocation(layout, text, time.UTC)
		if err != nil {
			continue
		}
		if zone, offset := t.Zone(); offset == 0 && zone != "" && zone != "UTC" && zone != "GMT" {
			return types.NewErr("time() cannot read %q: the zone %s has no one meaning; only UTC, GMT or an offset do", shorten(text), zone)
		}
		return timestamp(t)
	}
	if seconds, fraction, ok := strings.Cut(text, "."); ok && digits(seconds) && digits(fraction) {
		return fromDecimal(seconds, fraction)
	}
	return types.NewErr("time() cannot read %q", shorten(text))
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// fromDecimal reads "1700000000.123456789" without the rounding of a float.
func fromDecimal(seconds, fraction string) ref.Val {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n > secondsBelow {
		return types.NewErr("time() cannot read %q", shorten(seconds+"."+fraction))
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return types.NewErr("time() cannot read %q", shorten(seconds+"."+fraction))
	}
	return timestamp(time.Unix(n, nanos))
}

// Magnitudes that tell the units of an epoch apart: seconds reach the year 5138,
// and a thousand million milliseconds (1e11) is 1973.
const (
	secondsBelow = 100_000_000_000
	millisBelow  = secondsBelow * 1000
	microsBelow  = millisBelow * 1000
)

func fromEpoch(n int64) ref.Val {
	switch {
	case n < 0:
		return types.NewErr("time() cannot read %d: it lies before 1970", n)
	case n < secondsBelow:
		return timestamp(time.Unix(n, 0))
	case n < millisBelow:
		return timestamp(time.UnixMilli(n))
	case n < microsBelow:
		return timestamp(time.UnixMicro(n))
	}
	return timestamp(time.Unix(0, n))
}

// fromFraction reads a float: seconds with a fraction to the microsecond, which is
// what a float64 of today's seconds holds, or a whole number of a smaller unit.
func fromFraction(f float64) ref.Val {
	if whole(f) {
		return fromEpoch(int64(f))
	}
	if math.IsNaN(f) || f < 0 || f >= millisBelow {
		return types.NewErr("time() cannot read %v", f)
	}
	if f < secondsBelow {
		return timestamp(time.UnixMicro(int64(math.Round(f * 1e6))))
	}
	return timestamp(time.UnixMicro(int64(math.Round(f * 1e3))))
}

func timestamp(t time.Time) ref.Val {
	if t = t.UTC(); t.Year() < 1970 || t.Year() > 9999 {
		return types.NewErr("time() cannot read the year %d", t.Year())
	}
	return types.Timestamp{Time: t}
}
