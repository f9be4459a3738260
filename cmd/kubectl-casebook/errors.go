// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/internal/report"
)

// The exit codes.
const (
	exitDone    = 0 // it was done
	exitRefused = 1 // it was refused, failed, or does not verify
	exitUsage   = 2 // the command or its input cannot be understood
	exitTimeout = 3 // it was sent, and what came of it was not known in time
)

// exitError is an error with the exit code it stands for, and lines that say what to do about it.
type exitError struct {
	code   int
	err    error
	remedy []string
}

func (e *exitError) Error() string { return e.err.Error() }

func (e *exitError) Unwrap() error { return e.err }

// refusedf is an error for what cannot be done.
func refusedf(format string, args ...any) *exitError {
	return &exitError{code: exitRefused, err: fmt.Errorf(format, args...)}
}

// usagef is an error for a command line or an input that cannot be understood.
func usagef(format string, args ...any) *exitError {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// timeoutf is an error for what was not known in time.
func timeoutf(format string, args ...any) *exitError {
	return &exitError{code: exitTimeout, err: fmt.Errorf(format, args...)}
}

// so adds a line that says what to do about it.
func (e *exitError) so(format string, args ...any) *exitError {
	e.remedy = append(e.remedy, fmt.Sprintf(format, args...))
	return e
}

func codeOf(err error) int {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return exitRefused
}

// report prints an error in the one form: what could not be done to what; why; what to do about it.
func (o *options) report(err error) {
	fmt.Fprintln(o.ErrOut, "error: "+report.Escape(err.Error()))
	if e, ok := errors.AsType[*exitError](err); ok {
		for _, line := range e.remedy {
			fmt.Fprintln(o.ErrOut, "  "+report.Escape(line))
		}
	}
}

// denial finds, in what the API server says of a request that a policy denied, what the policy itself says.
var denial = regexp.MustCompile(`(?s)ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request: (.*)$`)

// unauthorized finds who may not do what in RBAC's own words.
var unauthorized = regexp.MustCompile(`User "([^"]*)" cannot (\w+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?`)

// apiError puts an error of the API server into the one form. what says what could not be done, for example "read case
// rt-0q9wd".
func apiError(what string, err error) *exitError {
	text := err.Error()
	if match := denial.FindStringSubmatch(text); match != nil {
		return refusedf("cannot %s: %s", what, oneLine(match[1]))
	}
	if match := unauthorized.FindStringSubmatch(text); match != nil {
		resource := match[3]
		if match[4] != "" {
			resource += "." + match[4]
		}
		place := ""
		if match[5] != "" {
			place = " in namespace " + match[5]
		}
		return refusedf("cannot %s: %s lacks the verb %q on %s%s", what, match[1], match[2], resource, place).
			so("Ask an administrator for a RoleBinding to casebook-viewer, casebook-analyst or casebook-approver.")
	}
	switch {
	case apierrors.IsNotFound(err):
		return refusedf("cannot %s: there is no such object", what).so("Look for it with: %s, or name another namespace with -n.", lister(err))
	case apierrors.IsInvalid(err):
		return usagef("cannot %s: %s", what, oneLine(invalid(err)))
	case meta.IsNoMatchError(err):
		return refusedf("cannot %s: this cluster does not know the kinds of Casebook", what).so("Install them with: kubectl apply -k config/crd")
	case errors.Is(err, context.DeadlineExceeded):
		return timeoutf("cannot %s: the API server did not answer in time", what).so("Try again, with a longer --timeout.")
	case apierrors.IsUnauthorized(err):
		return refusedf("cannot %s: the API server does not know you", what).so("Sign in, or name another user with --context or --user.")
	default:
		return refusedf("cannot %s: %s", what, oneLine(text))
	}
}

// lister is the command that lists what there is of the kind that was not found.
func lister(err error) string {
	if details := detailsOf(err); details.Kind != "" && details.Kind != "cases" {
		return "kubectl get " + details.Kind
	}
	return "kubectl casebook queue --all"
}

// invalid is what the API server says of each field that is wrong, without the name it gave what it did not make.
func invalid(err error) string {
	var out []string
	for _, cause := range detailsOf(err).Causes {
		out = append(out, strings.TrimPrefix(cause.Field+": ", ": ")+cause.Message)
	}
	return cmp.Or(strings.Join(out, "; "), err.Error())
}

// detailsOf is what an error of the API server says in fields.
func detailsOf(err error) metav1.StatusDetails {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok && status.ErrStatus.Details != nil {
		return *status.ErrStatus.Details
	}
	return metav1.StatusDetails{}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
