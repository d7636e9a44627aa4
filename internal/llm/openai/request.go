package openai

import (
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"

	"witan.dev/internal/llm"
)

// quirks are the known differences of endpoints that call themselves compatible.
type quirks struct {
	maxCompletionTokens bool // the newer name of max_tokens, which others do not know
	noStreamOptions     bool // usage comes unasked, and the option is refused
	noSeed              bool
}

func quirksOf(host string) quirks {
	switch {
	case host == "api.openai.com" || strings.HasSuffix(host, ".openai.azure.com"):
		return quirks{maxCompletionTokens: true}
	case host == "api.mistral.ai":
		return quirks{noStreamOptions: true, noSeed: true}
	}
	return quirks{}
}

func (m *Model) params(req llm.Request) (sdk.ChatCompletionNewParams, error) {
	p := sdk.ChatCompletionNewParams{Model: m.info.Model}
	system := req.System
	if s := req.Schema; s != nil {
		form, words, err := m.format(*s)
		if err != nil {
			return p, err
		}
		p.ResponseFormat = form
		system = strings.TrimSpace(system + "\n\n" + words)
	}
	if system != "" {
		p.Messages = append(p.Messages, sdk.SystemMessage(system))
	}
	for i, msg := range req.Messages {
		switch msg.Role {
		case llm.RoleUser:
			p.Messages = append(p.Messages, sdk.UserMessage(msg.Text))
		case llm.RoleAssistant:
			p.Messages = append(p.Messages, sdk.AssistantMessage(msg.Text))
		default:
			return p, &llm.Error{Class: llm.ClassInvalidRequest, Detail: fmt.Sprintf("message %d has the unknown role %q", i, msg.Role)}
		}
	}
	m.limits(&p, req)
	return p, nil
}

func (m *Model) limits(p *sdk.ChatCompletionNewParams, req llm.Request) {
	most := int64(m.info.MaxOutputTokens)
	if n := int64(req.MaxOutputTokens); n > 0 && (most <= 0 || n < most) {
		most = n
	}
	if most > 0 && m.quirks.maxCompletionTokens {
		p.MaxCompletionTokens = param.NewOpt(most)
	} else if most > 0 {
		p.MaxTokens = param.NewOpt(most)
	}
	if req.Temperature != nil && !m.info.FixedTemperature {
		p.Temperature = param.NewOpt(*req.Temperature)
	}
	if req.Seed != nil && !m.quirks.noSeed {
		p.Seed = param.NewOpt(*req.Seed)
	}
	if m.info.Streaming && !m.quirks.noStreamOptions {
		p.StreamOptions.IncludeUsage = param.NewOpt(true)
	}
}

// format holds the model to the schema as well as it can be: by schema, by "some JSON object" and words, or by words.
func (m *Model) format(s llm.Schema) (form sdk.ChatCompletionNewParamsResponseFormatUnion, words string, err error) {
	var tree map[string]any
	if err := json.Unmarshal(s.JSON, &tree); err != nil {
		return form, "", &llm.Error{Class: llm.ClassInvalidRequest, Detail: fmt.Sprintf("the schema %q is not a JSON object: %v", s.Name, err), Err: err}
	}
	if m.info.JSONSchema {
		schema := shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: s.Name, Schema: s.JSON}
		if strict(tree, 0) {
			schema.Strict = param.NewOpt(true)
		}
		form.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: schema}
		return form, "", nil
	}
	if m.info.JSONObject {
		form.OfJSONObject = &shared.ResponseFormatJSONObjectParam{}
	}
	return form, fmt.Sprintf("Answer with one JSON object and nothing else. It conforms to the JSON schema %q: %s", s.Name, s.JSON), nil
}

// strict says whether a schema stays within what providers enforce exactly: each object lists all its properties as
// required and allows no others.
func strict(node map[string]any, depth int) bool {
	if depth > 32 {
		return false
	}
	if properties, ok := node["properties"].(map[string]any); ok {
		required, ok := node["required"].([]any)
		if !ok || len(required) != len(properties) || node["additionalProperties"] != false {
			return false
		}
	} else if node["type"] == "object" {
		return false
	}
	for _, key := range []string{"allOf", "oneOf", "not", "if", "uniqueItems", "patternProperties", "dependentRequired"} {
		if _, ok := node[key]; ok {
			return false
		}
	}
	for _, value := range node {
		if !strictBelow(value, depth) {
			return false
		}
	}
	return true
}

func strictBelow(value any, depth int) bool {
	switch v := value.(type) {
	case map[string]any:
		if isSchema(v) {
			return strict(v, depth+1)
		}
		for _, inner := range v {
			if !strictBelow(inner, depth+1) {
				return false
			}
		}
	case []any:
		for _, inner := range v {
			if !strictBelow(inner, depth+1) {
				return false
			}
		}
	}
	return true
}

func isSchema(v map[string]any) bool {
	for _, key := range []string{"type", "enum", "anyOf", "$ref", "const"} {
		switch v[key].(type) {
		case string, []any:
			return true
		}
	}
	return false
}
