// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"context"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/redact"
)

// Values reads what a Connector names, at the moment of use, in the Connector's own namespace. Nothing is kept.
type Values interface {
	// Secret is the value of one key of a Secret. A missing Secret or key, and one that may not be read, is a Terminal
	// error that says what to do.
	Secret(ctx context.Context, namespace string, ref v1alpha1.SecretKeyRef) ([]byte, error)
	// ConfigMap is the value of one key of a ConfigMap, from data or binaryData. Errors are as those of Secret.
	ConfigMap(ctx context.Context, namespace string, ref v1alpha1.ConfigMapKeyRef) ([]byte, error)
}

// ReadSecret reads one key of a Secret, without the line end that editors, and files that Secrets are made from, put after
// it, and has it redacted from then on. One that is too short for that is a Terminal error, as what Values says is.
func ReadSecret(ctx context.Context, values Values, namespace string, ref v1alpha1.SecretKeyRef, secrets *redact.Redactor) ([]byte, error) {
	secret, err := values.Secret(ctx, namespace, ref)
	if err != nil {
		return nil, err
	}
	secret = bytes.TrimSuffix(bytes.TrimSuffix(secret, []byte("\n")), []byte("\r"))
	if len(secret) < redact.MinLength {
		return nil, fault.Terminalf(SecretUnusableReason, "could not use Secret %s/%s: the value of key %s is %d bytes long, "+
			"too short to be kept out of what the target answers: use one of at least %d", namespace, ref.Name, ref.Key, len(secret), redact.MinLength)
	}
	secrets.Add(secret)
	return secret, nil
}

// Buckets opens object storage for a connector of a namespace, if the namespace may read it; a Terminal error says if not.
// It sends nothing.
type Buckets func(namespace string, spec v1alpha1.BucketSpec) (blob.Bucket, error)

// Registry is the Opener of every kind of connector there is; a kind without an Opener cannot be opened.
type Registry struct {
	Kubernetes, HTTP, Table, GeoIP, SMTP Opener
}

// Open opens the object with the Opener of its kind.
func (r Registry) Open(object *v1alpha1.Connector) (Connector, error) {
	opener := map[string]Opener{
		"kubernetes": r.Kubernetes, "http": r.HTTP, "table": r.Table, "geoip": r.GeoIP, "smtp": r.SMTP,
	}[KindOf(object.Spec)]
	if opener == nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "connector %s is of a kind that this operator does not know: it is older than the connector", object.Name)
	}
	return opener.Open(object)
}

// KindOf is the kind of a connector, as its spec names it; empty if it names none.
func KindOf(spec v1alpha1.ConnectorSpec) string {
	switch {
	case spec.Kubernetes != nil:
		return "kubernetes"
	case spec.HTTP != nil:
		return "http"
	case spec.Table != nil:
		return "table"
	case spec.GeoIP != nil:
		return "geoip"
	case spec.SMTP != nil:
		return "smtp"
	default:
		return ""
	}
}

// Declared are operations as a Connector's status shows them.
func Declared(operations []Operation) []v1alpha1.DeclaredOperation {
	types := map[InputType]v1alpha1.InputType{
		StringInput: "String", IntegerInput: "Integer", NumberInput: "Number", BooleanInput: "Boolean", ListInput: "List", ObjectInput: "Object",
	}
	out := make([]v1alpha1.DeclaredOperation, 0, len(operations))
	for _, o := range operations {
		declared := v1alpha1.DeclaredOperation{Name: o.Name, Effect: o.Effect, Target: o.TargetType, Rollback: o.Rollback}
		if o.Effect != v1alpha1.EffectRead {
			declared.Semantics = o.EffectiveSemantics()
		}
		for _, in := range o.Inputs {
			declared.Input = append(declared.Input, v1alpha1.OperationInput{Name: in.Name, Type: types[in.Type], Optional: !in.Required, Description: in.Want})
		}
		out = append(out, declared)
	}
	return out
}
