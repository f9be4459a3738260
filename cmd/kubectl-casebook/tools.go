// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/httptool"
	"github.com/casebook-dev/casebook/internal/connector/kubernetes"
	"github.com/casebook-dev/casebook/internal/simulate"
)

// openTool gives what tests need of a connector; nil for kinds that have nothing but reads and mail, of which the tests
// say everything.
func openTool(object *v1alpha1.Connector) (simulate.Tool, error) {
	switch {
	case object.Spec.HTTP != nil:
		if err := httptool.Check(object); err != nil {
			return nil, err
		}
		// Nothing is sent: an endpoint that only the operator may dial is as good as any.
		bare := object.DeepCopy()
		bare.Spec.HTTP = &v1alpha1.HTTPConnector{BaseURL: "https://connector.invalid"}
		opened, err := httptool.NewOpener(httptool.Dependencies{}).Open(bare)
		if err != nil {
			return nil, err
		}
		return httpTool{Connector: opened, object: object}, nil
	case object.Spec.Kubernetes != nil:
		// Nothing is sent: only declarations and targets are asked for.
		return kubernetes.New(&rest.Config{Host: "https://127.0.0.1:1"}, types.NamespacedName{Namespace: "test", Name: "test"}).Open(object)
	default:
		return nil, nil
	}
}

// targetOf is what an operation with this input would change, as its connector tells it; nothing is sent.
func targetOf(object *v1alpha1.Connector, operation string, input []byte) (v1alpha1.Target, error) {
	tool, err := openTool(object)
	if err != nil {
		return v1alpha1.Target{}, err
	}
	if tool == nil {
		return v1alpha1.Target{}, fmt.Errorf("what connector %s would change is known only when it is sent", object.Name)
	}
	in := map[string]any{}
	if err := json.Unmarshal(input, &in); err != nil {
		return v1alpha1.Target{}, err
	}
	return tool.Target(operation, in)
}

// httpTool rehearses the operations of an http connector.
type httpTool struct {
	connector.Connector

	object *v1alpha1.Connector
}

// RollbackInput implements connector.RollbackPlanner.
func (t httpTool) RollbackInput(operation string, input map[string]any) (map[string]any, error) {
	if planner, ok := t.Connector.(connector.RollbackPlanner); ok {
		return planner.RollbackInput(operation, input)
	}
	return input, nil
}

// Rehearse implements simulate.Rehearser. Where a reply is what a read gives, reads give the body of their answer as it is.
func (t httpTool) Rehearse(ctx context.Context, request connector.Request, answer func(simulate.Request) simulate.Reply) (simulate.Rehearsed, error) {
	done, given, err := t.try(ctx, t.object, request, answer)
	if given {
		bare := t.object.DeepCopy()
		for i := range bare.Spec.Operations {
			if o := &bare.Spec.Operations[i]; o.Effect == v1alpha1.EffectRead {
				o.Output, o.Succeeded, o.Refused = "response.body", "", ""
			}
		}
		done, _, err = t.try(ctx, bare, request, answer)
	}
	return done, err
}

func (t httpTool) try(ctx context.Context, object *v1alpha1.Connector, request connector.Request, answer func(simulate.Request) simulate.Reply) (out simulate.Rehearsed, given bool, err error) {
	tried, err := httptool.Try(ctx, object, request, func(sent httptool.Sent) (int, http.Header, []byte) {
		asked := requestOf(sent)
		asked.Operation = operationOf(object, request.Operation, sent)
		out.Requests = append(out.Requests, asked)
		reply := answer(asked)
		header := http.Header{}
		for name, value := range reply.Headers {
			header.Set(name, value)
		}
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", "application/json")
		}
		switch {
		case reply.Lost:
			return 0, nil, nil
		case reply.Read:
			given = true
			body, err := json.Marshal(reply.Value)
			if err != nil {
				return http.StatusInternalServerError, header, nil
			}
			return http.StatusOK, header, body
		default:
			return reply.Status, header, reply.Body
		}
	})
	out.Output, out.Target, out.Before, out.Result, out.After = tried.Output, tried.Target, tried.Before, tried.Result, tried.After
	return out, given, err
}

func requestOf(sent httptool.Sent) simulate.Request {
	out := simulate.Request{Method: sent.Method, Headers: map[string]string{}, Body: sent.Body}
	out.Path, out.RawQuery, _ = strings.Cut(sent.Target, "?")
	for name := range sent.Header {
		out.Headers[name] = sent.Header.Get(name)
	}
	return out
}

// operationOf tells which operation made a request: the mutation, or one of the reads that it declares.
func operationOf(object *v1alpha1.Connector, name string, sent httptool.Sent) string {
	best, length := name, -1
	mutation := declaredOf(object, name)
	candidates := []string{name}
	if mutation != nil && mutation.Before != nil {
		candidates = append(candidates, mutation.Before.Operation)
	}
	if mutation != nil && mutation.Verify != nil {
		candidates = append(candidates, mutation.Verify.Operation)
	}
	for _, candidate := range candidates {
		o := declaredOf(object, candidate)
		if o == nil || string(o.Request.Method) != sent.Method {
			continue
		}
		fixed, _, _ := strings.Cut(o.Request.Path, "${")
		if strings.Contains(sent.Target, fixed) && len(fixed) > length {
			best, length = candidate, len(fixed)
		}
	}
	return best
}

func declaredOf(object *v1alpha1.Connector, name string) *v1alpha1.ConnectorOperation {
	for i := range object.Spec.Operations {
		if object.Spec.Operations[i].Name == name {
			return &object.Spec.Operations[i]
		}
	}
	return nil
}
