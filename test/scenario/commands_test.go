// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// commands are what scripts may use beside testscript's own; doc.go says what each does.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"as":              as,
	"kubectl":         kubectl,
	"exit-code":       exitCode,
	"apply":           func(ts *testscript.TestScript, neg bool, args []string) { write(ts, neg, "apply", args) },
	"create":          func(ts *testscript.TestScript, neg bool, args []string) { write(ts, neg, "create", args) },
	"expand":          expand,
	"alert":           alert,
	"post":            post,
	"sign":            sign,
	"payload":         payload,
	"workload":        workload,
	"isolated":        isolated,
	"await":           await,
	"await-case":      awaitCase,
	"let":             let,
	"may":             may,
	"flip":            flip,
	"verify-evidence": verifyEvidence,
	"operator":        operate,
	"bucket":          bucket,
}

func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: as PERSON")
	}
	ts.Check(of(ts).become(args[0], ts.Setenv))
}

// kubectl runs the real one; what it prints is for stdout and stderr to look at.
func kubectl(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(stage.plane.Kubectl(), args...)
	s := of(ts)
	s.code = 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		s.code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("kubectl: %v", err)
	}
	switch {
	case neg && s.code == 0:
		ts.Fatalf("kubectl did what it should have refused")
	case !neg && s.code != 0:
		ts.Fatalf("kubectl ended with %d", s.code)
	}
}

func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: exit-code CODE")
	}
	if got := strconv.Itoa(of(ts).code); got != args[0] {
		ts.Fatalf("kubectl ended with %s, not %s", got, args[0])
	}
}

// variable is a variable of the script in one of its files. What CEL calls ${ expression } is none.
var variable = regexp.MustCompile(`\$[A-Z][A-Z_]*`)

// expanded reads a file and puts the script's variables into it.
func expanded(ts *testscript.TestScript, file string) []byte {
	return []byte(variable.ReplaceAllStringFunc(ts.ReadFile(file), func(name string) string {
		value := ts.Getenv(name[1:])
		if value == "" {
			ts.Fatalf("%s: %s is not set", file, name)
		}
		return value
	}))
}

// expand FILE: put the script's variables into a file, for programs that read it themselves.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), expanded(ts, args[0]), 0o600))
}

func write(ts *testscript.TestScript, neg bool, verb string, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: %s FILE...", verb)
	}
	flags := []string{verb}
	for _, file := range args {
		path := filepath.Join(of(ts).work, ".sent-"+filepath.Base(file))
		ts.Check(os.WriteFile(path, expanded(ts, file), 0o600))
		flags = append(flags, "-f", path)
	}
	kubectl(ts, neg, flags)
}

// workload NAME [LABEL=VALUE...]: make a deployment with these labels and its pod, as their controllers would. Its pod is
// $POD, with the uid $POD_UID. If the deployment is there, only the pod is made.
func workload(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: workload NAME [LABEL=VALUE...]")
	}
	name, of, ctx := args[0], of(ts), context.Background()
	meta := func(suffix string, owner ...metav1.OwnerReference) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name + suffix, Namespace: of.shop, Labels: map[string]string{"app": name}, OwnerReferences: owner}
	}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: "registry.example.com/shop/" + name + ":1.4.2"}}},
	}
	selector := &metav1.LabelSelector{MatchLabels: template.Labels}
	deployment := &appsv1.Deployment{ObjectMeta: meta(""), Spec: appsv1.DeploymentSpec{Selector: selector, Template: template}}
	for _, label := range args[1:] {
		key, value, _ := strings.Cut(label, "=")
		deployment.Labels[key] = value
	}
	ts.Check(made(ctx, deployment))
	owner := *metav1.NewControllerRef(deployment, appsv1.SchemeGroupVersion.WithKind("Deployment"))
	set := &appsv1.ReplicaSet{ObjectMeta: meta("-6d4f9", owner), Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template}}
	ts.Check(made(ctx, set))
	owner = *metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
	pod := &corev1.Pod{ObjectMeta: meta("-6d4f9-x2x8p", owner), Spec: template.Spec}
	ts.Check(stage.admin.Create(ctx, pod))
	ts.Setenv("POD", pod.Name)
	ts.Setenv("POD_UID", string(pod.UID))
}

// made creates an object, or reads the one that is there.
func made(ctx context.Context, o client.Object) error {
	err := stage.admin.Create(ctx, o)
	if client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	return stage.admin.Get(ctx, client.ObjectKeyFromObject(o), o)
}

// isolated POD: the pod carries the label of isolation, and a NetworkPolicy selects it that lets nothing in or out. Not
// so: it has neither.
func isolated(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: isolated POD")
	}
	ctx, shop := context.Background(), of(ts).shop
	var pod corev1.Pod
	ts.Check(stage.admin.Get(ctx, types.NamespacedName{Namespace: shop, Name: args[0]}, &pod))
	var policies networkingv1.NetworkPolicyList
	ts.Check(stage.admin.List(ctx, &policies, client.InNamespace(shop)))
	closed := 0
	for _, policy := range policies.Items {
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		ts.Check(err)
		if selector.Matches(labels.Set(pod.Labels)) && len(policy.Spec.Ingress) == 0 && len(policy.Spec.Egress) == 0 && len(policy.Spec.PolicyTypes) == 2 {
			closed++
		}
	}
	_, labelled := pod.Labels["casebook.dev/isolated"]
	if want := !neg; labelled != want || closed > 0 != want {
		ts.Fatalf("pod %s/%s: isolated should be %v; its labels are %v, and %d of %d NetworkPolicies cut it off",
			shop, pod.Name, want, pod.Labels, closed, len(policies.Items))
	}
}

func operate(ts *testscript.TestScript, neg bool, args []string) {
	do := map[string]func() error{"start": stage.operator.start, "stop": stage.operator.stop, "kill": stage.operator.kill}
	if neg || len(args) != 1 || do[args[0]] == nil {
		ts.Fatalf("usage: operator start|stop|kill")
	}
	ts.Check(do[args[0]]())
}

// bucket readonly|writable: let nothing new into the tenant's bucket, or let it in again. A file stands where the bucket
// has the folder in which it begins to write; permissions would not stop a test that runs as root.
func bucket(ts *testscript.TestScript, neg bool, args []string) {
	tmp := filepath.Join(ts.Getenv("BUCKET"), ".tmp")
	switch {
	case neg || len(args) != 1:
		ts.Fatalf("usage: bucket readonly|writable")
	case args[0] == "readonly":
		ts.Check(errors.Join(os.RemoveAll(tmp), os.WriteFile(tmp, nil, 0o600)))
	case args[0] == "writable":
		ts.Check(os.Remove(tmp))
	default:
		ts.Fatalf("usage: bucket readonly|writable")
	}
}

// payload FILE bytes N | payload FILE deep N: make a JSON document of that many bytes, or nested that deep.
func payload(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: payload FILE bytes|deep N")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	var body string
	switch args[1] {
	case "bytes":
		const head, tail = `{"output":"`, `"}`
		body = head + strings.Repeat("a", n-len(head)-len(tail)) + tail
	case "deep":
		body = strings.Repeat("[", n) + strings.Repeat("]", n)
	default:
		ts.Fatalf("payload knows no %q", args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(body), 0o600))
}

// flip FILE: change one byte of a file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip FILE")
	}
	path := ts.MkAbs(args[0])
	raw, err := os.ReadFile(path)
	ts.Check(err)
	raw[len(raw)/2] ^= 1
	ts.Check(os.WriteFile(path, raw, 0o600))
}

// verify-evidence CASE: export the evidence of a case as an administrator of the bucket would, and verify it with the
// public key alone. What verify says is for stdout to look at; who acts stays who it was.
func verifyEvidence(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: verify-evidence CASE")
	}
	s, actor := of(ts), ts.Getenv("KUBECONFIG")
	s.exports++
	bundle := filepath.Join(s.work, fmt.Sprintf(".evidence-%d", s.exports))
	ts.Check(s.become("admin", ts.Setenv))
	kubectl(ts, false, []string{"casebook", "evidence", "export", args[0], "-o", bundle})
	kubectl(ts, false, []string{"casebook", "evidence", "verify", bundle, "--key", ts.Getenv("KEY")})
	ts.Setenv("KUBECONFIG", actor)
}

func printf(ts *testscript.TestScript, format string, args ...any) {
	_, err := fmt.Fprintf(ts.Stdout(), format, args...)
	ts.Check(err)
}
