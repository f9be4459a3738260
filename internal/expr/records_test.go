// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/internal/expr"
)

var berlin, saoPaulo = place("10:04:00", 52.52, 13.405), place("10:45:00", -23.5505, -46.6333)

func place(clock string, latitude, longitude float64) map[string]any {
	return map[string]any{"found": true, "time": "2026-11-24T" + clock + "Z", "latitude": latitude, "longitude": longitude}
}

// with is a copy of a record with one member changed, or taken away where it is nil.
func with(record map[string]any, member string, value any) map[string]any {
	out := map[string]any{}
	for name, v := range record {
		out[name] = v
	}
	if out[member] = value; value == nil {
		delete(out, member)
	}
	return out
}

func TestRecordFunctions(t *testing.T) {
	gone := expr.Unavailable{Reason: "the directory is down"}
	ana := map[string]any{"name": "ana"}
	vars := map[string]any{"enrichment": map[string]any{
		"none": []any{}, "one": []any{ana}, "two": []any{ana, ana}, "text": []any{"ana"}, "empty": nil, "absent": map[string]any{},
		"gone": gone, "holed": []any{ana, gone}, "hole": []any{gone},
		"denied": []any{map[string]any{"found": false, "name": "bob"}}, "odd": []any{map[string]any{"found": "yes"}},
		"part":   []any{map[string]any{"name": "ana", "manager": gone}},
		"places": []any{saoPaulo, berlin}, "words": []any{"Berlin"},
		"antipodes": []any{place("10:00:00", -89.98, -90), place("11:00:00", 89.98, 90)},
		"near":      []any{berlin, with(berlin, "latitude", 52.6)},
		"wide":      []any{with(berlin, "radiusKm", 5000.0), with(saoPaulo, "radiusKm", int64(6000))},
		"whole":     []any{with(with(berlin, "latitude", int64(52)), "longitude", uint64(13)), berlin},
		"unknown":   []any{berlin, map[string]any{"found": false, "ip": "10.0.0.1"}, with(saoPaulo, "latitude", nil)},
		"untimed":   []any{berlin, with(saoPaulo, "time", nil)}, "late": []any{berlin, with(saoPaulo, "time", "soon")},
		"north": []any{berlin, with(saoPaulo, "latitude", 90.5)}, "east": []any{berlin, with(saoPaulo, "longitude", "46W")},
		"inside out": []any{berlin, with(saoPaulo, "radiusKm", -1.0)}, "hidden": []any{berlin, with(saoPaulo, "longitude", gone)},
		"maybe": []any{berlin, with(saoPaulo, "found", gone)},
		"stamped": []any{
			with(berlin, "time", time.Date(2026, 11, 24, 10, 4, 0, 0, time.UTC)),
			with(saoPaulo, "time", time.Date(2026, 11, 24, 7, 45, 0, 0, time.FixedZone("BRT", -3*3600))),
		},
	}}
	tests := map[string]struct {
		want any
		fail string
	}{
		"one(enrichment.none)":                         {want: map[string]any{"found": false}},
		"one(enrichment.none).found":                   {want: false},
		"one(enrichment.one)":                          {want: map[string]any{"found": true, "name": "ana"}},
		"one(enrichment.one).name":                     {want: "ana"},
		"one(enrichment.text)":                         {want: "ana"},
		"one(enrichment.absent.?list)":                 {want: map[string]any{"found": false}},
		"one(enrichment.?one).found":                   {want: true},
		"one(enrichment.denied)":                       {want: map[string]any{"found": false, "name": "bob"}},
		"one(enrichment.odd).found":                    {want: true},
		"one(enrichment.part).name":                    {want: "ana"},
		"one([one(enrichment.none)]).found":            {want: false},
		"one(enrichment.two)":                          {fail: "at most one, this has 2"},
		"one(enrichment.empty)":                        {fail: "one() needs a list, this is null"},
		"one('ana')":                                   {fail: "one() needs a list, this is string"},
		"one(enrichment.absent)":                       {fail: "one() needs a list, this is map"},
		"one(enrichment.gone).found":                   {fail: gone.Reason},
		"one(enrichment.hole).found":                   {fail: gone.Reason},
		"one(enrichment.holed).found":                  {fail: gone.Reason},
		"one(enrichment.part).manager":                 {fail: gone.Reason},
		"has(one(enrichment.part).manager.name)":       {fail: gone.Reason},
		"one(enrichment.part) == one(enrichment.part)": {fail: gone.Reason},
		"speed(enrichment.places)":                     {want: 15004.0},
		"speed(enrichment.?places)":                    {want: 15004.0},
		"speed(enrichment.stamped)":                    {want: 15004.0},
		"speed(enrichment.places) > 900.0":             {want: true},
		"speed(enrichment.near)":                       {want: 534.0},   // 8.9 km at one moment, which counts as a minute
		"speed(enrichment.antipodes)":                  {want: 20015.0}, // where rounding takes the formula out of its bounds
		"speed(enrichment.wide)":                       {want: 0.0},
		"speed(enrichment.whole)":                      {want: 3843.0},
		"speed(enrichment.none)":                       {want: 0.0},
		"speed(enrichment.unknown)":                    {want: 0.0},
		"speed([])":                                    {want: 0.0},
		"speed(enrichment.gone)":                       {fail: gone.Reason},
		"speed(enrichment.hole)":                       {fail: gone.Reason},
		"speed(enrichment.hidden)":                     {fail: gone.Reason},
		"speed(enrichment.maybe)":                      {fail: gone.Reason},
		"speed(enrichment.empty)":                      {fail: "speed() needs a list of places as locate gives them: {time, latitude, longitude, radiusKm}; this is null"},
		"speed(enrichment.absent.?list)":               {fail: "this is null"},
		"speed('fast')":                                {fail: "this is string"},
		"speed(enrichment.words)":                      {fail: "element 0 is string"},
		"speed(enrichment.untimed)":                    {fail: `a timestamp or an RFC 3339 string as "time" of a place; element 1`},
		"speed(enrichment.late)":                       {fail: `"time" of a place; element 1`},
		"speed(enrichment.north)":                      {fail: `a number from -90 to 90 as "latitude" of a place; element 1`},
		"speed(enrichment.east)":                       {fail: `a number from -180 to 180 as "longitude"`},
		"speed(enrichment['inside out'])":              {fail: `a number from 0 to 50000 as "radiusKm"`},
		"speed([{'latitude': double('NaN'), 'longitude': 0.0, 'time': '2026-11-24T10:00:00Z'}])": {fail: `"latitude"`},
	}
	for _, kind := range []expr.Kind{expr.CaseType, expr.Playbook} {
		env := expr.MustNew(kind)
		for source, tc := range tests {
			t.Run(string(kind)+" "+source, func(t *testing.T) {
				got, err := evaluate(t, env, source, vars)
				if tc.fail != "" {
					if err == nil || !strings.Contains(err.Error(), tc.fail) {
						t.Errorf("got %v, %v; want an error with %q", got, err, tc.fail)
					}
					if _, ok := errors.AsType[expr.Unavailable](err); ok != (tc.fail == gone.Reason) {
						t.Errorf("got %v; is what it lacks an Unavailable: %t", err, ok)
					}
					return
				}
				if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			})
		}
	}
}

// tester is a test or a round of a property.
type tester interface {
	Helper()
	Fatal(args ...any)
	Context() context.Context
}

func evaluate(t tester, env *expr.Env, source string, vars map[string]any) (any, error) {
	t.Helper()
	program, err := env.Compile(source)
	if err != nil {
		t.Fatal(err)
	}
	return program.Eval(t.Context(), vars)
}

// aPlace draws a place that is located, at a moment that others may share.
func aPlace(t *rapid.T) any {
	return map[string]any{
		"found": true, "time": time.Unix(rapid.Int64Range(0, 7).Draw(t, "minutes")*45, 0).UTC().Format(time.RFC3339Nano),
		"latitude":  float64(rapid.IntRange(-90, 90).Draw(t, "latitude")),
		"longitude": rapid.Float64Range(-180, 180).Draw(t, "longitude"),
		"radiusKm":  rapid.SampledFrom([]any{nil, 0.0, 10.0, int64(100), 5000.0}).Draw(t, "radiusKm"),
	}
}

func TestSpeedProperties(t *testing.T) {
	env := expr.MustNew(expr.CaseType)
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.SliceOfN(rapid.Custom(aPlace), 0, 12).Draw(t, "places")
		fast := speedOf(t, env, places)
		// Half the Earth's circumference in a minute is the most there is.
		if fast < 0 || math.IsNaN(fast) || fast > 20_016*60 || fast != math.Trunc(fast) {
			t.Fatalf("the speed is %v", fast)
		}
		if again := speedOf(t, env, rapid.Permutation(places).Draw(t, "shuffled")); again != fast {
			t.Fatalf("the speed is %v, in another order %v", fast, again)
		}
		unlocated := rapid.SampledFrom([]any{
			map[string]any{"found": false, "ip": "10.0.0.1", "time": "1970-01-01T00:02:00Z"},
			map[string]any{"found": true, "country": "BR"}, map[string]any{"latitude": 1.0, "time": "1970-01-01T00:02:00Z"}, map[string]any{},
		}).Draw(t, "unlocated")
		at := rapid.IntRange(0, len(places)).Draw(t, "at")
		if more := speedOf(t, env, slices.Insert(slices.Clone(places), at, unlocated)); more != fast {
			t.Fatalf("the speed is %v, with an unlocated place %v", fast, more)
		}
		wider := slices.Clone(places)
		for i := range wider {
			wider[i] = with(wider[i].(map[string]any), "radiusKm", 20_016.0)
		}
		if still := speedOf(t, env, wider); still != 0 {
			t.Fatalf("places that may be anywhere are %v km/h apart", still)
		}
	})
}

func speedOf(t *rapid.T, env *expr.Env, places []any) float64 {
	t.Helper()
	got, err := evaluate(t, env, "speed(enrichment.places)", map[string]any{"enrichment": map[string]any{"places": places}})
	if err != nil {
		t.Fatal(err)
	}
	return got.(float64)
}

func TestOneProperties(t *testing.T) {
	env := expr.MustNew(expr.Operation)
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.MapOfN(rapid.StringN(0, 4, -1), rapid.StringN(0, 4, -1), 0, 4), 0, 3).Draw(t, "rows")
		list := make([]any, len(rows))
		for i, row := range rows {
			record := map[string]any{}
			for name, value := range row {
				record[name] = value
			}
			list[i] = record
		}
		got, err := evaluate(t, env, "one(result)", map[string]any{"result": list})
		want := map[string]any{"found": false}
		switch len(list) {
		case 0:
		case 1:
			want = with(list[0].(map[string]any), "found", true)
		default:
			want = nil
		}
		record, _ := got.(map[string]any)
		if diff := cmp.Diff(want, record); diff != "" || (err == nil) != (len(list) < 2) {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestTooManyPlacesStop(t *testing.T) {
	places := make([]any, 5_001)
	for i := range places {
		places[i] = berlin
	}
	vars := map[string]any{"enrichment": map[string]any{"places": places}}
	_, err := evaluate(t, expr.MustNew(expr.CaseType), "speed(enrichment.places)", vars)
	if err == nil || !strings.Contains(err.Error(), "at most 5000 places, these are 5001") {
		t.Errorf("got %v", err)
	}
	vars["enrichment"] = map[string]any{"places": places[:3000]}
	_, err = evaluate(t, expr.MustNew(expr.CaseType), "[1, 2, 3, 4].all(x, speed(enrichment.places) >= 0.0)", vars)
	if err == nil || !strings.Contains(err.Error(), "cost") {
		t.Errorf("work that is done again and again costs nothing: %v", err)
	}
}

func TestRecordFunctionsAreWhereRecordsAre(t *testing.T) {
	tests := map[expr.Kind][]string{
		expr.Source: nil, expr.Mapping: nil, expr.Operation: {"one"},
		expr.CaseType: {"one", "speed"}, expr.Playbook: {"one", "speed"}, expr.Guardrail: {"one", "speed"},
	}
	for kind, want := range tests {
		all := expr.MustNew(kind).Functions()
		if !slices.Contains(all, "quote") || slices.Contains(all, "size") {
			t.Errorf("the functions of %s that CEL does not have: %v", kind, all)
		}
		for _, name := range []string{"one", "speed"} {
			if slices.Contains(all, name) != slices.Contains(want, name) {
				t.Errorf("the functions of %s are %v, want %v of those for records", kind, all, want)
			}
		}
	}
}
