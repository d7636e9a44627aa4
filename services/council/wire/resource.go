package wire

import (
	"fmt"
	"maps"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/llm"
	"witan.dev/services/council"
)

// named puts a collection in front of an ID; an empty ID has no name.
func named[S ~string](collection string, id S) string {
	if id == "" {
		return ""
	}
	return collection + "/" + string(id)
}

// Conversation translates a conversation.
func Conversation(c council.Conversation, a council.Activity) *councilv1.Conversation {
	return &councilv1.Conversation{
		Name: named("conversations", c.ID), Title: c.Title, Council: named("councils", c.Council),
		ProcessingState: toEnum[councilv1.Conversation_ProcessingState](councilv1.Conversation_ProcessingState_value, a.State),
		ActiveJob:       named("jobs", a.Active), LastJob: named("jobs", a.Last), Temporary: c.Temporary,
		CreateTime: Time(c.CreatedAt), UpdateTime: Time(c.UpdatedAt), ExpireTime: Time(c.ExpireAt),
		Labels: maps.Clone(c.Labels), Etag: fmt.Sprintf("%d-%s", c.Revision, a.Last),
	}
}

// Message translates a message.
func Message(m council.Message) *councilv1.Message {
	return &councilv1.Message{
		Name: named("conversations", m.Conversation) + "/messages/" + m.ID,
		Role: toEnum[councilv1.Message_Role](councilv1.Message_Role_value, m.Role), Text: m.Text,
		Deliberation: named("deliberations", m.Deliberation), Origin: Origin(m.Origin), Partial: m.Partial, CreateTime: Time(m.CreatedAt),
	}
}

// Deliberation translates a deliberation; without full its result is the short one and the material is left out.
func Deliberation(d council.Deliberation, full bool) *councilv1.Deliberation {
	if !full {
		d.Task = withoutMaterial(d.Task)
	}
	out := &councilv1.Deliberation{
		Name: named("deliberations", d.ID), Job: named("jobs", d.ID), Conversation: named("conversations", d.Conversation),
		Council: named("councils", d.Council), Spec: Spec(d.Spec), Timeout: Duration(d.Timeout), Estimate: Estimate(d.Estimate),
		Result: Result(d.Result, full), CreateTime: Time(d.CreatedAt), ExpireTime: Time(d.ExpireAt), Labels: maps.Clone(d.Labels),
		Etag: fmt.Sprint(d.Revision), ParentJob: named("jobs", d.ParentJob),
	}
	setTask(d.Task, out)
	return out
}

func withoutMaterial(t council.Task) council.Task {
	if t.Question != nil {
		q := *t.Question
		q.Evidence = nil
		t.Question = &q
	}
	if t.CodeReview != nil {
		c := *t.CodeReview
		c.Parts, c.Outside = nil, nil
		t.CodeReview = &c
	}
	return t
}

// Preset translates a preset. All presets of this version come from the configuration.
func Preset(p council.Preset) *councilv1.Council {
	return &councilv1.Council{
		Name: named("councils", p.Name), DisplayName: p.DisplayName, Spec: Spec(p.Spec.WithDefaults(council.TaskQuestion)), ReadOnly: true,
	}
}

// Model translates a model's description.
func Model(i llm.Info) *councilv1.Model {
	out := &councilv1.Model{
		Name: i.Name, Provider: i.Provider, Model: i.Model, ContextTokens: int32Of(i.ContextTokens), MaxOutputTokens: int32Of(i.MaxOutputTokens),
		JsonSchema: i.JSONSchema, JsonObject: i.JSONObject, Streaming: i.Streaming, IdempotencyKeys: i.IdempotencyKeys,
	}
	switch i.Source {
	case llm.SourceConfig:
		out.CapabilitySource = councilv1.Model_CONFIGURATION
	case llm.SourceKnown:
		out.CapabilitySource = councilv1.Model_KNOWN_MODEL
	case llm.SourceAssumed:
		out.CapabilitySource = councilv1.Model_CONSERVATIVE
	}
	if p := i.Price; p != nil {
		out.Price = &councilv1.Price{
			InputMicrosPerMillion: int64(p.InputPerMillion * 1e6), OutputMicrosPerMillion: int64(p.OutputPerMillion * 1e6), CurrencyCode: p.Currency,
		}
	}
	return out
}

// ID takes the last segment of a name; empty for an empty name.
func ID(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			return name[i+1:]
		}
	}
	return name
}

// JobID is ID for jobs and what they compute.
func JobID(name string) job.ID { return job.ID(ID(name)) }
