package llm

import "strings"

const (
	assumedContext = 8_192
	assumedOutput  = 2_048
)

// capability is what is known of a family of models.
type capability struct {
	prefix                           string
	context, output                  int
	schema, object, fixedTemperature bool
}

// known lists families by the beginning of their names, the first that fits counts. Only what a council needs: a wrong
// price or limit is worse than none, so prices are never in here. Figures are the vendors' documentation.
//
//nolint:gochecknoglobals // a table, never changed
var known = []capability{
	{"simulated", 32_768, 4_096, true, true, false},
	{"gpt-5", 400_000, 32_768, true, true, true},
	{"o1", 200_000, 32_768, true, true, true},
	{"o3", 200_000, 32_768, true, true, true},
	{"o4", 200_000, 32_768, true, true, true},
	{"gpt-4.1", 1_000_000, 32_768, true, true, false},
	{"gpt-4o", 128_000, 16_384, true, true, false},
	{"gpt-4-turbo", 128_000, 4_096, false, true, false},
	{"gpt-3.5-turbo", 16_385, 4_096, false, true, false},
	{"claude-", 200_000, 8_192, false, false, false},
	{"gemini-", 1_000_000, 8_192, true, true, false},
	{"mistral-large", 128_000, 8_192, true, true, false},
	{"mistral-small", 128_000, 8_192, true, true, false},
	{"deepseek-", 64_000, 8_192, false, true, false},
	{"llama-3", 128_000, 4_096, false, true, false},
	{"qwen-2.5", 32_768, 4_096, false, true, false},
	{"qwen3", 32_768, 4_096, false, true, false},
}

// lookup finds a model by its provider's name; the vendor's part before a slash ("openai/gpt-4o") does not matter.
func lookup(model string) (capability, bool) {
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	for _, k := range known {
		if strings.HasPrefix(name, k.prefix) {
			return k, true
		}
	}
	return capability{context: assumedContext, output: assumedOutput}, false
}
