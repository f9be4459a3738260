// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package standin_test

import (
	"context"
	"net/netip"
	"os"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/httptool"
	"github.com/casebook-dev/casebook/test/standin"
	"github.com/casebook-dev/casebook/test/standin/idp"
	"github.com/casebook-dev/casebook/test/standin/oauth"
	"github.com/casebook-dev/casebook/test/standin/scim"
)

// secret is the value of every Secret.
type secret string

// Secret implements connector.Values.
func (s secret) Secret(context.Context, string, v1alpha1.SecretKeyRef) ([]byte, error) {
	return []byte(s), nil
}

// ConfigMap implements connector.Values.
func (secret) ConfigMap(context.Context, string, v1alpha1.ConfigMapKeyRef) ([]byte, error) {
	return nil, os.ErrNotExist
}

// serve serves a stand-in until the test ends.
func serve(t *testing.T, recorder *standin.Recorder) *standin.Recorder {
	t.Helper()
	if err := recorder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(recorder.Close)
	return recorder
}

// sample opens a Connector of the use case against stand-ins.
func sample(t *testing.T, name string, value secret, edit func(*v1alpha1.HTTPConnector)) connector.Connector {
	t.Helper()
	raw, err := os.ReadFile("../../config/samples/impossible-travel/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var object v1alpha1.Connector
	if err := yaml.UnmarshalStrict(raw, &object); err != nil {
		t.Fatal(err)
	}
	edit(object.Spec.HTTP)
	conn, err := httptool.NewOpener(httptool.Dependencies{
		Values: value, Policy: connector.AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}).Open(&object)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// do runs a mutation as an Action would.
func do(t *testing.T, conn connector.Connector, operation, user string) {
	t.Helper()
	request := connector.Request{Operation: operation, Input: map[string]any{"user": user}, Mark: "m-1", Key: "k-1"}
	var err error
	if request.Target, err = conn.Target(operation, request.Input); err != nil {
		t.Fatal(err)
	}
	if before, err := conn.Before(t.Context(), request); err != nil || before.Desired {
		t.Fatalf("before %s: %+v, %v", operation, before, err)
	}
	if result := conn.Do(t.Context(), request); result.Outcome != v1alpha1.OutcomeAcknowledged {
		t.Fatalf("%s: %+v", operation, result)
	}
	if declared, _ := connector.Find(conn.Operations(), operation); declared.AcknowledgedOnly {
		return
	}
	if after, err := conn.Verify(t.Context(), request); err != nil || !after.Desired {
		t.Fatalf("after %s: %+v, %v", operation, after, err)
	}
}

// TestTheSamplesReachTheStandIns runs what the use case asks of its targets.
func TestTheSamplesReachTheStandIns(t *testing.T) {
	const user = `o"neil\ana@example.com`
	login := oauth.New(oauth.Options{Clients: map[string]string{"casebook": "s3cret/+ value"}})
	people := scim.New(scim.Options{Accepts: login.Valid}, scim.User{
		ID: "u-1", UserName: user, DisplayName: "Ana", Active: true, Department: "Finance", Location: "Berlin, DE", EmploymentStatus: scim.Employed, ManagerEmail: "mia@example.com",
	})
	tokens, users := serve(t, standin.New(login)), serve(t, standin.New(people))
	directory := sample(t, "directory.yaml", "s3cret/+ value", func(h *v1alpha1.HTTPConnector) {
		h.BaseURL, h.Authentication.OAuth2.TokenURL = users.URL()+scim.BasePath, tokens.URL()+oauth.TokenPath
	})
	found, err := directory.Read(t.Context(), "findUser", map[string]any{"user": user})
	person, _ := found.(map[string]any)
	if err != nil || person["found"] != true || person["manager"] != "mia@example.com" || person["employment"] != "Employed" || person["country"] != "DE" {
		t.Errorf("findUser: %v, %v", found, err)
	}
	do(t, directory, "suspendUser", user)
	if have, _ := people.User("u-1"); have.Active {
		t.Error("the user is active after suspendUser")
	}
	do(t, directory, "restoreUser", user)
	if effects := users.Effects(); len(effects) != 2 || effects[0].Kind != scim.UserDeactivated || effects[1].Kind != scim.UserActivated {
		t.Errorf("got %+v", effects)
	}
	people.Set(scim.User{UserName: `O"NEIL\ANA@example.com`})
	if found, err := directory.Read(t.Context(), "findUser", map[string]any{"user": user}); err == nil {
		t.Errorf("a user who exists twice is %v", found)
	}
	if found, err := directory.Read(t.Context(), "findUser", map[string]any{"user": `x" or userName pr or userName eq "`}); err != nil || found.(map[string]any)["found"] != false {
		t.Errorf("a name with a filter in it found %v, %v", found, err)
	}

	provider := idp.New(idp.Options{Token: "00token"}, idp.User{ID: "00u1", Login: "o+ana neil%@example.com", Sessions: 2})
	sessions := serve(t, standin.New(provider))
	okta := sample(t, "idp.yaml", "00token", func(h *v1alpha1.HTTPConnector) { h.BaseURL = sessions.URL() })
	do(t, okta, "revokeSessions", "o+ana neil%@example.com")
	if effects := sessions.Effects(); len(effects) != 1 || !effects[0].Changed {
		t.Errorf("got %+v, want the sessions ended once", effects)
	}
}
