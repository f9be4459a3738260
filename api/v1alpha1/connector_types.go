// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Connector is a target system and the operations Casebook may ask of it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=conn,categories={casebook,casebook-config}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Tool",type=string,JSONPath=`.status.tool`
// +kubebuilder:printcolumn:name="Operations",type=string,JSONPath=`.status.operations`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Connector struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what people ask for.
	// +required
	Spec ConnectorSpec `json:"spec,omitzero"`
	// status is what the controller found.
	// +optional
	Status ConnectorStatus `json:"status,omitzero"`
}

// ConnectorSpec is one target system.
// +kubebuilder:validation:ExactlyOneOf=kubernetes
type ConnectorSpec struct {
	// kubernetes is the cluster that Casebook runs in, as a ServiceAccount of this namespace.
	// +optional
	Kubernetes *KubernetesConnector `json:"kubernetes,omitempty"`
	// settle is how long a request whose answer was lost may still arrive at the target; five seconds if left out.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('10m')",message="settle must be between 0s and 10m, for example 5s"
	// +optional
	Settle *metav1.Duration `json:"settle,omitempty"`
	// timeout is the deadline of one exchange with the target; ten seconds if left out, at most 60.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('60s')",message="timeout must be between 1s and 60s, for example 10s"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// KubernetesConnector acts in the cluster by impersonating a ServiceAccount, whose RBAC decides what it may touch.
type KubernetesConnector struct {
	// serviceAccountRef names the ServiceAccount of this namespace to act as.
	// +required
	ServiceAccountRef LocalRef `json:"serviceAccountRef,omitzero"`
	// cluster is the name that signals use for this cluster. A target of another cluster is refused; if left out, any
	// name is taken for this cluster.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Cluster string `json:"cluster,omitempty"`
}

// Effect says what an operation does to its target.
// +kubebuilder:validation:Enum=Read;Reversible;Irreversible
type Effect string

// The effects.
const (
	EffectRead         Effect = "Read"
	EffectReversible   Effect = "Reversible"
	EffectIrreversible Effect = "Irreversible"
)

// Semantics says what may be done after an attempt whose outcome is in doubt.
// +kubebuilder:validation:Enum=Idempotent;Keyed;ReadBack;AtMostOnce
type Semantics string

// The semantics. AtMostOnce is what an operation that declares nothing has.
const (
	// Idempotent operations set an absolute state: repeating is harmless.
	Idempotent Semantics = "Idempotent"
	// Keyed operations are repeated with the same idempotency key.
	Keyed Semantics = "Keyed"
	// ReadBack operations are decided by a read.
	ReadBack Semantics = "ReadBack"
	// AtMostOnce operations are never repeated: the outcome is Unknown and a person decides.
	AtMostOnce Semantics = "AtMostOnce"
)

// ConnectorStatus is what the controller found.
type ConnectorStatus struct {
	StatusHead `json:",inline"`
	// tool is the system behind the connector.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Tool string `json:"tool,omitempty"`
	// operations are what it can do.
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	Operations []string `json:"operations,omitempty"`
}

// ConnectorList is a list of Connector objects.
// +kubebuilder:object:root=true
type ConnectorList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Connector `json:"items"`
}

// Head gives the part of the status that every kind has.
func (o *Connector) Head() *StatusHead { return &o.Status.StatusHead }

// Effective is the spec with every documented default applied.
func (s ConnectorSpec) Effective() ConnectorSpec {
	out := *s.DeepCopy()
	if out.Settle == nil {
		out.Settle = &metav1.Duration{Duration: 5 * time.Second}
	}
	if out.Timeout == nil {
		out.Timeout = &metav1.Duration{Duration: 10 * time.Second}
	}
	return out
}
