package template

import (
	"slices"

	"vigil/source"
)

// Sample is a JSON object that has every property which outputs name below the prefix; what has none below it is value.
func (c *Compiler) Sample(value string, prefix ...string) []byte {
	root := &source.Node{Kind: source.Object}
	for _, path := range c.paths {
		if len(path) <= len(prefix) || !slices.Equal(path[:len(prefix)], prefix) {
			continue
		}
		at := root
		for _, name := range path[len(prefix):] {
			at = child(at, name, value)
		}
	}
	return root.AppendJSON(nil)
}

// child finds or adds a member; a new one is the value.
func child(n *source.Node, name, value string) *source.Node {
	n.Kind = source.Object
	if found := n.Field(name); found != nil {
		return found
	}
	leaf := &source.Node{Kind: source.String, Text: value}
	n.Fields = append(n.Fields, source.Field{Name: name, Value: leaf})
	return leaf
}
