// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/casebook-dev/casebook/test/fixture/geo"
	"github.com/casebook-dev/casebook/test/fixture/site"
	"github.com/casebook-dev/casebook/test/standin"
	"github.com/casebook-dev/casebook/test/standin/idp"
	"github.com/casebook-dev/casebook/test/standin/mailpit"
	"github.com/casebook-dev/casebook/test/standin/oauth"
	"github.com/casebook-dev/casebook/test/standin/scim"
)

// systems are the target systems of the second story: a SCIM directory behind OAuth, an identity provider, a mail server.
type systems struct {
	authority                   *standin.Authority
	login, directory, provider  *standin.Recorder
	accounts                    *scim.Directory
	mail                        *mailpit.Server
	clientSecret, token, passwd string
}

// startSystems starts them on loopback, with TLS and secrets of their own.
func (s *stage) startSystems(context.Context) (err error) {
	t := &systems{clientSecret: site.Chance(), token: site.Chance(), passwd: site.Chance()}
	s.systems = t
	if t.authority, err = standin.NewAuthority(); err != nil {
		return err
	}
	login := oauth.New(oauth.Options{Clients: map[string]string{"casebook": t.clientSecret}})
	t.accounts = scim.New(scim.Options{Accepts: login.Valid},
		person("ana", "Ana Silva", "Accountant"), person("ben", "Ben Okafor", "Sales engineer"), person("carl", "Carl Berg", "Accountant"),
		scim.User{UserName: "probe@example.com", Active: true})
	provider := idp.New(idp.Options{Token: t.token},
		idp.User{ID: "00u1ana", Login: "ana@example.com", Sessions: 2}, idp.User{ID: "00u1ben", Login: "ben@example.com", Sessions: 1},
		idp.User{ID: "00u1carl", Login: "carl@example.com", Sessions: 1})
	t.login, t.directory, t.provider = standin.New(login), standin.New(t.accounts), standin.New(provider)
	for _, r := range []*standin.Recorder{t.login, t.directory, t.provider} {
		if err := r.StartTLS(t.authority); err != nil {
			return err
		}
	}
	t.mail, err = mailpit.Start(mailpit.Options{Username: "casebook", Password: t.passwd})
	return err
}

func person(login, name, title string) scim.User {
	return scim.User{
		UserName: login + "@example.com", DisplayName: name, Title: title, Email: login + "@example.com", Active: true,
		Department: "Finance", ManagerEmail: "mia@example.com", Location: "Berlin, DE", EmploymentStatus: scim.Employed,
	}
}

func (t *systems) stop() error {
	if t == nil {
		return nil
	}
	for _, r := range []*standin.Recorder{t.login, t.directory, t.provider} {
		if r != nil {
			r.Close()
		}
	}
	if t.mail == nil {
		return nil
	}
	return t.mail.Stop()
}

// identityOverlay points the sample at the systems of the demo, and moves its trips to today.
var identityOverlay = template.Must(template.New("overlay").Funcs(template.FuncMap{"quote": quoted}).Parse(`apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- {{.Sample}}
patches:
- target: {kind: EvidenceLog}
  patch: '[{"op": "replace", "path": "/spec/bucket/dir/path", "value": {{quote .Bucket}}}]'
- target: {kind: Connector, name: directory}
  patch: '[{"op": "replace", "path": "/spec/http/baseURL", "value": {{quote .Directory}}},
    {"op": "replace", "path": "/spec/http/authentication/oauth2/tokenURL", "value": {{quote .Login}}},
    {"op": "add", "path": "/spec/http/tls", "value": {"caBundle": {{quote .CA}}}}]'
- target: {kind: Connector, name: idp}
  patch: '[{"op": "replace", "path": "/spec/http/baseURL", "value": {{quote .Provider}}},
    {"op": "add", "path": "/spec/http/tls", "value": {"caBundle": {{quote .CA}}}}]'
- target: {kind: Connector, name: geo}
  patch: '[{"op": "replace", "path": "/spec/geoip/bucket/dir/path", "value": {{quote .Geo}}}]'
- target: {kind: Connector, name: mail}
  patch: '[{"op": "replace", "path": "/spec/smtp/host", "value": {{quote .MailHost}}},
    {"op": "add", "path": "/spec/smtp/port", "value": {{.MailPort}}},
    {"op": "add", "path": "/spec/smtp/caBundle", "value": {{quote .MailCA}}}]'
- target: {kind: ConfigMap, name: travel}
  patch: '[{"op": "replace", "path": "/data/travel.csv", "value": {{quote .Travel}}}]'
`))

// quoted is a JSON string that survives single quotes in YAML.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "'", "''").Replace(text) + `"`
}

// addIdentity applies the sample of the second use case, as a platform team would.
func (s *stage) addIdentity(ctx context.Context) error {
	geoDir := filepath.Join(s.Dir, "data", "shared", "geoip")
	database, err := geo.Database(geo.Places())
	if err != nil {
		return err
	}
	overlay := filepath.Join(s.Dir, "identity")
	if err := errors.Join(os.MkdirAll(geoDir, 0o755), os.MkdirAll(overlay, 0o755)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(geoDir, "city.mmdb"), database, 0o600); err != nil {
		return err
	}
	today := time.Now().UTC()
	t := s.systems
	var text strings.Builder
	if err := identityOverlay.Execute(&text, map[string]any{
		"Sample": "../../../config/samples/impossible-travel", "Bucket": s.Bucket(), "CA": string(t.authority.PEM()),
		"Directory": t.directory.URL() + scim.BasePath, "Login": t.login.URL() + oauth.TokenPath, "Provider": t.provider.URL(),
		"Geo": geoDir, "MailHost": t.mail.Host, "MailPort": t.mail.Port, "MailCA": t.mail.CABundle,
		"Travel": fmt.Sprintf("id,traveller,country,city,from,until\nT-17,ben@example.com,BR,Sao Paulo,%s,%s\n",
			today.AddDate(0, 0, -2).Format(time.DateOnly), today.AddDate(0, 0, 4).Format(time.DateOnly)),
	}); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(text.String()), 0o600); err != nil {
		return err
	}
	return s.Kubectl(ctx, nil,
		[]string{"-n", site.Tenant, "create", "secret", "generic", "okta-webhook", "--from-literal=token=" + s.Token},
		[]string{"-n", site.Tenant, "create", "secret", "generic", "directory", "--from-literal=secret=" + t.clientSecret},
		[]string{"-n", site.Tenant, "create", "secret", "generic", "idp", "--from-literal=token=" + t.token},
		[]string{"-n", site.Tenant, "create", "secret", "generic", "smtp", "--from-literal=password=" + t.passwd},
		[]string{"apply", "-k", overlay},
		[]string{"-n", site.Tenant, "apply", "-f", filepath.Join(s.Root, "config/library/okta/mapping.yaml")})
}
