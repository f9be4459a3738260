// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	for name, tt := range map[string]struct{ before, after, want string }{
		"nothing changed":               {`{"a":1}`, `{ "a": 1.0 }`, `[]`},
		"a status appears":              {`{}`, `{"status":{"state":"New"}}`, `[{"op":"add","path":"/status","value":{"state":"New"}}]`},
		"a state changes":               {`{"s":{"state":"New"}}`, `{"s":{"state":"Triage"}}`, `[{"op":"replace","path":"/s/state","value":"Triage"}]`},
		"a field goes":                  {`{"a":1,"b":2}`, `{"b":2}`, `[{"op":"remove","path":"/a"}]`},
		"null is a value":               {`{"a":1}`, `{"a":null,"b":null}`, `[{"op":"replace","path":"/a","value":null},{"op":"add","path":"/b","value":null}]`},
		"a list grows at its end":       {`{"a":[1]}`, `{"a":[1,2,3]}`, `[{"op":"add","path":"/a/1","value":2},{"op":"add","path":"/a/2","value":3}]`},
		"a list grows at its beginning": {`{"a":[{"n":2},{"n":3}]}`, `{"a":[{"n":1},{"n":2},{"n":3}]}`, `[{"op":"add","path":"/a/0","value":{"n":1}}]`},
		"a list shrinks in the middle":  {`{"a":[1,2,3,4]}`, `{"a":[1,4]}`, `[{"op":"remove","path":"/a/2"},{"op":"remove","path":"/a/1"}]`},
		"an item of a list changes":     {`{"a":[{"n":1,"x":"a"},2]}`, `{"a":[{"n":1,"x":"b"},2]}`, `[{"op":"replace","path":"/a/0/x","value":"b"}]`},
		"names are escaped":             {`{"a/b~c":1}`, `{"a/b~c":2}`, `[{"op":"replace","path":"/a~1b~0c","value":2}]`},
		"an empty name, which the library cannot walk through": {`{"":{"":1}}`, `{"":{"":2}}`, `[{"op":"replace","path":"","value":{"":{"":2}}}]`},
		"a name that looks like a number":                      {`{"0":{"-1":1}}`, `{"0":{"-1":2}}`, `[{"op":"replace","path":"/0/-1","value":2}]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Diff([]byte(tt.before), []byte(tt.after))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestDiffRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ before, after string }{
		"an array":        {`[]`, `{}`},
		"null":            {`{}`, `null`},
		"no JSON":         {`{}`, `{`},
		"a huge number":   {`{}`, `{"a":1e999}`},
		"duplicate names": {`{}`, `{"a":1,"a":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Diff([]byte(tt.before), []byte(tt.after)); err == nil {
				t.Errorf("Diff = %s, want an error", got)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	for name, patch := range map[string]string{
		"no JSON":                     `[`,
		"an operation Diff lacks":     `[{"op":"copy","from":"/a","path":"/b"}]`,
		"a test":                      `[{"op":"test","path":"/a","value":1}]`,
		"the document replaced by 1":  `[{"op":"replace","path":"","value":1}]`,
		"the document replaced by []": `[{"op":"replace","path":"","value":[]}]`,
		"the document removed":        `[{"op":"remove","path":""}]`,
		"no pointer":                  `[{"op":"remove","path":"a"}]`,
		"no value":                    `[{"op":"add","path":"/a"}]`,
		"nothing to remove":           `[{"op":"remove","path":"/b"}]`,
		"past the end":                `[{"op":"add","path":"/l/5","value":1}]`,
		"from the end":                `[{"op":"remove","path":"/l/-1"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Apply([]byte(`{"a":1,"l":[1]}`), patch); err == nil {
				t.Errorf("Apply = %s, want an error", got)
			}
		})
	}
}

// anyJSON draws JSON values with the names that trip pointers and patches.
func anyJSON(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]any{nil, true, false, "", 0.0, -1.5, 1e21, "a/b", "~1", "é", "\u2028<", "日本"}), func(v any) any { return v }),
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Int32(), func(n int32) any { return float64(n) }),
	)
	if depth == 0 {
		return leaf
	}
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(anyJSON(depth-1), 0, 4), func(l []any) any { return l }),
		rapid.Map(anyObject(depth-1), func(m map[string]any) any { return m }),
	)
}

func anyObject(depth int) *rapid.Generator[map[string]any] {
	name := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "a/b", "~", "~0", "~1", "0", "-", "-1", "é", "日本", "😀", "<>"}), rapid.String())
	return rapid.MapOfN(name, anyJSON(depth), 0, 5)
}

func TestDiffProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var docs [2][]byte
		for i := range docs {
			data, err := json.Marshal(anyObject(4).Draw(t, "document"))
			if err != nil {
				t.Fatal(err)
			}
			docs[i] = data
		}
		patch, err := Diff(docs[0], docs[1])
		if err != nil {
			t.Fatal(err)
		}
		want, err := Canonical(docs[1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := Apply(docs[0], patch)
		if err != nil || string(got) != string(want) {
			t.Fatalf("Apply(%s, %s) = %s, %v, want %s", docs[0], patch, got, err, want)
		}
		if again, err := Canonical([]byte(patch)); err != nil || string(again) != patch {
			t.Fatalf("%s is not canonical: %s, %v", patch, again, err)
		}
		if twice, err := Diff(docs[0], docs[1]); err != nil || twice != patch {
			t.Fatalf("the same change gave %s, then %s (%v)", patch, twice, err)
		}
	})
}

func FuzzApply(f *testing.F) {
	f.Add([]byte(`{"a":[1,null],"":{"x":{}}}`), `[{"op":"replace","path":"/a/1","value":null},{"op":"add","path":"//x/y","value":[]}]`)
	f.Add([]byte(`{}`), `[{"op":"replace","path":"","value":{}}]`)
	f.Fuzz(func(_ *testing.T, doc []byte, patch string) {
		if doc, err := Canonical(doc); err == nil && len(doc) > 0 && doc[0] == '{' {
			_, _ = Apply(doc, patch) // must not panic
		}
	})
}
