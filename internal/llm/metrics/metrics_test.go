package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"witan.dev/internal/llm"
	"witan.dev/internal/llm/llmtest"
	"witan.dev/internal/llm/metrics"
	"witan.dev/internal/llm/simulated"
)

func TestCallsAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	script, err := simulated.ParseScript([]byte(`
rules:
  - {when: {call: "1"}, then: {status: 429, retry_after: 1s}}
  - {then: {text: hello, usage: {input: 5, output: 3}}}
`))
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg)
	require.NoError(t, err)
	model := m.Wrap(simulated.New(llm.Info{Name: "alpha"}, simulated.NewEngine(script)))
	_, err = model.Generate(t.Context(), llmtest.Request(), nil)
	llmtest.CheckError(t, err, llm.ClassRateLimit)
	_, err = model.Generate(t.Context(), llmtest.Request(), nil)
	require.NoError(t, err)

	require.Equal(t, map[string]float64{
		"witan_model_calls_total model=alpha outcome=OK": 1, "witan_model_calls_total model=alpha outcome=RATE_LIMIT": 1,
		"witan_model_tokens_total kind=input model=alpha": 5, "witan_model_tokens_total kind=output model=alpha": 3,
		"witan_model_tokens_total kind=cached model=alpha": 0, "witan_model_tokens_total kind=reasoning model=alpha": 0,
		"witan_model_call_seconds model=alpha": 2, "witan_model_first_token_seconds model=alpha": 1,
	}, gathered(t, reg))
	_, err = metrics.New(reg)
	require.Error(t, err, "registered already")
}

// gathered gives the values of counters and the numbers of observations of histograms.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetName() + "=" + label.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}
