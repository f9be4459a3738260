// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule is one rule of the schema: values that it lets through at a path, and values that it refuses, in these words.
type rule struct {
	at     string   // plural, then the path in the base object
	accept []string // as YAML
	reject []string // as YAML
	field  string   // that the refusal is for; the path if empty
	words  string
}

const (
	identifier = "should match '^[a-z][A-Za-z0-9]*$'"
	operation  = "should match '^[a-z0-9][a-z0-9.-]*/[a-z][A-Za-z0-9]*$'"
	label      = "should match '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'"
	sha256     = "should match '^[0-9a-f]{64}$'"
	header     = "should match '^[A-Za-z0-9-]+$'"
	enum       = "Unsupported value"
	twice      = "Duplicate value"
)

var upper64 = strings.ToUpper(hex64)

// misleading are texts that a terminal would show as something else.
var misleading = []string{`"a\u202Eb"`, `"a\u2066"`, `"\u200F"`, `"a\nb"`, `"a\e[2J"`, `"a\u009Bb"`}

var rules = []rule{
	{"sources.spec", []string{`{mappingRef: {name: m}, webhook: {authentication: {bearer: {secretRef: {name: s, key: k}}}}}`},
		[]string{`{mappingRef: {name: m}}`}, "", "exactly one of the fields in [webhook] must be set"},
	{"sources.spec.webhook.authentication",
		[]string{`{bearer: {secretRef: {name: s, key: k}}}`, `{hmac: {secretRef: {name: s, key: k}, header: X}}`},
		[]string{`{}`, `{bearer: {secretRef: {name: s, key: k}}, hmac: {secretRef: {name: s, key: k}, header: X}}`},
		"", "exactly one of the fields in [bearer hmac] must be set"},
	{"sources.spec.webhook.authentication.hmac.header", []string{`X-Hub-Signature-256`}, []string{`"X Signature"`, `"X:"`}, "", header},
	{"sources.spec.webhook.authentication.hmac.timeHeader", []string{`X-Time`}, []string{`"a\nb"`}, "", header},
	{"sources.spec.webhook.authentication.hmac.tolerance", []string{`1s`, `1h`}, []string{`999ms`, `1h0m1s`, `-5m`}, "", "tolerance must be between 1s and 1h, for example 5m"},
	{"sources.spec.webhook.maxBytes", []string{`1024`, `26214400`}, []string{`1023`, `26214401`}, "", "should be"},
	{"sources.spec.webhook.requestsPerMinute", []string{`1`, `10000000`}, []string{`-1`, `10000001`}, "", "should be"},
	{"sources.spec.with[0].name", []string{`cluster`}, []string{`Cluster`, `a-b`, `1a`}, "", identifier},
	{"sources.spec.with", []string{`[{name: a, value: b}, {name: b, value: b}]`}, []string{`[{name: a, value: b}, {name: a, value: c}]`}, "spec.with[1]", twice},
	{"sources.spec.repeatWindow", []string{`1m`, `168h`, `1h30m`}, []string{`59s`, `168h1s`, `1 hour`}, "", "repeatWindow must be between 1m and 168h, for example 1h"},

	{"mappings.spec.decode", []string{`JSON`, `NDJSON`}, []string{`XML`, `json`}, "", enum},
	{"mappings.spec.fingerprint", []string{`[ruleId, users]`}, []string{`[ruleId, ruleId]`}, "spec.fingerprint[1]", twice},

	{"connectors.spec", []string{`{kubernetes: {serviceAccountRef: {name: a}}}`}, []string{`{settle: 5s}`, `{kubernetes: {serviceAccountRef: {name: a}}, geoip: {bucket: {dir: {path: /a}, key: b}}}`}, "",
		"exactly one of the fields in [kubernetes http table geoip smtp] must be set"},
	{"connectors.spec", []string{`{kubernetes: {serviceAccountRef: {name: a}}}`}, []string{`{kubernetes: {serviceAccountRef: {name: a}}, operations: [` + read + `}]}`, `{http: {baseURL: "https://a.example"}}`}, "spec.operations",
		"declare spec.operations for an http connector, and for no other: the rest have theirs in code"},
	{"connectors.spec.settle", []string{`0s`, `10m`}, []string{`-1s`, `10m1s`}, "", "settle must be between 0s and 10m, for example 5s"},
	{"connectors.spec.timeout", []string{`1s`, `60s`, `1m`}, []string{`999ms`, `61s`}, "", "timeout must be between 1s and 60s, for example 10s"},

	{"guardrails.spec.covers[0]", []string{`kubernetes/isolatePod`, `kubernetes/*`, `a.b-c/d`}, []string{`"*"`, `kubernetes`, `"*/isolatePod"`, `Kubernetes/isolatePod`, `kubernetes/isolate*`}, "",
		`should match '^[a-z0-9][a-z0-9.-]*/([a-z][A-Za-z0-9]*|\*)$'`},
	{"guardrails.spec.covers", []string{`[a/b, a/c]`}, []string{`[a/b, a/b]`}, "spec.covers[1]", twice},
	{"guardrails.spec.covers", []string{`[a/b]`}, []string{`[]`}, "", "at least 1"},
	{"guardrails.spec.rules", []string{`[{name: a, deny: No.}]`}, []string{`[]`}, "", "at least 1"},
	{"guardrails.spec.rules", []string{`[{name: a, deny: No.}, {name: b, deny: No.}]`}, []string{`[{name: a, deny: No.}, {name: a, allow: Yes.}]`}, "spec.rules[1]", twice},
	{"guardrails.spec.rules[0]", []string{`{name: a, allow: Yes.}`, `{name: a, ask: {}}`, `{name: a, deny: No.}`},
		[]string{`{name: a}`, `{name: a, allow: Yes., deny: No.}`, `{name: a, allow: Yes., ask: {}}`}, "", "exactly one of the fields in [allow ask deny] must be set"},
	{"guardrails.spec.rules[0].name", []string{`a`, `break-glass-2`}, []string{`Break`, `-a`, `a-`, `a_b`}, "", label},
	{"guardrails.spec.rules[1].ask.verb", []string{`approve`, `approve-hosts`, `approve-a-b`}, []string{`answer`, `get`, `approve-`, `approve-Hosts`}, "", "should match '^approve(-[a-z0-9]+)*$'"},
	{"guardrails.spec.rules[1].ask.count", []string{`1`, `10`}, []string{`-1`, `11`}, "", "should be"},
	{"guardrails.spec.rules[1].ask.groups", []string{`[a, b]`}, []string{`[a, a]`}, "spec.rules[1].ask.groups[1]", twice},
	{"guardrails.spec.rules[1].ask.distinctFrom[0]", []string{`Requester`, `PlaybookAuthor`}, []string{`Approver`}, "", enum},
	{"guardrails.spec.rules[1].ask.distinctFrom", []string{`[Requester, PlaybookAuthor]`}, []string{`[Requester, Requester]`}, "spec.rules[1].ask.distinctFrom[1]", twice},
	{"guardrails.spec.rules[1].ask.validFor", []string{`1m`, `24h`}, []string{`59s`, `24h1s`}, "", "validFor must be between 1m and 24h, for example 1h"},

	{"guardrails.spec.lookups", []string{`[{name: a, lookup: a/b}, {name: b, lookup: a/b}]`}, []string{`[{name: a, lookup: a/b}, {name: a, lookup: a/c}]`}, "spec.lookups[1]", twice},
	{"guardrails.spec.lookups[0].name", []string{`vip`}, []string{`VIP`, `a-b`}, "", identifier},
	{"guardrails.spec.lookups[0].lookup", []string{`vips/find`}, []string{`vips`, `vips/*`}, "", operation},
	{"guardrails.spec.budgets", []string{`[{name: a, max: 0, per: 1h}, {name: b, max: 1, per: 1h}]`}, []string{`[{name: a, max: 0, per: 1h}, {name: a, max: 1, per: 1h}]`}, "spec.budgets[1]", twice},
	{"guardrails.spec.budgets[0].name", []string{`suspensions`}, []string{`Suspensions`, `a_b`}, "", label},
	{"guardrails.spec.budgets[0].max", []string{`0`, `100000`}, []string{`-1`, `100001`}, "", "should be"},
	{"guardrails.spec.budgets[0].per", []string{`1m`, `24h`}, []string{`59s`, `24h1s`}, "", "per must be between 1m and 24h, for example 1h"},
	{"guardrails.spec.budgets[0].operations", []string{`[a/b, a/c]`}, []string{`[a/b, a/b]`}, "spec.budgets[0].operations[1]", twice},
	{"guardrails.spec.breaker.wrongPercent", []string{`0`, `100`}, []string{`-1`, `101`}, "", "should be"},
	{"guardrails.spec.breaker.outOf", []string{`1`, `1000`}, []string{`-1`, `1001`}, "", "should be"},
	{"guardrails.spec.baseline", []string{`RequireAllow`}, []string{`Allow`}, "", enum},

	{"casetypes.spec.prefix", []string{`r`, `rt`, `a1234567`}, []string{`Rt`, `1a`, `r-t`}, "", "should match '^[a-z][a-z0-9]{0,7}$'"},
	{"casetypes.spec.correlate.by[0]", []string{`users`, `hosts`, `assets`, `indicators`, `ruleId`, `title`, `source`}, []string{`user`, `severity`}, "", enum},
	{"casetypes.spec.correlate.by", []string{`[users, assets]`}, []string{`[users, users]`}, "spec.correlate.by[1]", twice},
	{"casetypes.spec.correlate.by", []string{`[users]`}, []string{`[]`}, "", "at least 1"},
	{"casetypes.spec.correlate.within", []string{`1m`, `720h`}, []string{`59s`, `720h1s`}, "", "within must be between 1m and 720h, for example 4h"},
	{"casetypes.spec.enrich[0].name", []string{`workload`, `workLoad2`}, []string{`Workload`, `work-load`}, "", identifier},
	{"casetypes.spec.enrich[0].lookup", []string{`kubernetes/getPod`}, []string{`getPod`, `kubernetes/*`, `a/b/c`}, "", operation},
	{"casetypes.spec.enrich", []string{`[{name: a, lookup: a/b}, {name: b, lookup: a/b}]`}, []string{`[{name: a, lookup: a/b}, {name: a, lookup: a/c}]`}, "spec.enrich[1]", twice},
	{"casetypes.spec.severity[0].adjust", []string{`-4`, `0`, `4`}, []string{`-5`, `5`}, "", "should be"},
	{"casetypes.spec.queue", []string{`runtime`, `tier-2`}, []string{`Runtime`, `tier_2`, `a-`}, "", label},
	{"casetypes.spec.playbooks", []string{`[{name: a}, {name: b}]`}, []string{`[{name: a}, {name: a}]`}, "spec.playbooks[1]", twice},
	{"casetypes.spec.closing.needs[0]", []string{`Classification`, `Note`, `RootCause`}, []string{`Owner`}, "", enum},
	{"casetypes.spec.closing.needs", []string{`[Note, RootCause]`}, []string{`[Note, Note]`}, "spec.closing.needs[1]", twice},
	{"casetypes.spec.closing.rootCauseFrom", []string{`Informational`, `Low`, `Medium`, `High`, `Critical`}, []string{`high`, `4`}, "", ""},
	{"casetypes.spec.controls", []string{`["a:1", "a:2"]`}, []string{`["a:1", "a:1"]`}, "spec.controls[1]", twice},
	{"casetypes.spec.retentionDays", []string{`1`, `36500`}, []string{`-1`, `36501`}, "", "should be"},

	{"playbooks.spec.inputs[0].name", []string{`user`}, []string{`User`, `a-b`}, "", identifier},
	{"playbooks.spec.inputs[0].type", []string{`String`, `Integer`, `Boolean`, `Object`, `List`, `User`, `Host`, `Asset`, `Indicator`}, []string{`string`, `Float`}, "", enum},
	{"playbooks.spec.inputs", []string{`[{name: a, type: List}, {name: b, type: List}]`}, []string{`[{name: a, type: List}, {name: a, type: User}]`}, "spec.inputs[1]", twice},
	{"playbooks.spec.steps", []string{`[{name: a, fail: {message: x}}]`}, []string{`[]`}, "", "at least 1"},
	{"playbooks.spec.steps", []string{`[{name: a, fail: {message: x}}, {name: b, fail: {message: x}}]`}, []string{`[{name: a, fail: {message: x}}, {name: a, wait: {for: 1m}}]`}, "spec.steps[1]", twice},
	{"playbooks.spec.steps[0]", []string{`{name: a, wait: {for: 1m}}`, `{name: a, set: {state: Contained}}`}, []string{`{name: a}`, `{name: a, wait: {for: 1m}, fail: {message: x}}`},
		"", "exactly one of the fields in [action decision wait set close fail notify] must be set"},
	{"playbooks.spec.steps[7].notify.to", []string{`[a@b.example]`}, []string{`[]`}, "", "at least 1"},
	{"playbooks.spec.steps[0].name", []string{`isolate`, `isolateHost2`}, []string{`isolate-host`, `Isolate`, `2`}, "", ""},
	{"playbooks.spec.steps[0].orElse", []string{`Skip`, `Run`}, []string{`Fail`}, "", enum},
	{"playbooks.spec.steps[0].timeout", []string{`1s`, `720h`}, []string{`999ms`, `720h1s`}, "", "timeout must be between 1s and 720h, for example 2m"},
	{"playbooks.spec.steps[0].onFailure", []string{`Continue`, `Fail`}, []string{`Ignore`}, "", enum},
	{"playbooks.spec.steps[0].action", []string{`{operation: a/b}`, `{rollbackOf: isolate}`}, []string{`{onDenied: Fail}`, `{operation: a/b, rollbackOf: isolate}`}, "",
		"exactly one of the fields in [operation rollbackOf] must be set"},
	{"playbooks.spec.steps[0].action.operation", []string{`kubernetes/isolatePod`}, []string{`isolatePod`, `a/B`}, "", operation},
	{"playbooks.spec.steps[0].action.onDenied", []string{`Continue`, `Fail`}, []string{`Skip`}, "", enum},
	{"playbooks.spec.steps[4].action.rollbackOf", []string{`isolate`}, []string{`a/b`, `Isolate`}, "", identifier},
	{"playbooks.spec.steps[1].decision.options", []string{`[keep, release]`}, []string{`[release]`}, "", "at least 2"},
	{"playbooks.spec.steps[1].decision.options[0]", []string{`keep`}, []string{`Keep it`, `keep-it`}, "", identifier},
	{"playbooks.spec.steps[1].decision.verb", []string{`answer`, `approve`, `answer-hosts`, `approve-a-b`}, []string{`act`, `approves`, `answer-`}, "", "should match '^(answer|approve)(-[a-z0-9]+)*$'"},
	{"playbooks.spec.steps[1].decision.groups", []string{`[a, b]`}, []string{`[a, a]`}, "spec.steps[1].decision.groups[1]", twice},
	{"playbooks.spec.steps[1].decision.within", []string{`1s`, `720h`}, []string{`999ms`, `720h1s`}, "", "within must be between 1s and 720h, for example 4h"},
	{"playbooks.spec.steps[1].decision", []string{`{question: Q, options: [a, b], within: 1h}`, `{question: Q, options: [a, b], within: 1h, onSilence: b}`},
		[]string{`{question: Q, options: [a, b], within: 1h, onSilence: c}`}, "spec.steps[1].decision.onSilence", "onSilence must be one of the options"},
	{"playbooks.spec.steps[2].wait.for", []string{`1s`, `720h`}, []string{`0s`, `720h1s`}, "", "for must be between 1s and 720h, for example 10m"},
	{"playbooks.spec.steps[3].set.state", []string{`Investigating`, `Contained`, `Resolved`}, []string{`New`, `Triage`, `Closed`, `Merged`}, "", "state must be Investigating, Contained or Resolved; to close the case use a close step"},
	{"playbooks.spec.steps[3].set.state", []string{`Contained`}, []string{`Open`}, "", enum},
	{"playbooks.spec.steps[5].close.classification", []string{`TruePositive`, `BenignPositive`, `FalsePositive`, `Duplicate`, `Test`, `InsufficientData`}, []string{`Benign`}, "", enum},

	{"evidencelogs.spec.origin", []string{`soc`, `casebook.example.com/soc`}, []string{`Soc`, `a/`, `"a b"`, `"a+b"`}, "", "should match '^[a-z0-9]([a-z0-9./-]*[a-z0-9])?$'"},
	{"evidencelogs.spec.bucket", []string{`{dir: {path: /a}}`}, []string{`{}`}, "", "exactly one of the fields in [dir] must be set"},
	{"evidencelogs.spec.bucket.dir.path", []string{`/a`}, []string{`evidence`, `./a`}, "", "should match '^/.+'"},
	{"evidencelogs.spec.archiveAfter", []string{`1m`, `2160h`}, []string{`59s`, `2160h1s`}, "", "archiveAfter must be between 1m and 2160h, for example 24h"},

	{"signals.spec.title", []string{`A shell`, `Оболочка`, `قشرة`}, misleading, "", "should match"},
	{"cases.spec.title", []string{`A shell`}, misleading, "", "should match"},
	{"signals.spec.category", []string{`Identity`, `Other`}, []string{`identity`, `Misc`}, "", enum},
	{"signals.spec.severity", []string{`Informational`, `Low`, `Medium`, `High`, `Critical`}, []string{`Fatal`}, "", enum},
	{"signals.spec.confidence", []string{`0`, `100`}, []string{`-1`, `101`}, "", "should be"},
	{"signals.spec.observedTimeFrom", []string{`Payload`, `Envelope`, `Receipt`}, []string{`Guess`}, "", enum},
	{"signals.spec.outcome", []string{`Success`, `Failure`, `Unknown`}, []string{`Partial`, `success`, `""`}, "", enum},
	{"signals.spec.activity", []string{`Create`, `Update`, `Resolve`, `Suppress`}, []string{`Delete`}, "", enum},
	{"signals.spec.indicators[0].type", []string{`ipv4`, `ipv6`, `domain`, `url`, `sha256`, `sha1`, `md5`, `email`, `cve`, `file`}, []string{`ip`}, "", enum},
	{"signals.spec.fingerprint", []string{hex64}, []string{upper64}, "", sha256},
	{"signals.spec.raw.digest", []string{`"sha256:` + hex64 + `"`}, []string{`"sha256:` + upper64 + `"`, `"sha512:` + hex64 + `"`}, "", "should match '^sha256:[0-9a-f]{64}$'"},
	{"signals.spec.raw.size", []string{`0`, `1`}, []string{`-1`}, "", "should be"},

	{"cases.spec.severity", []string{`Low`}, []string{`low`}, "", enum},
	{"cases.spec.correlationKey", []string{hex64}, []string{upper64}, "", sha256},
	{"cases.spec.evidenceLog", []string{`Tenant`, `Operator`}, []string{`None`}, "", enum},

	{"playbookruns.spec.number", []string{`1`, `1000`}, []string{`-1`, `1001`}, "", "should be"},
	{"playbookruns.spec.connectors", []string{`[{name: a, uid: "1"}, {name: b, uid: "1"}]`}, []string{`[{name: a, uid: "1"}, {name: a, uid: "2"}]`}, "spec.connectors[1]", twice},

	{"actions.spec.effect", []string{`Read`, `Reversible`, `Irreversible`}, []string{`Maybe`}, "", enum},
	{"actions.spec.semantics", []string{`Idempotent`, `Keyed`, `ReadBack`, `AtMostOnce`}, []string{`Twice`}, "", enum},
	{"actions.spec.rollback", []string{`{operation: releasePod}`, `{notPossible: It is gone.}`}, []string{`{}`, `{operation: a, notPossible: b}`}, "",
		"exactly one of the fields in [operation notPossible] must be set"},
	{"actions.spec.planDigest", []string{hex64}, []string{upper64}, "", sha256},
	{"actions.spec.requester.type", []string{`Person`, `Automation`}, []string{`Robot`}, "", enum},
}

// Every rule of the schema lets through what it should, and refuses the rest for the right field in the right words.
func TestRules(t *testing.T) {
	for _, r := range rules {
		t.Run(r.at+" "+r.words, func(t *testing.T) { tryRule(t, r) })
	}
}

func tryRule(t *testing.T, r rule) {
	t.Helper()
	plural, path, _ := strings.Cut(r.at, ".")
	field := r.field
	if field == "" {
		field = path
	}
	for _, text := range r.accept {
		u := base(t, plural)
		put(t, u.Object, path, value(t, text))
		if err := tryCreate(t, u); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range r.reject {
		u := base(t, plural)
		put(t, u.Object, path, value(t, text))
		rejected(t, tryCreate(t, u), field, r.words)
	}
}

var oneOf = regexp.MustCompile(`\[(0|\?[^]]*)\]`)

// A column of kubectl get prints the first thing that its path finds, and what is no scalar as raw JSON: each path finds
// one scalar.
func TestColumnsPrintOneThing(t *testing.T) {
	for plural, version := range versions(t) {
		for _, column := range version.AdditionalPrinterColumns {
			at := version.Schema.OpenAPIV3Schema
			for _, name := range strings.Split(strings.TrimPrefix(oneOf.ReplaceAllString(column.JSONPath, ".[0]"), "."), ".") {
				next := at.Properties[name]
				if name == "[0]" && at.Items != nil {
					next = *at.Items.Schema
				}
				at = &next
			}
			if scalar := slices.Contains([]string{"string", "integer", "boolean"}, at.Type); !scalar && !strings.HasPrefix(column.JSONPath, ".metadata.") {
				t.Errorf("%s: the column %s prints %s, which is no scalar but %q", plural, column.Name, column.JSONPath, at.Type)
			}
		}
	}
}

var index = regexp.MustCompile(`\[\d+\]`)

// No rule of the schema is without a test: CEL by its message; patterns, enumerations, bounds and lists by their path.
func TestEveryRuleHasATest(t *testing.T) {
	tested := map[string]string{}
	all := slices.Concat(rules, decisionRules, immutable, questionRules)
	for _, some := range []map[string][]rule{verdictRules, connectorRules} {
		for _, inner := range some {
			all = append(all, inner...)
		}
	}
	for _, r := range all {
		tested[index.ReplaceAllString(r.at, "[*]")] += r.words + "\n"
	}
	for plural, schema := range schemas(t) {
		walk(schema, plural, func(path string, s *schemaProps) {
			words, known := tested[path]
			for _, v := range s.XValidations {
				if !strings.Contains(words, v.Message) || v.Message == "" {
					t.Errorf("%s: no test for the rule %q with the message %q", path, v.Rule, v.Message)
				}
			}
			if !strings.HasPrefix(path, plural+".spec") || known {
				return
			}
			if s.Pattern != "" || len(s.Enum) > 0 || s.Minimum != nil || s.Maximum != nil || s.MinItems != nil || s.MinProperties != nil ||
				s.XListType != nil && *s.XListType != "atomic" {
				t.Errorf("%s: no test for its pattern, enumeration, bounds or list type", path)
			}
		})
	}
}
