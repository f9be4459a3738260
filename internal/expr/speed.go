// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

const (
	// earthRadius is the mean radius of the Earth (IUGG's R1) in kilometres.
	earthRadius = 6371.0088
	// shortestTravel is what a shorter time between two sightings counts as: clocks of
	// tools differ, and two sightings in one second would be infinitely fast.
	shortestTravel = time.Minute
	// maxPlaces bounds what one call sorts.
	maxPlaces = 5_000
	// maxRadius is the most that a radius may be, in kilometres: more than the Earth is round.
	maxRadius = 50_000
)

// wantPlaces ends the message about a value that is no list of places.
const wantPlaces = "a list of places as locate gives them: {time, latitude, longitude, radiusKm}"

// place is where something was seen, in degrees and kilometres.
type place struct {
	time                        time.Time
	latitude, longitude, radius float64
}

// speed is speed(places): the greatest speed in km/h between two sightings that
// follow each other in time, rounded to a whole number; 0.0 with fewer than two that
// are located. Places that were not found, or have no coordinates, are left out. A
// place of a radius may be anywhere in it, so what two places are apart is the
// distance of their circles.
func speed(value ref.Val) ref.Val {
	places, err := placesOf(value)
	if err != nil {
		return err
	}
	slices.SortFunc(places, func(a, b place) int {
		// All of it takes part, so that sightings of one moment have one order too.
		return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.latitude, b.latitude), cmp.Compare(a.longitude, b.longitude), cmp.Compare(a.radius, b.radius))
	})
	fastest := 0.0
	for i := 1; i < len(places); i++ {
		fastest = max(fastest, kilometresPerHour(places[i-1], places[i]))
	}
	return types.Double(math.Round(fastest))
}

func kilometresPerHour(from, to place) float64 {
	apart := kilometres(from, to) - from.radius - to.radius
	return apart / max(to.time.Sub(from.time), shortestTravel).Hours()
}

// kilometres is the great-circle distance, by the haversine formula.
func kilometres(a, b place) float64 {
	const degree = math.Pi / 180
	half := func(from, to float64) float64 {
		sin := math.Sin((to - from) * degree / 2)
		return sin * sin
	}
	h := half(a.latitude, b.latitude) + math.Cos(a.latitude*degree)*math.Cos(b.latitude*degree)*half(a.longitude, b.longitude)
	return 2 * earthRadius * math.Asin(math.Sqrt(min(h, 1))) // rounding may take antipodes over 1
}

func placesOf(value ref.Val) ([]place, ref.Val) {
	list, ok := unwrap(value).(traits.Lister)
	if !ok {
		return nil, types.NewErr("speed() needs %s; this is %s", wantPlaces, unwrap(value).Type().TypeName())
	}
	if n := size(list); n > maxPlaces {
		return nil, types.NewErr("speed() takes at most %d places, these are %d", maxPlaces, n)
	}
	var out []place
	for it, i := list.Iterator(), 0; it.HasNext() == types.True; i++ {
		p, located, err := placeOf(it.Next(), i)
		if err != nil {
			return nil, err
		}
		if located {
			out = append(out, p)
		}
	}
	return out, nil
}

// placeOf reads one element of the list; located is false for one without coordinates.
func placeOf(value ref.Val, index int) (p place, located bool, err ref.Val) {
	if types.IsError(value) {
		return place{}, false, value
	}
	record, ok := value.(traits.Mapper)
	if !ok {
		return place{}, false, types.NewErr("speed() needs %s; element %d is %s", wantPlaces, index, value.Type().TypeName())
	}
	r := placeReader{record: record, index: index}
	if r.member("found") == types.False {
		return place{}, false, r.err
	}
	latitude, hasLatitude := r.number("latitude", -90, 90)
	longitude, hasLongitude := r.number("longitude", -180, 180)
	if r.err != nil || !hasLatitude || !hasLongitude {
		return place{}, false, r.err
	}
	radius, _ := r.number("radiusKm", 0, maxRadius)
	return place{r.time(), latitude, longitude, radius}, true, r.err
}

// placeReader reads the members of a place and keeps the first error.
type placeReader struct {
	record traits.Mapper
	index  int
	err    ref.Val
}

// member is the value of a member, null if it is absent.
func (r *placeReader) member(name string) ref.Val {
	value, ok := r.record.Find(types.String(name))
	if !ok {
		return types.NullValue
	}
	value = unwrap(value)
	if types.IsError(value) && r.err == nil {
		r.err = value
	}
	return value
}

func (r *placeReader) wants(name, what string) {
	if r.err == nil {
		r.err = types.NewErr("speed() needs %s as %q of a place; element %d has another value", what, name, r.index)
	}
}

// number is a member between two bounds; there is false where it is absent.
func (r *placeReader) number(name string, low, high float64) (value float64, there bool) {
	value = math.NaN()
	switch v := r.member(name).(type) {
	case types.Null:
		return 0, false
	case types.Double:
		value = float64(v)
	case types.Int:
		value = float64(v)
	case types.Uint:
		value = float64(v)
	}
	if value >= low && value <= high { // which NaN is not
		return value, true
	}
	r.wants(name, fmt.Sprintf("a number from %v to %v", low, high))
	return 0, false
}

func (r *placeReader) time() time.Time {
	switch v := r.member("time").(type) {
	case types.Timestamp:
		return v.Time
	case types.String:
		if t, err := time.Parse(time.RFC3339, string(v)); err == nil {
			return t
		}
	}
	r.wants("time", "a timestamp or an RFC 3339 string")
	return time.Time{}
}
