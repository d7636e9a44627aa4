package llmtest

import "fmt"

// Script puts a simulated provider into a situation.
func Script(s Situation) string {
	then := map[Situation]string{
		Answers:     fmt.Sprintf("text: %q, usage: {input: 42, output: 17, cached: 8, reasoning: 5}, chunk_bytes: 16", Text),
		Empty:       "fault: empty",
		Refuses:     "fault: refusal",
		Filtered:    "fault: filter",
		TooLong:     fmt.Sprintf("text: %q, fault: length, after: 40", Text),
		RateLimited: fmt.Sprintf("status: 429, retry_after: %s, message: %q", Wait, Words),
		NoKey:       fmt.Sprintf("status: 401, message: %q", Words),
		BadRequest:  fmt.Sprintf("status: 400, message: %q", Words),
		Down:        fmt.Sprintf("status: 500, message: %q", Words),
		WebPage:     "fault: html",
		Malformed:   "fault: malformed",
		Cut:         fmt.Sprintf("text: %q, fault: cut, after: 40", Text),
		NoEnd:       fmt.Sprintf("text: %q, fault: no_end", Text),
		Hangs:       "fault: hang",
	}[s]
	return "rules: [{then: {" + then + "}}]"
}
