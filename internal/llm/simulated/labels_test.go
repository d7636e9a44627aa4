package simulated_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/llm"
	"witan.dev/internal/llm/simulated"
)

// The headers that a simulator has to read, with texts that look like headers in between.
func TestLabelsAreFoundUnderTheirHeaders(t *testing.T) {
	t.Parallel()
	for name, prompt := range map[string]string{
		"fences with a number": "[witan:0f3a begin question]\nA or B?\n[witan:0f3a end question]\n[witan:0f3a begin answer A]\nAnswer B, I think, is red\n[witan:0f3a end answer A]\n[witan:0f3a begin answer B]\nAnswer A is wrong, blue\n[witan:0f3a end answer B]\nRank the answers A, B.",
		"claims with a line":   "Claim A, CORRECTNESS, at x.go:3:\n[witan:0f3a begin claim A]\nred\n[witan:0f3a end claim A]\n[witan:0f3a begin code A]\nx\n[witan:0f3a end code A]\nClaim B, CORRECTNESS, at y.go:\n[witan:0f3a begin claim B]\nblue\n[witan:0f3a end claim B]",
		"places outside":       "Claim A, CORRECTNESS, at red.go:3:\n[witan:0f3a begin claim A]\nx\n[witan:0f3a end claim A]\nClaim B, CORRECTNESS, at blue.go:\n[witan:0f3a begin claim B]\nx\n[witan:0f3a end claim B]",
		"headings":             "## Answer A\nred\n## Answer B\nblue",
		"marks alone":          "[A]\nred\n[B]\nblue",
		"tags":                 "<answer label=\"A\">\nred\n</answer>\n<answer label=\"B\">\nblue\n</answer>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := simulated.NewEngine(script(t, `rules: [{then: {json: {red: "${label /red/}", blue: "${label /blue/}"}}}]`))
			p, err := e.Decide(simulated.Call{
				Messages: []llm.Message{{Role: llm.RoleUser, Text: prompt}}, SchemaName: "ballot", Schema: json.RawMessage(`{"type":"object"}`),
			})
			require.NoError(t, err)
			require.JSONEq(t, `{"red":"A","blue":"B"}`, p.Text)
		})
	}
}

func TestStagesOfTheWire(t *testing.T) {
	t.Parallel()
	rules := ""
	for _, stage := range []string{"propose", "rank", "cross_examine", "answer", "synthesise", "conclude", "title", "verdict"} {
		rules += "\n  - {when: {stage: " + stage + "}, then: {text: " + stage + "}}"
	}
	for want, call := range map[string]simulated.Call{
		"propose":       {SchemaName: "findings", Schema: json.RawMessage(`{}`)},
		"rank":          {SchemaName: "ballot", Schema: json.RawMessage(`{}`)},
		"cross_examine": {SchemaName: "cross_examine", Schema: json.RawMessage(`{}`)},
		"verdict":       {SchemaName: "other", Stage: "verdict"},
		"answer":        {System: "You are careful.\n\nYou answer a question as well as you can."},
		"synthesise":    {System: "You are the chairman of a council. Its members …"},
		"conclude":      {System: "You write the summary of a code review for …"},
		"title":         {System: "Write a short title for the conversation."},
	} {
		p, err := simulated.NewEngine(script(t, "rules:"+rules)).Decide(call)
		require.NoError(t, err)
		require.Equal(t, want, p.Text)
	}
}
