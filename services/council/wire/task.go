package wire

import (
	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/finding"
	"witan.dev/services/council"
)

// TaskOf translates the task of a deliberation's message.
func TaskOf(d *councilv1.Deliberation) council.Task {
	switch t := d.GetTask().(type) {
	case *councilv1.Deliberation_Question:
		return council.Task{Question: questionOf(t.Question)}
	case *councilv1.Deliberation_CodeReview:
		return council.Task{CodeReview: codeReviewOf(t.CodeReview)}
	}
	return council.Task{}
}

func questionOf(q *councilv1.Question) *council.Question {
	out := &council.Question{Text: q.GetText(), Choices: q.GetChoices()}
	for _, e := range q.GetEvidence() {
		out.Evidence = append(out.Evidence, council.Evidence{Title: e.GetTitle(), Text: e.GetText(), Blob: e.GetBlob(), SHA256: e.GetSha256()})
	}
	for _, c := range q.GetCriteria() {
		out.Criteria = append(out.Criteria, council.Criterion{Name: c.GetName(), Description: c.GetDescription()})
	}
	return out
}

func codeReviewOf(c *councilv1.CodeReview) *council.CodeReview {
	out := &council.CodeReview{
		Title: c.GetTitle(), Description: c.GetDescription(), Guidelines: c.GetGuidelines(), BlockAt: severityOf(c.GetBlockAt()),
	}
	for _, p := range c.GetParts() {
		part := council.MaterialPart{
			ID: p.GetId(), Paths: p.GetPaths(), Text: p.GetText(), Blob: p.GetBlob(), SHA256: p.GetSha256(), EstimatedTokens: int(p.GetEstimatedTokens()),
		}
		for _, a := range p.GetAnchors() {
			part.Anchors = append(part.Anchors, council.Anchor{
				Path: a.GetPath(), Side: sideOf(a.GetSide()), Symbol: a.GetSymbol(), StartLine: int(a.GetStartLine()), EndLine: int(a.GetEndLine()),
			})
		}
		out.Parts = append(out.Parts, part)
	}
	for _, p := range c.GetOutsideProposals() {
		out.Outside = append(out.Outside, ProposalOf(p))
	}
	for _, name := range c.GetCategories() {
		out.Categories = append(out.Categories, finding.Category(name))
	}
	return out
}

// ProposalOf translates a proposal's message.
func ProposalOf(p *councilv1.Proposal) council.Proposal {
	return council.Proposal{
		ID: p.GetId(), Source: p.GetSource(), Outside: p.GetOutside(), Path: p.GetPath(), StartLine: int(p.GetStartLine()),
		EndLine: int(p.GetEndLine()), Side: sideOf(p.GetSide()), Code: p.GetCode(), Symbol: p.GetSymbol(),
		Category: finding.Category(p.GetCategory()), Severity: severityOf(p.GetSeverity()), Claim: p.GetClaim(), Reason: p.GetReason(),
		Suggestion: p.GetSuggestion(), Fingerprint: p.GetFingerprint(), Confidence: p.GetConfidence(),
		NeedsConfirmations: int(p.GetNeedsConfirmations()), Certain: p.GetCertain(),
	}
}

// Proposal translates a proposal to its message.
func Proposal(p council.Proposal) *councilv1.Proposal {
	return &councilv1.Proposal{
		Id: p.ID, Source: p.Source, Outside: p.Outside, Path: p.Path, StartLine: int32Of(p.StartLine), EndLine: int32Of(p.EndLine),
		Side: side(p.Side), Code: p.Code, Symbol: p.Symbol, Category: string(p.Category), Severity: Severity(p.Severity),
		Claim: p.Claim, Reason: p.Reason, Suggestion: p.Suggestion, Fingerprint: p.Fingerprint, Confidence: p.Confidence,
		NeedsConfirmations: int32Of(p.NeedsConfirmations), Certain: p.Certain,
	}
}

// Proposals translates proposals.
func Proposals(list []council.Proposal) []*councilv1.Proposal {
	out := make([]*councilv1.Proposal, len(list))
	for i, p := range list {
		out[i] = Proposal(p)
	}
	return out
}

// setTask puts a task into a deliberation's message.
func setTask(t council.Task, into *councilv1.Deliberation) {
	switch {
	case t.Question != nil:
		into.Task = &councilv1.Deliberation_Question{Question: question(t.Question)}
	case t.CodeReview != nil:
		into.Task = &councilv1.Deliberation_CodeReview{CodeReview: codeReview(t.CodeReview)}
	}
}

func question(q *council.Question) *councilv1.Question {
	out := &councilv1.Question{Text: q.Text, Choices: q.Choices}
	for _, e := range q.Evidence {
		m := &councilv1.Evidence{Title: e.Title, Sha256: e.SHA256}
		switch {
		case e.Blob != "":
			m.Content = &councilv1.Evidence_Blob{Blob: e.Blob}
		case e.Text != "":
			m.Content = &councilv1.Evidence_Text{Text: e.Text}
		}
		out.Evidence = append(out.Evidence, m)
	}
	for _, c := range q.Criteria {
		out.Criteria = append(out.Criteria, &councilv1.Criterion{Name: c.Name, Description: c.Description})
	}
	return out
}

func codeReview(c *council.CodeReview) *councilv1.CodeReview {
	out := &councilv1.CodeReview{
		Title: c.Title, Description: c.Description, Guidelines: c.Guidelines, BlockAt: Severity(c.BlockAt), OutsideProposals: Proposals(c.Outside),
	}
	for _, p := range c.Parts {
		part := &councilv1.MaterialPart{Id: p.ID, Paths: p.Paths, Sha256: p.SHA256, EstimatedTokens: int32Of(p.EstimatedTokens)}
		switch {
		case p.Blob != "":
			part.Content = &councilv1.MaterialPart_Blob{Blob: p.Blob}
		case p.Text != "":
			part.Content = &councilv1.MaterialPart_Text{Text: p.Text}
		}
		for _, a := range p.Anchors {
			part.Anchors = append(part.Anchors, &councilv1.Anchor{
				Path: a.Path, Side: side(a.Side), Symbol: a.Symbol, StartLine: int32Of(a.StartLine), EndLine: int32Of(a.EndLine),
			})
		}
		out.Parts = append(out.Parts, part)
	}
	for _, name := range c.Categories {
		out.Categories = append(out.Categories, string(name))
	}
	return out
}
