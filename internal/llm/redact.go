package llm

import (
	"regexp"
	"strings"
	"unicode"
)

// MaxDetail bounds Error.Detail, in characters.
const MaxDetail = 500

// maxRaw bounds what is looked at for a detail, in bytes; a secret that is cut in two is cut off with its tail.
const maxRaw = 8 << 10

var credentials = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{6,}` +
	`|\b(sk|pk|rk|key|gsk|xai|hf|ghp|gho|ghs|glpat)[-_][a-z0-9*_-]{6,}` +
	`|\b(api[-_ ]?key|token|secret|password|authorization)["']?\s*[:=]\s*["']?[^\s"',;&]{4,}` +
	`|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*` +
	`|://[^\s/@]+:[^\s/@]+@`)

// Redact makes a provider's words fit to be shown: what looks like a credential and each of secrets is blanked, control
// characters and runs of blanks become one blank, and what is longer than MaxDetail characters is cut.
func Redact(text string, secrets ...string) string {
	if len(text) > maxRaw {
		text = text[:maxRaw]
	}
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	text = credentials.ReplaceAllString(text, "[redacted]")
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	}), " ")
	if runes := []rune(text); len(runes) > MaxDetail {
		text = string(runes[:MaxDetail-1]) + "…"
	}
	return text
}
