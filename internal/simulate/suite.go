// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Suite is a file of tests of one object.
type Suite struct {
	// File is its name, for messages.
	File string
	// Kind is what is tested: playbook, mapping, guardrail or connector; Name is the object's name.
	Kind, Name string

	playbooks  []playbookTest
	mappings   []mappingTest
	guardrails []guardrailTest
	connectors []connectorTest
}

// The kinds of suites.
const (
	KindPlaybook  = "playbook"
	KindMapping   = "mapping"
	KindGuardrail = "guardrail"
	KindConnector = "connector"
)

// Unavailable in the place of a lookup's result says that the lookup fails.
const Unavailable = "Unavailable"

// everyLookup stands for all lookups that are not named.
const everyLookup = "*"

// lookups are what lookups give, by connector/operation, and by "*" for all others. A value that is Unavailable is a
// lookup that fails.
type lookups map[string]any

type playbookTest struct {
	Name   string            `yaml:"name"`
	Given  playbookGiven     `yaml:"given"`
	People map[string]string `yaml:"people"`
	Expect playbookExpect    `yaml:"expect"`
}

type playbookGiven struct {
	Signal  string         `yaml:"signal"`
	Signals []string       `yaml:"signals"`
	Mapping string         `yaml:"mapping"`
	Time    *time.Time     `yaml:"time"`
	Inputs  map[string]any `yaml:"inputs"`
	Case    *caseGiven     `yaml:"case"`
	// Joins are users that a person adds to the case after it came to rest.
	Joins   []string           `yaml:"joins"`
	Lookups lookups            `yaml:"lookups"`
	Answers map[string][]reply `yaml:"answers"`
}

// caseGiven is a case that no signal made.
type caseGiven struct {
	Type     string   `yaml:"type"`
	Title    string   `yaml:"title"`
	Severity string   `yaml:"severity"`
	Users    []string `yaml:"users"`
	Hosts    []string `yaml:"hosts"`
}

// reply is how a target answers one attempt. A status is judged as the Connector says; an outcome is taken as it is.
type reply struct {
	Status  int               `yaml:"status"`
	Headers map[string]string `yaml:"headers"`
	Body    any               `yaml:"body"`
	// Lost: the answer never comes.
	Lost bool `yaml:"lost"`
	// Outcome is Acknowledged, Refused, NotSent or InDoubt.
	Outcome string `yaml:"outcome"`
	Message string `yaml:"message"`
	// Holds says whether the target is then as it was asked to be; it is, if left out, after an acknowledged attempt.
	Holds *bool `yaml:"holds"`
}

type playbookExpect struct {
	Started  *bool             `yaml:"started"`
	Closed   *string           `yaml:"closed"`
	Note     *string           `yaml:"note"`
	Severity *string           `yaml:"severity"`
	State    *string           `yaml:"state"`
	Run      *string           `yaml:"run"`
	Steps    *[]any            `yaml:"steps"`
	Actions  *[]actionExpected `yaml:"actions"`
	Asked    *[]string         `yaml:"asked"`
	Notified *[]string         `yaml:"notified"`
}

type actionExpected struct {
	Operation string  `yaml:"operation"`
	Outcome   string  `yaml:"outcome"`
	Target    string  `yaml:"target"`
	Attempts  *int    `yaml:"attempts"`
	Rule      *string `yaml:"rule"`
}

type mappingTest struct {
	Name  string `yaml:"name"`
	Given struct {
		Payload string     `yaml:"payload"`
		Time    *time.Time `yaml:"time"`
	} `yaml:"given"`
	Expect struct {
		Fits *bool `yaml:"fits"`
		// Count is how many signals there are; those of Signals are the first of them. Without it they are all.
		Count   *int              `yaml:"count"`
		Signals *[]map[string]any `yaml:"signals"`
		Skipped map[string]int    `yaml:"skipped"`
	} `yaml:"expect"`
}

type guardrailTest struct {
	Name  string `yaml:"name"`
	Given struct {
		Operation string         `yaml:"operation"`
		Input     map[string]any `yaml:"input"`
		Target    map[string]any `yaml:"target"`
		Requester map[string]any `yaml:"requester"`
		Case      *caseGiven     `yaml:"case"`
		Lookups   lookups        `yaml:"lookups"`
		Ran       []ranGiven     `yaml:"ran"`
		Time      *time.Time     `yaml:"time"`
	} `yaml:"given"`
	Expect guardrailExpect `yaml:"expect"`
}

type guardrailExpect struct {
	Answer  string  `yaml:"answer"`
	Rule    *string `yaml:"rule"`
	Because *string `yaml:"because"`
	Verb    *string `yaml:"verb"`
	Count   *int32  `yaml:"count"`
}

// ranGiven are actions that ran before.
type ranGiven struct {
	Operation string `yaml:"operation"`
	Times     int    `yaml:"times"`
	Ago       string `yaml:"ago"`
	Wrong     string `yaml:"wrong"`
}

type connectorTest struct {
	Name  string `yaml:"name"`
	Given struct {
		Operation string         `yaml:"operation"`
		Input     map[string]any `yaml:"input"`
		Answer    *reply         `yaml:"answer"`
		Answers   []reply        `yaml:"answers"`
	} `yaml:"given"`
	Expect struct {
		Request  *requestExpected   `yaml:"request"`
		Requests *[]requestExpected `yaml:"requests"`
		Output   any                `yaml:"output"`
		Target   *string            `yaml:"target"`
		Outcome  *string            `yaml:"outcome"`
		Reason   *string            `yaml:"reason"`
		Verified *bool              `yaml:"verified"`
		Error    *string            `yaml:"error"`
	} `yaml:"expect"`
}

type requestExpected struct {
	Method  *string           `yaml:"method"`
	Path    *string           `yaml:"path"`
	Query   map[string]string `yaml:"query"`
	Headers map[string]string `yaml:"headers"`
	Body    any               `yaml:"body"`
}

// Parse reads the suites of a file, one to a YAML document. A field that is not known is an error that names its line.
func Parse(file string, raw []byte) ([]*Suite, error) {
	var out []*Suite
	// Two decoders go through the same text: one learns what a document is, the other knows its fields and their lines.
	decoder, strict := yaml.NewDecoder(bytes.NewReader(raw)), yaml.NewDecoder(bytes.NewReader(raw))
	strict.KnownFields(true)
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("could not read the tests of %s: %w", file, err)
		}
		suite, err := parse(file, &document, strict.Decode)
		if err != nil {
			return nil, err
		}
		out = append(out, suite)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("could not read the tests of %s: it is empty; name what is tested under playbook, mapping, guardrail or connector", file)
	}
	return out, nil
}

func parse(file string, document *yaml.Node, strict func(any) error) (*Suite, error) {
	wrong := func(err error) error { return fmt.Errorf("could not read the tests of %s: %w", file, err) }
	kind, line, err := kindOf(document)
	if err != nil {
		return nil, wrong(err)
	}
	s := &Suite{File: file, Kind: kind}
	tests := 0
	switch kind {
	case KindPlaybook:
		var all struct {
			Name  string         `yaml:"playbook"`
			Tests []playbookTest `yaml:"tests"`
		}
		err = strict(&all)
		s.Name, s.playbooks, tests = all.Name, all.Tests, len(all.Tests)
	case KindMapping:
		var all struct {
			Name  string        `yaml:"mapping"`
			Tests []mappingTest `yaml:"tests"`
		}
		err = strict(&all)
		s.Name, s.mappings, tests = all.Name, all.Tests, len(all.Tests)
	case KindGuardrail:
		var all struct {
			Name  string          `yaml:"guardrail"`
			Tests []guardrailTest `yaml:"tests"`
		}
		err = strict(&all)
		s.Name, s.guardrails, tests = all.Name, all.Tests, len(all.Tests)
	case KindConnector:
		var all struct {
			Name  string          `yaml:"connector"`
			Tests []connectorTest `yaml:"tests"`
		}
		err = strict(&all)
		s.Name, s.connectors, tests = all.Name, all.Tests, len(all.Tests)
	}
	switch {
	case err != nil:
		return nil, wrong(plainly(err))
	case s.Name == "":
		return nil, wrong(fmt.Errorf("line %d: field %s is empty; write the name of the %s", line, kind, kind))
	case tests == 0:
		return nil, wrong(fmt.Errorf("line %d: field tests is missing or empty", line))
	}
	return s, nil
}

// kindOf is what a document tests, by its first field that says so.
func kindOf(document *yaml.Node) (kind string, line int, err error) {
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return "", 0, fmt.Errorf("line %d: want playbook, mapping, guardrail or connector, and tests", document.Line)
	}
	fields := document.Content[0].Content
	for i := 0; i+1 < len(fields); i += 2 {
		switch fields[i].Value {
		case KindPlaybook, KindMapping, KindGuardrail, KindConnector:
			return fields[i].Value, fields[i].Line, nil
		}
	}
	return "", 0, fmt.Errorf("line %d: none of the fields playbook, mapping, guardrail and connector says what is tested", document.Content[0].Line)
}

var unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)

// plainly says what is wrong with fields in the words of whoever wrote them.
func plainly(err error) error {
	if wrong, ok := errors.AsType[*yaml.TypeError](err); ok {
		lines := make([]string, len(wrong.Errors))
		for i, e := range wrong.Errors {
			lines[i] = unknownField.ReplaceAllString(e, "field $1 is not known here")
		}
		return errors.New(strings.Join(lines, "; "))
	}
	return err
}
