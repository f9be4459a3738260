// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

// bases is a valid object of every kind, with every field that has a rule.
var bases = map[string]string{
	"sources": `
kind: Source
spec:
  webhook:
    authentication:
      hmac: {secretRef: {name: s, key: k}, header: X-Signature, timeHeader: X-Time, tolerance: 5m}
    maxBytes: 1048576
    requestsPerMinute: 60
  mappingRef: {name: falco}
  only: "true"
  with: [{name: cluster, value: prod}]
  repeatWindow: 1h
`,
	"mappings": `
kind: Mapping
spec:
  product: Falco
  decode: JSON
  signal: {category: "'Runtime'", title: item.rule, severity: High}
  fingerprint: [ruleId]
`,
	"connectors": `
kind: Connector
spec:
  kubernetes: {serviceAccountRef: {name: responder}}
  settle: 5s
  timeout: 10s
`,
	"guardrails": `
kind: Guardrail
spec:
  covers: [kubernetes/isolatePod]
  rules:
  - {name: deny-it, deny: No.}
  - name: ask-them
    ask: {verb: approve, count: 1, groups: [leads], distinctFrom: [PlaybookAuthor], validFor: 1h}
  lookups: [{name: vip, lookup: vips/find, input: {key: x}}]
  budgets: [{name: isolations, operations: [kubernetes/isolatePod], max: 10, per: 1h}]
  breaker: {wrongPercent: 5, outOf: 20}
  baseline: RequireAllow
`,
	"casetypes": `
kind: CaseType
spec:
  match: "true"
  prefix: rt
  correlate: {by: [assets], within: 4h}
  enrich: [{name: workload, lookup: kubernetes/getPod, input: {a: b}}]
  severity: [{when: "true", adjust: 1, because: so}]
  queue: runtime
  playbooks: [{name: isolate-pod}]
  closing: {needs: [Note], rootCauseFrom: High}
  controls: ["iso27001:A.5.26"]
  retentionDays: 30
`,
	"playbooks": `
kind: Playbook
spec:
  description: Does it all.
  inputs: [{name: user, type: User}]
  steps:
  - {name: isolate, if: "true", orElse: Skip, timeout: 2m, onFailure: Continue, action: {operation: kubernetes/isolatePod, onDenied: Continue}}
  - {name: keep, decision: {question: "Keep?", options: [keep, release], verb: approve, groups: [leads], within: 4h, onSilence: release}}
  - {name: pause, wait: {for: 10m}}
  - {name: contained, set: {state: Contained}}
  - {name: release, action: {rollbackOf: isolate}}
  - {name: done, close: {classification: TruePositive, note: Done.}}
  - {name: stop, fail: {message: Stopped.}}
  - {name: tell, notify: {connector: mail, to: [ana@example.com], subject: Contained, message: It is.}}
`,
	"evidencelogs": `
kind: EvidenceLog
spec:
  origin: example.com/soc
  bucket: {dir: {path: /evidence}}
  signingKeyRef: {name: s, key: k}
  archiveAfter: 24h
`,
	"signals": `
kind: Signal
spec:
  category: Runtime
  severity: High
  confidence: 50
  title: A shell
  observedTime: "2026-11-24T10:00:00.000000Z"
  observedTimeFrom: Payload
  activity: Create
  outcome: Failure
  users: [{name: ana}]
  indicators: [{type: ipv4, value: 192.0.2.1}]
  fingerprint: abababababababababababababababababababababababababababababababab
  explanation: [{field: title}]
  sourceRef: {name: falco}
  caseRef: {name: rt-1}
  mapping: falco@1
  receivedTime: "2026-11-24T10:00:00.000000Z"
  raw: {digest: "sha256:abababababababababababababababababababababababababababababababab", size: 0}
`,
	"cases": `
kind: Case
spec:
  typeRef: {name: runtime-threat}
  title: A shell
  severity: High
  correlationKey: abababababababababababababababababababababababababababababababab
  previousCaseRef: {name: rt-0}
  signalRef: {name: s}
  evidenceLog: Tenant
`,
	"playbookruns": `
kind: PlaybookRun
spec:
  caseRef: {name: rt-1, uid: "1"}
  playbookRef: {name: isolate-pod}
  revision: isolate-pod-1
  number: 1
  connectors: [{name: kubernetes, uid: "1"}]
  decisionRef: {name: d, uid: "1"}
`,
	"actions": `
kind: Action
spec:
  caseRef: {name: rt-1, uid: "1"}
  runRef: {name: r, uid: "1"}
  decisionRef: {name: d, uid: "1"}
  rollbackOf: {name: a, uid: "1"}
  handle: isolate
  connectorRef: {name: kubernetes, uid: "1"}
  operation: kubernetes/isolatePod
  input: {}
  target: {type: Pod, name: web}
  effect: Reversible
  semantics: Idempotent
  rollback: {operation: releasePod}
  planDigest: abababababababababababababababababababababababababababababababab
  requester: {type: Person, name: ana}
  deadlineTime: "2026-11-24T10:00:00.000000Z"
`,
	"decisions": `
kind: Decision
spec:
  caseRef: {name: rt-1, uid: "1"}
  verdict: Comment
  message: Seen.
  actor: {username: ana}
`,
}

// decisionSpecs are valid specs for the verdicts that need more than a message.
var decisionSpecs = map[string]string{
	"Approve":  `{caseRef: {name: rt-1, uid: "1"}, verdict: Approve, message: Yes., answer: {handle: h, digest: ` + hex64 + `}}`,
	"Answer":   `{caseRef: {name: rt-1, uid: "1"}, verdict: Answer, answer: {handle: h, digest: ` + hex64 + `, option: keep}}`,
	"Act":      `{caseRef: {name: rt-1, uid: "1"}, verdict: Act, act: {operation: kubernetes/isolatePod}}`,
	"Assign":   `{caseRef: {name: rt-1, uid: "1"}, verdict: Assign, assign: {owner: ana, queue: runtime}}`,
	"Close":    `{caseRef: {name: rt-1, uid: "1"}, verdict: Close, message: Done., close: {classification: TruePositive}}`,
	"Resolve":  `{caseRef: {name: rt-1, uid: "1"}, verdict: Resolve, message: Seen in its log., resolve: {actionRef: {name: a, uid: "1"}, outcome: Happened}}`,
	"Lookup":   `{caseRef: {name: rt-1, uid: "1"}, verdict: Lookup, lookup: {operation: directory/findUser}}`,
	"Run":      `{caseRef: {name: rt-1, uid: "1"}, verdict: Run, run: {playbookRef: {name: p}}}`,
	"Set":      `{caseRef: {name: rt-1, uid: "1"}, verdict: Set, message: Worse., set: {severity: High, typeRef: {name: t}, queue: q}}`,
	"Add":      `{caseRef: {name: rt-1, uid: "1"}, verdict: Add, add: {users: [{name: ana}], hosts: [{name: h}], indicators: [{type: ipv4, value: 192.0.2.1}]}}`,
	"Freeze":   `{verdict: Freeze, message: Stop.}`,
	"Thaw":     `{verdict: Thaw, message: Go on.}`,
	"Rollback": `{caseRef: {name: rt-1, uid: "1"}, verdict: Rollback, message: Wrong., rollback: {actionRef: {name: a, uid: "1"}}}`,
}

const hex64 = "abababababababababababababababababababababababababababababababab"
