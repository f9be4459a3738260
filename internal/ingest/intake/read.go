// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/ingest"
	"github.com/casebook-dev/casebook/internal/normalize"
)

// Bounds of what a Signal takes.
const (
	maxWarnings    = 32
	maxWarning     = 512
	maxExplanation = 32
)

// slowAttempts is how often a payload whose mapping does not end in time is tried,
// for the machine may have been busy, before it becomes a generic signal.
const slowAttempts = 3

var sourceEnvironment = sync.OnceValue(func() *expr.Env { return expr.MustNew(expr.Source) })

// reading is a payload as its Source and Mapping read it.
type reading struct {
	source   v1alpha1.SourceSpec // effective
	mapping  string              // name@generation
	findings []v1alpha1.NormalizedSignal
}

// read turns a payload into findings. Whatever is wrong with the configuration, a
// payload that may hold a finding gives one; an error is about reading the
// configuration, and passes.
func (i *Intake) read(ctx context.Context, d ingest.Delivery) (reading, error) {
	var source v1alpha1.Source
	err := i.get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: d.Source}, &source)
	out := reading{source: source.Spec.Effective()}
	switch {
	case apierrors.IsNotFound(err):
		out.mapping = "none@0"
		out.findings = generic(d, fmt.Sprintf("Source %s, which it was received for, does not exist any more", d.Source))
		return out, nil
	case err != nil:
		return out, fmt.Errorf("could not read Source %s/%s: %w", d.Namespace, d.Source, err)
	}
	out.mapping = source.Spec.MappingRef.Name + "@0"
	mapping, reason, err := i.mapping(ctx, &source)
	if err != nil {
		return out, err
	}
	if reason != "" {
		out.findings = generic(d, reason)
	} else {
		out.mapping = mapping.Name()
		if out.findings, err = i.normalize(ctx, d, mapping); err != nil {
			return out, err
		}
	}
	for n := range out.findings {
		addConstants(&out.findings[n], &source)
	}
	out.findings = i.narrow(ctx, d, source.Spec.Only, out.findings)
	return out, nil
}

// get reads from the cache, and from the API server what the cache does not have:
// a payload may be faster than the news of its Source.
func (i *Intake) get(ctx context.Context, key types.NamespacedName, object client.Object) error {
	err := i.Client.Get(ctx, key, object)
	if apierrors.IsNotFound(err) {
		err = i.Live.Get(ctx, key, object)
	}
	return err
}

// mapping is the Source's Mapping, compiled, or why there is none.
func (i *Intake) mapping(ctx context.Context, source *v1alpha1.Source) (m *normalize.Mapping, reason string, err error) {
	name := source.Spec.MappingRef.Name
	var object v1alpha1.Mapping
	err = i.get(ctx, types.NamespacedName{Namespace: source.Namespace, Name: name}, &object)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Sprintf("Mapping %s of Source %s does not exist", name, source.Name), nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("could not read Mapping %s/%s: %w", source.Namespace, name, err)
	}
	m, err = i.compiled.mapping(&object)
	if err != nil {
		return nil, fmt.Sprintf("Mapping %s does not compile: %v", name, err), nil
	}
	return m, "", nil
}

func (i *Intake) normalize(ctx context.Context, d ingest.Delivery, mapping *normalize.Mapping) ([]v1alpha1.NormalizedSignal, error) {
	bounded, cancel := context.WithTimeout(ctx, mapTimeout)
	defer cancel()
	result, err := mapping.Signals(bounded, d.Body, d.Received)
	for reason, n := range result.Skipped {
		i.Skipped(d.Namespace, d.Source, reason, n)
	}
	switch _, undecodable := errors.AsType[*normalize.DecodeError](err); {
	case err == nil:
		return result.Signals, nil
	case ctx.Err() != nil || !undecodable && d.Attempt < slowAttempts:
		return nil, err
	default:
		return generic(d, fmt.Sprintf("Mapping %s cannot read it: %v", mapping.Name(), err)), nil
	}
}

func generic(d ingest.Delivery, reason string) []v1alpha1.NormalizedSignal {
	return []v1alpha1.NormalizedSignal{normalize.Generic(d.Source, d.Body, d.Received, reason)}
}

// narrow leaves out what the Source's only is false for. What it cannot be decided
// for stays, and says so.
func (i *Intake) narrow(ctx context.Context, d ingest.Delivery, only string, findings []v1alpha1.NormalizedSignal) []v1alpha1.NormalizedSignal {
	if only == "" {
		return findings
	}
	program, compileErr := sourceEnvironment().CompileBool(only)
	kept := findings[:0:0]
	for _, finding := range findings {
		truth, err := expr.Unknown, compileErr
		if compileErr == nil {
			bounded, cancel := context.WithTimeout(ctx, mapTimeout)
			truth, err = program.EvalBool(bounded, map[string]any{"signal": casefile.SignalVars(finding)})
			cancel()
		}
		switch truth {
		case expr.False:
			i.Skipped(d.Namespace, d.Source, "the Source's only is false", 1)
			continue
		case expr.Unknown:
			warn(&finding, fmt.Sprintf("only: %v; the signal was kept", err))
		case expr.True:
		}
		kept = append(kept, finding)
	}
	return kept
}

// addConstants gives a finding what its Source says of all of them: the cluster of
// Kubernetes objects that do not name theirs.
func addConstants(finding *v1alpha1.NormalizedSignal, source *v1alpha1.Source) {
	at := slices.IndexFunc(source.Spec.With, func(v v1alpha1.NamedValue) bool { return v.Name == "cluster" })
	if at < 0 {
		return
	}
	cluster, set := source.Spec.With[at].Value, false
	for n := range finding.Assets {
		if asset := &finding.Assets[n]; asset.Cluster == "" && inCluster(asset) {
			asset.Cluster, set = cluster, true
		}
	}
	if set && len(finding.Explanation) < maxExplanation {
		finding.Explanation = append(finding.Explanation, v1alpha1.FieldExplanation{
			Field: "assets", Expression: fmt.Sprintf("spec.with of Source %s", source.Name), Value: "cluster " + cluster,
		})
	}
}

// inCluster tells a Kubernetes object from other assets.
func inCluster(asset *v1alpha1.Entity) bool {
	return asset.Namespace != "" || asset.Type == "Node" || asset.Type == "Namespace"
}

func warn(finding *v1alpha1.NormalizedSignal, text string) {
	if len(finding.Warnings) < maxWarnings {
		finding.Warnings = append(slices.Clip(finding.Warnings), cut(text, maxWarning))
	}
}

// cut shortens a text to a number of code points, as the schema counts.
func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "�")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// compiled keeps what was compiled of each generation of an object.
type compiled struct {
	mu       sync.Mutex
	mappings map[version]compiledMapping
	types    map[version]compiledType
}

type version struct {
	uid        types.UID
	generation int64
}

type compiledMapping struct {
	*normalize.Mapping
	err error
}

type compiledType struct {
	*casefile.Type
	err error
}

// maxCompiled is when all is forgotten: old generations stay until then.
const maxCompiled = 1_000

func (c *compiled) mapping(object *v1alpha1.Mapping) (*normalize.Mapping, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := version{object.UID, object.Generation}
	found, ok := c.mappings[at]
	if !ok {
		found.Mapping, found.err = normalize.Compile(object)
		keep(&c.mappings, at, found)
	}
	return found.Mapping, found.err
}

func (c *compiled) caseType(object *v1alpha1.CaseType) (*casefile.Type, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := version{object.UID, object.Generation}
	found, ok := c.types[at]
	if !ok {
		found.Type, found.err = casefile.Compile(object)
		keep(&c.types, at, found)
	}
	return found.Type, found.err
}

func keep[T any](all *map[version]T, at version, value T) {
	if *all == nil || len(*all) > maxCompiled {
		*all = map[version]T{}
	}
	maps.Copy(*all, map[version]T{at: value})
}
