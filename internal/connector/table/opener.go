// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Opener opens tables. What it parsed is shared by all that it opens. It is safe for
// concurrent use.
type Opener struct {
	values  connector.Values
	buckets connector.Buckets
	clock   clock.PassiveClock
	cache   *cache
}

var _ connector.Opener = (*Opener)(nil)

// NewOpener returns an Opener that reads ConfigMaps and Secrets by values and objects
// by buckets. The clock says what is valid now.
func NewOpener(values connector.Values, buckets connector.Buckets, clock clock.PassiveClock) *Opener {
	return &Opener{values: values, buckets: buckets, clock: clock, cache: newCache()}
}

// Open implements connector.Opener. It reads nothing.
func (o *Opener) Open(object *v1alpha1.Connector) (connector.Connector, error) {
	spec := object.Spec.Table
	if spec == nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason,
			"could not open connector %s/%s: spec.table is missing: say where the table is", object.Namespace, object.Name)
	}
	content, file := o.contentOf(object.Namespace, spec)
	if content.read == nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason,
			"could not open connector %s/%s: spec.table says not where the table is: give configMapRef, secretRef or bucket", object.Namespace, object.Name)
	}
	format := formatOf(spec.Format, file)
	if format == "" {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason,
			"could not open connector %s/%s: the name %q does not say how the table is written: give spec.table.format CSV, JSON or YAML", object.Namespace, object.Name, file)
	}
	if len(spec.Key) == 0 {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason,
			"could not open connector %s/%s: spec.table.key is missing: name the columns that a key is looked for in", object.Namespace, object.Name)
	}
	return &connection{
		ReadOnly: "a table", content: content, cache: o.cache, clock: o.clock, timeout: object.Spec.Effective().Timeout.Duration,
		shape: shape{format: format, key: strings.Join(spec.Key, columnSeparator), from: spec.From, until: spec.Until},
	}, nil
}

// formatOf is the format that is given, or that the name's extension says; empty if neither does.
func formatOf(given v1alpha1.DataFormat, name string) v1alpha1.DataFormat {
	switch given {
	case v1alpha1.DataCSV, v1alpha1.DataJSON, v1alpha1.DataYAML:
		return given
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".csv":
		return v1alpha1.DataCSV
	case ".json":
		return v1alpha1.DataJSON
	case ".yaml", ".yml":
		return v1alpha1.DataYAML
	}
	return ""
}

// showing says whether messages may quote content.
type showing int

const (
	// hideContent is for Secrets, and for buckets, where a wrong key may name anything.
	hideContent showing = iota
	showContent
)

// content is the bytes of a table, read at each use.
type content struct {
	name  string // for messages
	shown showing
	read  func(context.Context) ([]byte, error)
}

// contentOf is where a spec says that the table is, and the name that may say its format.
func (o *Opener) contentOf(namespace string, spec *v1alpha1.TableConnector) (c content, file string) {
	switch {
	case spec.ConfigMapRef != nil:
		ref := *spec.ConfigMapRef
		return content{
			name: fmt.Sprintf("key %s of ConfigMap %s", ref.Key, ref.Name), shown: showContent,
			read: func(ctx context.Context) ([]byte, error) { return o.values.ConfigMap(ctx, namespace, ref) },
		}, ref.Key
	case spec.SecretRef != nil:
		ref := *spec.SecretRef
		return content{
			name: fmt.Sprintf("key %s of Secret %s", ref.Key, ref.Name),
			read: func(ctx context.Context) ([]byte, error) { return o.values.Secret(ctx, namespace, ref) },
		}, ref.Key
	case spec.Bucket != nil:
		bucket := *spec.Bucket
		name := fmt.Sprintf("object %s of the bucket", bucket.Key)
		return content{
			name: name,
			read: func(ctx context.Context) ([]byte, error) { return o.object(ctx, namespace, bucket, name) },
		}, bucket.Key
	}
	return content{}, ""
}

// object reads an object of a bucket.
func (o *Opener) object(ctx context.Context, namespace string, spec v1alpha1.BucketObject, name string) ([]byte, error) {
	bucket, err := o.buckets(namespace, spec.BucketSpec)
	if err != nil {
		return nil, fmt.Errorf("open the bucket of the table: %w", err)
	}
	object, err := bucket.Get(ctx, spec.Key, MaxSize)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return nil, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "could not read the table: there is no %s: put it there, or correct spec.table.bucket: %w", name, err)
	case errors.Is(err, blob.ErrTooLarge):
		return nil, fault.Terminalf(connector.InvalidDataReason, "could not read the table: %s is larger than %d MiB: keep only the columns that are looked at: %w", name, MaxSize>>20, err)
	case errors.Is(err, blob.ErrKey):
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "could not read the table: spec.table.bucket.key is no key of an object: %w", err)
	case err != nil:
		return nil, fmt.Errorf("read the table: %w", err)
	}
	return object.Data, nil
}
