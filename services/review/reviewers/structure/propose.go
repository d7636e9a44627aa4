package structure

import (
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

const (
	certaintyFirm   = 0.95 // own choice: resolved by the language's rules
	certaintyUnique = 0.8  // own choice: resolved by a unique name
	maxQuote        = 400  // bytes of one quoted line
)

// propose words the finding: at the first remaining use inside the diff, else at the changed definition, with all
// places in related.
func propose(in review.Inspection, c *candidate, uses []use) review.Proposal {
	p := review.Proposal{
		Source: Name, Rule: c.rule, Category: finding.APIContract, Severity: c.lang.severity,
		Certainty: certaintyFirm, Claim: claim(c, uses), Reason: reason(c, uses),
	}
	locations := make([]finding.Location, 0, min(len(uses), maxPlaces))
	firm := false
	for i := range uses {
		firm = firm || uses[i].grade.Firm()
		if len(locations) < maxPlaces {
			locations = append(locations, useLocation(in, &uses[i]))
		}
	}
	if !firm {
		p.Certainty = certaintyUnique
	}
	at := slices.IndexFunc(locations, func(l finding.Location) bool { return l.InDiff })
	if at < 0 {
		p.Location = definitionLocation(in, c)
		p.Related = locations
		return p
	}
	p.Location = locations[at]
	p.Related = append(slices.Delete(locations, at, at+1), definitionLocation(in, c))
	return p
}

func useLocation(in review.Inspection, u *use) finding.Location {
	l := finding.Location{
		Path: u.path, OldPath: u.path, Side: finding.Right, StartLine: u.span.StartLine, EndLine: u.span.StartLine,
		Symbol: u.symbol, Code: line(u.content, u.span.StartLine), Placement: finding.PlacedExact,
	}
	if f := in.Change.File(u.path); f != nil {
		l.OldPath, l.InDiff = f.OldPath, f.InDiff(false, u.span.StartLine)
	}
	return l
}

// definitionLocation is the first line of the changed definition: on the old side when it has no successor.
func definitionLocation(in review.Inspection, c *candidate) finding.Location {
	if c.new != nil && c.newPath == c.path {
		f := in.Change.File(c.newPath)
		n := c.new.Span.StartLine
		return finding.Location{
			Path: c.newPath, OldPath: c.oldPath, Side: finding.Right, StartLine: n, EndLine: n, Symbol: c.new.Symbol(),
			Code: line(f.New, n), Placement: finding.PlacedExact, InDiff: f.InDiff(false, n),
		}
	}
	f := in.Change.OldFile(c.oldPath)
	n := c.old.Span.StartLine
	return finding.Location{
		Path: c.path, OldPath: c.oldPath, Side: finding.Left, StartLine: n, EndLine: n, Symbol: c.old.Symbol(),
		Code: line(f.Old, n), Placement: finding.PlacedExact, InDiff: f.InDiff(true, n),
	}
}

func line(content []byte, n int) string {
	lines := review.SplitLines(content)
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1][:min(len(lines[n-1]), maxQuote)]
}

func claim(c *candidate, uses []use) string {
	name := c.old.Symbol()
	places := "1 place still uses it"
	if len(uses) > 1 {
		places = fmt.Sprintf("%d places still use it", len(uses))
	}
	switch c.rule {
	case RuleRenamed:
		return fmt.Sprintf("%s was renamed to %s, but %s under the old name", name, c.new.Name, places)
	case RuleMoved:
		return fmt.Sprintf("%s was moved to %s, but %s at the old place", name, c.newPath, places)
	case RuleSignature:
		if len(uses) > 1 {
			return fmt.Sprintf("the parameters of %s changed, but %d calls do not fit them", name, len(uses))
		}
		return fmt.Sprintf("the parameters of %s changed, but 1 call does not fit them", name)
	default:
		return fmt.Sprintf("%s was removed, but %s", name, places)
	}
}

func reason(c *candidate, uses []use) string {
	var b strings.Builder
	if c.rule == RuleSignature {
		fmt.Fprintf(&b, "Before: %s\nAfter: %s\n", c.old.Signature, c.new.Signature)
	}
	b.WriteString("Uses that remain:")
	for i := range uses {
		if i == maxPlaces {
			fmt.Fprintf(&b, "\n… and %d more", len(uses)-i)
			break
		}
		fmt.Fprintf(&b, "\n%s:%d: %s", uses[i].path, uses[i].span.StartLine,
			strings.TrimSpace(line(uses[i].content, uses[i].span.StartLine)))
	}
	return b.String()
}
