package graphql

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Object is a value of an object type: its fields compute what they are asked for.
type Object struct {
	// Type is the type's name.
	Type   string
	Fields map[string]Resolver
}

// Resolver computes a field: nil, a bool, int, int64 or string, an *Object, or a []*Object.
type Resolver func(Arguments) (any, error)

// Value is a field that needs no arguments.
func Value(v any) Resolver {
	return func(a Arguments) (any, error) { return v, a.Only() }
}

// Arguments are a field's arguments with all variables filled in.
type Arguments map[string]any

// Only reports an argument that is not one of these names.
func (a Arguments) Only(names ...string) error {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if !slices.Contains(names, k) {
			return fmt.Errorf("there is no argument %q here", k)
		}
	}
	return nil
}

// String is a required argument.
func (a Arguments) String(name string) (string, error) {
	s, isString := a[name].(string)
	if !isString {
		return "", fmt.Errorf("argument %q must be a string", name)
	}
	return s, nil
}

// Int is an argument that may be missing.
func (a Arguments) Int(name string) (n int, given bool, err error) {
	v := a[name]
	switch n := v.(type) {
	case nil:
		return 0, false, nil
	case int:
		return n, true, nil
	}
	return 0, false, fmt.Errorf("argument %q must be an Int", name)
}

// Run runs the operation on its root object. Variables are as JSON gives them, with numbers as json.Number.
func (o *Operation) Run(root *Object, variables map[string]any) (map[string]any, error) {
	declared := map[string]any{}
	for _, v := range o.Variables {
		given, there := variables[v.Name]
		if v.Required && (!there || given == nil) {
			return nil, fmt.Errorf("variable $%s of type %s was provided invalid value", v.Name, v.Type)
		}
		declared[v.Name] = given
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if _, there := declared[name]; !there {
			return nil, fmt.Errorf("variable $%s is not declared", name)
		}
	}
	return run(root, o.Fields, declared)
}

func run(on *Object, fields []Field, variables map[string]any) (map[string]any, error) {
	out := map[string]any{}
	for _, f := range fields {
		if f.On != "" {
			if f.On != on.Type {
				continue
			}
			more, err := run(on, f.Fields, variables)
			if err != nil {
				return nil, err
			}
			maps.Copy(out, more)
			continue
		}
		v, err := one(on, f, variables)
		if err != nil {
			return nil, err
		}
		out[f.Alias] = v
	}
	return out, nil
}

func one(on *Object, f Field, variables map[string]any) (any, error) {
	if f.Name == "__typename" {
		return on.Type, nil
	}
	resolve := on.Fields[f.Name]
	if resolve == nil {
		return nil, fmt.Errorf("field %q doesn't exist on type %q", f.Name, on.Type)
	}
	filled, err := fill(f.Arguments, variables)
	if err != nil {
		return nil, err
	}
	v, err := resolve(Arguments(filled))
	if err != nil {
		return nil, fmt.Errorf("field %q: %w", f.Name, err)
	}
	switch v := v.(type) {
	case *Object:
		if len(f.Fields) == 0 {
			return nil, fmt.Errorf("field %q of type %q must have a selection of subfields", f.Name, v.Type)
		}
		return run(v, f.Fields, variables)
	case []*Object:
		if len(f.Fields) == 0 {
			return nil, fmt.Errorf("field %q must have a selection of subfields", f.Name)
		}
		list := make([]any, 0, len(v))
		for _, o := range v {
			part, err := run(o, f.Fields, variables)
			if err != nil {
				return nil, err
			}
			list = append(list, part)
		}
		return list, nil
	}
	if v != nil && len(f.Fields) != 0 {
		return nil, fmt.Errorf("field %q has no subfields", f.Name)
	}
	return v, nil
}

// fill puts variables in their places.
func fill(arguments, variables map[string]any) (map[string]any, error) {
	out := map[string]any{}
	for name, v := range arguments {
		if used, isVariable := v.(variable); isVariable {
			given, declared := variables[string(used)]
			if !declared {
				return nil, fmt.Errorf("variable $%s is used but not declared", used)
			}
			v = given
		}
		switch typed := v.(type) {
		case map[string]any:
			inner, err := fill(typed, variables)
			if err != nil {
				return nil, err
			}
			v = inner
		case json.Number:
			n, err := typed.Int64()
			if err != nil {
				return nil, errors.New("only whole numbers are understood")
			}
			v = int(n)
		}
		out[name] = v
	}
	return out, nil
}
