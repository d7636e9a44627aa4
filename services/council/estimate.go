package council

// Range is a guess with its bounds.
type Range struct {
	Low      int64 `json:"low"`
	Expected int64 `json:"expected"`
	High     int64 `json:"high"`
}

// Estimate is what a deliberation is expected to take. Tokens rest on the sizes of what is known beforehand and on a share
// of the output limits.
type Estimate struct {
	Calls  Range `json:"calls"`
	Tokens Range `json:"tokens"`
}

// Names of the stages.
const (
	StageAnswer       = "answer"
	StagePropose      = "propose"
	StageGroup        = "group"
	StageRank         = "rank"
	StageCrossExamine = "cross_examine"
	StageSynthesise   = "synthesise"
	StageConclude     = "conclude"
)

// Stages lists the stages that a spec plans for a task, in order.
func Stages(s Spec, kind TaskKind) []string {
	stages := []string{StageAnswer, StageRank, StageSynthesise}
	if kind == TaskCodeReview {
		stages = []string{StagePropose, StageGroup, StageCrossExamine, StageConclude}
	}
	switch s.Mode {
	case ModeAnswersOnly:
		if kind == TaskCodeReview {
			return stages[:2]
		}
		return stages[:1]
	case ModeRanked:
		return stages[:len(stages)-1]
	case ModeFull, ModeVerdict:
	}
	return stages
}

// Judged says whether a question's answers can be ranked: with recusal each of two authors would see one candidate.
func (s Spec) Judged() bool {
	if len(s.Answerers()) < 2 || len(s.Judges()) == 0 {
		return false
	}
	for _, j := range s.Judges() {
		n := len(s.Answerers())
		if j.Answers() {
			n--
		}
		if n >= 2 {
			return true
		}
	}
	return false
}

const (
	outputShare  = 4    // an answer takes about a quarter of what it may
	unknownLimit = 2048 // where the model's own limit holds
)

// EstimateOf guesses what a task takes. Calls: one for each seat and part, one for each judge (and batch), one for the
// chairman; retries and repairs in High only. Reused answers of a retried job are not taken off.
func EstimateOf(s Spec, t Task) Estimate {
	answerers, judges := int64(len(s.Answerers())), int64(len(s.Judges()))
	var e Estimate
	if len(s.Members) == 0 {
		return e
	}
	material := int64(0)
	parts := int64(1)
	if t.CodeReview != nil {
		parts = int64(len(t.CodeReview.Parts))
		for _, p := range t.CodeReview.Parts {
			material += max(int64(len(p.Text)/3), int64(p.EstimatedTokens))
		}
	} else {
		material = int64(len(t.Question.Text) / 3)
		for _, ev := range t.Question.Evidence {
			material += int64(len(ev.Text) / 3)
		}
	}
	first := answerers * parts
	second, third := int64(0), int64(0)
	if s.Mode != ModeAnswersOnly && (t.CodeReview != nil || s.Judged()) {
		second = judges
	}
	if (s.Mode == ModeFull || s.Mode == ModeVerdict) && answerers > 1 && s.Chairman.Model != "" {
		third = 1
	}
	output := int64(0)
	for _, m := range s.Members {
		output = max(output, int64(m.MaxOutputTokens))
	}
	if output == 0 {
		output = unknownLimit * outputShare
	}
	each := output / outputShare
	calls := first + second + third
	e.Calls = Range{Low: first, Expected: calls, High: calls * DefaultMaxAttempts}
	if t.CodeReview != nil && s.Mode != ModeAnswersOnly {
		e.Calls.High += judges * parts // further batches
	}
	e.Tokens = Range{
		Low:      answerers * material,
		Expected: answerers*material + (second+third)*(material+answerers*each) + calls*each,
		High:     e.Calls.High * (material + answerers*output + output),
	}
	return e
}
