// Package secrets is the static reviewer that finds credentials in what a change adds and removes, and the redaction
// that keeps them out of prompts. The rules are gitleaks'. A secret itself leaves this package only as a replacement
// that names the rule: it is in no proposal, no error and no log.
package secrets
