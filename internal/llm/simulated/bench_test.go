package simulated_test

import (
	"strings"
	"testing"

	"witan.dev/internal/llm"
	"witan.dev/internal/llm/llmtest"
	"witan.dev/internal/llm/simulated"
)

func BenchmarkBallotOfFiveAnswers(b *testing.B) {
	prompt := ""
	for _, label := range []string{"A", "B", "C", "D", "E"} {
		prompt += "[witan:0f begin answer " + label + "]\n" + strings.Repeat("A line of an answer, as long as lines are.\n", 25) + "[witan:0f end answer " + label + "]\n"
	}
	call := simulated.Call{Model: "a", Messages: []llm.Message{{Role: llm.RoleUser, Text: prompt}}, SchemaName: "rank", Schema: llmtest.Ballot("A", "B", "C", "D", "E").JSON}
	e := simulated.NewEngine(nil)
	for b.Loop() {
		if _, err := e.Decide(call); err != nil {
			b.Fatal(err)
		}
	}
}
