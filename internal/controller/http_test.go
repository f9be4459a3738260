// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/test/fixture"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
	"github.com/casebook-dev/casebook/test/standin"
	"github.com/casebook-dev/casebook/test/standin/scim"
)

// canary is the token of every directory. Nobody may see it but the directory.
const canary = "c4nary-S3cr3t-t0ken"

// directory is a SCIM directory that can be disturbed, and the Connector of the sample that reaches it.
type directory struct {
	*standin.Recorder
	accounts  *scim.Directory
	connector *v1alpha1.Connector
	w         *fixture.World
}

// newDirectory makes a directory with users, and a Connector of this name for it.
func newDirectory(t *testing.T, w *fixture.World, name string, users ...string) *directory {
	t.Helper()
	d := &directory{accounts: scim.New(scim.Options{Accepts: func(token string) bool { return token == canary }}), w: w}
	for _, user := range append(users, "probe@example.com") {
		d.accounts.Set(scim.User{UserName: user, Active: true})
	}
	d.Recorder = standin.New(d.accounts)
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	d.connector = connectorOf(t, "directory")
	d.connector.Name, d.connector.Namespace = name, w.Namespace
	d.connector.Spec.HTTP.BaseURL = d.URL() + scim.BasePath
	d.connector.Spec.HTTP.Authentication = &v1alpha1.HTTPAuthentication{Bearer: &v1alpha1.BearerAuthentication{
		SecretRef: v1alpha1.SecretKeyRef{Name: "directory", Key: "token"},
	}}
	d.connector.Spec.HTTP.Limits = &v1alpha1.HTTPLimits{RequestsPerMinute: 60000}
	d.connector.Spec.Timeout, d.connector.Spec.Settle = &metav1.Duration{Duration: 2 * time.Second}, &metav1.Duration{}
	if err := fixture.Admin().Create(t.Context(), d.connector); err != nil {
		t.Fatal(err)
	}
	return d
}

// connectorOf is a Connector of the sample of impossible travel.
func connectorOf(t *testing.T, name string) *v1alpha1.Connector {
	t.Helper()
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(root, "config", "samples", "impossible-travel", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := &v1alpha1.Connector{}
	if err := yaml.UnmarshalStrict(raw, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// unattended lets everything that these connectors do run without a question.
func unattended(t *testing.T, w *fixture.World, connectors ...string) {
	t.Helper()
	g := &v1alpha1.Guardrail{
		ObjectMeta: metav1.ObjectMeta{Name: "unattended", Namespace: w.Namespace},
		Spec:       v1alpha1.GuardrailSpec{Rules: []v1alpha1.GuardrailRule{{Name: "all", If: "true", Allow: "It is a test."}}},
	}
	for _, name := range connectors {
		g.Spec.Covers = append(g.Spec.Covers, name+"/*")
	}
	if err := fixture.Admin().Create(t.Context(), g); err != nil {
		t.Fatal(err)
	}
}

// suspend has a person suspend a user.
func (d *directory) suspend(t *testing.T, c *v1alpha1.Case, user string) {
	t.Helper()
	input, err := json.Marshal(map[string]string{"user": user})
	if err != nil {
		t.Fatal(err)
	}
	d.w.Judged(d.w.Decide(fixture.Lead, c, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictAct, Message: "Cut it off", Act: &v1alpha1.ActDecision{
		Operation: d.connector.Name + "/suspendUser", Input: &apiextensionsv1.JSON{Raw: input},
	}}), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
}

// action waits for the action on this directory.
func (d *directory) action(t *testing.T, what string, holds func(*v1alpha1.Action) bool) (found *v1alpha1.Action) {
	t.Helper()
	d.w.Eventually("an action of "+d.connector.Name+" "+what, func() (bool, string) {
		var list v1alpha1.ActionList
		if err := fixture.Admin().List(t.Context(), &list, client.InNamespace(d.w.Namespace)); err != nil {
			t.Fatal(err)
		}
		seen := ""
		for i := range list.Items {
			found = &list.Items[i]
			if found.Spec.Operation != d.connector.Name+"/suspendUser" {
				continue
			}
			if seen += fixture.Show(found); holds(found) {
				return true, ""
			}
		}
		return false, seen
	})
	return found
}

func hasEnded(a *v1alpha1.Action) bool { return a.Status.State.Ended() }

// suspensions are the accounts that were suspended, each as often as it was.
func (d *directory) suspensions() (users []string) {
	for _, e := range d.Effects() {
		if e.Kind == scim.UserDeactivated && e.Changed {
			users = append(users, e.Target)
		}
	}
	return users
}

// saying answers in place of the directory, and repeats the credentials in each way that they can be written.
func saying(status int, header http.Header) standin.Action {
	return standin.Action{Name: fmt.Sprintf("Saying %d", status), Play: func(x *standin.Exchange) {
		token := x.Request.Header.Get("Authorization")
		header := header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("Content-Type", "application/scim+json")
		header.Set("X-Debug", token)
		x.Answer(status, header, fmt.Appendf(nil, `{"detail":"you sent %s, that is %s or %s"}`,
			token, base64.StdEncoding.EncodeToString([]byte(token)), url.QueryEscape(token)))
	}}
}

// TestBrokenTargets: whatever an HTTP target does, an action says the truth of it, nothing is done twice, and the
// credentials show nowhere.
func TestBrokenTargets(t *testing.T) {
	t.Parallel()
	const read, write = http.MethodGet, http.MethodPatch
	once := func(method string, do standin.Action) standin.Fault {
		return standin.Fault{Method: method, Times: 1, Do: do}
	}
	always := func(method string, do standin.Action) standin.Fault { return standin.Fault{Method: method, Do: do} }
	const ended, gaveUp, did = v1alpha1.ActionFailed, v1alpha1.ActionUnknown, v1alpha1.ActionSucceeded
	tests := map[string]struct {
		fault    standin.Fault
		state    v1alpha1.ActionState
		reason   string
		attempts int // that may have reached the target
		done     int // suspensions
	}{
		"read-401":        {always(read, saying(401, nil)), ended, connector.CredentialsRejectedReason, 0, 0},
		"read-403":        {always(read, saying(403, nil)), ended, v1alpha1.TargetForbiddenReason, 0, 0},
		"read-404":        {once(read, saying(404, nil)), did, v1alpha1.VerifiedReason, 1, 1},
		"read-409":        {once(read, saying(409, nil)), did, v1alpha1.VerifiedReason, 1, 1},
		"read-412":        {once(read, saying(412, nil)), did, v1alpha1.VerifiedReason, 1, 1},
		"read-429":        {once(read, saying(429, http.Header{"Retry-After": {"1"}})), did, v1alpha1.VerifiedReason, 1, 1},
		"read-500":        {once(read, saying(500, nil)), did, v1alpha1.VerifiedReason, 1, 1},
		"read-hangs":      {once(read, standin.Hang), did, v1alpha1.VerifiedReason, 1, 1},
		"read-resets":     {once(read, standin.Reset), did, v1alpha1.VerifiedReason, 1, 1},
		"read-nonsense":   {once(read, standin.Nonsense), did, v1alpha1.VerifiedReason, 1, 1},
		"read-5mb":        {once(read, standin.Huge), did, v1alpha1.VerifiedReason, 1, 1},
		"401":             {always(write, saying(401, nil)), ended, connector.CredentialsRejectedReason, 1, 0},
		"403":             {always(write, saying(403, nil)), ended, v1alpha1.TargetForbiddenReason, 1, 0},
		"404":             {always(write, saying(404, nil)), ended, v1alpha1.TargetReplacedReason, 1, 0},
		"409":             {always(write, saying(409, nil)), ended, v1alpha1.TargetChangedReason, 1, 0},
		"412":             {always(write, saying(412, nil)), ended, v1alpha1.TargetChangedReason, 1, 0},
		"429":             {once(write, saying(429, http.Header{"Retry-After": {"1"}})), did, v1alpha1.VerifiedReason, 1, 1},
		"500":             {once(write, saying(500, nil)), did, v1alpha1.VerifiedReason, 2, 1},
		"500-always":      {always(write, saying(500, nil)), gaveUp, v1alpha1.OutcomeUnknownReason, 5, 0},
		"hangs":           {once(write, standin.Hang), did, v1alpha1.VerifiedReason, 2, 1},
		"hangs-after":     {once(write, standin.HangAfter), did, v1alpha1.VerifiedReason, 1, 1},
		"resets":          {once(write, standin.Reset), did, v1alpha1.VerifiedReason, 2, 1},
		"loses-its-reply": {once(write, standin.LoseReply), did, v1alpha1.VerifiedReason, 1, 1},
		"cuts-its-reply":  {once(write, standin.CutReply), did, v1alpha1.VerifiedReason, 1, 1},
		"nonsense":        {once(write, standin.Nonsense), did, v1alpha1.VerifiedReason, 1, 1},
		"nonsense-undone": {once(write, standin.Answer(200, nil, []byte("<html>"))), did, v1alpha1.VerifiedReason, 2, 1},
		"5mb":             {once(write, standin.Huge), did, v1alpha1.VerifiedReason, 1, 1},
	}
	w := fixture.NewTenant(t)
	w.Secret("directory", "token", canary)
	w.LetRead("directory")
	unattended(t, w, slices.Collect(maps.Keys(tests))...)
	directories := map[string]*directory{}
	for name := range tests {
		directories[name] = newDirectory(t, w, name, "ana@example.com")
	}
	w.Run(fixture.Faults{})
	w.AwaitReady()
	c := w.Alert(w.Pod("web-1"))
	for name, tc := range tests {
		directories[name].Inject(tc.fault)
		directories[name].suspend(t, c, "ana@example.com")
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := directories[name]
			a := d.action(t, "that has ended", hasEnded)
			reached := 0
			for _, attempt := range a.Status.Attempts {
				if attempt.Outcome != v1alpha1.OutcomeNotSent {
					reached++
				}
			}
			if h := headline(a); a.Status.State != tc.state || h.Reason != tc.reason || reached != tc.attempts {
				t.Errorf("it is %s, %s after %d attempts: %s; want %s, %s after %d", a.Status.State, h.Reason, reached, a.Status.Message, tc.state, tc.reason, tc.attempts)
			}
			if got := d.suspensions(); len(got) != tc.done {
				t.Errorf("suspended were %v, want %d", got, tc.done)
			}
		})
	}
	resolveWhatIsAsked(t, w, c, directories["500-always"].action(t, "that gave up", hasEnded))
	w.Check()
}

// resolveWhatIsAsked: what became of an action is among what its case asks, until a person says it. Nothing else answers
// it, and the case is not closed before.
func resolveWhatIsAsked(t *testing.T, w *fixture.World, c *v1alpha1.Case, a *v1alpha1.Action) {
	t.Helper()
	q := w.AwaitQuestion(c, a.Spec.Handle)
	if q.Kind != v1alpha1.QuestionResolution || q.ActionRef == nil || q.ActionRef.Name != a.Name || c.Status.Questions[0].Handle != q.Handle {
		t.Errorf("the case asks %+v, want first of all what became of %s", c.Status.Questions, a.Name)
	}
	q.Digest = a.Spec.PlanDigest
	w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "ok")), v1alpha1.DecisionVoid, v1alpha1.StaleReason, "kubectl casebook resolve "+c.Name+"/"+q.Handle)
	w.Judged(w.Decide(fixture.Lead, c, fixture.Close("TruePositive", "done")), v1alpha1.DecisionVoid, v1alpha1.InvalidSpecReason, c.Name+"/"+q.Handle+" happened is not known")
	w.Judged(w.Decide(fixture.Lead, c, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictResolve, Message: "she is active", Resolve: &v1alpha1.ResolveDecision{
		ActionRef: *q.ActionRef, Outcome: v1alpha1.ResolveDidNot,
	}}), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	fixture.Await(w, c, "to ask no more what became of it", func(c *v1alpha1.Case) bool {
		return !slices.ContainsFunc(c.Status.Questions, func(q v1alpha1.CaseQuestion) bool { return q.Kind == v1alpha1.QuestionResolution })
	})
}

// TestConnectorWhoseSecretCannotBeRead: it says which Secret is missing or may not be read, an action on it fails and
// sends nothing, and once the Secret is there it is in use without anybody starting anything anew.
func TestConnectorWhoseSecretCannotBeRead(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	d := newDirectory(t, w, "directory", "ana@example.com")
	unattended(t, w, "directory")
	w.Run(fixture.Faults{})
	unusable := func(reason string, words ...string) {
		t.Helper()
		fixture.Await(w, d.connector, "to be unusable: "+reason, func(c *v1alpha1.Connector) bool {
			ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ReadyCondition)
			if ready == nil || ready.Status != metav1.ConditionFalse || ready.Reason != reason {
				return false
			}
			for _, word := range words {
				if !strings.Contains(ready.Message, word) {
					t.Errorf("the message %q does not say %q", ready.Message, word)
				}
			}
			return true
		})
	}
	unusable(v1alpha1.SecretForbiddenReason, "directory", "kubectl -n "+w.Namespace)
	c := w.Alert(w.Pod("web-1"))
	w.AwaitQuestion(c, "keep")
	d.suspend(t, c, "ana@example.com")
	a := d.action(t, "that has ended", hasEnded)
	wantState(t, a, v1alpha1.ActionFailed, "kubectl -n "+w.Namespace)
	if h := headline(a); h.Reason != v1alpha1.SecretForbiddenReason || len(d.Requests()) > 0 {
		t.Errorf("the reason is %s, and %d requests arrived", h.Reason, len(d.Requests()))
	}
	w.LetRead("directory")
	d.askNow(t)
	unusable(v1alpha1.SecretNotFoundReason, "there is no secret directory", "create it")
	w.Secret("directory", "token", canary)
	d.askNow(t)
	w.AwaitReady()
	w.Check()
}

// askNow has the controller look at the Connector again.
func (d *directory) askNow(t *testing.T) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RequestedAtAnnotation, time.Now().Format(time.RFC3339Nano))
	if err := fixture.Admin().Patch(t.Context(), d.connector.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// TestUserWhoExistsTwiceOrNotAtAll: nobody is suspended by a name that means two, until it means one.
func TestUserWhoExistsTwiceOrNotAtAll(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	w.Secret("directory", "token", canary)
	w.LetRead("directory")
	twice, never := newDirectory(t, w, "twice", "ana@example.com"), newDirectory(t, w, "never")
	second := twice.accounts.Set(scim.User{UserName: "ana@example.com", Active: true})
	unattended(t, w, "twice", "never")
	w.Run(fixture.Faults{})
	w.AwaitReady()
	c := w.Alert(w.Pod("web-1"))
	twice.suspend(t, c, "ana@example.com")
	never.suspend(t, c, "ana@example.com")
	a := never.action(t, "that has ended", hasEnded)
	wantState(t, a, v1alpha1.ActionFailed, "there is no User ana@example.com")
	if h := headline(a); h.Reason != v1alpha1.TargetReplacedReason || len(a.Status.Attempts) > 0 {
		t.Errorf("the reason is %s after %d attempts", h.Reason, len(a.Status.Attempts))
	}
	a = twice.action(t, "that says so", func(a *v1alpha1.Action) bool { return strings.Contains(a.Status.Message, "this has 2") })
	if a.Status.State != v1alpha1.ActionReady || len(a.Status.Attempts) > 0 || len(twice.suspensions()) > 0 {
		t.Errorf("it is %s after %d attempts; suspended were %v", a.Status.State, len(a.Status.Attempts), twice.suspensions())
	}
	twice.accounts.Remove(second)
	wantState(t, twice.action(t, "that has ended", hasEnded), v1alpha1.ActionSucceeded, "read back as wanted")
	w.Check()
}

// TestHostileTextReachesTheTargetAsItIs: what somebody wrote is a value in each place of a request, and nothing else.
func TestHostileTextReachesTheTargetAsItIs(t *testing.T) {
	t.Parallel()
	hostile := []string{
		"${input.user}", "${'a' + 'b'}", "{{ .Values.token }}", "ana\r\nX-Evil: 1", "\u202emoc.elpmaxe@ana", "ana\x00@example.com",
		`ana" or userName pr or userName eq "`, `ana\" or "`, "../../Groups/1", "ana%2F..%2F..", "ana?x=1&filter=#", "аnа@example.com", "  ",
	}
	w := fixture.NewTenant(t)
	w.Secret("directory", "token", canary)
	w.LetRead("directory")
	d := newDirectory(t, w, "directory", append(hostile, "ana@example.com")...)
	unattended(t, w, "directory")
	w.Run(fixture.Faults{})
	w.AwaitReady()
	c := w.Alert(w.Pod("web-1"))
	for _, user := range hostile {
		d.suspend(t, c, user)
	}
	for _, user := range hostile {
		a := d.action(t, fmt.Sprintf("on %q that has ended", user), func(a *v1alpha1.Action) bool { return a.Spec.Target.Name == user && hasEnded(a) })
		wantState(t, a, v1alpha1.ActionSucceeded, "")
	}
	got, want := d.suspensions(), slices.Sorted(slices.Values(hostile))
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("suspended were others than meant (-want +got):\n%s", diff)
	}
	for _, r := range d.Requests() {
		if r.Header.Get("X-Evil") != "" || !strings.HasPrefix(r.RawPath, scim.BasePath+"/Users") || len(r.Query) > 1 {
			t.Errorf("%s %s?%s %v arrived", r.Method, r.RawPath, r.Query.Encode(), r.Header)
		}
	}
	w.Check()
}

// TestLookupServiceThatIsDown: a guardrail that cannot look something up asks a person, and a case says what it could
// not learn. While the service is up, nobody is asked.
func TestLookupServiceThatIsDown(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t, func(o client.Object) {
		if ct, ok := o.(*v1alpha1.CaseType); ok {
			ct.Spec.Enrich = append(ct.Spec.Enrich, v1alpha1.Enrichment{
				Name: "trips", Lookup: "travel/findUser", Input: &apiextensionsv1.JSON{Raw: []byte(`{"user":"ana@example.com"}`)},
			})
		}
	})
	w.Secret("directory", "token", canary)
	w.LetRead("directory")
	travel, d := newDirectory(t, w, "travel", "ana@example.com"), newDirectory(t, w, "directory", "ana@example.com", "ben@example.com")
	g := &v1alpha1.Guardrail{
		ObjectMeta: metav1.ObjectMeta{Name: "travellers", Namespace: w.Namespace},
		Spec: v1alpha1.GuardrailSpec{
			Covers:  []string{"directory/*"},
			Lookups: []v1alpha1.GuardrailLookup{{Name: "trip", Lookup: "travel/findUser", Input: &apiextensionsv1.JSON{Raw: []byte(`{"user":"${target.name}"}`)}}},
			Rules:   []v1alpha1.GuardrailRule{{Name: "at-home", If: "!lookups.trip.found || lookups.trip.active", Allow: "No trip explains it."}},
		},
	}
	if err := fixture.Admin().Create(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	w.Run(fixture.Faults{})
	w.AwaitReady()
	c := w.Alert(w.Pod("web-1"))
	d.suspend(t, c, "ben@example.com")
	wantState(t, d.action(t, "that has ended", hasEnded), v1alpha1.ActionSucceeded, "") // nobody was asked
	travel.Inject(standin.Fault{Do: standin.Reset})
	c = w.Alert(w.Pod("web-2"))
	d.suspend(t, c, "ana@example.com")
	q := w.AwaitQuestion(c, d.action(t, "that asks", func(a *v1alpha1.Action) bool { return a.Status.State == v1alpha1.ActionAsking }).Spec.Handle)
	if !strings.Contains(q.Because, "lookup trip failed") || len(d.suspensions()) != 1 {
		t.Errorf("it asks because %q; suspended were %v", q.Because, d.suspensions())
	}
	fixture.Await(w, c, "to say what it could not learn", func(c *v1alpha1.Case) bool {
		return slices.ContainsFunc(c.Status.Enrichments, func(e v1alpha1.EnrichmentRecord) bool {
			return e.Name == "trips" && strings.Contains(e.Error, "connection reset")
		})
	})
	w.Judged(w.Decide(fixture.Lead2, c, fixture.Approve(q, "She is in Berlin")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	a := d.action(t, "on ana that has ended", func(a *v1alpha1.Action) bool { return a.Spec.Target.Name == "ana@example.com" && hasEnded(a) })
	wantState(t, a, v1alpha1.ActionSucceeded, "")
	w.Check()
}

// TestTwoOperatorsAskATargetOnce: two that both believe to lead send each change once between them.
func TestTwoOperatorsAskATargetOnce(t *testing.T) {
	t.Parallel()
	users := []string{"ana@example.com", "ben@example.com", "carl@example.com", "dora@example.com"}
	w := fixture.NewTenant(t)
	w.Secret("directory", "token", canary)
	w.LetRead("directory")
	d := newDirectory(t, w, "directory", users...)
	unattended(t, w, "directory")
	w.Run(fixture.Faults{})
	w.Run(fixture.Faults{})
	w.AwaitReady()
	c := w.Alert(w.Pod("web-1"))
	for _, user := range users {
		d.suspend(t, c, user)
	}
	for _, user := range users {
		a := d.action(t, "on "+user+" that has ended", func(a *v1alpha1.Action) bool { return a.Spec.Target.Name == user && hasEnded(a) })
		wantState(t, a, v1alpha1.ActionSucceeded, "read back as wanted")
	}
	if sent := d.changes(); sent != len(users) {
		t.Errorf("%d changes were asked for, want %d", sent, len(users))
	}
	w.Check()
}

// changes is how many requests arrived that would change something.
func (d *directory) changes() (n int) {
	for _, r := range d.Requests() {
		if r.Method == http.MethodPatch {
			n++
		}
	}
	return n
}

// TestClockThatJumpsAnHourDuringAnExchange: nobody takes the attempt for over, and nothing is sent again.
func TestClockThatJumpsAnHourDuringAnExchange(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	w.Secret("directory", "token", canary)
	w.LetRead("directory")
	d := newDirectory(t, w, "directory", "ana@example.com")
	unattended(t, w, "directory")
	w.Run(fixture.Faults{})
	w.Run(fixture.Faults{}) // another would take it over if it took it for over
	w.AwaitReady()
	c := w.Alert(w.Pod("web-1"))
	jumped := make(chan struct{})
	d.Inject(standin.Fault{Method: http.MethodPatch, Do: standin.Action{Name: "Answer after the jump", Play: func(x *standin.Exchange) {
		x.Handle()
		x.WaitFor(jumped)
		x.Pass()
	}}})
	d.suspend(t, c, "ana@example.com")
	if _, err := d.AwaitRequest(t.Context(), func(r standin.Request) bool { return r.Method == http.MethodPatch }); err != nil {
		t.Fatal(err)
	}
	w.Forward(time.Hour)
	close(jumped)
	a := d.action(t, "that has ended", hasEnded)
	wantState(t, a, v1alpha1.ActionSucceeded, "read back as wanted")
	if len(a.Status.Attempts) != 1 || d.changes() != 1 {
		t.Errorf("there are %d attempts, and %d changes were asked for", len(a.Status.Attempts), d.changes())
	}
	w.Check()
}
