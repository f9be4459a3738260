// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/normalize"
)

var received = time.Date(2026, 11, 24, 10, 0, 5, 123_456_789, time.UTC)

// object is a Mapping whose every field is a path in the event; change alters it.
func object(change func(*v1alpha1.MappingSpec)) *v1alpha1.Mapping {
	m := &v1alpha1.Mapping{}
	m.Name = "acme"
	m.Spec = v1alpha1.MappingSpec{
		Product: "Acme",
		Signal: v1alpha1.SignalMapping{
			Category: "'Identity'", Title: "item.?title", Severity: "severityOf(item.?severity)", SeverityOriginal: "item.?severity",
			Confidence: "item.?confidence", Description: "item.?text", ObservedTime: "item.?time", Activity: "item.?activity", Outcome: "item.?outcome",
			Users: "item.?users", Hosts: "item.?hosts", Assets: "item.?assets", Indicators: "item.?indicators",
			Techniques: "item.?techniques", SourceURL: "item.?url", RuleID: "item.?rule", EventID: "item.?id",
		},
	}
	if change != nil {
		change(&m.Spec)
	}
	return m
}

func compile(t testing.TB, change func(*v1alpha1.MappingSpec)) *normalize.Mapping {
	t.Helper()
	m, err := normalize.Compile(object(change))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func signals(t *testing.T, m *normalize.Mapping, payload string) normalize.Result {
	t.Helper()
	result, err := m.Signals(t.Context(), []byte(payload), received)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func one(t *testing.T, m *normalize.Mapping, payload string) v1alpha1.NormalizedSignal {
	t.Helper()
	result := signals(t, m, payload)
	if len(result.Signals) != 1 {
		t.Fatalf("got %d signals, want 1", len(result.Signals))
	}
	return result.Signals[0]
}

func TestCompileNamesEveryWrongField(t *testing.T) {
	_, err := normalize.Compile(object(func(s *v1alpha1.MappingSpec) {
		s.Product, s.Decode, s.Fits, s.Items, s.Finding = "", "XML", "1 + 1", "item.x", "item."
		s.Signal.Title, s.Signal.Severity, s.Signal.Users = "item.a ==", "", "signal.users"
		s.Fingerprint = []string{"ruleId", "colour"}
	}))
	terminal, ok := errors.AsType[*fault.Terminal](err)
	if !ok || terminal.Reason != v1alpha1.InvalidExpressionReason {
		t.Fatalf("got %v, want a terminal error with reason InvalidExpression", err)
	}
	if _, ok := errors.AsType[*expr.CompileError](err); !ok {
		t.Error("the cause of an expression that does not compile cannot be reached")
	}
	lines := strings.Split(err.Error(), "\n")
	want := []string{
		"spec.fits: could not compile \"1 + 1\": column 1", "spec.items: \"item.x\" reads item", "spec.finding: could not compile \"item.\": column 6",
		"spec.product: ", "spec.decode: \"XML\"", "spec.signal.title: could not compile \"item.a ==\": column 10", "spec.signal.severity: it is empty",
		"spec.signal.users: \"signal.users\" reads signal", "spec.fingerprint[1]: \"colour\"",
	}
	if len(lines) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%v", len(lines), len(want), err)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("problem %d: got %q, want it to begin with %q", i, line, want[i])
		}
	}
	_, err = normalize.Compile(object(func(s *v1alpha1.MappingSpec) { s.Fingerprint = []string{"colour"} }))
	if terminal, ok := errors.AsType[*fault.Terminal](err); !ok || terminal.Reason != v1alpha1.InvalidSpecReason {
		t.Errorf("got %v, want a terminal error with reason InvalidSpec", err)
	}
}

func TestSignalsFillsEveryField(t *testing.T) {
	got := one(t, compile(t, nil), `{
		"title": "Odd\nsign-in \u202e", "severity": "critical", "confidence": 70.4, "text": " Line one\nline two ", "time": 1795514400123,
		"activity": "Update", "outcome": "Failure", "users": ["ana", {"name":"ANA","type":"User","displayName":"Ana A"}, null], "hosts": "web-1",
		"assets": [{"name":"web-6d4","type":"Pod","namespace":"shop","uid":"u1"}], "indicators": [{"type":"domain","value":"Bücher.Example."}, "see hxxp://evil[.]example/x."],
		"techniques": ["attack.t1059.001", "T1078 - Valid Accounts", "TA0043-T1595", "container", "T1078"], "url": "https://acme.example/1", "rule": "r1", "id": 42
	}`)
	want := v1alpha1.NormalizedSignal{
		Category: "Identity", Severity: "Critical", SeverityOriginal: "critical", Confidence: new(int32(70)), Title: "Odd sign-in \uFFFD",
		Description: "Line one\nline two", Activity: "Update", Outcome: "Failure", ObservedTimeFrom: "Payload", SourceURL: "https://acme.example/1", RuleID: "r1", EventID: "42",
		Users:      []v1alpha1.Entity{{Name: "ana", Type: "User", DisplayName: "Ana A"}},
		Hosts:      []v1alpha1.Entity{{Name: "web-1", Type: "Host"}},
		Assets:     []v1alpha1.Entity{{Name: "web-6d4", Type: "Pod", Namespace: "shop", UID: "u1"}},
		Indicators: []v1alpha1.Indicator{{Type: "domain", Value: "xn--bcher-kva.example"}, {Type: "url", Value: "http://evil.example/x"}},
		Techniques: []string{"T1059.001", "T1078", "T1595"},
	}
	if at := got.ObservedTime.UTC().Format(time.RFC3339Nano); at != "2026-11-24T10:00:00.123Z" {
		t.Errorf("observedTime: got %s", at)
	}
	if len(got.Explanation) != 17 || len(got.Gaps) != 0 || len(got.Warnings) != 0 {
		t.Errorf("got %d explanations, gaps %v, warnings %v; want 17 and none", len(got.Explanation), got.Gaps, got.Warnings)
	}
	got.Explanation, got.Fingerprint, got.ObservedTime = nil, "", want.ObservedTime
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("signal (-want +got):\n%s", diff)
	}
}

func TestSignalsWarnsOfWhatIsDoubtful(t *testing.T) {
	long := strings.Repeat("ä", 5000)
	tests := map[string]struct {
		event   string
		gaps    []string
		warning string
		check   func(v1alpha1.NormalizedSignal) any
		want    any
	}{
		"an unknown severity is medium": {
			event: `"severity":"purple"`, gaps: []string{"severity"}, warning: `severity: it is missing or unknown (item.severity is "purple"); Medium`,
			check: func(s v1alpha1.NormalizedSignal) any { return s.Severity }, want: v1alpha1.SeverityMedium,
		},
		"a missing severity is medium": {
			event: `"severity":null`, gaps: []string{"severity", "severityOriginal"}, warning: "(item.severity is absent); Medium was assumed",
			check: func(s v1alpha1.NormalizedSignal) any { return s.Severity }, want: v1alpha1.SeverityMedium,
		},
		"a missing title is the rule": {
			event: `"title":" \n"`, gaps: []string{"title"}, warning: "title: it is missing",
			check: func(s v1alpha1.NormalizedSignal) any { return s.Title }, want: "r1",
		},
		"without a rule it is the product": {
			event: `"title":null,"rule":null`, gaps: []string{"title", "ruleId"}, warning: "title: it is missing",
			check: func(s v1alpha1.NormalizedSignal) any { return s.Title }, want: "Acme",
		},
		"the epoch is no time": {
			event: `"time":0`, gaps: []string{"observedTime"}, warning: "lies before the year 2000",
			check: func(s v1alpha1.NormalizedSignal) any { return s.ObservedTimeFrom }, want: v1alpha1.TimeReceipt,
		},
		"the zero time is no time": {
			event: `"time":"0001-01-01T00:00:00Z"`, gaps: []string{"observedTime"}, warning: "observedTime: ",
			check: func(s v1alpha1.NormalizedSignal) any { return s.ObservedTime.UTC() }, want: received.Truncate(time.Microsecond),
		},
		"the future is no time": {
			event: `"time":"2026-11-25T10:00:06Z"`, gaps: []string{"observedTime"}, warning: "more than a day after the receipt",
			check: func(s v1alpha1.NormalizedSignal) any { return s.ObservedTimeFrom }, want: v1alpha1.TimeReceipt,
		},
		"a time that cannot be read": {
			event: `"time":"yesterday"`, gaps: []string{"observedTime"}, warning: `cannot read "yesterday"`,
			check: func(s v1alpha1.NormalizedSignal) any { return s.ObservedTimeFrom }, want: v1alpha1.TimeReceipt,
		},
		"an activity that is none": {
			event: `"activity":"Explode"`, gaps: []string{"activity"}, warning: `activity: "Explode"`,
			check: func(s v1alpha1.NormalizedSignal) any { return s.Activity }, want: v1alpha1.ActivityCreate,
		},
		"an outcome that is none": {
			event: `"outcome":"failure"`, gaps: []string{"outcome"}, warning: `outcome: "failure" is none of Success, Failure, Unknown`,
			check: func(s v1alpha1.NormalizedSignal) any { return s.Outcome }, want: v1alpha1.Outcome(""),
		},
		"a missing outcome is a gap alone": {
			event: `"outcome":null,"confidence":"-1"`, gaps: []string{"outcome"}, warning: "confidence: ",
			check: func(s v1alpha1.NormalizedSignal) any { return s.Outcome }, want: v1alpha1.Outcome(""),
		},
		"an outcome that is a list": {
			event: `"outcome":["Success"]`, gaps: []string{"outcome"}, warning: "outcome: it needs text, the expression gives a list",
			check: func(s v1alpha1.NormalizedSignal) any { return s.Outcome }, want: v1alpha1.Outcome(""),
		},
		"a confidence beyond its bounds": {
			event: `"confidence":"250"`, warning: "confidence: \"250\" lies outside",
			check: func(s v1alpha1.NormalizedSignal) any { return *s.Confidence }, want: int32(100),
		},
		"a confidence that is no number": {
			event: `"confidence":"high"`, gaps: []string{"confidence"}, warning: "confidence: \"high\" is no number",
			check: func(s v1alpha1.NormalizedSignal) any { return s.Confidence == nil }, want: true,
		},
		"a text that is too long": {
			event: `"text":"` + long + `"`, warning: "description: it was cut to 4096 characters",
			check: func(s v1alpha1.NormalizedSignal) any { return s.Description }, want: strings.Repeat("ä", 4096),
		},
		"a list where text belongs": {
			event: `"rule":["a"]`, gaps: []string{"ruleId"}, warning: "ruleId: it needs text, the expression gives a list",
			check: func(s v1alpha1.NormalizedSignal) any { return s.RuleID }, want: "",
		},
		"an entity that is none": {
			event: `"users":[["x"],"ana"]`, warning: "users: a list is no entity",
			check: func(s v1alpha1.NormalizedSignal) any { return s.Users[0].Name }, want: "ana",
		},
		"an indicator that is none": {
			event: `"indicators":[{"type":"ipv4","value":"999.1.1.1"},{"type":"ipv4","value":"10.0.0.1"}]`, warning: `indicators: "999.1.1.1" is not of type "ipv4"`,
			check: func(s v1alpha1.NormalizedSignal) any { return s.Indicators[0].Value }, want: "10.0.0.1",
		},
		"a link that runs": {
			event: `"url":"javascript:alert(1)"`, gaps: []string{"sourceURL"}, warning: "sourceURL: ",
			check: func(s v1alpha1.NormalizedSignal) any { return s.SourceURL }, want: "",
		},
	}
	base := `"title":"t","severity":"low","confidence":1,"text":"x","time":"2026-11-24T09:00:00Z","activity":"Create","outcome":"Success","users":["u"],"hosts":["h"],"assets":["a"],` +
		`"indicators":[{"type":"file","value":"/x"}],"techniques":["T1059"],"url":"https://acme.example/","rule":"r1","id":"i"`
	m := compile(t, nil)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var event, change map[string]any
			if err := errors.Join(json.Unmarshal([]byte("{"+base+"}"), &event), json.Unmarshal([]byte("{"+tc.event+"}"), &change)); err != nil {
				t.Fatal(err)
			}
			for key, value := range change {
				event[key] = value
			}
			payload, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			got := one(t, m, string(payload))
			if diff := cmp.Diff(tc.want, tc.check(got)); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.gaps, got.Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], tc.warning) {
				t.Errorf("got warnings %q, want one with %q", got.Warnings, tc.warning)
			}
		})
	}
}

func TestAnExpressionThatErrsIsAGap(t *testing.T) {
	m := compile(t, func(s *v1alpha1.MappingSpec) { s.Signal.Title, s.Signal.Category = "item.nothing.here", "item.kind" })
	got := one(t, m, `{"kind":"Weather","rule":"r1","severity":"low"}`)
	if got.Category != "Other" || got.Title != "r1" {
		t.Errorf("got %s, %q", got.Category, got.Title)
	}
	text := strings.Join(got.Warnings, "\n")
	for _, want := range []string{`category: "Weather" is none`, "title: could not evaluate \"item.nothing.here\": no such key: nothing", "category: none of the schema's"} {
		if !strings.Contains(text, want) {
			t.Errorf("no warning has %q:\n%s", want, text)
		}
	}
}

func TestListsAreBounded(t *testing.T) {
	var users, indicators []any
	for i := range 200 {
		users = append(users, strings.Repeat("u", i+1))
		indicators = append(indicators, map[string]any{"type": "file", "value": strings.Repeat("f", i+1)})
	}
	indicators = append([]any{map[string]any{"type": "file", "value": strings.Repeat("f", 3000)}}, indicators...)
	payload, err := json.Marshal(map[string]any{"title": "t", "severity": "low", "users": users, "indicators": indicators, "hosts": strings.Repeat("h", 600)})
	if err != nil {
		t.Fatal(err)
	}
	got := one(t, compile(t, nil), string(payload))
	if len(got.Users) != 64 || len(got.Indicators) != 100 || len(got.Hosts[0].Name) != 512 {
		t.Errorf("got %d users, %d indicators, a host of %d", len(got.Users), len(got.Indicators), len(got.Hosts[0].Name))
	}
	text := strings.Join(got.Warnings, "\n")
	for _, want := range []string{"users: the payload names 200; the first 64", "hosts: ", "longer than 2048", "indicators: the payload has 201"} {
		if !strings.Contains(text, want) {
			t.Errorf("no warning has %q:\n%s", want, text)
		}
	}
}

func TestItemsAndFindings(t *testing.T) {
	titles := func(r normalize.Result) []string {
		out := []string{}
		for _, s := range r.Signals {
			out = append(out, s.Title)
		}
		return out
	}
	tests := map[string]struct {
		items, finding, payload string
		titles                  []string
		skipped                 map[string]int
		warning                 string
	}{
		"the payload is one event":                 {payload: `{"title":"a"}`, titles: []string{"a"}},
		"a list is its elements":                   {payload: `[{"title":"a"},{"title":"b"}]`, titles: []string{"a", "b"}},
		"an empty list is counted":                 {payload: `[]`, skipped: map[string]int{normalize.SkippedEmpty: 1}},
		"items by path":                            {items: "payload.all", payload: `{"all":[{"title":"a"},{"title":"b"}]}`, titles: []string{"a", "b"}},
		"items by expression":                      {items: "payload.all.map(a, a.e)", payload: `{"all":[{"e":{"title":"a"}}]}`, titles: []string{"a"}},
		"items that are one object":                {items: "payload.all", payload: `{"all":{"title":"a"}}`, titles: []string{"a"}},
		"items that are not there: the whole":      {items: "payload.all", payload: `{"title":"whole"}`, titles: []string{"whole"}, warning: "gives no list"},
		"items that err: the whole":                {items: "payload.all.map(a, a)", payload: `{"title":"whole"}`, titles: []string{"whole"}, warning: "read as one event"},
		"what is no finding is counted":            {finding: "item.real", payload: `[{"title":"a","real":true},{"real":false},{"real":false}]`, titles: []string{"a"}, skipped: map[string]int{normalize.SkippedByCondition: 2}},
		"a condition may say why":                  {finding: "item.real ? dyn(true) : dyn(item.why)", payload: `[{"real":false,"why":"a\ntest"},{"real":true,"title":"a"}]`, titles: []string{"a"}, skipped: map[string]int{"a test": 1}},
		"what cannot be answered is a finding":     {finding: "item.real", payload: `{"title":"a"}`, titles: []string{"a"}, warning: "taken for a finding"},
		"a payload that is no object is a finding": {payload: `"12:00: Notice"`, titles: []string{"Acme"}, warning: "title: "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := signals(t, compile(t, func(s *v1alpha1.MappingSpec) { s.Items, s.Finding = tc.items, tc.finding }), tc.payload)
			if tc.titles == nil {
				tc.titles = []string{}
			}
			if tc.skipped == nil {
				tc.skipped = map[string]int{}
			}
			if diff := cmp.Diff(tc.titles, titles(got)); diff != "" {
				t.Errorf("titles (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.skipped, got.Skipped); diff != "" {
				t.Errorf("skipped (-want +got):\n%s", diff)
			}
			if tc.warning != "" && !strings.Contains(strings.Join(got.Signals[0].Warnings, "\n"), tc.warning) {
				t.Errorf("no warning has %q: %q", tc.warning, got.Signals[0].Warnings)
			}
		})
	}
}

func TestTooManyFindingsAreNotLost(t *testing.T) {
	m := compile(t, func(s *v1alpha1.MappingSpec) {
		s.Signal = v1alpha1.SignalMapping{Category: "'Other'", Title: "'t'", Severity: "Low"}
	})
	got := signals(t, m, "["+strings.Repeat("1,", normalize.MaxFindings+6)+"1]")
	if len(got.Signals) != normalize.MaxFindings+1 {
		t.Fatalf("got %d signals", len(got.Signals))
	}
	if last := got.Signals[normalize.MaxFindings]; !strings.Contains(last.Description, "the last 7 of its 10007 events") {
		t.Errorf("got %q", last.Description)
	}
}

func TestSignalsStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := compile(t, nil).Signals(ctx, []byte(`{}`), received); !errors.Is(err, context.Canceled) || got.Signals != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestFindTakesTheMappingThatFits(t *testing.T) {
	named := func(name, fits string, decode v1alpha1.PayloadFormat) *normalize.Mapping {
		return compile(t, func(s *v1alpha1.MappingSpec) { s.Product, s.Fits, s.Decode = name, fits, decode })
	}
	all := []*normalize.Mapping{named("any", "", ""), named("a", "has(payload.a)", ""), named("lines", "has(payload[0].b)", v1alpha1.FormatNDJSON)}
	tests := map[string]struct{ payload, want string }{
		"the one that fits":      {`{"a":1}`, "a"},
		"in its own format":      {"{\"b\":1}\n{\"b\":2}", "lines"},
		"none":                   {`{"c":1}`, ""},
		"not one that takes any": {`[]`, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := normalize.Find(t.Context(), all, []byte(tc.payload))
			product := ""
			if got != nil {
				product = got.Product()
			}
			if err != nil || product != tc.want {
				t.Errorf("got %q, %v; want %q", product, err, tc.want)
			}
		})
	}
	if _, err := normalize.Find(t.Context(), all, []byte("{")); err == nil {
		t.Error("a payload that cannot be decoded was searched for")
	}
	if got := signals(t, all[1], `{"title":"t"}`); got.Drift == "" || !strings.Contains(got.Signals[0].Warnings[0], "does not fit") {
		t.Errorf("drift is not told: %q, %q", got.Drift, got.Signals[0].Warnings)
	}
}
