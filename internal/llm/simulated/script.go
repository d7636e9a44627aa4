package simulated

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	maxScript = 1 << 20
	maxRules  = 1_000
	maxRegex  = 1_000
	maxDelay  = 10 * time.Minute
	maxChunk  = 1 << 20
)

// Script says how a simulator behaves. The zero value answers everything by itself. Do not change it after it was given to
// NewEngine.
type Script struct {
	// Seed changes every choice that no rule makes.
	Seed int64 `yaml:"seed"`
	// Timing of the answers, where a rule does not say otherwise.
	Timing Timing `yaml:"timing"`
	// Models give models their hidden quality and their faults as judges.
	Models []Profile `yaml:"models"`
	// Stages name the stage of free-text prompts by a regular expression on the prompt, for callers that do not say it:
	// over HTTP nothing does. The first match in the order of the names counts. The council's own prompts are known.
	Stages map[string]string `yaml:"stages"`
	// Rules are tried in order, the first that fits decides.
	Rules []Rule `yaml:"rules"`

	stages []namedRegex
}

// Timing is when an answer arrives: its first byte after FirstToken, its last after Latency, in pieces of ChunkBytes.
type Timing struct {
	FirstToken time.Duration `yaml:"first_token"`
	Latency    time.Duration `yaml:"latency"`
	ChunkBytes int           `yaml:"chunk_bytes"`
}

// Profile is the character of one model. All figures are between 0 and 1.
type Profile struct {
	Model string `yaml:"model"`
	// Quality is how good its answers are in the eyes of every judge; unset: drawn from the seed.
	Quality *float64 `yaml:"quality"`
	// Noise is the standard deviation of its own judgement; unset: 0.1.
	Noise *float64 `yaml:"noise"`
	// PositionBias is what it adds to the first answer shown, falling to nothing for the last.
	PositionBias float64 `yaml:"position_bias"`
	// SelfPreference is what it adds to answers that it wrote itself.
	SelfPreference float64 `yaml:"self_preference"`
}

// Rule is what to do with some calls.
type Rule struct {
	When When `yaml:"when"`
	Then Then `yaml:"then"`
}

// When says which calls a rule is for. An empty field fits everything.
type When struct {
	// Model is the model's name: the configured one in process, the wire's over HTTP.
	Model string `yaml:"model"`
	// Stage is what the caller says in process, or the schema's name or the council's stage that sends it (propose, rank,
	// cross_examine), or for free text over HTTP what Script.Stages finds (answer, synthesise, conclude, title).
	Stage string `yaml:"stage"`
	// Member is known in process only.
	Member string `yaml:"member"`
	// Call counts, from 1, the calls that fit everything else in this When: "2", "1-3" or "2-".
	Call string `yaml:"call"`
	// Prompt is a regular expression on the system's words and all messages.
	Prompt string `yaml:"prompt"`

	from, to int
	prompt   *regexp.Regexp
}

// Fault is something that goes wrong with an answer.
type Fault string

// The faults.
const (
	FaultNone        Fault = ""
	FaultCut         Fault = "cut"          // the connection breaks after Then.After bytes of text
	FaultNoEnd       Fault = "no_end"       // the stream ends cleanly after its text, without saying that it is complete
	FaultMalformed   Fault = "malformed"    // the body is not valid JSON
	FaultHTML        Fault = "html"         // the body is a web page, with status 200 unless Then.Status is set
	FaultHang        Fault = "hang"         // nothing ever comes
	FaultEmpty       Fault = "empty"        // finished, without a text
	FaultInvalidJSON Fault = "invalid_json" // a complete answer whose text is not the JSON that was asked for
	FaultRefusal     Fault = "refusal"
	FaultLength      Fault = "length" // the limit is reached after Then.After bytes, by default in the middle
	FaultFilter      Fault = "filter"
)

// Then is what happens to a call.
type Then struct {
	FirstToken *time.Duration `yaml:"first_token"`
	Latency    *time.Duration `yaml:"latency"`
	ChunkBytes *int           `yaml:"chunk_bytes"`

	// Status is an HTTP status of 400 or more that is answered instead, with RetryAfter and Message.
	Status     int           `yaml:"status"`
	RetryAfter time.Duration `yaml:"retry_after"`
	Message    string        `yaml:"message"`

	Fault Fault `yaml:"fault"`
	After int   `yaml:"after"`

	// Usage replaces the counted one; NoUsage leaves it out.
	Usage   *Usage `yaml:"usage"`
	NoUsage bool   `yaml:"no_usage"`

	// Text is answered word for word; JSON is answered as JSON. Both may hold ${label /RE/}, ${match /RE/} and ${int /RE/}.
	// At most one of them is set; neither: the answer is made from the schema, with Labels and Prefer.
	Text *string `yaml:"text"`
	JSON any     `yaml:"json"`
	// Labels set fields of the objects that an answer holds for each label shown: of a label, the first entry counts whose
	// regular expression fits what the prompt shows under it.
	Labels []LabelRule `yaml:"labels"`
	// Prefer puts the labels whose texts fit these regular expressions first in a ranking, in this order.
	Prefer []string `yaml:"prefer"`

	prefer []*regexp.Regexp
}

// LabelRule sets fields of the objects for some labels.
type LabelRule struct {
	Match string         `yaml:"match"`
	Set   map[string]any `yaml:"set"`

	match *regexp.Regexp
}

// Usage is what a call is said to have taken, in tokens.
type Usage struct {
	Input     int64 `yaml:"input"`
	Output    int64 `yaml:"output"`
	Cached    int64 `yaml:"cached"`
	Reasoning int64 `yaml:"reasoning"`
}

type namedRegex struct {
	name string
	re   *regexp.Regexp
}

// ReadScript reads a script file.
func ReadScript(path string) (*Script, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxScript+1))
	if err != nil {
		return nil, err
	}
	s, err := ParseScript(raw)
	if err != nil {
		return nil, fmt.Errorf("script %s: %w", path, err)
	}
	return s, nil
}

// ParseScript decodes and checks a script of at most 1 MiB. Unknown keys and wrong values are errors; an empty text is the
// script without rules.
func ParseScript(raw []byte) (*Script, error) {
	if len(raw) > maxScript {
		return nil, fmt.Errorf("larger than %d bytes", maxScript)
	}
	var s Script
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	if err := s.compile(); err != nil {
		return nil, err
	}
	return &s, nil
}

// compile checks everything and reports all problems together.
func (s *Script) compile() error {
	c := &checker{}
	if len(s.Rules) > maxRules || len(s.Models) > maxRules || len(s.Stages) > maxRules {
		return fmt.Errorf("more than %d rules, models or stages", maxRules)
	}
	c.delay("timing.first_token", s.Timing.FirstToken)
	c.delay("timing.latency", s.Timing.Latency)
	c.within("timing.chunk_bytes", s.Timing.ChunkBytes, maxChunk)
	seen := map[string]bool{}
	for i, p := range s.Models {
		p.check(c, fmt.Sprintf("models[%d]", i))
		if seen[p.Model] {
			c.bad("models[%d].model: %q is there twice", i, p.Model)
		}
		seen[p.Model] = true
	}
	s.stages = nil
	for name, re := range s.Stages {
		s.stages = append(s.stages, namedRegex{name, c.regex("stages."+name, re)})
	}
	sortByName(s.stages)
	for i := range s.Rules {
		s.Rules[i].When.compile(c, fmt.Sprintf("rules[%d].when", i))
		s.Rules[i].Then.compile(c, fmt.Sprintf("rules[%d].then", i))
	}
	return errors.Join(c.errs...)
}

func (p Profile) check(c *checker, key string) {
	if p.Model == "" {
		c.bad("%s.model: is missing", key)
	}
	for name, v := range map[string]*float64{"quality": p.Quality, "noise": p.Noise, "position_bias": &p.PositionBias, "self_preference": &p.SelfPreference} {
		if v != nil && !(*v >= 0 && *v <= 1) {
			c.bad("%s.%s: %v is not between 0 and 1", key, name, *v)
		}
	}
}

func (w *When) compile(c *checker, key string) {
	w.from, w.to = 1, int(^uint(0)>>1)
	if w.Call != "" {
		low, high, ranged := strings.Cut(w.Call, "-")
		from, err := strconv.Atoi(low)
		to := from
		if ranged && high == "" {
			to = w.to
		} else if ranged && err == nil {
			to, err = strconv.Atoi(high)
		}
		if err != nil || from < 1 || to < from {
			c.bad(`%s.call: %q is none of "2", "1-3", "2-"`, key, w.Call)
		}
		w.from, w.to = from, to
	}
	if w.Prompt != "" {
		w.prompt = c.regex(key+".prompt", w.Prompt)
	}
}

func (t *Then) compile(c *checker, key string) {
	if t.FirstToken != nil {
		c.delay(key+".first_token", *t.FirstToken)
	}
	if t.Latency != nil {
		c.delay(key+".latency", *t.Latency)
	}
	if t.ChunkBytes != nil {
		c.within(key+".chunk_bytes", *t.ChunkBytes, maxChunk)
	}
	if t.Status != 0 && (t.Status < 400 || t.Status > 599) {
		c.bad("%s.status: %d is not between 400 and 599", key, t.Status)
	}
	if t.RetryAfter < 0 || t.RetryAfter > 24*time.Hour || t.RetryAfter > 0 && t.Status == 0 {
		c.bad("%s.retry_after: needs a status and is at most 24h", key)
	}
	if t.Message != "" && t.Status == 0 {
		c.bad("%s.message: needs a status", key)
	}
	c.within(key+".after", t.After, maxScript)
	t.compileFault(c, key)
	t.compileAnswer(c, key)
}

func (t *Then) compileFault(c *checker, key string) {
	switch t.Fault {
	case FaultCut, FaultLength:
	case FaultNone, FaultNoEnd, FaultMalformed, FaultHTML, FaultHang, FaultEmpty, FaultInvalidJSON, FaultRefusal, FaultFilter:
		if t.After != 0 {
			c.bad("%s.after: is for the faults cut and length", key)
		}
	default:
		c.bad("%s.fault: %q is unknown", key, t.Fault)
	}
	if t.Status != 0 && t.Fault != FaultNone && t.Fault != FaultHTML {
		c.bad("%s: a status goes with the fault html only", key)
	}
	if t.Usage != nil && (t.NoUsage || min(t.Usage.Input, t.Usage.Output, t.Usage.Cached, t.Usage.Reasoning) < 0) {
		c.bad("%s.usage: is not negative and excludes no_usage", key)
	}
}

func (t *Then) compileAnswer(c *checker, key string) {
	if t.Text != nil && t.JSON != nil {
		c.bad("%s: text and json exclude each other", key)
	}
	if (t.Text != nil || t.JSON != nil) && (len(t.Labels) > 0 || len(t.Prefer) > 0) {
		c.bad("%s: labels and prefer change answers that are made from the schema, not text or json", key)
	}
	if t.Text != nil {
		c.template(key+".text", *t.Text)
	}
	t.JSON = c.tree(key+".json", t.JSON, 0)
	for i := range t.Labels {
		l := &t.Labels[i]
		at := fmt.Sprintf("%s.labels[%d]", key, i)
		l.match = c.regex(at+".match", l.Match)
		for name, value := range l.Set {
			l.Set[name] = c.tree(at+".set."+name, value, 0)
		}
	}
	t.prefer = nil
	for i, re := range t.Prefer {
		t.prefer = append(t.prefer, c.regex(fmt.Sprintf("%s.prefer[%d]", key, i), re))
	}
}

// checker gathers what is wrong.
type checker struct{ errs []error }

func (c *checker) bad(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *checker) within(key string, n, most int) {
	if n < 0 || n > most {
		c.bad("%s: %d is not between 0 and %d", key, n, most)
	}
}

func (c *checker) delay(key string, d time.Duration) {
	if d < 0 || d > maxDelay {
		c.bad("%s: %s is not between 0s and %s", key, d, maxDelay)
	}
}

func (c *checker) regex(key, text string) *regexp.Regexp {
	if len(text) > maxRegex {
		c.bad("%s: longer than %d bytes", key, maxRegex)
		return nil
	}
	re, err := regexp.Compile("(?m)" + text)
	if err != nil {
		c.bad("%s: %v", key, err)
	}
	return re
}

func (c *checker) template(key, text string) {
	if err := checkTemplate(text); err != nil {
		c.bad("%s: %v", key, err)
	}
}

// tree checks a value that becomes JSON, and its templates.
func (c *checker) tree(key string, value any, depth int) any {
	if depth > maxDepth {
		c.bad("%s: nested more than %d deep", key, maxDepth)
		return nil
	}
	switch v := value.(type) {
	case string:
		c.template(key, v)
	case map[string]any:
		for name, inner := range v {
			v[name] = c.tree(key+"."+name, inner, depth+1)
		}
	case []any:
		for i, inner := range v {
			v[i] = c.tree(fmt.Sprintf("%s[%d]", key, i), inner, depth+1)
		}
	case nil, bool, int, int64, uint64, float64:
		if f, ok := v.(float64); ok && (f != f || f > 1e300 || f < -1e300) {
			c.bad("%s: is no number of JSON", key)
		}
	default:
		c.bad("%s: %T is nothing that JSON has (keys are texts; quote dates)", key, v)
	}
	return value
}
