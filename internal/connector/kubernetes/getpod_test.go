// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/kubernetes"
)

func (s *shop) getPod(name string) map[string]any {
	s.t.Helper()
	got, err := s.conn.Read(s.t.Context(), kubernetes.GetPod, map[string]any{"namespace": s.name, "name": name, "cluster": nil})
	if err != nil {
		s.t.Fatal(err)
	}
	return got.(map[string]any)
}

// ownedBy names an owner as a controller would.
func ownedBy(apiVersion, kind, name string, uid types.UID) metav1.ObjectMeta {
	yes := true
	return metav1.ObjectMeta{Name: name + "-owned", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: apiVersion, Kind: kind, Name: name, UID: uid, Controller: &yes},
	}}
}

func template() (metav1.LabelSelector, corev1.PodTemplateSpec) {
	labels := map[string]string{"app": "web"}
	return metav1.LabelSelector{MatchLabels: labels}, corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways, Containers: []corev1.Container{{Name: "web", Image: "web"}}},
	}
}

// must returns what was made.
func must[T any](t *testing.T) func(T, error) T {
	return func(made T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
}

func TestGetPodOfAPodByItself(t *testing.T) {
	s := newShop(t, responderRules())
	s.relabel("someone")
	want := map[string]any{
		"found": true, "isolated": true, "isolatedBy": "someone",
		"pod": map[string]any{
			"name": "web", "namespace": s.name, "uid": string(s.pod.UID), "labels": map[string]any{"app": "web", "casebook.dev/isolated": "someone"},
			"node": "", "phase": "Pending", "serviceAccount": s.pod.Spec.ServiceAccountName, "images": []any{"registry.example/web:1"},
		},
		"workload": map[string]any{
			"kind": "Pod", "name": "web", "namespace": s.name, "uid": string(s.pod.UID),
			"labels": map[string]any{"app": "web", "casebook.dev/isolated": "someone"}, "annotations": map[string]any{},
		},
		"namespaceLabels": map[string]any{"tier": "1", "kubernetes.io/metadata.name": s.name},
	}
	if diff := cmp.Diff(want, s.getPod("web")); diff != "" {
		t.Errorf("getPod (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"found": false}, s.getPod("nobody")); diff != "" {
		t.Errorf("getPod of nothing (-want +got):\n%s", diff)
	}
}

func TestGetPodFindsTheTopOwner(t *testing.T) {
	s := newShop(t, responderRules())
	ctx, create := t.Context(), metav1.CreateOptions{}
	selector, pod := template()
	deployment := must[*appsv1.Deployment](t)(admin.AppsV1().Deployments(s.name).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"criticality": "high"}, Annotations: map[string]string{"owner": "shop"}},
		Spec:       appsv1.DeploymentSpec{Selector: &selector, Template: pod},
	}, create))
	replicas := must[*appsv1.ReplicaSet](t)(admin.AppsV1().ReplicaSets(s.name).Create(ctx, &appsv1.ReplicaSet{
		ObjectMeta: ownedBy("apps/v1", "Deployment", deployment.Name, deployment.UID),
		Spec:       appsv1.ReplicaSetSpec{Selector: &selector, Template: pod},
	}, create))
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	jobs := batchv1.JobSpec{Template: pod}
	cron := must[*batchv1.CronJob](t)(admin.BatchV1().CronJobs(s.name).Create(ctx, &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "nightly"},
		Spec:       batchv1.CronJobSpec{Schedule: "0 1 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: jobs}},
	}, create))
	job := must[*batchv1.Job](t)(admin.BatchV1().Jobs(s.name).Create(ctx, &batchv1.Job{
		ObjectMeta: ownedBy("batch/v1", "CronJob", cron.Name, cron.UID), Spec: jobs,
	}, create))
	empty := map[string]any{}
	tests := map[string]struct {
		owner metav1.ObjectMeta
		want  map[string]any
		note  string
	}{
		"a deployment, through its replica set": {
			owner: ownedBy("apps/v1", "ReplicaSet", replicas.Name, replicas.UID),
			want: map[string]any{"kind": "Deployment", "name": "web", "uid": string(deployment.UID),
				"labels": map[string]any{"criticality": "high"}, "annotations": map[string]any{"owner": "shop"}},
		},
		"a cron job, through its job": {
			owner: ownedBy("batch/v1", "Job", job.Name, job.UID),
			want:  map[string]any{"kind": "CronJob", "name": "nightly", "uid": string(cron.UID), "labels": empty, "annotations": empty},
		},
		"a kind that is not known, by its reference": {
			owner: ownedBy("argoproj.io/v1alpha1", "Rollout", "canary", "u-1"),
			want:  map[string]any{"kind": "Rollout", "name": "canary", "uid": "u-1", "labels": empty, "annotations": empty},
			note:  "kind Rollout is not known",
		},
		"an owner that is gone, by its reference": {
			owner: ownedBy("apps/v1", "StatefulSet", "db", "u-2"),
			want:  map[string]any{"kind": "StatefulSet", "name": "db", "uid": "u-2", "labels": empty, "annotations": empty},
			note:  "StatefulSet db with uid u-2 no longer exists",
		},
		"another owner of the name, by its reference": {
			owner: ownedBy("apps/v1", "Deployment", "web", "u-3"),
			want:  map[string]any{"kind": "Deployment", "name": "web", "uid": "u-3", "labels": empty, "annotations": empty},
			note:  "Deployment web with uid u-3 no longer exists",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := s.makePod("", func(pod *corev1.Pod) {
				pod.GenerateName, pod.OwnerReferences = "owned-", tc.owner.OwnerReferences
			})
			got := s.getPod(pod.Name)
			tc.want["namespace"] = s.name
			if diff := cmp.Diff(tc.want, got["workload"]); diff != "" {
				t.Errorf("workload (-want +got):\n%s", diff)
			}
			notes, _ := got["notes"].([]any)
			if tc.note == "" && notes != nil {
				t.Errorf("notes = %v, want none", notes)
			}
			if tc.note != "" && (len(notes) != 1 || !strings.Contains(notes[0].(string), tc.note)) {
				t.Errorf("notes = %v, want one that says %q", notes, tc.note)
			}
		})
	}
}

// The command in the message is run as it stands, and mends it.
func TestGetPodSaysWhatToGrant(t *testing.T) {
	s := newShop(t, nil)
	input := map[string]any{"namespace": s.name, "name": "web"}
	_, err := s.conn.Read(t.Context(), kubernetes.GetPod, input)
	if reason := terminal(err); reason != v1alpha1.TargetForbiddenReason {
		t.Fatalf("Read = %v (%s), want a Terminal TargetForbidden", err, reason)
	}
	contains(t, err.Error(), `lacks the verb "get" on pods in namespace `+s.name, "soc/casebook-responder")
	runCommand(t, err.Error())
	s.await(true, "", "pods", "get")
	got := s.getPod("web")
	if _, ok := got["namespaceLabels"]; ok || got["found"] != true {
		t.Errorf("getPod = %v, want all but the namespace's labels", got)
	}
	notes, _ := got["notes"].([]any)
	if len(notes) != 1 {
		t.Fatalf("notes = %v, want one about the namespace", notes)
	}
	runCommand(t, notes[0].(string))
	s.await(true, "", "namespaces", "get")
	if got := s.getPod("web"); got["notes"] != nil || got["namespaceLabels"] == nil {
		t.Errorf("getPod = %v, want the namespace's labels and no note", got)
	}
}

// runCommand runs the kubectl commands that end a message, as the administrator.
func runCommand(t *testing.T, message string) {
	t.Helper()
	at := strings.Index(message, "kubectl ")
	if at < 0 {
		t.Fatalf("%q holds no command", message)
	}
	config, err := plane.Kubeconfig("root", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "sh", "-e", "-c", message[at:])
	command.Env = []string{"KUBECONFIG=" + config, "HOME=" + t.TempDir(), "PATH=" + filepath.Dir(plane.Kubectl()) + ":/usr/bin:/bin"}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", message[at:], err, out)
	}
}

func TestAnotherClusterIsRefused(t *testing.T) {
	object := connectorObject(responder)
	object.Spec.Kubernetes.Cluster = "prod-eu"
	conn := open(t, operator, object)
	for operation, input := range map[string]map[string]any{
		kubernetes.GetPod:     {"namespace": "shop", "name": "web", "cluster": "prod-us"},
		kubernetes.IsolatePod: {"namespace": "shop", "name": "web", "uid": "u", "cluster": "prod-us"},
	} {
		_, err := conn.Read(t.Context(), operation, input)
		if operation != kubernetes.GetPod {
			_, err = conn.Target(operation, input)
		}
		if terminal(err) != connector.OtherClusterReason {
			t.Errorf("%s = %v, want a Terminal OtherCluster", operation, err)
			continue
		}
		contains(t, err.Error(), "prod-us", "prod-eu")
	}
	if _, err := conn.Target(kubernetes.IsolatePod, map[string]any{"namespace": "shop", "name": "web", "uid": "u", "cluster": "prod-eu"}); err != nil {
		t.Errorf("the connector's own cluster: %v", err)
	}
}
