// Package mutations holds small changes of this project's own code, each of which breaks a guarantee, so that the tests
// that bear its number can be seen to fail. tools/mutate runs them.
package mutations

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Mutation is one change and the tests that must not survive it.
type Mutation struct {
	// Guarantee is the number in docs/guarantees.md, such as G10.
	Guarantee string `yaml:"guarantee"`
	// Breaks says what is wrong with the changed code.
	Breaks string `yaml:"breaks"`
	// File is changed, below the root of the project; Old stands in it exactly once and becomes New.
	File string `yaml:"file"`
	Old  string `yaml:"old"`
	New  string `yaml:"new"`
	// Package holds the tests and Run names them, as go test takes both.
	Package string `yaml:"package"`
	Run     string `yaml:"run"`
}

//go:embed mutations.yaml
var list []byte

// All are the mutations of this project, in the order of the guarantees.
func All() ([]Mutation, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(list))
	decoder.KnownFields(true)
	var all []Mutation
	if err := decoder.Decode(&all); err != nil {
		return nil, fmt.Errorf("read the mutations: %w", err)
	}
	return all, nil
}

// Apply returns the changed content of the file. A text that is not there, or more than once, is an error: the code has
// gone on and the mutation has to follow it.
func (m Mutation) Apply(root string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.File))) //nolint:gosec // our own source
	if err != nil {
		return nil, fmt.Errorf("mutate %s: %w", m.File, err)
	}
	switch n := strings.Count(string(content), m.Old); {
	case m.Old == "" || m.Old == m.New:
		return nil, fmt.Errorf("mutate %s: nothing is changed", m.File)
	case n != 1:
		return nil, fmt.Errorf("mutate %s: %q stands there %d times, not once", m.File, m.Old, n)
	}
	return []byte(strings.Replace(string(content), m.Old, m.New, 1)), nil
}

// Validate checks what can be checked without running a test.
func (m Mutation) Validate(root string) error {
	if m.Guarantee == "" || m.Breaks == "" || m.Run == "" {
		return errors.New("a mutation has no guarantee, no words or no tests")
	}
	if !strings.HasPrefix(m.Package, "./") {
		return fmt.Errorf("mutate %s: the package %q is none of this project", m.File, m.Package)
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(m.Package))); err != nil {
		return fmt.Errorf("mutate %s: %w", m.File, err)
	}
	_, err := m.Apply(root)
	return err
}
