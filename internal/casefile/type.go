// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// UnclassifiedName is the name of the type of cases that no CaseType matches.
const UnclassifiedName = "unclassified"

// DefaultQueue is where unclassified cases wait.
const DefaultQueue = "default"

// maxPrefix is the longest prefix of a case's name.
const maxPrefix = 8

// Type is a compiled CaseType. It is immutable and safe for concurrent use.
type Type struct {
	// Name is the CaseType's name.
	Name string
	// Spec is what was compiled; it must not be changed.
	Spec v1alpha1.CaseTypeSpec

	prefix      string
	match       *expr.Program
	enrichments []*Enrichment
	factors     []factor
	playbooks   []starter
}

// Compile compiles every expression of a CaseType. The error names each field that
// does not compile, with the column, one to a line; its parts are found with
// errors.AsType[*expr.CompileError]. What could never be decided does not compile
// either: a lookup that the type does not make, and item where there is no forEach.
func Compile(ct *v1alpha1.CaseType) (*Type, error) {
	var c compiler
	t := c.compileType(ct)
	if err := errors.Join(c.errs...); err != nil {
		return nil, fmt.Errorf("could not compile CaseType %s: %w", ct.Name, err)
	}
	return t, nil
}

// Unclassified is the built-in type of the cases that no CaseType matches: what
// speaks of the same users, hosts and assets within a day is one case, which waits in
// [DefaultQueue]. No playbook runs. A CaseType named [UnclassifiedName] replaces it.
var Unclassified = sync.OnceValue(func() *Type {
	t, err := Compile(&v1alpha1.CaseType{
		ObjectMeta: metav1.ObjectMeta{Name: UnclassifiedName},
		Spec: v1alpha1.CaseTypeSpec{
			Match:     "true",
			Prefix:    "un",
			Correlate: v1alpha1.Correlation{By: []string{"users", "hosts", "assets"}, Within: metav1.Duration{Duration: 24 * time.Hour}},
			Queue:     DefaultQueue,
		},
	})
	if err != nil {
		panic(err) // it is written above
	}
	return t
})

// Enrichments are the type's lookups, in its order.
func (t *Type) Enrichments() []*Enrichment {
	return t.enrichments
}

// prefix is the type's own, or the initials of its name.
func prefix(name, own string) string {
	if own != "" {
		return own
	}
	var out strings.Builder
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '-' || r == '.' }) {
		if out.Len() == 0 && (word[0] < 'a' || word[0] > 'z') {
			out.WriteByte('c') // a name begins with a letter
		}
		out.WriteByte(word[0])
		if out.Len() == maxPrefix {
			break
		}
	}
	return out.String()
}
