// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

// Suites, from the fastest.
const (
	protocolSuite = "./internal/action"
	guardSuite    = "./internal/guard"
	httpSuite     = "./internal/connector/httptool"
	simSuite      = "./test/sim"
	fenceSuite    = "./internal/controller -run TestNothingIsSent"
	conflictSuite = "./internal/controller -run TestRivalWrites"
	approvalSuite = "./internal/controller -run Approv"
	revisionSuite = "./internal/controller -run Revision|Playbook"
)

// bugs are mistakes that others have made, or that we nearly made.
var bugs = []bug{
	{
		"an attempt is sent by the pass that announces it", "internal/action/protocol.go",
		"return Step{Announced: true, Recheck:", "return Step{Command: Send, Recheck:",
		[]string{protocolSuite},
	},
	{
		"the fence is skipped", "internal/controller/action.go",
		"	if err := k.fence(ctx, a); err != nil {\n		return err\n	}\n", "",
		[]string{fenceSuite},
	},
	{
		"the fence reads the cache", "internal/controller/action.go",
		"k.live.Get(ctx, client.ObjectKeyFromObject(a), &stored)", "k.client.Get(ctx, client.ObjectKeyFromObject(a), &stored)",
		[]string{fenceSuite},
	},
	{
		"freezes are not asked for before the first byte", "internal/controller/action.go",
		"	var w actionWorld\n	if err := k.hold(ctx, k.live, a, &w); err != nil {", "	var w actionWorld\n	if err := error(nil); err != nil {",
		[]string{fenceSuite},
	},
	{
		"an outcome is dropped when its write meets a conflict", "internal/controller/sent.go",
		"	if !ok || known.number != number {\n		return nil\n	}", "	if !ok || known.number != number || known.sent != nil {\n		return nil\n	}",
		[]string{conflictSuite, simSuite},
	},
	{
		"a timeout is taken for a failure", "internal/action/protocol.go",
		"		status.State, status.Message = v1alpha1.ActionSettling, sent.Message\n		return Step{Recheck: w.Settle}\n", "		return end(status, v1alpha1.ActionFailed, v1alpha1.RefusedReason, sent.Message, now)\n",
		[]string{protocolSuite},
	},
	{
		"settling is skipped", "internal/action/doubt.go",
		"	if left := w.Settle - w.SeenFor; left > 0 {", "	if left := w.Settle - w.SeenFor; left > w.Settle {",
		[]string{protocolSuite},
	},
	{
		"what a target does not show yet is taken not to be there", "internal/action/doubt.go",
		"w.SeenFor < w.Settle+within(w):", "w.SeenFor < w.Settle:",
		[]string{protocolSuite},
	},
	{
		"an approval is used after its time, if ever anything was announced", "internal/action/protocol.go",
		`a.Outcome != "" && a.Outcome != v1alpha1.OutcomeNotSent &&`, `a.Outcome != "" &&`,
		[]string{protocolSuite},
	},
	{
		"what may run at most once is tried again", "internal/action/doubt.go",
		"	case v1alpha1.Idempotent, v1alpha1.Keyed:\n", "	case v1alpha1.Idempotent, v1alpha1.Keyed, v1alpha1.AtMostOnce:\n",
		[]string{protocolSuite},
	},
	{
		"a key is sent again after the target forgot it", "internal/action/doubt.go",
		"	return age < 0 || age >=", "	return age < 0 && age >=",
		[]string{protocolSuite},
	},
	{
		"the next process does not wait out the attempt", "internal/action/protocol.go",
		"+ Skew - w.SeenFor; left > 0 {", "+ Skew - w.SeenFor; left > time.Hour {",
		[]string{protocolSuite},
	},
	{
		"the key changes with the attempt", "internal/action/protocol.go",
		"Key:          Key(namespace, name, spec.PlanDigest),", "Key:          Key(namespace, name, spec.PlanDigest+string(rune('0'+number))),",
		[]string{simSuite},
	},
	{
		"the digest of the plan is ignored when it is sent", "internal/action/protocol.go",
		"	case err != nil || digest != spec.PlanDigest:", "	case err != nil && digest != spec.PlanDigest:",
		[]string{protocolSuite},
	},
	{
		"the digest does not cover the revision of the operations", "internal/action/digest.go",
		"		\"operations\":   spec.ConnectorRevision,\n", "",
		[]string{protocolSuite},
	},
	{
		"an approval for another plan counts", "internal/controller/guardrails.go",
		" && d.Spec.Answer.Digest == digest\n", "\n",
		[]string{approvalSuite},
	},
	{
		"an approval of an earlier question counts", "internal/action/protocol.go",
		"a.Time.Before(&status.Question.AskedTime)", "a.Time.Before(&status.Question.AskedTime) && false",
		[]string{protocolSuite},
	},
	{
		"permission is not heard again when it is sent", "internal/action/protocol.go",
		"	case !permitted(w.Permission):\n", "	case false:\n",
		[]string{protocolSuite},
	},
	{
		"a doubt ends as if nothing had happened", "internal/action/ends.go",
		"	if doubted(status) {\n		return end(", "	if false {\n		return end(",
		[]string{protocolSuite},
	},
	{
		"a rollback runs whatever stands there now", "internal/action/protocol.go",
		"	case spec.RollbackOf != nil && !before.AsLeft:", "	case spec.RollbackOf != nil && before.AsLeft && before.Desired:",
		[]string{protocolSuite},
	},
	{
		"what is acknowledged is called done unread", "internal/action/protocol.go",
		"		if !w.Verifiable {\n			return end(status, v1alpha1.ActionSucceeded, v1alpha1.AcknowledgedReason,", "		if w.Verifiable || !w.Verifiable {\n			return end(status, v1alpha1.ActionSucceeded, v1alpha1.AcknowledgedReason,",
		[]string{protocolSuite},
	},
	{
		"the live playbook is read in place of the pinned one", "internal/controller/run.go",
		"	if w.compiled, err = k.revisions.get(ctx, run.Namespace, run.Spec.Revision); err != nil {\n",
		"	var pb v1alpha1.Playbook\n	if err := k.client.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.PlaybookRef.Name}, &pb); err != nil {\n		return w, err\n	}\n	if w.compiled, err = k.revisions.get(ctx, run.Namespace, pb.Status.Revision); err != nil {\n",
		[]string{revisionSuite},
	},
	{
		"a lookup that failed counts as an answer of no", "internal/guard/evaluate.go",
		"case truth == expr.False", "case truth != expr.True",
		[]string{guardSuite},
	},
	{
		"a budget forgets what this process has reserved", "internal/controller/guardrails.go",
		"	_, ok := g.budgets.Reserve(a.Namespace, usage, p.policies(), p.listed.Usage)\n	return ok\n", "	_ = usage\n	return true\n",
		[]string{simSuite},
	},
	{
		"a server's error is taken for a refusal", "internal/connector/httptool/classify.go",
		"byStatus := a.status >= 400 && a.status <= 499", "byStatus := a.status >= 400 && a.status <= 599",
		[]string{httpSuite},
	},
	{
		"a value is pasted into a path", "internal/connector/httptool/render.go",
		"	return url.PathEscape(value), nil", "	_ = url.PathEscape\n	return value, nil",
		[]string{httpSuite},
	},
	{
		"secrets are not cut out of what a target says", "internal/redact/redact.go",
		"func (r *Redactor) Text(text string) string { return string(r.Bytes([]byte(text))) }", "func (r *Redactor) Text(text string) string { return text }",
		[]string{httpSuite},
	},
}
