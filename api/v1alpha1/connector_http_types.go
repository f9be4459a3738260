// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultMaxAnswer bounds an answer of an http connector where it does not, in bytes.
const DefaultMaxAnswer int64 = 1 << 20

// HTTPConnector is an endpoint, and how to reach it. What may be asked of it is declared under spec.operations.
// Redirects are not followed, no proxy is used, and the address is checked when it is dialled: loopback, link-local and
// cluster addresses are refused unless whoever runs Casebook listed them.
type HTTPConnector struct {
	// baseURL begins every request's URL. Only https, or http where no credentials are sent or the address is loopback.
	// +kubebuilder:validation:Pattern=`^https?://[^\s/?#@]+(/[^\s?#]*)?$`
	// +kubebuilder:validation:MinLength=8
	// +kubebuilder:validation:MaxLength=1024
	// +required
	BaseURL string `json:"baseURL,omitempty"`
	// tls says whom to trust, and who we are; the public authorities, and nobody, if left out.
	// +optional
	TLS *HTTPTLS `json:"tls,omitempty"`
	// authentication is how a request proves who sends it; none if left out.
	// +optional
	Authentication *HTTPAuthentication `json:"authentication,omitempty"`
	// headers are sent with every request, as they are written: no ${ CEL }, and no credentials.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Headers []HTTPField `json:"headers,omitempty"`
	// limits bound what all runs of the namespace together ask of the endpoint.
	// +optional
	Limits *HTTPLimits `json:"limits,omitempty"`
	// maxBytes bounds an answer; 1048576 (1 MiB) if left out. A larger one is not read to its end, and is no success.
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=8388608
	// +optional
	MaxBytes int64 `json:"maxBytes,omitempty"`
}

// HTTPTLS says whom to trust, and who we are.
type HTTPTLS struct {
	// caBundle is the PEM of the certificate authorities to trust, in place of the public ones, and nothing else but comments.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	// +optional
	CABundle string `json:"caBundle,omitempty"`
	// clientCertificateRef names a Secret of type kubernetes.io/tls whose certificate is presented.
	// +optional
	ClientCertificateRef *LocalRef `json:"clientCertificateRef,omitempty"`
	// serverName is the name that the server's certificate must have; the host of baseURL if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServerName string `json:"serverName,omitempty"`
}

// HTTPAuthentication is one way to prove who sends a request. Secrets are read at the moment of use, and are cut out of
// whatever leaves the exchange.
// +kubebuilder:validation:ExactlyOneOf=header;bearer;basic;oauth2
type HTTPAuthentication struct {
	// header sends a secret in a header of its own.
	// +optional
	Header *HeaderCredential `json:"header,omitempty"`
	// bearer sends a bearer token (RFC 6750).
	// +optional
	Bearer *BearerAuthentication `json:"bearer,omitempty"`
	// basic sends a username and a password (RFC 7617).
	// +optional
	Basic *BasicCredential `json:"basic,omitempty"`
	// oauth2 obtains a token by the client credentials grant (RFC 6749, section 4.4).
	// +optional
	OAuth2 *OAuth2Credential `json:"oauth2,omitempty"`
}

// HeaderCredential is a secret in a header.
type HeaderCredential struct {
	// name is the header's name.
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Name string `json:"name,omitempty"`
	// prefix comes before the secret, for example "SSWS ".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Prefix string `json:"prefix,omitempty"`
	// secretRef holds the secret.
	// +required
	SecretRef SecretKeyRef `json:"secretRef,omitzero"`
}

// BasicCredential is a username and a password.
type BasicCredential struct {
	// username is sent as it is.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Username string `json:"username,omitempty"`
	// secretRef holds the password.
	// +required
	SecretRef SecretKeyRef `json:"secretRef,omitzero"`
}

// OAuth2Credential is a client of an authorization server.
type OAuth2Credential struct {
	// tokenURL is the token endpoint.
	// +kubebuilder:validation:Pattern=`^https?://[^\s#@]+$`
	// +kubebuilder:validation:MinLength=8
	// +kubebuilder:validation:MaxLength=1024
	// +required
	TokenURL string `json:"tokenURL,omitempty"`
	// clientID is the client's identifier.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	ClientID string `json:"clientID,omitempty"`
	// secretRef holds the client's secret.
	// +required
	SecretRef SecretKeyRef `json:"secretRef,omitzero"`
	// scopes are asked for.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Scopes []string `json:"scopes,omitempty"`
	// audience is asked for, where the server wants one.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Audience string `json:"audience,omitempty"`
}

// HTTPLimits bound what is asked of an endpoint.
type HTTPLimits struct {
	// requestsPerMinute bounds requests; 600 if left out. Beyond it a request waits, within its deadline.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60000
	// +optional
	RequestsPerMinute int32 `json:"requestsPerMinute,omitempty"`
	// concurrent bounds requests under way at once; 8 if left out.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	// +optional
	Concurrent int32 `json:"concurrent,omitempty"`
}

// HTTPField is a header or a parameter of a query.
type HTTPField struct {
	// name is sent as it is.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Name string `json:"name,omitempty"`
	// value may hold ${ CEL }; it is escaped where it is sent.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Value string `json:"value,omitempty"`
}

// ConnectorOperation declares one thing that can be asked of an http connector. Its expressions see input, and where
// they come after it: before (what was read of the target before), response (status, headers, body), result (what a read
// gave), current (what is read now), after (what was read back after the action that is taken back), key and mark.
// +kubebuilder:validation:XValidation:rule="self.effect != 'Read' || !has(self.semantics) && !has(self.target) && !has(self.before) && !has(self.already) && !has(self.verify) && !has(self.rollback)",message="an operation whose effect is Read has no semantics, target, before, already, verify or rollback"
// +kubebuilder:validation:XValidation:rule="self.effect == 'Read' || has(self.target)",message="say what the operation changes",fieldPath=".target"
// +kubebuilder:validation:XValidation:rule="self.effect == 'Read' || !has(self.output)",message="only an operation whose effect is Read has an output",fieldPath=".output"
// +kubebuilder:validation:XValidation:rule="self.effect != 'Reversible' || has(self.rollback) && has(self.rollback.operation)",message="name the operation that takes this one back, or declare the effect Irreversible",fieldPath=".rollback"
// +kubebuilder:validation:XValidation:rule="self.effect != 'Irreversible' || !has(self.rollback) || has(self.rollback.notPossible)",message="an operation whose effect is Irreversible has no rollback operation",fieldPath=".rollback"
// +kubebuilder:validation:XValidation:rule="!has(self.semantics) || self.semantics != 'ReadBack' || has(self.verify)",message="ReadBack needs a read that decides what happened",fieldPath=".verify"
// +kubebuilder:validation:XValidation:rule="!has(self.semantics) || (self.semantics == 'Keyed') == has(self.request.idempotency)",message="Keyed operations, and no other, say where the idempotency key is sent and how long the target knows it",fieldPath=".request.idempotency"
// +kubebuilder:validation:XValidation:rule="!has(self.already) || has(self.before)",message="already needs what before reads",fieldPath=".before"
type ConnectorOperation struct {
	// name is a verb and an object in camelCase, for example suspendUser.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// effect says what the operation does to its target.
	// +required
	Effect Effect `json:"effect,omitempty"`
	// semantics says what may be done after an attempt whose outcome is in doubt; AtMostOnce if left out.
	// +optional
	Semantics Semantics `json:"semantics,omitempty"`
	// input are all the inputs it takes.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Input []OperationInput `json:"input,omitempty"`
	// target is what a mutation changes.
	// +optional
	Target *OperationTarget `json:"target,omitempty"`
	// before reads how the target stands before anything is sent. A result that has found == false means that there is
	// no such target, unless already has an answer for it, as that of an operation that makes its target has.
	// +optional
	Before *OperationRead `json:"before,omitempty"`
	// already is a CEL condition over input and before: nothing needs to be done.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Already string `json:"already,omitempty"`
	// request is what is sent.
	// +required
	Request OperationRequest `json:"request,omitzero"`
	// succeeded is a CEL condition over input and response: the target did it. A status of 200 to 299 if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Succeeded string `json:"succeeded,omitempty"`
	// refused is a CEL condition over input and response: the target did not do it and will not. A status of 400 to 499
	// but 408, 425 and 429 if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Refused string `json:"refused,omitempty"`
	// output is what a read gives: CEL over input and response; response.body if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Output string `json:"output,omitempty"`
	// verify reads back whether a mutation holds. Without it, success is what the target acknowledged.
	// +optional
	Verify *OperationVerify `json:"verify,omitempty"`
	// rollback says how a mutation is taken back, or why it cannot be.
	// +optional
	Rollback *OperationRollback `json:"rollback,omitempty"`
}

// InputType is the type of an input.
// +kubebuilder:validation:Enum=String;Integer;Number;Boolean;List;Object
type InputType string

// OperationInput is one input of an operation.
type OperationInput struct {
	// name is the input's name in expressions: input.<name>.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// type is what the value is.
	// +required
	Type InputType `json:"type,omitempty"`
	// optional inputs may be left out; expressions then find null.
	// +optional
	Optional bool `json:"optional,omitempty"` //nolint:kubeapilinter // two states suffice: an input is needed or it is not
	// pattern is a regular expression (RE2) that a String must match as a whole.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Pattern string `json:"pattern,omitempty"`
	// maxLength bounds a String in bytes; 4096 if left out.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65536
	// +optional
	MaxLength int32 `json:"maxLength,omitempty"`
	// description says what is meant, for the error that asks for it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Description string `json:"description,omitempty"`
}

// OperationTarget is what a mutation changes.
type OperationTarget struct {
	// type is the kind of thing, for example User.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Type string `json:"type,omitempty"`
	// name identifies it; it may hold ${ CEL } over input.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Name string `json:"name,omitempty"`
}

// OperationRead is a read of the same connector.
type OperationRead struct {
	// operation is an operation of this connector whose effect is Read.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Operation string `json:"operation,omitempty"`
	// input is its input; strings may hold ${ CEL }.
	// +optional
	Input *apiextensionsv1.JSON `json:"input,omitempty"`
}

// HTTPMethod is the method of a request (RFC 9110, RFC 5789).
// +kubebuilder:validation:Enum=GET;HEAD;POST;PUT;PATCH;DELETE
type HTTPMethod string

// OperationRequest is one HTTP request.
type OperationRequest struct {
	// method is the request's method.
	// +required
	Method HTTPMethod `json:"method,omitempty"`
	// path is appended to baseURL. Values of ${ CEL } are escaped as one path segment.
	// +kubebuilder:validation:Pattern=`^/.*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +required
	Path string `json:"path,omitempty"`
	// query are the parameters of the query, in order.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Query []HTTPField `json:"query,omitempty"`
	// headers are sent beside those of the connector.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Headers []HTTPField `json:"headers,omitempty"`
	// body is the JSON that is sent. Values of ${ CEL } keep their type and are never read as JSON or as expressions again.
	// +optional
	Body *apiextensionsv1.JSON `json:"body,omitempty"`
	// form is sent as application/x-www-form-urlencoded, in place of a body.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Form []HTTPField `json:"form,omitempty"`
	// contentType is the media type of the body; application/json if left out.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=127
	// +optional
	ContentType string `json:"contentType,omitempty"`
	// idempotency is where the idempotency key is sent.
	// +optional
	Idempotency *IdempotencyKey `json:"idempotency,omitempty"`
}

// IdempotencyKey says where the idempotency key goes, and how long the target remembers it.
type IdempotencyKey struct {
	// header carries the key; where it is left out, the request uses the variable key itself.
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Header string `json:"header,omitempty"`
	// retention is how long the target knows a key. After it, a repeated request would be a new one: what is in doubt
	// then is read back, or a person decides.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('8760h')",message="retention must be between 1m and 8760h, for example 24h"
	// +required
	Retention metav1.Duration `json:"retention,omitzero"`
}

// OperationVerify reads back whether a mutation holds.
type OperationVerify struct {
	OperationRead `json:",inline"`
	// expect is a CEL condition over input and result: it holds.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Expect string `json:"expect,omitempty"`
	// within is how long the target may take to show it after it acknowledged; 30 seconds if left out.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="within must be between 1s and 1h, for example 30s"
	// +optional
	Within *metav1.Duration `json:"within,omitempty"`
}

// OperationRollback says how a mutation is taken back, or why it cannot be.
// +kubebuilder:validation:ExactlyOneOf=operation;notPossible
// +kubebuilder:validation:XValidation:rule="has(self.operation) || !has(self.onlyIf)",message="onlyIf belongs to an operation that takes this one back"
type OperationRollback struct {
	// operation is an operation of this connector that takes this one back.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Operation string `json:"operation,omitempty"`
	// input is its input; strings may hold ${ CEL } over input. The same input if left out.
	// +optional
	Input *apiextensionsv1.JSON `json:"input,omitempty"`
	// onlyIf is a CEL condition over input (of the rollback, where that takes another), current and after: the target is
	// still as this operation left it. What verify expects, of what is read now, if left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	OnlyIf string `json:"onlyIf,omitempty"`
	// notPossible says why it cannot be taken back.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	NotPossible string `json:"notPossible,omitempty"`
}
