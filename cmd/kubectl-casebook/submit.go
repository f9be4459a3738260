// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/report"
)

// submission is a payload for the gateway.
type submission struct {
	*options
	gateway, tokenFile string
	timeout            time.Duration
}

// submitted is what the gateway answered.
type submitted struct {
	Source string `json:"source"`
	Bytes  int    `json:"bytes"`
	Status int    `json:"status"`
	Digest string `json:"digest"`
}

// Text says that the payload is kept.
func (s submitted) Text(report.Screen) string {
	return fmt.Sprintf("Kept: %d bytes for source %s\n  %s\n", s.Bytes, report.Escape(s.Source), s.Digest)
}

func newSubmit(o *options) *cobra.Command {
	s := &submission{options: o}
	cmd := &cobra.Command{
		Use:   "submit SOURCE FILE|- --gateway URL",
		Short: "Send a payload to the gateway, as the tool of a Source would",
		Long: "Send a payload to the gateway with the credentials of the Source: a bearer token, or an HMAC signature over the " +
			"body. They are read from the Source's Secret as you, or from --token-file.",
		Args: exactly("SOURCE", "FILE|-"),
		RunE: s.run,
	}
	cmd.Flags().StringVar(&s.gateway, "gateway", "", "URL of the gateway, for example https://casebook.example.com (required)")
	cmd.Flags().StringVar(&s.tokenFile, "token-file", "", "file with the token or signing key, instead of the Source's Secret")
	cmd.Flags().DurationVar(&s.timeout, "timeout", defaultWait, "how long to wait for the gateway's answer")
	o.addOutput(cmd)
	return cmd
}

func (s *submission) run(cmd *cobra.Command, args []string) error {
	gateway, err := url.Parse(s.gateway)
	if s.gateway == "" || err != nil || gateway.Host == "" || gateway.Scheme != "http" && gateway.Scheme != "https" {
		return usagef("cannot submit to gateway %q: that is no URL", s.gateway).so("Name it with --gateway, for example --gateway https://casebook.example.com")
	}
	body, err := s.readInput(args[1])
	if err != nil {
		return err
	}
	c, err := s.connect()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	defer cancel()
	source := &v1alpha1.Source{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: args[0]}, source); err != nil {
		return apiError("read source "+c.namespace+"/"+args[0], err)
	}
	if source.Spec.Webhook == nil {
		return refusedf("cannot submit to source %s: it takes no webhook", args[0])
	}
	secret, err := s.secret(ctx, c, source)
	if err != nil {
		return err
	}
	endpoint := source.Status.Endpoint
	if endpoint == "" {
		endpoint = "/v1/" + url.PathEscape(source.Namespace) + "/" + url.PathEscape(source.Name)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, gateway.JoinPath(endpoint).String(), bytes.NewReader(body))
	if err != nil {
		return usagef("cannot submit to gateway %q: %w", s.gateway, err)
	}
	request.Header.Set("Content-Type", "application/json")
	sign(request.Header, source.Spec.Webhook.Authentication, secret, body, s.now())
	return s.send(request, source, body)
}

// maxInput bounds what is read from a file or standard input: the largest body a Source may allow.
const maxInput = 25 << 20

// readInput reads a file, or standard input for "-".
func (o *options) readInput(name string) ([]byte, error) {
	in, what := o.In, "standard input"
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // the file that the person names
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("cannot read %s: there is no such file", name).so("Name a file, or - for standard input.")
		}
		if err != nil {
			return nil, usagef("cannot read %s: %w", name, err)
		}
		defer file.Close() //nolint:errcheck // read only
		in, what = file, name
	}
	body, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, usagef("cannot read %s: %w", what, err)
	case len(body) > maxInput:
		return nil, usagef("cannot read %s: it has more than %d bytes", what, maxInput).so("Split it.")
	default:
		return body, nil
	}
}

// secret is the token or signing key of a Source.
func (s *submission) secret(ctx context.Context, c *cluster, source *v1alpha1.Source) ([]byte, error) {
	if s.tokenFile != "" {
		token, err := os.ReadFile(s.tokenFile)
		if err != nil {
			return nil, usagef("cannot read the token: %w", err)
		}
		return token, nil
	}
	ref := secretRef(source.Spec.Webhook.Authentication)
	what := "read secret " + source.Namespace + "/" + ref.Name + " of source " + source.Name
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: source.Namespace, Name: ref.Name}, secret); err != nil {
		failure := apiError(what, err)
		failure.remedy = []string{"Have the token in a file and name it with --token-file, or ask for the verb get on that Secret."}
		return nil, failure
	}
	value, ok := secret.Data[ref.Key]
	if !ok {
		return nil, refusedf("cannot %s: it has no key %q", what, ref.Key)
	}
	return value, nil
}

func secretRef(auth v1alpha1.WebhookAuthentication) v1alpha1.SecretKeyRef {
	switch {
	case auth.Bearer != nil:
		return auth.Bearer.SecretRef
	case auth.HMAC != nil:
		return auth.HMAC.SecretRef
	default:
		return v1alpha1.SecretKeyRef{}
	}
}

// sign proves the sender as the Source wants it.
func sign(header http.Header, auth v1alpha1.WebhookAuthentication, secret, body []byte, now time.Time) {
	if auth.HMAC == nil {
		header.Set("Authorization", "Bearer "+string(bytes.TrimSpace(secret)))
		return
	}
	mac := hmac.New(sha256.New, secret)
	if auth.HMAC.TimeHeader != "" {
		stamp := strconv.FormatInt(now.Unix(), 10)
		header.Set(auth.HMAC.TimeHeader, stamp)
		_, _ = mac.Write([]byte(stamp + ".")) // a hash never errs
	}
	_, _ = mac.Write(body)
	header.Set(auth.HMAC.Header, "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

// detail is what the gateway says of a refusal (RFC 9457).
func detail(body []byte) string {
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
		return problem.Detail
	}
	return oneLine(string(body))
}

// maxAnswer bounds what is shown of the gateway's answer.
const maxAnswer = 4 << 10

func (s *submission) send(request *http.Request, source *v1alpha1.Source, body []byte) error {
	what := fmt.Sprintf("submit to source %s at %s", source.Name, request.URL)
	// A redirect could carry the credentials elsewhere.
	sender := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := sender.Do(request)
	if errors.Is(err, context.DeadlineExceeded) {
		return timeoutf("cannot %s: no answer within %s", what, s.timeout).so("It may have been kept; sending it again is counted as a repeat.")
	}
	if err != nil {
		return refusedf("cannot %s: %w", what, err).so("Check --gateway, and that the gateway runs.")
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode/100 != 2 {
		failure := refusedf("cannot %s: the gateway says %s: %s", what, answer.Status, detail(text))
		if after := answer.Header.Get("Retry-After"); after != "" {
			_ = failure.so("Try again in %s seconds.", after)
		}
		return failure
	}
	if err != nil {
		return refusedf("cannot %s: the answer broke off: %w", what, err)
	}
	digest := sha256.Sum256(body)
	return s.print(submitted{
		Source: source.Namespace + "/" + source.Name, Bytes: len(body), Status: answer.StatusCode,
		Digest: "sha256:" + hex.EncodeToString(digest[:]),
	})
}
