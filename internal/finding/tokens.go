package finding

import "strings"

// LineTokens returns the leaf tokens of each line, as Tokens finds them in the whole: comments over several lines count
// for none of them.
func (s Syntax) LineTokens(code string) [][]string {
	lines := strings.Split(code, "\n")
	out := make([][]string, len(lines))
	until := ""
	for i, line := range lines {
		until = s.scan(line, until, func(token string) { out[i] = append(out[i], token) })
	}
	return out
}

// KeyTokens returns the tokens of a finding's code that go into its fingerprint.
func KeyTokens(path, code string) []string { return fingerprintTokens(path, code) }
