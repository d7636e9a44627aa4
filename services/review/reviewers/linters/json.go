package linters

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"witan.dev/internal/finding"
)

// readJSON reads SARIF, rdjson or rdjsonl: what it is follows from the first object's keys. Arrays are read value by
// value, so that a report of millions of small values does not fill the memory.
func readJSON(content []byte) ([]Tool, error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	var r reader
	for first := true; ; first = false {
		line := rdDiagnostic{}
		err := object(decoder, func(key string) error { return r.document(decoder, key, &line) })
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if r.kind == kindSARIF && (!first || r.version != "2.1.0") {
			return nil, malformed("SARIF of version %.20q; only one log of 2.1.0 is read", r.version)
		}
		switch r.kind {
		case kindLines:
			if err := r.diagnostic(&line); err != nil {
				return nil, err
			}
		case kindResult:
			r.source = line.Source.Name
		}
	}
	switch r.kind {
	case kindSARIF:
		return r.tools, nil
	case kindResult, kindLines:
		for i := range r.tools {
			if r.tools[i].Name == "" {
				r.tools[i].Name = r.source
			}
		}
		return r.tools, nil
	default:
		return nil, malformed("it has none of the keys runs, diagnostics, message")
	}
}

// The kinds of JSON.
const (
	kindSARIF  = "SARIF"
	kindResult = "rdjson"
	kindLines  = "rdjsonl"
)

// reader collects what a report says.
type reader struct {
	kind, version, source string
	tools                 []Tool
	results               int
}

func (r *reader) is(kind string) error {
	if r.kind != "" && r.kind != kind {
		return malformed("it is both %s and %s", r.kind, kind)
	}
	r.kind = kind
	return nil
}

// count refuses more results than one report may have.
func (r *reader) count() error {
	if r.results++; r.results > MaxResults {
		return ErrTooLarge.With("detail", fmt.Sprintf("more than %d results", MaxResults))
	}
	return nil
}

func (r *reader) add(t Tool) error {
	r.tools = Join(r.tools, t)
	if len(r.tools) > MaxTools {
		return ErrTooLarge.With("detail", fmt.Sprintf("more than %d tools", MaxTools))
	}
	return nil
}

// document reads the value of one key of the first object, or of a line of rdjsonl.
func (r *reader) document(d *json.Decoder, key string, line *rdDiagnostic) error {
	switch key {
	case "version":
		return d.Decode(&r.version)
	case "runs":
		if err := r.is(kindSARIF); err != nil {
			return err
		}
		return elements(d, func() error { return r.run(d) })
	case "diagnostics":
		if err := r.is(kindResult); err != nil {
			return err
		}
		return elements(d, func() error {
			var one rdDiagnostic
			if err := d.Decode(&one); err != nil {
				return err
			}
			return r.diagnostic(&one)
		})
	case "message", "location", "code":
		if err := r.is(kindLines); err != nil {
			return err
		}
		switch key {
		case "message":
			return d.Decode(&line.Message)
		case "location":
			return d.Decode(&line.Location)
		}
		return d.Decode(&line.Code)
	case "source":
		return d.Decode(&line.Source)
	case "severity":
		return d.Decode(&line.Severity)
	default:
		return skip(d)
	}
}

// object reads an object and calls value for each key; value must read the value.
func object(d *json.Decoder, value func(key string) error) error {
	open, err := d.Token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return malformed("%v stands where an object should", open)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return malformed("%v stands where a key should", key)
		}
		if err := value(name); err != nil {
			return unfinished(err)
		}
	}
	_, err = d.Token()
	return unfinished(err)
}

// elements reads an array and calls element for each value; element must read the value. Null is an empty array.
func elements(d *json.Decoder, element func() error) error {
	open, err := d.Token()
	if err != nil || open == nil {
		return unfinished(err)
	}
	if open != json.Delim('[') {
		return malformed("%v stands where an array should", open)
	}
	for d.More() {
		if err := element(); err != nil {
			return unfinished(err)
		}
	}
	_, err = d.Token()
	return unfinished(err)
}

// unfinished tells the end of the text within a value from that between two.
func unfinished(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skip reads a value and drops it.
func skip(d *json.Decoder) error {
	var nothing json.RawMessage
	return d.Decode(&nothing)
}

// rdDiagnostic is one problem in reviewdog's format.
type rdDiagnostic struct {
	Message  string
	Location struct {
		Path  string
		Range struct{ Start, End struct{ Line, Column int } }
	}
	Severity rdSeverity
	Source   struct{ Name string }
	Code     struct{ Value string }
}

// rdSeverity is a word or the number of the format's enum.
type rdSeverity string

// UnmarshalJSON implements json.Unmarshaler.
func (s *rdSeverity) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case "1":
		*s = "ERROR"
	case "2":
		*s = "WARNING"
	case "0", "3":
		*s = "INFO"
	default:
		return json.Unmarshal(text, (*string)(s))
	}
	return nil
}

func (r *reader) diagnostic(d *rdDiagnostic) error {
	if err := r.count(); err != nil {
		return err
	}
	severity, ok := levelOf(string(d.Severity))
	if !ok {
		return nil
	}
	span := d.Location.Range
	end := span.End.Line
	if span.End.Column == 1 && end > span.Start.Line { // the end is exclusive: nothing of its line belongs to it
		end--
	}
	return r.add(Tool{Name: d.Source.Name, results: []result{{
		rule: cut(d.Code.Value, maxName), message: cut(d.Message, maxText), path: cut(d.Location.Path, maxPath),
		start: span.Start.Line, end: end, severity: severity, category: categoryOf(severity, nil),
	}}})
}

// categoryOf follows the rule's tags; without any that says more, errors are about correctness.
func categoryOf(s finding.Severity, tags []string) finding.Category {
	for _, tag := range tags {
		switch tag = strings.ToLower(tag); {
		case strings.Contains(tag, "security") || strings.HasPrefix(tag, "cwe-"):
			return finding.Security
		case strings.Contains(tag, "performance"):
			return finding.Performance
		case strings.Contains(tag, "concurrency"):
			return finding.Concurrency
		case strings.Contains(tag, "test"):
			return finding.Testing
		}
	}
	if s >= finding.SeverityHigh {
		return finding.Correctness
	}
	return finding.Maintainability
}
