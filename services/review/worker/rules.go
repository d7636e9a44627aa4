package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/diff"
	"witan.dev/services/review"
	"witan.dev/services/review/material"
	"witan.dev/services/review/patience"
	"witan.dev/services/review/reviewers/secrets"
)

// rules gathers the repository's own words for the members: the instructions about files that they read, and the
// guidelines, without secrets and within room tokens. All of them come from the base: the change cannot give itself rules.
func (s *session) rules(
	ctx context.Context, in *review.Inspection, files []review.Path, redactor *secrets.Redactor, room int, p *planned,
) ([]string, error) {
	var out []string
	add := func(name, text string) error {
		clean, err := redactor.Redact(ctx, secrets.Text{Text: strings.ToValidUTF8(text, "\uFFFD")})
		if err != nil {
			return fmt.Errorf("%w: %w", errUnscanned, err)
		}
		clean, short := characters(redactor.ApplyCut(clean), review.MaxRule)
		if short {
			p.Notes = append(p.Notes, fmt.Sprintf("only the first %d characters of %s were shown to the members", review.MaxRule, name))
		}
		if tokens := material.Tokens(clean); strings.TrimSpace(clean) == "" {
			return nil
		} else if tokens > room || len(out) == review.MaxRules {
			p.Notes = append(p.Notes, "there was no room to show the members "+name)
			return nil
		} else {
			room -= tokens
		}
		out = append(out, clean)
		return nil
	}
	for i := range s.resolution.Settings.Instructions {
		rule := &s.resolution.Settings.Instructions[i]
		name := fmt.Sprintf("instruction %d of the repository", i+1)
		meant, err := rule.For(files)
		if err != nil {
			p.Notes = append(p.Notes, name+" has patterns that are none")
			continue
		}
		if !meant {
			continue
		}
		text := rule.Text
		if len(rule.Paths) > 0 {
			text = "For files that match " + strings.Join(rule.Paths, ", ") + ":\n" + text
		}
		if err := add(name, text); err != nil {
			return nil, err
		}
	}
	for _, path := range s.resolution.Settings.Guidelines {
		name := "the guideline " + diff.DisplayPath(path)
		text, why, err := s.atBase(ctx, in, path)
		if err != nil {
			return nil, err
		}
		if why != "" {
			p.Notes = append(p.Notes, name+" "+why)
			continue
		}
		if err := add(name, "From "+diff.DisplayPath(path)+":\n"+string(text)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rulesDigest tells the repository's configuration from every other one, the guidelines that it names included.
func (s *session) rulesDigest(ctx context.Context, in *review.Inspection) (string, error) {
	settings := &s.resolution.Settings
	if len(settings.Guidelines) == 0 {
		return settings.Digest, nil
	}
	h := sha256.New()
	for _, path := range settings.Guidelines {
		text, why, err := s.atBase(ctx, in, path)
		if err != nil {
			return "", err
		}
		of := sha256.Sum256(text)
		_, _ = fmt.Fprintf(h, "%q %q %x\n", path, why, of)
	}
	return settings.Digest + "+" + hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// atBase reads a file of the repository where its configuration is read: at the tip of the base branch of a pull request,
// which its author does not choose. why is set when the file cannot be used.
func (s *session) atBase(ctx context.Context, in *review.Inspection, path string) (text []byte, why string, err error) {
	pull := s.resolution.Pull
	switch {
	case pull != nil && s.p.Forge != nil:
		err = s.patiently(ctx, func(ctx context.Context) (err error) {
			text, err = s.p.Forge.File(ctx, pull.Repo, path, pull.BaseTip)
			return err
		})
	case pull == nil && in.Base != nil:
		text, err = in.Base.Read(ctx, path)
	default:
		return nil, "cannot be read: there is no base", nil
	}
	switch {
	case err == nil:
		if readable, _ := review.Text(text); !readable {
			return nil, "is no text", nil
		}
		return text, "", nil
	case fatal(ctx, err), pull != nil && patience.Pause(err, s.p.Clock()) != nil: // a forge that is away is waited for
		return nil, "", err
	case errors.Is(err, review.ErrNoFile):
		return nil, "does not exist at the base", nil
	case errors.Is(err, review.ErrTooLarge):
		return nil, "is too large", nil
	default:
		s.p.Logger.WarnContext(ctx, "a guideline could not be read", "review", string(s.review.ID), "error", err)
		return nil, "could not be read", nil
	}
}

// characters returns at most n characters of the text.
func characters(text string, n int) (string, bool) {
	if len(text) <= n {
		return text, false
	}
	seen := 0
	for at := range text {
		if seen == n {
			return text[:at], true
		}
		seen++
	}
	return text, false
}

// builtin are the static reviewers that the repository has not switched off.
func (s *session) builtin() []review.Reviewer {
	return slices.DeleteFunc(slices.Clone(s.p.Reviewers), func(r review.Reviewer) bool {
		return s.resolution.Settings.Reviewers[r.Name()].Off
	})
}

// off names those that it has.
func (s *session) off() []string {
	var out []string
	for _, r := range s.p.Reviewers {
		if s.resolution.Settings.Reviewers[r.Name()].Off {
			out = append(out, r.Name()+" is switched off by the repository's configuration")
		}
	}
	return out
}

// wanted keeps the proposals that the repository wants, at the severity that it gives them. Secrets are reported
// wherever they are.
func (s *session) wanted(r review.Reviewer, proposals []review.Proposal) []review.Proposal {
	if r.Name() != s.p.Secrets.Name() {
		proposals = slices.DeleteFunc(proposals, func(p review.Proposal) bool { return s.paths.Excluded(p.Location.Path) })
	}
	if severity := s.resolution.Settings.Reviewers[r.Name()].Severity; severity != 0 {
		for i := range proposals {
			proposals[i].Severity = severity
		}
	}
	return proposals
}
