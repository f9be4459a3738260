// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Source says where signals come from and who may send them.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=src,categories={casebook,casebook-config}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Mapping",type=string,JSONPath=`.spec.mappingRef.name`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.endpoint`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Source struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what people ask for.
	// +required
	Spec SourceSpec `json:"spec,omitzero"`
	// status is what the controller found.
	// +optional
	Status SourceStatus `json:"status,omitzero"`
}

// SourceSpec describes one transport, its authentication, and how its payloads are read.
// +kubebuilder:validation:ExactlyOneOf=webhook
type SourceSpec struct {
	// webhook takes payloads by HTTP POST at /v1/<namespace>/<source>.
	// +optional
	Webhook *WebhookSource `json:"webhook,omitempty"`
	// mappingRef names the Mapping that reads the payloads.
	// +required
	MappingRef LocalRef `json:"mappingRef,omitzero"`
	// only narrows what the Mapping calls a finding: a CEL condition over signal; the rest is counted.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Only string `json:"only,omitempty"`
	// with are constants that every signal of this source carries, for example the cluster that the tool does not name.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	With []NamedValue `json:"with,omitempty"`
	// repeatWindow is how long a signal with the same fingerprint is a repeat, which is counted, not created anew.
	// One hour if left out; at least a minute.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="repeatWindow must be between 1m and 168h, for example 1h"
	// +optional
	RepeatWindow *metav1.Duration `json:"repeatWindow,omitempty"`
}

// WebhookSource is a payload POSTed to the gateway.
type WebhookSource struct {
	// authentication is how a sender proves itself; there is no anonymous source.
	// +required
	Authentication WebhookAuthentication `json:"authentication,omitzero"`
	// maxBytes bounds a body; 8388608 (8 MiB) if left out.
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=26214400
	// +optional
	MaxBytes int64 `json:"maxBytes,omitempty"`
	// requestsPerMinute bounds accepted requests; beyond it the gateway answers 429 with Retry-After. 6000 if left out.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	// +optional
	RequestsPerMinute int32 `json:"requestsPerMinute,omitempty"`
}

// WebhookAuthentication is one way for a sender to prove itself.
// +kubebuilder:validation:ExactlyOneOf=bearer;hmac
type WebhookAuthentication struct {
	// bearer compares the Authorization header's bearer token (RFC 6750) with a Secret.
	// +optional
	Bearer *BearerAuthentication `json:"bearer,omitempty"`
	// hmac checks an HMAC-SHA256 (RFC 2104) over the raw body.
	// +optional
	HMAC *HMACAuthentication `json:"hmac,omitempty"`
}

// BearerAuthentication is a shared token.
type BearerAuthentication struct {
	// secretRef holds the token.
	// +required
	SecretRef SecretKeyRef `json:"secretRef,omitzero"`
}

// HMACAuthentication is a signature over the raw body, and over the time it was sent where a timestamp header is named.
type HMACAuthentication struct {
	// secretRef holds the signing key.
	// +required
	SecretRef SecretKeyRef `json:"secretRef,omitzero"`
	// header carries the signature as lower-case hex, with or without the prefix "sha256=".
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Header string `json:"header,omitempty"`
	// timeHeader carries the sending time in Unix seconds. When set, the signed text is the timestamp, a dot and the
	// body, and a request older or newer than tolerance is refused.
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TimeHeader string `json:"timeHeader,omitempty"`
	// tolerance is how far the timestamp may be off; five minutes if left out.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="tolerance must be between 1s and 1h, for example 5m"
	// +optional
	Tolerance *metav1.Duration `json:"tolerance,omitempty"`
}

// NamedValue is a constant.
type NamedValue struct {
	// name is the constant's name.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// value is the constant.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Value string `json:"value,omitempty"`
}

// SourceStatus is what the controller found.
type SourceStatus struct {
	StatusHead `json:",inline"`
	// endpoint is the path at the gateway that takes this source's payloads.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
}

// DefaultMaxBytes bounds a webhook body where the Source does not.
const DefaultMaxBytes int64 = 8 << 20

// Effective is the spec with every documented default applied.
func (s SourceSpec) Effective() SourceSpec {
	out := *s.DeepCopy()
	if out.RepeatWindow == nil {
		out.RepeatWindow = &metav1.Duration{Duration: time.Hour}
	}
	if w := out.Webhook; w != nil {
		if w.MaxBytes == 0 {
			w.MaxBytes = DefaultMaxBytes
		}
		if w.RequestsPerMinute == 0 {
			w.RequestsPerMinute = 6000
		}
		if h := w.Authentication.HMAC; h != nil && h.Tolerance == nil {
			h.Tolerance = &metav1.Duration{Duration: 5 * time.Minute}
		}
	}
	return out
}

// SourceList is a list of Source objects.
// +kubebuilder:object:root=true
type SourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Source `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *Source) Head() *StatusHead { return &o.Status.StatusHead }
