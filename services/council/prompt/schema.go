package prompt

import (
	"encoding/json"
	"fmt"

	"witan.dev/internal/finding"
)

// Names of the schemas. The simulator's scripts match them.
const (
	SchemaBallot   = "ballot"
	SchemaFindings = "findings"
	SchemaVotes    = "votes"
)

type object = map[string]any

func text(description string) object { return object{"type": "string", "description": description} }

func enum(values []string) object { return object{"type": "string", "enum": values} }

func closed(properties object, required ...string) object {
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

func list(items object) object { return object{"type": "array", "items": items} }

func schema(name string, s object) *Schema {
	raw, err := json.Marshal(s) // map keys are sorted, so the bytes do not change
	if err != nil {
		panic(fmt.Sprintf("prompt: schema %s: %v", name, err)) // maps of strings
	}
	return &Schema{Name: name, JSON: raw}
}

func ballotSchema(labels []string) *Schema {
	return schema(SchemaBallot, closed(object{
		"ranking": object{
			"type": "array", "items": enum(labels), "minItems": len(labels), "maxItems": len(labels),
			"description": "every label exactly once, the best answer first",
		},
		"critiques": list(closed(object{"label": enum(labels), "text": text("what is right and wrong with this answer")}, "label", "text")),
	}, "ranking", "critiques"))
}

func severities() []string {
	var out []string
	for s := finding.SeverityLow; s <= finding.SeverityCritical; s++ {
		out = append(out, s.String())
	}
	return out
}

func findingsSchema(categories []finding.Category) *Schema {
	names := make([]string, len(categories))
	for i, c := range categories {
		names[i] = string(c)
	}
	number := object{"type": "integer"}
	fields := object{
		"path": text("the file, as named in the material"), "start_line": number, "end_line": number,
		"side":     enum([]string{"LEFT", "RIGHT"}),
		"code":     text("the lines that show the problem, quoted exactly"),
		"category": enum(names), "severity": enum(severities()),
		"claim": text("what is wrong, in one sentence"), "reason": text("why, and when it happens"),
		"suggestion": text("code that replaces the quoted lines, or empty"),
		"confidence": object{"type": "number"},
	}
	return schema(SchemaFindings, closed(object{"findings": list(closed(fields,
		"path", "start_line", "end_line", "side", "code", "category", "severity", "claim", "reason", "suggestion", "confidence"))}, "findings"))
}

func votesSchema(labels []string) *Schema {
	fields := object{
		"label": enum(labels), "vote": enum([]string{"CONFIRMED", "REJECTED", "UNCERTAIN"}), "severity": enum(severities()),
		"reason": text("why"), "duplicate_of": enum(append([]string{""}, labels...)),
	}
	return schema(SchemaVotes, closed(object{"votes": list(closed(fields, "label", "vote", "severity", "reason", "duplicate_of"))}, "votes"))
}
