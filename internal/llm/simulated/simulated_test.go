package simulated_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/llm"
	"witan.dev/internal/llm/llmtest"
	"witan.dev/internal/llm/simulated"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func script(t testing.TB, text string) *simulated.Script {
	t.Helper()
	s, err := simulated.ParseScript([]byte(text))
	require.NoError(t, err)
	return s
}

func model(t *testing.T, name, text string) llm.Model {
	t.Helper()
	return simulated.New(llm.Info{Name: name, Provider: "simulated", Model: name, ContextTokens: 1000, MaxOutputTokens: 1000},
		simulated.NewEngine(script(t, text)))
}

func TestConformance(t *testing.T) {
	t.Parallel()
	llmtest.Run(t, func(t *testing.T, s llmtest.Situation) llm.Model {
		t.Helper()
		return model(t, "alpha", llmtest.Script(s))
	})
}

// ask gives the answer's text and fails on an error.
func ask(t *testing.T, m llm.Model, req llm.Request) string {
	t.Helper()
	resp, err := m.Generate(t.Context(), req, nil)
	require.NoError(t, err)
	return resp.Text
}

const votesSchema = `{"type":"object","additionalProperties":false,"required":["votes"],"properties":{"votes":{"type":"array","items":{
	"type":"object","additionalProperties":false,"required":["label","vote","severity","reason","duplicate_of"],"properties":{
	"label":{"type":"string"},"vote":{"type":"string","enum":["CONFIRMED","REJECTED","UNCERTAIN"]},
	"severity":{"enum":["LOW","MEDIUM","HIGH","CRITICAL"]},"reason":{"type":"string","maxLength":40},
	"duplicate_of":{"type":["string","null"]}}}}}}`

const findings = `Judge these findings.
<<<FINDING F1 8c1e
claim: the key of the cloud account is in the file
FINDING F1 8c1e>>>
<<<FINDING F2 8c1e
claim: a loop never ends
F1 says nothing about it
FINDING F2 8c1e>>>
<<<FINDING F3 8c1e
claim: naming could be better
FINDING F3 8c1e>>>
Give one vote a label.`

type vote struct {
	Label, Vote, Severity, Reason string
	Duplicate                     *string `json:"duplicate_of"`
}

func votes(t *testing.T, m llm.Model) []vote {
	t.Helper()
	var out struct{ Votes []vote }
	text := ask(t, m, llm.Request{
		Messages: []llm.Message{{Role: llm.RoleUser, Text: findings}}, Schema: &llm.Schema{Name: "cross_examine", JSON: json.RawMessage(votesSchema)},
	})
	require.NoError(t, json.Unmarshal([]byte(text), &out))
	return out.Votes
}

func TestAVoteForEachLabelShown(t *testing.T) {
	t.Parallel()
	got := votes(t, model(t, "alpha", ""))
	require.Len(t, got, 3)
	for i, v := range got {
		require.Equal(t, fmt.Sprintf("F%d", i+1), v.Label)
		require.Contains(t, []string{"CONFIRMED", "REJECTED", "UNCERTAIN"}, v.Vote)
		require.Nil(t, v.Duplicate)
	}
}

func TestScriptedVotesFindTheirLabels(t *testing.T) {
	t.Parallel()
	got := votes(t, model(t, "alpha", `
rules:
  - when: {stage: cross_examine}
    then:
      labels:
        - {match: "cloud account", set: {vote: CONFIRMED, severity: CRITICAL, reason: "seen it", duplicate_of: "${label /loop/}"}}
        - {match: ".", set: {vote: REJECTED, reason: "no"}}
`))
	require.Equal(t, "CONFIRMED", got[0].Vote)
	require.Equal(t, "CRITICAL", got[0].Severity)
	require.Equal(t, "F2", *got[0].Duplicate)
	require.Equal(t, "REJECTED", got[1].Vote)
	require.Equal(t, "REJECTED", got[2].Vote)
}

func TestTemplatesReadThePrompt(t *testing.T) {
	t.Parallel()
	m := model(t, "alpha", `
rules:
  - when: {stage: propose, prompt: "app/main\\.go"}
    then:
      json: {proposals: [{path: "${match /file: (\\S+)/}", start_line: "${int /^(\\d{2}) \\+.*AKIA/}", claim: "${keep this}"}], n: 3}
`)
	text := ask(t, m, llm.Request{
		Messages: []llm.Message{{Role: llm.RoleUser, Text: "file: app/main.go\n11 + x\n12 + key = AKIA"}},
		Schema:   &llm.Schema{Name: "propose", JSON: json.RawMessage(`{"type":"object"}`)},
	})
	require.JSONEq(t, `{"proposals":[{"path":"app/main.go","start_line":12,"claim":"${keep this}"}],"n":3}`, text)
}

func TestTheNthCallOfARule(t *testing.T) {
	t.Parallel()
	m := model(t, "alpha", `
rules:
  - {when: {member: m1, stage: answer, call: "1-2"}, then: {status: 503}}
  - {when: {member: m1, stage: answer, call: "3"}, then: {text: third}}
  - {when: {call: "2-"}, then: {text: later}}
  - {then: {text: first}}
`)
	var got []string
	for _, member := range []string{"m1", "m2", "m1", "m1", "m1", "m2"} {
		req := llmtest.Request()
		req.Member, req.Stage = member, "answer"
		resp, err := m.Generate(t.Context(), req, nil)
		if err != nil {
			resp.Text = string(llm.ClassOf(err))
		}
		got = append(got, resp.Text)
	}
	require.Equal(t, []string{"PROVIDER", "later", "PROVIDER", "third", "later", "later"}, got,
		"a rule counts all calls that fit it, also those that an earlier rule answers")
}

func candidates(t *testing.T, texts ...string) llm.Request {
	t.Helper()
	var b strings.Builder
	var labels []string
	for i, text := range texts {
		label := string(rune('A' + i))
		labels = append(labels, label)
		fmt.Fprintf(&b, "=== Answer %s\n%s\n=== end of answer %s\n", label, text, label)
	}
	return llm.Request{Messages: []llm.Message{{Role: llm.RoleUser, Text: b.String()}}, Schema: llmtest.Ballot(labels...)}
}

func ranking(t *testing.T, m llm.Model, req llm.Request) []string {
	t.Helper()
	var ballot struct{ Ranking []string }
	require.NoError(t, json.Unmarshal([]byte(ask(t, m, req)), &ballot))
	return ballot.Ranking
}

func TestJudgesSeeTheHiddenQuality(t *testing.T) {
	t.Parallel()
	s := `
models:
  - {model: good, quality: 0.95}
  - {model: bad, quality: 0.05}
  - {model: judge, noise: 0}
  - {model: vain, noise: 0, self_preference: 1, quality: 0.05}
  - {model: hasty, noise: 0, position_bias: 1}
`
	question := llmtest.Request()
	good, bad, vain := ask(t, model(t, "good", s), question), ask(t, model(t, "bad", s), question), ask(t, model(t, "vain", s), question)
	require.Equal(t, []string{"B", "A"}, ranking(t, model(t, "judge", s), candidates(t, bad, good)))
	require.Equal(t, []string{"A", "B"}, ranking(t, model(t, "judge", s), candidates(t, good, bad)))
	require.Equal(t, "B", ranking(t, model(t, "judge", s), candidates(t, vain, good))[0])
	require.Equal(t, "A", ranking(t, model(t, "vain", s), candidates(t, vain, good))[0], "self-preference")
	require.Equal(t, "A", ranking(t, model(t, "hasty", s), candidates(t, bad, good))[0], "position bias")
	require.Equal(t, []string{"C", "A", "B"}, ranking(t, model(t, "judge", `
rules: [{when: {stage: rank}, then: {prefer: ["blue", "red"]}}]`), candidates(t, "red", "green", "blue")))
}

func TestSameSeedAndPromptSameAnswer(t *testing.T) {
	t.Parallel()
	req := candidates(t, "one", "two", "three", "four", "five")
	first := ask(t, model(t, "alpha", "seed: 1"), req)
	require.Equal(t, first, ask(t, model(t, "alpha", "seed: 1"), req))
	require.NotEqual(t, first, ask(t, model(t, "alpha", "seed: 2"), req))
	require.NotEqual(t, first, ask(t, model(t, "beta", "seed: 1"), req))
	free := ask(t, model(t, "alpha", "seed: 1"), llmtest.Request())
	require.True(t, strings.HasPrefix(free, "[simulated] "))
	require.NotContains(t, free, "alpha", "an answer does not name its author")
}

func TestAnswersConformToTheirSchemas(t *testing.T) {
	t.Parallel()
	for name, schema := range map[string]string{
		"ballot": string(llmtest.Ballot("A", "B", "C").JSON),
		"votes":  votesSchema,
		"all kinds": `{"type":"object","required":["s","i","n","b","z","e","c","a","o","r","u","t"],"additionalProperties":false,"properties":{
			"s":{"type":"string","minLength":100,"maxLength":120},"i":{"type":"integer","minimum":3,"maximum":9},"n":{"type":"number","exclusiveMinimum":0,"maximum":1},
			"b":{"type":"boolean"},"z":{"type":"null"},"e":{"enum":["x","y",3]},"c":{"const":{"k":1}},"a":{"type":"array","minItems":2,"items":{"type":"string"}},
			"o":{"anyOf":[{"type":"integer"},{"type":"string"}]},"r":{"$ref":"#/$defs/d"},"u":{"type":["string","null"]},"t":{"type":["integer"]},"not":{"type":"string"}},
			"$defs":{"d":{"type":"object","required":["x"],"properties":{"x":{"type":"integer","maximum":-5}}}}}`,
		"nothing": `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiler := jsonschema.NewCompiler()
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
			require.NoError(t, err)
			require.NoError(t, compiler.AddResource("mem://schema", doc))
			compiled, err := compiler.Compile("mem://schema")
			require.NoError(t, err)
			for seed := range 20 {
				text := ask(t, model(t, "alpha", fmt.Sprintf("seed: %d", seed)), llm.Request{
					Messages: []llm.Message{{Role: llm.RoleUser, Text: findings}}, Schema: &llm.Schema{Name: "x", JSON: json.RawMessage(schema)},
				})
				value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
				require.NoError(t, err)
				require.NoError(t, compiled.Validate(value), text)
			}
		})
	}
}

func TestSchemasThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{`{"$ref":"#"}`, `{"$ref":"http://x"}`, `{"$ref":"#/a/b"}`, `[]`, `x`, `{"type":"array","minItems":500,"items":{"type":"array","minItems":500,"items":{}}}`} {
		_, err := model(t, "alpha", "").Generate(t.Context(), llm.Request{Schema: &llm.Schema{Name: "x", JSON: json.RawMessage(schema)}}, nil)
		llmtest.CheckError(t, err, llm.ClassInvalidRequest)
	}
}

func TestStagesAreFoundInThePrompt(t *testing.T) {
	t.Parallel()
	m := model(t, "alpha", `
stages: {synthesise: "(?i)you are the chairman"}
rules: [{when: {stage: synthesise}, then: {text: done}}]
`)
	require.Equal(t, "done", ask(t, m, llm.Request{System: "You are the chairman."}))
	require.NotEqual(t, "done", ask(t, m, llm.Request{System: "You are a member."}))
}

func TestTimingAndLimits(t *testing.T) {
	t.Parallel()
	e := simulated.NewEngine(script(t, `
timing: {first_token: 10ms, latency: 1s, chunk_bytes: 10}
rules:
  - {when: {model: quick}, then: {latency: 0s, first_token: 0s}}
  - {when: {model: long}, then: {text: "ääääääääää"}}
`))
	p, err := e.Decide(simulated.Call{Model: "slow"})
	require.NoError(t, err)
	require.Equal(t, 10*time.Millisecond, p.FirstToken)
	require.Equal(t, time.Second, p.Latency)
	require.Equal(t, p.Text, strings.Join(p.Chunks, ""))
	require.LessOrEqual(t, p.Pause()*time.Duration(len(p.Chunks)-1), 990*time.Millisecond)
	p, err = e.Decide(simulated.Call{Model: "quick"})
	require.NoError(t, err)
	require.Zero(t, p.Latency)
	p, err = e.Decide(simulated.Call{Model: "long", MaxOutputTokens: 1})
	require.NoError(t, err)
	require.Equal(t, "ää", p.Text)
	require.Equal(t, llm.FinishLength, p.Finish)
}

func TestScriptsAreStrict(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"rulez: []":                                                   "rulez",
		"rules: [{when: {stag: x}}]":                                  "stag",
		"rules: [{then: {fault: explode}}]":                           "explode",
		"rules: [{when: {call: 0}}]":                                  "call",
		"rules: [{when: {call: 3-1}}]":                                "call",
		"rules: [{when: {prompt: '('}}]":                              "prompt",
		"rules: [{then: {status: 200}}]":                              "status",
		"rules: [{then: {retry_after: 1s}}]":                          "retry_after",
		"rules: [{then: {after: 3}}]":                                 "after",
		"rules: [{then: {latency: 11m}}]":                             "latency",
		"rules: [{then: {text: a, json: {}}}]":                        "exclude",
		"rules: [{then: {text: '${lable /x/}'}}]":                     "lable",
		"rules: [{then: {text: '${match /(/}'}}]":                     "then.text",
		"rules: [{then: {json: {a: 2020-01-01}}}]":                    "json.a",
		"rules: [{then: {json: {1: a}}}]":                             "json",
		"rules: [{then: {json: {a: .nan}}}]":                          "json.a",
		"rules: [{then: {text: a, prefer: [b]}}]":                     "prefer",
		"rules: [{then: {usage: {input: -1}}}]":                       "usage",
		"models: [{quality: 2}]":                                      "quality",
		"models: [{model: a}, {model: a}]":                            "twice",
		"timing: {chunk_bytes: -1}":                                   "chunk_bytes",
		"--- {}\n--- {}":                                              "document",
		"[":                                                           "yaml",
		"a: &a [x, x, x, x]\nb: [*a, *a]":                             "a",
		"rules: [{then: {labels: [{match: '(', set: {a: [[{}]]}}]}}]": "labels[0].match",
	} {
		_, err := simulated.ParseScript([]byte(text))
		require.ErrorContains(t, err, says, text)
	}
	_, err := simulated.ParseScript(bytes.Repeat([]byte("#"), 1<<20+1))
	require.Error(t, err)
	_, err = simulated.ParseScript([]byte("rules: [{when: {call: x}, then: {status: 1}}, {then: {fault: y}}]"))
	for _, says := range []string{"rules[0].when.call", "rules[0].then.status", "rules[1].then.fault"} {
		require.ErrorContains(t, err, says, "all problems are reported together")
	}
}

func TestModelsOfOneScriptShareTheirEngine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sim.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`rules: [{when: {call: "2"}, then: {text: second}}]`), 0o600))
	r, err := llm.NewRegistry(llm.RegistryParams{
		Configs: []llm.Config{
			{Name: "a", Provider: "simulated", Script: path}, {Name: "b", Provider: "simulated", Script: path}, {Name: "c", Provider: "simulated"},
		},
		Providers: map[string]llm.Provider{"simulated": simulated.NewAdapter().Model},
	})
	require.NoError(t, err)
	var texts []string
	for _, m := range r.Models() {
		texts = append(texts, ask(t, m, llmtest.Request()))
	}
	require.Equal(t, 1, slices.Index(texts, "second"))

	_, err = simulated.NewAdapter().Model(llm.Config{Script: filepath.Join(t.TempDir(), "none")}, llm.Info{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzScript(f *testing.F) {
	f.Add("seed: 1\ntiming: {latency: 1ms}\nmodels: [{model: a, quality: 0.5}]\nrules: [{when: {stage: rank, call: 2-}, then: {prefer: [x]}}]")
	f.Add(`rules: [{then: {json: {a: ["${int /(\\d+)/}", {b: "${label /x/}"}]}}}]`)
	f.Add(`rules: [{then: {labels: [{match: x, set: {vote: CONFIRMED}}]}}]`)
	f.Add("rules: [{then: {fault: cut, after: 3}}]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := simulated.ParseScript([]byte(text))
		if err != nil {
			return
		}
		call := simulated.Call{
			Model: "a", Messages: []llm.Message{{Role: llm.RoleUser, Text: findings}}, SchemaName: "cross_examine", Schema: json.RawMessage(votesSchema),
		}
		p, err := simulated.NewEngine(s).Decide(call)
		if err == nil {
			require.Equal(t, p.Text, strings.Join(p.Chunks, ""))
			again, err := simulated.NewEngine(s).Decide(call)
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
	})
}

func FuzzSchema(f *testing.F) {
	f.Add(votesSchema, findings)
	f.Add(`{"$ref":"#/$defs/a","$defs":{"a":{"type":["array"],"items":{"$ref":"#/$defs/a"},"minItems":3}}}`, "")
	f.Add(`{"type":[]}`, "## A\n## B")
	f.Fuzz(func(t *testing.T, schema, prompt string) {
		p, err := simulated.NewEngine(nil).Decide(simulated.Call{
			Model: "a", Messages: []llm.Message{{Role: llm.RoleUser, Text: prompt}}, SchemaName: "x", Schema: json.RawMessage(schema),
		})
		if err == nil && schema != "" {
			require.True(t, json.Valid([]byte(p.Text)), p.Text)
		}
	})
}
