// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/dir"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/table"
	"github.com/casebook-dev/casebook/internal/fault"
)

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// store is the ConfigMaps and Secrets of namespace soc, by "name/key", and a bucket.
type store struct {
	t       *testing.T
	values  map[string]string
	bucket  *dir.Bucket
	refused error
	opener  *table.Opener
}

func newStore(t *testing.T, values map[string]string) *store {
	t.Helper()
	bucket, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	s := &store{t: t, values: values, bucket: bucket}
	s.opener = table.NewOpener(s, func(namespace string, _ v1alpha1.BucketSpec) (blob.Bucket, error) {
		if namespace != "soc" {
			return nil, errors.New("the bucket of another namespace was asked for")
		}
		return bucket, s.refused
	}, clocktesting.NewFakePassiveClock(now))
	return s
}

func (s *store) value(kind, namespace, name, key string) ([]byte, error) {
	text, ok := s.values[name+"/"+key]
	if !ok || namespace != "soc" {
		return nil, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "%s %s/%s has no key %s: create it", kind, namespace, name, key)
	}
	return []byte(text), nil
}

// ConfigMap implements connector.Values.
func (s *store) ConfigMap(ctx context.Context, namespace string, ref v1alpha1.ConfigMapKeyRef) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.value("ConfigMap", namespace, ref.Name, ref.Key)
}

// Secret implements connector.Values.
func (s *store) Secret(_ context.Context, namespace string, ref v1alpha1.SecretKeyRef) ([]byte, error) {
	return s.value("Secret", namespace, ref.Name, ref.Key)
}

func (s *store) open(spec v1alpha1.TableConnector) connector.Connector {
	s.t.Helper()
	c, err := s.opener.Open(object(spec))
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func object(spec v1alpha1.TableConnector) *v1alpha1.Connector {
	return &v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "travel"}, Spec: v1alpha1.ConnectorSpec{Table: &spec}}
}

// inConfigMap is a table under a key of ConfigMap "c".
func inConfigMap(key string, columns ...string) v1alpha1.TableConnector {
	return v1alpha1.TableConnector{ConfigMapRef: &v1alpha1.ConfigMapKeyRef{Name: "c", Key: key}, Key: columns}
}

func valid(spec v1alpha1.TableConnector, from, until string) v1alpha1.TableConnector {
	spec.From, spec.Until = from, until
	return spec
}

type record = map[string]any

const trips = "\ufeffuser,id,country,from,until,approved\r\n" +
	"ana@example.com,T-17,BR,2026-11-20,2026-11-24,true\r\n" +
	"\" Straße \",T-18,\"DE\r\nor AT\",,2026-11-24T09:00:00Z,FALSE\r\n" +
	"ANA@example.com,T-19,\"say \"\"hi\"\"\",2026-12-01T00:00:00+01:00,,trueish\r\n" +
	",T-20,XX,,,\r\n"

func TestFind(t *testing.T) {
	const people = `[{"user":"ana","alias":"ana.a","level":3,"ratio":0.5,"big":9007199254740993,"groups":["a","b"],"of":{"x":null},"gone":null},
		{"user":17,"alias":"seventeen"}, {"alias":null,"user":"bob"}, {"user":"twice","alias":"TWICE"}, {"user":"two"}, {"alias":"Two"}]`
	const vips = `
- &ana
  user: ana
  tier: gold
  since: 2026-11-24
  at: 2026-11-24T10:00:00Z
  answer: no
  norway: NO
  really: true
  n: 3
  groups: [a, b]
- <<: *ana
  user: bob
`
	s := newStore(t, map[string]string{
		"c/trips.csv": trips, "c/people.JSON": people, "c/vips.yml": vips, "c/none.json": "[]", "c/header.csv": "user,from\n",
		"c/plain": "user\nana\n",
	})
	travel := valid(inConfigMap("trips.csv", "user"), "from", "until")
	plain := inConfigMap("plain", "user")
	plain.Format = v1alpha1.DataCSV
	t17 := record{"found": true, "user": "ana@example.com", "id": "T-17", "country": "BR", "from": "2026-11-20", "until": "2026-11-24", "approved": true}
	t18 := record{"found": true, "user": " Straße ", "id": "T-18", "country": "DE\nor AT", "from": "", "until": "2026-11-24T09:00:00Z", "approved": false}
	t19 := record{"found": true, "user": "ANA@example.com", "id": "T-19", "country": `say "hi"`, "from": "2026-12-01T00:00:00+01:00", "until": "", "approved": "trueish"}
	notThere := record{"found": false}
	tests := map[string]struct {
		spec        v1alpha1.TableConnector
		key, around string
		want        record
	}{
		"a row that is valid now":                           {travel, "ana@example.com", "", t17},
		"whatever the case of letters, and space around it": {travel, " Ana@EXAMPLE.com\t", "", t17},
		"a date in until is its whole day":                  {travel, "ana@example.com", "2026-11-24T23:59:59.999Z", t17},
		"and not the next":                                  {travel, "ana@example.com", "2026-11-25T00:00:00Z", notThere},
		"a date in from begins the day":                     {travel, "ana@example.com", "2026-11-20T01:00:00+01:00", t17},
		"and not before":                                    {travel, "ana@example.com", "2026-11-20T00:59:59+01:00", notThere},
		"any time of a day asked for":                       {travel, "ana@example.com", "2026-11-24", t17},
		"a day that a row begins in":                        {travel, "ana@example.com", "2026-11-30", t19},
		"a day that no row is valid in":                     {travel, "ana@example.com", "2026-11-29", notThere},
		"a row without an end":                              {travel, "ana@example.com", "2200-01-01T00:00:00Z", t19},
		"a row without a beginning, folded in full":         {travel, "STRASSE", "1970-01-01", t18},
		"before its time is over":                           {travel, "strasse", "2026-11-24T08:59:59.9Z", t18},
		"when its time is over":                             {travel, "strasse", "2026-11-24T09:00:00Z", notThere},
		"a day in which its time is over":                   {travel, "strasse", "2026-11-24", t18},
		"nobody":                                            {travel, "eve@example.com", "", notThere},
		"validity that nobody declared":                     {inConfigMap("trips.csv", "id"), "t-18", "", t18},
		"another column":                                    {inConfigMap("trips.csv", "user", "id"), "T-18", "", t18},
		"a table without rows":                              {inConfigMap("none.json", "user"), "ana", "", notThere},
		"a header without rows":                             {valid(inConfigMap("header.csv", "user"), "from", ""), "ana", "", notThere},
		"a format that the name does not say":               {plain, "ana", "", record{"found": true, "user": "ana"}},
		"a row of JSON with its types": {inConfigMap("people.JSON", "user", "alias"), "ANA.A", "", record{
			"found": true, "user": "ana", "alias": "ana.a", "level": int64(3), "ratio": 0.5, "big": int64(9007199254740993),
			"groups": []any{"a", "b"}, "of": record{"x": nil}, "gone": nil,
		}},
		"a number as key":                       {inConfigMap("people.JSON", "user", "alias"), "17", "", record{"found": true, "user": int64(17), "alias": "seventeen"}},
		"null is no key":                        {inConfigMap("people.JSON", "user", "alias"), "null", "", notThere},
		"a row that has the key in two columns": {inConfigMap("people.JSON", "user", "alias"), "twice", "", record{"found": true, "user": "twice", "alias": "TWICE"}},
		"a row of YAML with its types, and its dates as they are": {inConfigMap("vips.yml", "user"), "ana", "", record{
			"found": true, "user": "ana", "tier": "gold", "since": "2026-11-24", "at": "2026-11-24T10:00:00Z", "answer": "no", "norway": "NO",
			"really": true, "n": int64(3), "groups": []any{"a", "b"},
		}},
		"a row of YAML that takes from another": {inConfigMap("vips.yml", "user"), "bob", "", record{
			"found": true, "user": "bob", "tier": "gold", "since": "2026-11-24", "at": "2026-11-24T10:00:00Z", "answer": "no", "norway": "NO",
			"really": true, "n": int64(3), "groups": []any{"a", "b"},
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := s.open(tc.spec)
			for range 2 { // the second answer is from what was kept
				got, err := c.Read(t.Context(), table.Find, record{"key": tc.key, "around": tc.around})
				if diff := cmp.Diff(any(tc.want), got); diff != "" || err != nil {
					t.Fatalf("%v (-want +got):\n%s", err, diff)
				}
				spoil(got)
			}
			if err := c.Probe(t.Context()); err != nil {
				t.Errorf("the probe says %v", err)
			}
		})
	}
}

// spoil changes all of an answer, as a careless caller may.
func spoil(value any) {
	switch v := value.(type) {
	case record:
		for name, member := range v {
			spoil(member)
			v[name] = "spoilt"
		}
	case []any:
		for i := range v {
			v[i] = "spoilt"
		}
	}
}

func TestList(t *testing.T) {
	many := "user,n\n" + strings.Repeat("crowd,1\n", 1001) + strings.Repeat("few,2\n", 2)
	s := newStore(t, map[string]string{"c/trips.csv": trips, "c/many.csv": many})
	list := func(spec v1alpha1.TableConnector, key string) (any, error) {
		return s.open(spec).Read(t.Context(), table.List, record{"key": key})
	}
	got, err := list(inConfigMap("trips.csv", "user"), "ana@example.com")
	rows, ok := got.([]any)
	if err != nil || !ok || len(rows) != 2 || rows[0].(record)["id"] != "T-17" || rows[1].(record)["id"] != "T-19" {
		t.Errorf("got %v, %v; want T-17 and T-19", got, err)
	}
	got, err = list(inConfigMap("trips.csv", "user"), "nobody")
	if diff := cmp.Diff(any([]any{}), got); diff != "" || err != nil {
		t.Errorf("no row (-want +got): %v\n%s", err, diff)
	}
	got, err = list(inConfigMap("many.csv", "user"), "few")
	if rows, ok := got.([]any); err != nil || !ok || len(rows) != 2 {
		t.Errorf("got %v, %v; want two equal rows", got, err)
	}
	_, err = list(inConfigMap("many.csv", "user"), "crowd")
	wantTerminal(t, err, connector.InvalidDataReason, "1001 match, more than 1000")
	_, err = s.open(inConfigMap("many.csv", "user")).Read(t.Context(), table.Find, record{"key": "few"})
	wantTerminal(t, err, connector.InvalidDataReason, "key many.csv of ConfigMap c: 2 rows match, row 1002 (line 1003) and row 1003 (line 1004) first")
}

func wantTerminal(t *testing.T, err error, reason string, words ...string) {
	t.Helper()
	terminal, ok := errors.AsType[*fault.Terminal](err)
	if !ok || terminal.Reason != reason {
		t.Errorf("got %v, want a Terminal %s", err, reason)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the message %q does not say %q", err, word)
		}
	}
}

func TestContentIsReadAtEachUse(t *testing.T) {
	s := newStore(t, map[string]string{"c/t.csv": "user,n\nana,1\n"})
	c := s.open(inConfigMap("t.csv", "user"))
	for i, text := range []string{"user,n\nana,1\n", "user,n\nana,2\n", "user,n\nana,1\n"} {
		s.values["c/t.csv"] = text
		got, err := c.Read(t.Context(), table.Find, record{"key": "ana"})
		want := record{"found": true, "user": "ana", "n": string(text[len(text)-2])}
		if diff := cmp.Diff(any(want), got); diff != "" || err != nil {
			t.Errorf("reading %d: %v (-want +got):\n%s", i, err, diff)
		}
	}
	delete(s.values, "c/t.csv")
	_, err := c.Read(t.Context(), table.Find, record{"key": "ana"})
	wantTerminal(t, err, v1alpha1.ReferenceNotFoundReason, "ConfigMap soc/c has no key t.csv")
}

func TestSecretAndBucket(t *testing.T) {
	s := newStore(t, map[string]string{"s/vips.csv": "user\nana\n", "s/bad.csv": "hunter2;x\ny\n", "s/date.csv": "user,until\nana,hunter2\n", "s/bad.yaml": "hunter2: *hunter2"})
	if _, err := s.bucket.Create(t.Context(), "tables/assets.json", []byte(`[{"host":"web-1"}]`)); err != nil {
		t.Fatal(err)
	}
	inSecret := func(key string) v1alpha1.TableConnector {
		return v1alpha1.TableConnector{SecretRef: &v1alpha1.SecretKeyRef{Name: "s", Key: key}, Key: []string{"user"}}
	}
	inBucket := func(key string) v1alpha1.TableConnector {
		return v1alpha1.TableConnector{Bucket: &v1alpha1.BucketObject{Key: key}, Key: []string{"host"}}
	}
	got, err := s.open(inSecret("vips.csv")).Read(t.Context(), table.Find, record{"key": "ana"})
	if diff := cmp.Diff(any(record{"found": true, "user": "ana"}), got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = s.open(inBucket("tables/assets.json")).Read(t.Context(), table.Find, record{"key": "WEB-1"})
	if diff := cmp.Diff(any(record{"found": true, "host": "web-1"}), got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	wantTerminal(t, s.open(inBucket("tables/other.json")).Probe(t.Context()), v1alpha1.ReferenceNotFoundReason, "there is no object tables/other.json of the bucket: put it there")
	wantTerminal(t, s.open(inBucket("/x.json")).Probe(t.Context()), v1alpha1.InvalidSpecReason, "spec.table.bucket.key")
	for _, key := range []string{"bad.csv", "date.csv", "bad.yaml"} {
		err := s.open(valid(inSecret(key), "", "until")).Probe(t.Context())
		wantTerminal(t, err, connector.InvalidDataReason, "key "+key+" of Secret s")
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the message shows the secret: %v", err)
		}
	}
	if _, err := s.bucket.Create(t.Context(), "large.csv", []byte("host\n"+strings.Repeat("web-1\n", table.MaxSize/6))); err != nil {
		t.Fatal(err)
	}
	wantTerminal(t, s.open(inBucket("large.csv")).Probe(t.Context()), connector.InvalidDataReason, "object large.csv of the bucket is larger than 16 MiB")
	s.refused = errors.New("no route to host")
	err = s.open(inBucket("tables/assets.json")).Probe(t.Context())
	if _, terminal := errors.AsType[*fault.Terminal](err); terminal || !errors.Is(err, s.refused) {
		t.Errorf("a bucket that is away: %v, want an error that passes", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	s := newStore(t, nil)
	tests := map[string]struct {
		spec  *v1alpha1.TableConnector
		words string
	}{
		"no table":   {nil, "spec.table is missing"},
		"no place":   {&v1alpha1.TableConnector{Key: []string{"user"}, Format: v1alpha1.DataCSV}, "give configMapRef, secretRef or bucket"},
		"no format":  {&v1alpha1.TableConnector{ConfigMapRef: &v1alpha1.ConfigMapKeyRef{Name: "c", Key: "vips.txt"}, Key: []string{"user"}}, `"vips.txt" does not say`},
		"no columns": {&v1alpha1.TableConnector{ConfigMapRef: &v1alpha1.ConfigMapKeyRef{Name: "c", Key: "vips.csv"}}, "spec.table.key is missing"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := object(v1alpha1.TableConnector{})
			o.Spec.Table = tc.spec
			_, err := s.opener.Open(o)
			wantTerminal(t, err, v1alpha1.InvalidSpecReason, "soc/travel", tc.words)
		})
	}
}

func TestBadInputIsRefused(t *testing.T) {
	s := newStore(t, map[string]string{"c/trips.csv": trips})
	c := s.open(inConfigMap("trips.csv", "user"))
	tests := map[string]struct {
		operation string
		input     record
		reason    string
		words     string
	}{
		"no key":               {table.Find, record{}, connector.InvalidInputReason, `"key" is missing`},
		"a blank key":          {table.Find, record{"key": " \t "}, connector.InvalidInputReason, `"key" is blank`},
		"a key that is a list": {table.List, record{"key": []any{"ana"}}, connector.InvalidInputReason, "is of type list"},
		"a key without end":    {table.Find, record{"key": strings.Repeat("a", 1025)}, connector.InvalidInputReason, "1025 bytes"},
		"no time":              {table.Find, record{"key": "ana", "around": "tomorrow"}, connector.InvalidInputReason, `"around" is not a time`},
		"half a date":          {table.List, record{"key": "ana", "around": "2026-02-30"}, connector.InvalidInputReason, "2026-11-24T10:00:00Z"},
		"another input":        {table.Find, record{"key": "ana", "country": "BR"}, connector.InvalidInputReason, "key, around"},
		"another operation":    {"delete", record{"key": "ana"}, connector.UnknownOperationReason, "find, list"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.Read(t.Context(), tc.operation, tc.input)
			wantTerminal(t, err, tc.reason, tc.words)
		})
	}
}

func TestATableChangesNothing(t *testing.T) {
	c := newStore(t, nil).open(inConfigMap("t.csv", "user"))
	if err := connector.CheckOperations(c.Operations()); err != nil {
		t.Error(err)
	}
	for _, o := range c.Operations() {
		if o.Effect != v1alpha1.EffectRead {
			t.Errorf("operation %s is a %s", o.Name, o.Effect)
		}
	}
	for _, operation := range []string{table.Find, "delete"} {
		request := connector.Request{Operation: operation, Input: record{"key": "ana"}, Mark: "a", Key: "k"}
		_, err := c.Target(operation, request.Input)
		_, before := c.Before(t.Context(), request)
		_, verify := c.Verify(t.Context(), request)
		for _, err := range []error{err, before, verify} {
			wantTerminal(t, err, connector.UnknownOperationReason, fmt.Sprintf("%q", operation), "only read")
		}
		if got := c.Do(t.Context(), request); got.Outcome != v1alpha1.OutcomeRefused || got.Reason != connector.UnknownOperationReason || got.Message == "" {
			t.Errorf("got %+v, want Refused", got)
		}
	}
}

func TestAReadStopsWithItsContext(t *testing.T) {
	s := newStore(t, map[string]string{"c/trips.csv": trips})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.open(inConfigMap("trips.csv", "user")).Read(ctx, table.Find, record{"key": "ana"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
