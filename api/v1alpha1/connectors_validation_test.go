// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"
)

// connectorSpecs are valid specs of the connectors that the base is not.
var connectorSpecs = map[string]string{
	"http": `
http:
  baseURL: https://directory.example.com/scim/v2
  tls: {serverName: directory.example.com, clientCertificateRef: {name: c}}
  authentication: {oauth2: {tokenURL: "https://login.example.com/token", clientID: casebook, secretRef: {name: s, key: k}, scopes: [a]}}
  headers: [{name: Accept, value: application/scim+json}]
  limits: {requestsPerMinute: 300, concurrent: 4}
  maxBytes: 65536
probe: {operation: findUser, input: {user: probe}, every: 5m}
operations:
- name: findUser
  effect: Read
  input: [{name: user, type: String, pattern: ".+", maxLength: 64}]
  request: {method: GET, path: /Users, query: [{name: filter, value: x}]}
  output: response.body
- name: suspendUser
  effect: Reversible
  semantics: Keyed
  input: [{name: user, type: String}]
  target: {type: User, name: "${input.user}"}
  before: {operation: findUser, input: {user: "${input.user}"}}
  already: before.active == false
  request:
    method: PATCH
    path: /Users/${before.id}
    headers: [{name: If-Match, value: "${before.meta.version}"}]
    body: {active: false}
    idempotency: {header: Idempotency-Key, retention: 24h}
  verify: {operation: findUser, input: {user: "${input.user}"}, expect: result.active == false, within: 30s}
  rollback: {operation: restoreUser, onlyIf: current.active == false}
`,
	"table": `
table: {bucket: {dir: {path: /data}, key: travel.csv}, format: CSV, key: [user, login], from: from, until: until}
`,
	"geoip": `
geoip: {bucket: {dir: {path: /data}, key: city.mmdb}}
`,
	"smtp": `
smtp: {host: mail.example.com, port: 587, tls: StartTLS, from: soc@example.com, username: soc, passwordRef: {name: s, key: k}}
`,
}

const read = `{name: findUser, effect: Read, request: {method: GET, path: /Users}`

const other = `{name: listUsers, effect: Read, request: {method: GET, path: /Users}`

const target = `target: {type: User, name: x}, `

// connectorRules are tried in the spec of their kind of connector.
var connectorRules = map[string][]rule{
	"http": {
		{"connectors.spec.http.baseURL", []string{`https://a.example/scim/v2`, `http://127.0.0.1:8080`}, []string{`ftp://a.example`, `https://user:pw@a.example`, `https://a.example/?q=1`, `"https://a b"`}, "", "should match"},
		{"connectors.spec.http.authentication", []string{`{bearer: {secretRef: {name: s, key: k}}}`, `{basic: {username: u, secretRef: {name: s, key: k}}}`, `{header: {name: Authorization, prefix: "SSWS ", secretRef: {name: s, key: k}}}`},
			[]string{`{}`, `{bearer: {secretRef: {name: s, key: k}}, basic: {username: u, secretRef: {name: s, key: k}}}`}, "", "exactly one of the fields in [header bearer basic oauth2] must be set"},
		{"connectors.spec.http.authentication.oauth2.tokenURL", []string{`https://a.example/token?x=y`}, []string{`a.example/token`, `https://u@a.example`}, "", "should match"},
		{"connectors.spec.http.authentication.oauth2.scopes", []string{`[a, b]`}, []string{`[a, a]`}, "spec.http.authentication.oauth2.scopes[1]", twice},
		{"connectors.spec.http.headers", []string{`[{name: A, value: x}, {name: B, value: x}]`}, []string{`[{name: A, value: x}, {name: A, value: y}]`}, "spec.http.headers[1]", twice},
		{"connectors.spec.http.limits.requestsPerMinute", []string{`1`, `60000`}, []string{`-1`, `60001`}, "", "should be"},
		{"connectors.spec.http.limits.concurrent", []string{`1`, `256`}, []string{`-1`, `257`}, "", "should be"},
		{"connectors.spec.http.maxBytes", []string{`1024`, `8388608`}, []string{`1023`, `8388609`}, "", "should be"},
		{"connectors.spec.probe.operation", []string{`findUser`}, []string{`find-user`}, "", identifier},
		{"connectors.spec.probe.every", []string{`30s`, `24h`}, []string{`29s`, `24h1s`}, "", "every must be between 30s and 24h, for example 5m"},
		{"connectors.spec.operations", []string{`[` + read + `}]`}, []string{`[` + read + `}, ` + read + `}]`}, "spec.operations[1]", twice},
		{"connectors.spec.operations[0]", []string{read + `}`, read + `, output: response.status}`}, []string{read + `, semantics: Idempotent}`, read + `, ` + target + `}`, read + `, before: {operation: a}}`, read + `, rollback: {notPossible: x}}`},
			"", "an operation whose effect is Read has no semantics, target, before, already, verify or rollback"},
		{"connectors.spec.operations[1]", []string{other + `}`}, []string{strings.Replace(other, "Read", "Irreversible", 1) + `}`}, "spec.operations[1].target", "say what the operation changes"},
		{"connectors.spec.http.authentication", []string{`{bearer: {secretRef: {name: s, key: k}}}`}, []string{`{header: {name: "A B", secretRef: {name: s, key: k}}}`}, "spec.http.authentication.header.name", header},
		{"connectors.spec.http.authentication.header.name", nil, nil, "", ""}, // tried in the line above: the base has another
		{"connectors.spec.operations[0]", []string{read + `}`}, []string{strings.Replace(read, "Read", "Irreversible", 1) + `, ` + target + `output: response.body}`}, "spec.operations[0].output", "only an operation whose effect is Read has an output"},
		{"connectors.spec.operations[0]", []string{read + `}`}, []string{strings.Replace(read, "Read", "Reversible", 1) + `, ` + target + `}`, strings.Replace(read, "Read", "Reversible", 1) + `, ` + target + `rollback: {notPossible: x}}`},
			"spec.operations[0].rollback", "name the operation that takes this one back, or declare the effect Irreversible"},
		{"connectors.spec.operations[0]", []string{strings.Replace(read, "Read", "Irreversible", 1) + `, ` + target + `rollback: {notPossible: x}}`}, []string{strings.Replace(read, "Read", "Irreversible", 1) + `, ` + target + `rollback: {operation: a}}`},
			"spec.operations[0].rollback", "an operation whose effect is Irreversible has no rollback operation"},
		{"connectors.spec.operations[1]", []string{other + `}`}, []string{strings.Replace(other, "Read", "Irreversible", 1) + `, ` + target + `semantics: ReadBack}`}, "spec.operations[1].verify", "ReadBack needs a read that decides what happened"},
		{"connectors.spec.operations[1]", []string{other + `}`}, []string{strings.Replace(other, "Read", "Irreversible", 1) + `, ` + target + `semantics: Keyed}`}, "spec.operations[1].request.idempotency",
			"Keyed operations, and no other, say where the idempotency key is sent and how long the target knows it"},
		{"connectors.spec.operations[1]", []string{other + `}`}, []string{strings.Replace(other, "Read", "Irreversible", 1) + `, ` + target + `already: "true"}`}, "spec.operations[1].before", "already needs what before reads"},
		{"connectors.spec.operations[1].name", []string{`suspendUser`}, []string{`suspend-user`, `Suspend`}, "", identifier},
		{"connectors.spec.operations[0].effect", []string{`Read`}, []string{`Write`}, "", enum},
		{"connectors.spec.operations[1].semantics", []string{`Keyed`}, []string{`Once`}, "", enum},
		{"connectors.spec.operations[0].input", []string{`[{name: a, type: List}, {name: b, type: Object}]`}, []string{`[{name: a, type: List}, {name: a, type: Object}]`}, "spec.operations[0].input[1]", twice},
		{"connectors.spec.operations[0].input[0].name", []string{`user`}, []string{`User`, `a-b`}, "", identifier},
		{"connectors.spec.operations[0].input[0].type", []string{`String`, `Integer`, `Number`, `Boolean`, `List`, `Object`}, []string{`Float`}, "", enum},
		{"connectors.spec.operations[0].input[0].maxLength", []string{`1`, `65536`}, []string{`-1`, `65537`}, "", "should be"},
		{"connectors.spec.operations[1].before.operation", []string{`findUser`}, []string{`a/findUser`}, "", identifier},
		{"connectors.spec.operations[1].verify.operation", []string{`findUser`}, []string{`a/findUser`}, "", identifier},
		{"connectors.spec.operations[1].verify.within", []string{`1s`, `1h`}, []string{`999ms`, `1h1s`}, "", "within must be between 1s and 1h, for example 30s"},
		{"connectors.spec.operations[1].rollback", []string{`{operation: restoreUser}`}, []string{`{}`, `{operation: a, notPossible: b}`}, "", "exactly one of the fields in [operation notPossible] must be set"},
		{"connectors.spec.operations[1].rollback", []string{`{operation: restoreUser, onlyIf: "true"}`}, []string{`{notPossible: a, onlyIf: "true"}`}, "", "onlyIf belongs to an operation that takes this one back"},
		{"connectors.spec.operations[1].rollback.operation", []string{`restoreUser`}, []string{`a/restoreUser`}, "", identifier},
		{"connectors.spec.operations[1].request.method", []string{`GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`}, []string{`get`, `TRACE`}, "", enum},
		{"connectors.spec.operations[1].request.path", []string{`/`, `/Users/${before.id}`}, []string{`Users`, `https://a`}, "", "should match '^/.*$'"},
		{"connectors.spec.operations[1].request.headers", []string{`[{name: A, value: x}, {name: B, value: x}]`}, []string{`[{name: A, value: x}, {name: A, value: y}]`}, "spec.operations[1].request.headers[1]", twice},
		{"connectors.spec.operations[1].request.idempotency.header", []string{`Idempotency-Key`}, []string{`"A B"`}, "", header},
		{"connectors.spec.operations[1].request.idempotency.retention", []string{`1m`, `8760h`}, []string{`59s`, `8760h1s`}, "", "retention must be between 1m and 8760h, for example 24h"},
	},
	"table": {
		{"connectors.spec.table", []string{`{configMapRef: {name: c, key: k}, key: [a]}`, `{secretRef: {name: c, key: k}, key: [a]}`}, []string{`{key: [a]}`, `{configMapRef: {name: c, key: k}, secretRef: {name: c, key: k}, key: [a]}`},
			"", "exactly one of the fields in [configMapRef secretRef bucket] must be set"},
		{"connectors.spec.table.bucket", []string{`{dir: {path: /a}, key: k}`}, []string{`{key: k}`}, "", "exactly one of the fields in [dir] must be set"},
		{"connectors.spec.table.bucket.dir.path", []string{`/a`}, []string{`data`}, "", "should match '^/.+'"},
		{"connectors.spec.table.format", []string{`CSV`, `JSON`, `YAML`}, []string{`csv`, `XML`}, "", enum},
		{"connectors.spec.table.key", []string{`[a, b]`}, []string{`[a, a]`}, "spec.table.key[1]", twice},
		{"connectors.spec.table.key", []string{`[a]`}, []string{`[]`}, "", "at least 1"},
	},
	"geoip": {
		{"connectors.spec.geoip.bucket", []string{`{dir: {path: /a}, key: k}`}, []string{`{key: k}`}, "", "exactly one of the fields in [dir] must be set"},
		{"connectors.spec.geoip.bucket.dir.path", []string{`/a`}, []string{`data`}, "", "should match '^/.+'"},
	},
	"smtp": {
		{"connectors.spec.smtp", []string{`{host: a, from: a@b}`}, []string{`{host: a, from: a@b, username: u}`, `{host: a, from: a@b, passwordRef: {name: s, key: k}}`}, "spec.smtp.username", "give username and passwordRef together"},
		{"connectors.spec.smtp", []string{`{host: a, from: a@b, tls: None}`}, []string{`{host: a, from: a@b, tls: None, username: u, passwordRef: {name: s, key: k}}`}, "spec.smtp.tls", "credentials are not sent over a connection without TLS"},
		{"connectors.spec.smtp.port", []string{`1`, `65535`}, []string{`-1`, `65536`}, "", "should be"},
		{"connectors.spec.smtp.tls", []string{`StartTLS`, `TLS`}, []string{`SSL`}, "", enum},
	},
}

// Every kind of connector lets through what it should, and refuses the rest.
func TestConnectorRules(t *testing.T) {
	for kind, spec := range connectorSpecs {
		for _, r := range append(connectorRules[kind], rule{at: "connectors.spec", accept: []string{spec}}) {
			t.Run(r.at+" "+r.words, func(t *testing.T) {
				_, path, _ := strings.Cut(r.at, ".")
				field := r.field
				if field == "" {
					field = path
				}
				try := func(text string) error {
					u := base(t, "connectors")
					u.Object["spec"] = value(t, spec)
					put(t, u.Object, path, value(t, text))
					return tryCreate(t, u)
				}
				for _, text := range r.accept {
					if err := try(text); err != nil {
						t.Errorf("%s: %v", text, err)
					}
				}
				for _, text := range r.reject {
					rejected(t, try(text), field, r.words)
				}
			})
		}
	}
}
