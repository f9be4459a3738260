// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/kubernetes"
)

func (s *shop) before(operation string) connector.Observation {
	s.t.Helper()
	observation, err := s.conn.Before(s.t.Context(), s.request(operation))
	if err != nil {
		s.t.Fatal(err)
	}
	return observation
}

func (s *shop) verify(operation string) connector.Observation {
	s.t.Helper()
	observation, err := s.conn.Verify(s.t.Context(), s.request(operation))
	if err != nil {
		s.t.Fatal(err)
	}
	return observation
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}

func TestIsolatePodMakesExactlyOneDenyingPolicy(t *testing.T) {
	s := newShop(t, responderRules())
	s.do(kubernetes.IsolatePod)
	policy, err := admin.NetworkingV1().NetworkPolicies(s.name).Get(t.Context(), "casebook-isolate-"+mark, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"casebook.dev/isolated": mark}},
		PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"},
	}
	if diff := cmp.Diff(want, policy.Spec); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"app": "web", "casebook.dev/isolated": mark}, s.now().Labels); diff != "" {
		t.Errorf("the pod's labels (-want +got):\n%s", diff)
	}
	s.do(kubernetes.ReleasePod)
	if diff := cmp.Diff(map[string]string{"app": "web"}, s.now().Labels); diff != "" {
		t.Errorf("the released pod's labels (-want +got):\n%s", diff)
	}
	for _, field := range s.now().ManagedFields {
		if strings.HasPrefix(field.Manager, "casebook") {
			t.Errorf("the released pod still has fields of %s", field.Manager)
		}
	}
}

func TestOneIsolationDoesNotReplaceAnother(t *testing.T) {
	s := newShop(t, responderRules())
	s.do(kubernetes.IsolatePod)
	second := s.request(kubernetes.IsolatePod)
	second.Mark = "rt-1aaaa-isolate-bbbbb"
	before, err := s.conn.Before(t.Context(), second)
	if err != nil || !before.Desired || before.AsLeft {
		t.Errorf("Before = %+v, %v, want Desired, as it is isolated already", before, err)
	}
	contains(t, before.Message, "isolated already, by "+mark)
	result := s.conn.Do(t.Context(), second)
	if result.Outcome != v1alpha1.OutcomeRefused || result.Reason != v1alpha1.TargetChangedReason {
		t.Errorf("Do = %+v, want Refused, TargetChanged", result)
	}
	if got := s.now().Labels["casebook.dev/isolated"]; got != mark {
		t.Errorf("label = %q, want the first isolation's %q", got, mark)
	}
	if diff := cmp.Diff([]string{"casebook-isolate-" + mark}, s.policies()); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
}

func TestIsolatePodOfAPodThatIsGone(t *testing.T) {
	s := newShop(t, responderRules())
	request := s.request(kubernetes.IsolatePod)
	s.deletePod()
	if before := s.before(kubernetes.IsolatePod); !before.Gone {
		t.Errorf("Before = %+v, want Gone", before)
	}
	result := s.conn.Do(t.Context(), request)
	if result.Outcome != v1alpha1.OutcomeRefused || result.Reason != v1alpha1.TargetReplacedReason {
		t.Errorf("Do = %+v, want Refused, TargetReplaced", result)
	}
	if names := s.policies(); names != nil {
		t.Errorf("policies = %v, want none left behind", names)
	}
	again := s.makePod(s.pod.Name, nil)
	contains(t, s.before(kubernetes.IsolatePod).Message, string(s.pod.UID), string(again.UID))
}

func TestIsolatePodWithHalfThePermissionsLeavesNothing(t *testing.T) {
	rules := responderRules()
	rules[0].Verbs = []string{"get"}
	s := newShop(t, rules)
	result := s.conn.Do(t.Context(), s.request(kubernetes.IsolatePod))
	if result.Outcome != v1alpha1.OutcomeRefused || result.Reason != v1alpha1.TargetForbiddenReason {
		t.Errorf("Do = %+v, want Refused, TargetForbidden", result)
	}
	contains(t, result.Message, "soc/casebook-responder", `"patch" on pods`, s.name, "kubectl -n "+s.name+" create role")
	if names := s.policies(); names != nil {
		t.Errorf("policies = %v, want none left behind", names)
	}
}

func TestVerifySeesWhatIsolationDoesNotCover(t *testing.T) {
	tests := map[string]struct {
		pod    func(*corev1.Pod)
		policy *networkingv1.NetworkPolicySpec
		want   bool
		says   string
	}{
		"a policy that allows another pod's traffic is no opening": {
			policy: &networkingv1.NetworkPolicySpec{
				PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}, Ingress: []networkingv1.NetworkPolicyIngressRule{{}},
			}, want: true,
		},
		"a policy that denies is no opening": {
			policy: &networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress"}}, want: true,
		},
		"a policy that lets traffic in is an opening": {
			policy: &networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}},
			says:   "is not cut off: network policy other allows some of its traffic",
		},
		"a policy that lets traffic out is an opening": {
			policy: &networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{"Egress"}, Egress: []networkingv1.NetworkPolicyEgressRule{{}},
			},
			says: "is not cut off: network policy other allows some of its traffic",
		},
		"the node's own network is an opening": {
			pod: func(pod *corev1.Pod) { pod.Spec.HostNetwork = true }, says: "uses the network of its node",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, responderRules())
			if tc.pod != nil {
				s.pod = s.makePod("other", tc.pod)
			}
			if tc.policy != nil {
				policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: *tc.policy}
				if _, err := admin.NetworkingV1().NetworkPolicies(s.name).Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			s.do(kubernetes.IsolatePod)
			got := s.verify(kubernetes.IsolatePod)
			if got.Desired != tc.want {
				t.Errorf("Verify = %+v, want Desired %t", got, tc.want)
			}
			contains(t, got.Message, tc.says)
			if release := s.before(kubernetes.ReleasePod); !release.AsLeft {
				t.Errorf("Before of releasePod = %+v, want that it can be taken back", release)
			}
		})
	}
}

func TestAChangedPolicyIsSeenAndNotTakenBack(t *testing.T) {
	s := newShop(t, responderRules())
	s.do(kubernetes.IsolatePod)
	patch := []byte(`{"spec":{"egress":[{}]}}`)
	_, err := admin.NetworkingV1().NetworkPolicies(s.name).Patch(t.Context(), "casebook-isolate-"+mark, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.verify(kubernetes.IsolatePod); got.Desired {
		t.Errorf("Verify = %+v, want not Desired", got)
	} else {
		contains(t, got.Message, "not as Casebook made it")
	}
	if got := s.before(kubernetes.ReleasePod); got.AsLeft || got.Desired {
		t.Errorf("Before of releasePod = %+v, want not AsLeft", got)
	}
	if result := s.conn.Do(t.Context(), s.request(kubernetes.ReleasePod)); result.Reason != v1alpha1.TargetChangedReason {
		t.Errorf("Do of releasePod = %+v, want TargetChanged", result)
	}
	if got := s.now().Labels["casebook.dev/isolated"]; got != mark {
		t.Errorf("label = %q, want it kept", got)
	}
}

func TestReleasePodClearsAwayAfterAPodThatIsGone(t *testing.T) {
	s := newShop(t, responderRules())
	s.do(kubernetes.IsolatePod)
	s.deletePod()
	if before := s.before(kubernetes.ReleasePod); before.Gone || before.Desired || !before.AsLeft {
		t.Errorf("Before = %+v, want AsLeft alone", before)
	}
	s.do(kubernetes.ReleasePod)
	if names := s.policies(); names != nil {
		t.Errorf("policies = %v, want none", names)
	}
	if got := s.verify(kubernetes.ReleasePod); !got.Desired {
		t.Errorf("Verify = %+v, want Desired", got)
	}
}

// A rival writes after releasePod has looked and before its patch arrives.
func TestReleasePodIsPinnedToWhatItSaw(t *testing.T) {
	tests := map[string]struct {
		rival   func(*shop)
		outcome v1alpha1.AttemptOutcome
		reason  string
		label   string
	}{
		"another label is kept":              {func(s *shop) { s.relabel("rival") }, v1alpha1.OutcomeRefused, v1alpha1.TargetChangedReason, "rival"},
		"a label that went is what we want":  {func(s *shop) { s.relabel("") }, v1alpha1.OutcomeAcknowledged, "", ""},
		"another pod of the name is no harm": {func(s *shop) { s.deletePod(); s.makePod("web", isolatedByRival) }, v1alpha1.OutcomeAcknowledged, "", mark},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, responderRules())
			s.do(kubernetes.IsolatePod)
			s.wire.On(1, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
				tc.rival(s)
				return next.RoundTrip(request)
			})
			result := s.conn.Do(t.Context(), s.request(kubernetes.ReleasePod))
			if result.Outcome != tc.outcome || result.Reason != tc.reason {
				t.Errorf("Do = %+v, want %s %s", result, tc.outcome, tc.reason)
			}
			if got := s.now().Labels["casebook.dev/isolated"]; got != tc.label {
				t.Errorf("label = %q, want %q", got, tc.label)
			}
		})
	}
}

// isolatedByRival gives another pod the very mark, so that only the uid tells them apart.
func isolatedByRival(pod *corev1.Pod) { pod.Labels["casebook.dev/isolated"] = mark }

func TestMarksOfAnyLengthMakeNamesOfTheAPI(t *testing.T) {
	s := newShop(t, responderRules())
	request := s.request(kubernetes.IsolatePod)
	request.Mark = strings.Repeat("a-long-action.name-", 13) + "x"
	if result := s.conn.Do(t.Context(), request); result.Outcome != v1alpha1.OutcomeAcknowledged {
		t.Fatalf("Do = %+v", result)
	}
	got := s.now().Labels["casebook.dev/isolated"]
	if len(validation.IsValidLabelValue(got)) > 0 || !strings.HasPrefix(got, "a-long-action") {
		t.Errorf("label = %q, want a valid one that begins as the action's name", got)
	}
	other := request
	other.Mark += "y"
	if result := s.conn.Do(t.Context(), other); result.Reason != v1alpha1.TargetChangedReason {
		t.Errorf("Do with a mark that differs at its end = %+v, want that it is another", result)
	}
}

// A mutation tells the API server when nobody waits any more.
func TestTheServerLearnsTheDeadline(t *testing.T) {
	s := newShop(t, responderRules())
	lost := errors.New("kept")
	s.wire.On(1, func(request *http.Request, _ http.RoundTripper) (*http.Response, error) {
		if request.URL.Query().Get("timeout") == "" {
			t.Errorf("%s has no timeout", request.URL)
		}
		return nil, lost
	})
	if result := s.conn.Do(t.Context(), s.request(kubernetes.IsolatePod)); result.Outcome != v1alpha1.OutcomeInDoubt {
		t.Errorf("Do = %+v, want InDoubt", result)
	}
	if n := s.wire.Writes(); n != 1 {
		t.Errorf("%d writes, want 1", n)
	}
}
