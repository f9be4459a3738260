// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

// story is one script's own part of the world: a tenant as config/samples/runtime-threat makes it, and the namespace in
// which its application runs.
type story struct {
	namespace, shop string
	work            string
	met             map[string]bool // cases that await-case has found
	code            int             // of the last kubectl
	exports         int             // of evidence
}

type storyKey struct{}

// of is the story that a script tells.
func of(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

// setup makes the tenant of a script, and returns when all its configuration is in use.
func setup(env *testscript.Env) error {
	if err := stage.operator.start(); err != nil {
		return err
	}
	ctx := context.Background()
	s := &story{work: env.WorkDir, met: map[string]bool{}}
	env.Values[storyKey{}] = s
	for at, prefix := range map[*string]string{&s.namespace: "soc-", &s.shop: "shop-"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix}}
		if err := stage.admin.Create(ctx, ns); err != nil {
			return err
		}
		*at = ns.Name
	}
	bucket, key := filepath.Join(stage.dir, s.namespace), filepath.Join(env.WorkDir, "evidence.vkey")
	token, err := s.secretsInto(ctx, key)
	if err != nil {
		return err
	}
	if err := s.applySample(ctx, bucket); err != nil {
		return err
	}
	bin := filepath.Join(stage.dir, "bin")
	env.Setenv("PATH", bin+string(os.PathListSeparator)+filepath.Dir(stage.plane.Kubectl())+string(os.PathListSeparator)+env.Getenv("PATH"))
	for name, value := range map[string]string{
		"SOC": s.namespace, "SHOP": s.shop, "TOKEN": token, "KEY": key, "BUCKET": bucket, "GATEWAY": stage.operator.url(),
		"HOME": env.WorkDir, "KUBECACHEDIR": filepath.Join(stage.dir, "discovery"),
	} {
		env.Setenv(name, value)
	}
	env.Defer(func() {
		if t, ok := env.T().(interface{ Failed() bool }); ok && t.Failed() {
			env.T().Log(stage.operator.lines(s.namespace))
		}
	})
	return errors.Join(s.become("admin", env.Setenv), s.awaitReady(ctx))
}

// secretsInto makes the tenant's two Secrets, and writes the public key of its evidence log to a file.
func (s *story) secretsInto(ctx context.Context, keyFile string) (token string, err error) {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	token = hex.EncodeToString(random)
	signing, verifier, err := evidence.GenerateKey(rand.Reader, "casebook.example.com/soc")
	if err != nil {
		return "", err
	}
	stage.mu.Lock()
	stage.secrets = append(stage.secrets, token, signing)
	stage.mu.Unlock()
	for name, data := range map[string]map[string]string{"falco-webhook": {"token": token}, "evidence-key": {"key": signing}} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace}, StringData: data}
		if err := stage.admin.Create(ctx, secret); err != nil {
			return "", err
		}
	}
	return token, os.WriteFile(keyFile, []byte(verifier+"\n"), 0o600)
}

// applySample makes the objects of the sample and the Mapping that it needs, where it says soc and shop in this story's
// namespaces: first who may do what, and once the API server knows, the configuration.
func (s *story) applySample(ctx context.Context, bucket string) error {
	objects, err := readSample()
	if err != nil {
		return err
	}
	for _, ours := range []bool{false, true} {
		for _, u := range objects {
			if ours != (u.GroupVersionKind().Group == v1alpha1.GroupName) {
				continue
			}
			if err := s.create(ctx, u, bucket); err != nil {
				return fmt.Errorf("create %s %s: %w", u.GetKind(), u.GetName(), err)
			}
		}
		// The authorizer learns of roles and of bindings in the order in which they were made; this needs the last of both.
		if err := awaitAccess(ctx, s.serviceAccount(), nil, authorizationv1.ResourceAttributes{
			Namespace: s.shop, Verb: "create", Group: "networking.k8s.io", Resource: "networkpolicies",
		}); err != nil {
			return err
		}
	}
	return nil
}

// readSample reads the objects of the sample in the order of its files, without its namespaces.
func readSample() (out []*unstructured.Unstructured, err error) {
	files, err := filepath.Glob(filepath.Join(stage.root, "config", "samples", "runtime-threat", "*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, filepath.Join(stage.root, "config", "library", "falco", "mapping.yaml")) {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
		for {
			u := &unstructured.Unstructured{}
			if err := decoder.Decode(&u.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if kind := u.GetKind(); kind != "" && kind != "Namespace" && kind != "Kustomization" {
				out = append(out, u)
			}
		}
	}
	return out, nil
}

func (s *story) create(ctx context.Context, u *unstructured.Unstructured, bucket string) error {
	s.moved(u.Object)
	if u.GetNamespace() == "" {
		u.SetNamespace(s.namespace)
	}
	if u.GetKind() == "EvidenceLog" {
		if err := unstructured.SetNestedField(u.Object, bucket, "spec", "bucket", "dir", "path"); err != nil {
			return err
		}
	}
	return stage.admin.Create(ctx, u)
}

// moved writes this story's namespaces where the sample says soc and shop.
func (s *story) moved(value any) any {
	switch v := value.(type) {
	case string:
		switch v {
		case "soc":
			return s.namespace
		case "shop":
			return s.shop
		}
	case map[string]any:
		for key := range v {
			v[key] = s.moved(v[key])
		}
	case []any:
		for i := range v {
			v[i] = s.moved(v[i])
		}
	}
	return value
}

// awaitReady waits until every configuration object of the tenant is in use.
func (s *story) awaitReady(ctx context.Context) error {
	return eventually("the configuration of "+s.namespace+" to be ready", func() (bool, string) {
		return site.Ready(ctx, stage.admin, s.namespace)
	})
}

// become makes the next commands those of a person, or of the tenant's ServiceAccount for actions. Without -n they mean
// the tenant's namespace.
func (s *story) become(name string, setenv func(key, value string)) error {
	path, known := stage.configs[name]
	if name == "responder" {
		config, err := stage.plane.ServiceAccount(context.Background(), s.namespace, "casebook-responder")
		if err != nil {
			return err
		}
		if path, err = stage.plane.WriteKubeconfig(s.namespace, config); err != nil {
			return err
		}
	} else if !known {
		return fmt.Errorf("nobody is called %q: name one of the people in suite_test.go, or responder", name)
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return err
	}
	config.Contexts[config.CurrentContext].Namespace = s.namespace
	own := filepath.Join(s.work, ".kube", name)
	if err := clientcmd.WriteToFile(*config, own); err != nil {
		return err
	}
	setenv("KUBECONFIG", own)
	return nil
}

// serviceAccount is the username of the tenant's ServiceAccount for actions.
func (s *story) serviceAccount() string {
	return "system:serviceaccount:" + s.namespace + ":casebook-responder"
}

// awaitAccess waits until the authorizer, which learns of roles and bindings by a watch, grants somebody something.
func awaitAccess(ctx context.Context, user string, groups []string, to authorizationv1.ResourceAttributes) error {
	return eventually(fmt.Sprintf("%s to be granted %+v", user, to), func() (bool, string) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: &to}}
		err := stage.admin.Create(ctx, review)
		return err == nil && review.Status.Allowed, fmt.Sprintf("%+v, error %v", review.Status, err)
	})
}

// may USER VERB RESOURCE[/NAME]: wait until the API server knows that somebody may do something in the tenant. operator
// is the operator itself.
func may(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: may USER VERB RESOURCE[/NAME]")
	}
	s, user, groups := of(ts), args[0], people[args[0]]
	switch user {
	case "responder":
		user = s.serviceAccount()
	case "operator":
		user = "system:serviceaccount:casebook-system:casebook-controllers"
	}
	resource, name, _ := strings.Cut(args[2], "/")
	resource, group, _ := strings.Cut(resource, ".")
	ts.Check(awaitAccess(context.Background(), user, groups, authorizationv1.ResourceAttributes{
		Namespace: s.namespace, Verb: args[1], Group: group, Resource: resource, Name: name,
	}))
}
