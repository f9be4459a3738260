// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Connector is a target system and the operations Casebook may ask of it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=conn,categories={casebook,casebook-config}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Tool",type=string,JSONPath=`.status.tool`
// +kubebuilder:printcolumn:name="Operations",type=string,JSONPath=`.status.offers`
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
// +kubebuilder:validation:ExactlyOneOf=kubernetes;http;table;geoip;smtp
// +kubebuilder:validation:XValidation:rule="has(self.http) == has(self.operations)",message="declare spec.operations for an http connector, and for no other: the rest have theirs in code",fieldPath=".operations"
type ConnectorSpec struct {
	// kubernetes is the cluster that Casebook runs in, as a ServiceAccount of this namespace.
	// +optional
	Kubernetes *KubernetesConnector `json:"kubernetes,omitempty"`
	// http is a system that is reached over HTTP, by the operations that are declared here.
	// +optional
	HTTP *HTTPConnector `json:"http,omitempty"`
	// table is a table of rows that are looked up: an asset inventory, watch lists, known travel.
	// +optional
	Table *TableConnector `json:"table,omitempty"`
	// geoip is a database of where addresses are.
	// +optional
	GeoIP *GeoIPConnector `json:"geoip,omitempty"`
	// smtp is a mail server that messages are submitted to.
	// +optional
	SMTP *SMTPConnector `json:"smtp,omitempty"`
	// operations are what can be asked of an http connector.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Operations []ConnectorOperation `json:"operations,omitempty"`
	// probe is a read that is made now and then, to tell whether the target can be reached and takes the credentials.
	// +optional
	Probe *ConnectorProbe `json:"probe,omitempty"`
	// settle is how long a request whose answer was lost may still arrive at the target; five seconds if left out.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('10m')",message="settle must be between 0s and 10m, for example 5s"
	// +optional
	Settle *metav1.Duration `json:"settle,omitempty"`
	// timeout is the deadline of one exchange with the target; ten seconds if left out, at most 60.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('60s')",message="timeout must be between 1s and 60s, for example 10s"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// ConnectorProbe is a read that tells whether the target can be reached.
type ConnectorProbe struct {
	// operation is an operation of this connector that reads.
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Operation string `json:"operation,omitempty"`
	// input is the operation's input.
	// +optional
	Input *apiextensionsv1.JSON `json:"input,omitempty"`
	// every is how often it is made; five minutes if left out.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('30s') && duration(self) <= duration('24h')",message="every must be between 30s and 24h, for example 5m"
	// +optional
	Every *metav1.Duration `json:"every,omitempty"`
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
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	// +optional
	Operations []DeclaredOperation `json:"operations,omitempty"`
	// offers names the operations in one line, as many as fit, for kubectl get.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Offers string `json:"offers,omitempty"`
	// revision names the ControllerRevision of the operations that new runs and actions pin; empty for a connector whose
	// operations are in code.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Revision string `json:"revision,omitempty"`
}

// DeclaredOperation is an operation as people and the plugin see it.
type DeclaredOperation struct {
	// name is the operation's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`
	// effect says what the operation does to its target.
	// +required
	Effect Effect `json:"effect,omitempty"`
	// semantics says what may be done after doubt; absent for a read.
	// +optional
	Semantics Semantics `json:"semantics,omitempty"`
	// target is the type of what it changes, for example Pod or User; absent for a read.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Target string `json:"target,omitempty"`
	// rollback is the operation that takes it back, if there is one.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Rollback string `json:"rollback,omitempty"`
	// input are its inputs.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Input []OperationInput `json:"input,omitempty"`
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
	if out.Probe != nil && out.Probe.Every == nil {
		out.Probe.Every = &metav1.Duration{Duration: 5 * time.Minute}
	}
	if h := out.HTTP; h != nil {
		if h.MaxBytes == 0 {
			h.MaxBytes = DefaultMaxAnswer
		}
		if h.Limits == nil {
			h.Limits = &HTTPLimits{}
		}
		if h.Limits.RequestsPerMinute == 0 {
			h.Limits.RequestsPerMinute = 600
		}
		if h.Limits.Concurrent == 0 {
			h.Limits.Concurrent = 8
		}
	}
	if m := out.SMTP; m != nil {
		if m.TLS == "" {
			m.TLS = SMTPStartTLS
		}
		if m.Port == 0 {
			m.Port = 587
		}
	}
	return out
}
