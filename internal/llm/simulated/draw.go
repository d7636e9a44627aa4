package simulated

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

const defaultNoise = 0.1

// draw is a number in [0, 1) that depends on the seed and the words alone.
func (e *Engine) draw(words ...string) float64 {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, e.script.Seed)
	for _, w := range words {
		_ = binary.Write(h, binary.BigEndian, uint64(len(w)))
		_, _ = h.Write([]byte(w))
	}
	return float64(binary.BigEndian.Uint64(h.Sum(nil))>>11) / (1 << 53)
}

// normal is a draw from the standard normal distribution (Box-Muller).
func (e *Engine) normal(words ...string) float64 {
	u := 1 - e.draw(append(words, "u")...)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*e.draw(append(words, "v")...))
}

func (e *Engine) pick(list []string, words ...string) string {
	return list[int(e.draw(words...)*float64(len(list)))]
}

func (e *Engine) profile(model string) Profile {
	for _, p := range e.script.Models {
		if p.Model == model {
			return p
		}
	}
	return Profile{Model: model}
}

// A mark at the end of a generated text tells judges of the same seed who wrote it and how good it is; nobody else can
// read the author in it.
var mark = regexp.MustCompile(`\[sim ([0-9a-f]{4})-([0-9a-f]{2})\]`)

func (e *Engine) mark(model, hash string) string {
	p := e.profile(model)
	quality := e.draw("quality", model)
	if p.Quality != nil {
		quality = *p.Quality
	}
	quality += 0.1 * (e.draw("day", model, hash) - 0.5) // no model is always equally good
	return fmt.Sprintf("[sim %s-%02x]", e.author(model), int(255*min(max(quality, 0), 1)))
}

func (e *Engine) author(model string) string {
	return fmt.Sprintf("%04x", int(e.draw("author", model)*65536))
}

// appeal is how good a judge finds the text at a place among n.
func (e *Engine) appeal(judge, hash string, s shown, place, n int) float64 {
	p := e.profile(judge)
	noise := defaultNoise
	if p.Noise != nil {
		noise = *p.Noise
	}
	var value float64
	if m := mark.FindStringSubmatch(s.text); m != nil {
		quality, err := strconv.ParseUint(m[2], 16, 8)
		if err == nil {
			value = float64(quality) / 255
		}
		if m[1] == e.author(judge) {
			value += p.SelfPreference
		}
	} else {
		value = e.draw("unmarked", essence(s.text))
	}
	if n > 1 {
		value += p.PositionBias * (1 - float64(place)/float64(n-1))
	}
	return value + noise*e.normal("judge", judge, hash, s.label)
}

// fenceLine is a line that only marks where a text begins or ends.
var fenceLine = regexp.MustCompile(`^(\[\w+:[^\]]*\]|[=<>#~-]{3,}.*)$`)

// essence is the beginning of a text without its header and fences, which differ between prompts.
func essence(text string) string {
	_, body, _ := strings.Cut(text, "\n")
	var b strings.Builder
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); b.Len() < 200 && !fenceLine.MatchString(line) {
			b.WriteString(line + " ")
		}
	}
	return head(b.String(), 200)
}
