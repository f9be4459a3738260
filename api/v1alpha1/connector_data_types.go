// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// DataFormat is how the bytes of a table are read.
// +kubebuilder:validation:Enum=CSV;JSON;YAML
type DataFormat string

// The formats of a table.
const (
	DataCSV  DataFormat = "CSV"
	DataJSON DataFormat = "JSON"
	DataYAML DataFormat = "YAML"
)

// TableConnector is a table of rows. Its operations are find, which gives the one row of a key, or an empty record with
// found == false; and list, which gives every row of a key. Both take key, and around: a time that the row's validity
// must cover.
// +kubebuilder:validation:ExactlyOneOf=configMapRef;secretRef;bucket
type TableConnector struct {
	// configMapRef holds the table.
	// +optional
	ConfigMapRef *ConfigMapKeyRef `json:"configMapRef,omitempty"`
	// secretRef holds the table.
	// +optional
	SecretRef *SecretKeyRef `json:"secretRef,omitempty"`
	// bucket holds the table.
	// +optional
	Bucket *BucketObject `json:"bucket,omitempty"`
	// format is how its bytes are read: CSV (RFC 4180) with a header row, JSON or YAML with a list of objects. By the
	// name's extension if left out.
	// +optional
	Format DataFormat `json:"format,omitempty"`
	// key are the columns that a key is looked for in; any of them may match, whatever the case of letters.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +required
	Key []string `json:"key,omitempty"`
	// from is the column with the time from which a row is valid; always if left out or empty.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	From string `json:"from,omitempty"`
	// until is the column with the time until which a row is valid; for ever if left out or empty. A date alone means
	// its end.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Until string `json:"until,omitempty"`
}

// ConfigMapKeyRef names one key of a ConfigMap of the same namespace.
type ConfigMapKeyRef struct {
	// name is the ConfigMap's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// key is the key within the ConfigMap.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Key string `json:"key,omitempty"`
}

// BucketObject is one object in object storage.
type BucketObject struct {
	BucketSpec `json:",inline"`
	// key is the object's key.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Key string `json:"key,omitempty"`
}

// GeoIPConnector is a database of where addresses are, in the MaxMind DB format 2.0. Its operation is locate, which takes
// an ip, and a time that it gives back.
type GeoIPConnector struct {
	// bucket holds the database, a City or Country database.
	// +required
	Bucket BucketObject `json:"bucket,omitzero"`
}

// SMTPSecurity is how a connection to a mail server is protected.
// +kubebuilder:validation:Enum=StartTLS;TLS;None
type SMTPSecurity string

// The ways to protect a connection to a mail server.
const (
	// SMTPStartTLS: the server must offer STARTTLS (RFC 3207).
	SMTPStartTLS SMTPSecurity = "StartTLS"
	// SMTPTLS: TLS from the first byte (RFC 8314).
	SMTPTLS SMTPSecurity = "TLS"
	// SMTPNone: nothing. Credentials are refused.
	SMTPNone SMTPSecurity = "None"
)

// SMTPConnector is a mail server that messages are submitted to (RFC 6409). Its operation is sendMail.
// +kubebuilder:validation:XValidation:rule="has(self.username) == has(self.passwordRef)",message="give username and passwordRef together",fieldPath=".username"
// +kubebuilder:validation:XValidation:rule="!has(self.username) || !has(self.tls) || self.tls != 'None'",message="credentials are not sent over a connection without TLS",fieldPath=".tls"
type SMTPConnector struct {
	// host is the server.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Host string `json:"host,omitempty"`
	// port is the server's port; 587 if left out.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`
	// tls is how the connection is protected; StartTLS if left out.
	// +optional
	TLS SMTPSecurity `json:"tls,omitempty"`
	// caBundle is the PEM of the certificate authorities to trust, in place of the public ones, and nothing else but comments.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	// +optional
	CABundle string `json:"caBundle,omitempty"`
	// from is the sender's address, for example "Casebook <soc@example.com>" (RFC 5322).
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=320
	// +required
	From string `json:"from,omitempty"`
	// username is what the server knows us by.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Username string `json:"username,omitempty"`
	// passwordRef holds the password.
	// +optional
	PasswordRef *SecretKeyRef `json:"passwordRef,omitempty"`
}
