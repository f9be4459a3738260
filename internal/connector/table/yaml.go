// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"
)

// maxDepth is how deeply a row of YAML may be nested, as ingest.MaxDepth is for JSON.
const maxDepth = 64

// maxMembers is how many members an object of YAML may have: its reader compares each with each.
const maxMembers = 1000

// readYAML reads a list of objects. Aliases and merge keys are followed as far as the
// bounds of any table go.
func readYAML(data []byte) ([]row, *problem) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, problemf("it is empty: write a list of objects, or [] for none")
	} else if err != nil {
		return nil, problemf("it is not YAML").with("%v", err)
	}
	var more yaml.Node
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, problemf("there is more than one document: write one list")
	}
	list := follow(&document)
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil, problemf("it is not a list: write a list of objects")
	}
	if len(list.Content) > MaxRows {
		return nil, tooManyRows()
	}
	m := measure{}
	cells := 0
	rows := make([]row, len(list.Content))
	for i, node := range list.Content {
		weight, ok := m.weigh(node)
		if !ok {
			return nil, problemf("row %d, at line %d, is nested more than %d deep, holds itself, or has an object of more than %d members",
				i+1, node.Line, maxDepth, maxMembers)
		}
		if weight.bytes > MaxRow {
			return nil, rowTooLarge(i + 1)
		}
		if cells += weight.nodes; cells > maxCells {
			return nil, tooManyCells()
		}
		object, problem := yamlObject(node, i+1)
		if problem != nil {
			return nil, problem
		}
		rows[i] = objectRow{object: object, at: node.Line}
	}
	return rows, nil
}

// follow is the node that a document or an alias stands for.
func follow(node *yaml.Node) *yaml.Node {
	for range maxDepth {
		switch {
		case node != nil && node.Kind == yaml.DocumentNode && len(node.Content) == 1:
			node = node.Content[0]
		case node != nil && node.Kind == yaml.AliasNode:
			node = node.Alias
		default:
			return node
		}
	}
	return nil
}

// yamlObject decodes a row that was weighed.
func yamlObject(node *yaml.Node, number int) (map[string]any, *problem) {
	if target := follow(node); target == nil || target.Kind != yaml.MappingNode {
		return nil, notAnObject(number)
	}
	var object map[string]any
	if err := node.Decode(&object); err != nil {
		return nil, problemf("row %d, at line %d, is not an object that can be used", number, node.Line).with("%v", err)
	}
	return checkObject(object, number)
}

// weight is what a node comes to when each alias in it is written out.
type weight struct {
	nodes, bytes, depth int
}

// measure weighs nodes without writing them out, each once: a few anchors that hold
// each other twice would otherwise grow without end.
type measure map[*yaml.Node]weight

// weighing marks a node that is not done: to meet it again is to be in itself.
var weighing = weight{nodes: -1}

// weigh answers false for what is nested too deep, is in itself, or has too many members.
func (m measure) weigh(node *yaml.Node) (total weight, ok bool) {
	if done, met := m[node]; met {
		return done, done != weighing
	}
	if node.Kind == yaml.MappingNode && len(node.Content) > 2*maxMembers {
		return weight{}, false
	}
	m[node] = weighing
	total = weight{nodes: 1, bytes: 1 + len(node.Value)}
	parts := node.Content
	if node.Kind == yaml.AliasNode {
		parts = []*yaml.Node{node.Alias}
	}
	if tag := node.ShortTag(); node.Kind == yaml.ScalarNode && (tag == "!!timestamp" || tag == "!!binary") {
		node.Tag = "!!str" // as it is written, which neither a time nor bytes would keep
	}
	for _, part := range parts {
		one, ok := m.weigh(part)
		if !ok || one.depth >= maxDepth {
			return weight{}, false
		}
		total.nodes = min(total.nodes+one.nodes, maxCells+1)
		total.bytes = min(total.bytes+one.bytes, MaxRow+1)
		total.depth = max(total.depth, one.depth+1)
	}
	m[node] = total
	return total, true
}
