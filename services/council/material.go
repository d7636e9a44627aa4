package council

import "slices"

// Material is what stores keep apart from a task: the texts of evidence and of parts, by place.
type Material struct {
	Evidence []string `json:"evidence,omitempty"`
	Parts    []string `json:"parts,omitempty"`
}

// SplitMaterial returns a task without its material, and the material. The task that it is given is left as it is.
func SplitMaterial(t Task) (Task, Material) {
	var m Material
	if t.Question != nil {
		q := *t.Question
		q.Evidence = slices.Clone(q.Evidence)
		for i := range q.Evidence {
			m.Evidence = append(m.Evidence, q.Evidence[i].Text)
			q.Evidence[i].Text = ""
		}
		t.Question = &q
	}
	if t.CodeReview != nil {
		c := *t.CodeReview
		c.Parts = slices.Clone(c.Parts)
		for i := range c.Parts {
			m.Parts = append(m.Parts, c.Parts[i].Text)
			c.Parts[i].Text = ""
		}
		t.CodeReview = &c
	}
	return t, m
}

// Into puts the material back into the task from which it was taken.
func (m Material) Into(t *Task) {
	if t.Question != nil {
		for i := range min(len(m.Evidence), len(t.Question.Evidence)) {
			t.Question.Evidence[i].Text = m.Evidence[i]
		}
	}
	if t.CodeReview != nil {
		for i := range min(len(m.Parts), len(t.CodeReview.Parts)) {
			t.CodeReview.Parts[i].Text = m.Parts[i]
		}
	}
}
