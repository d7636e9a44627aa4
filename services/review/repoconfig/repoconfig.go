package repoconfig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
)

// File is where a repository keeps its configuration.
const File = ".witan.yaml"

// Bounds of a file (own choice). Whoever may write to the base branch decides what stands in it.
const (
	maxBytes    = 64 << 10
	maxDepth    = 8
	maxNodes    = 10_000
	maxProblems = 20
	maxProblem  = 300 // bytes
	maxRules    = 64
	maxRule     = 4000 // characters
	maxFiles    = 16   // guidelines
	maxItems    = 200  // of a list of names
	maxItem     = 255  // bytes of one of them
	maxVotes    = 32
)

// Params say what a repository may ask for.
type Params struct {
	// Reviewers are the names of the static reviewers.
	Reviewers []string
	// ContextTokens is the server's budget for the code around a part; a repository may only lower it.
	ContextTokens int
	// Secrets are taken out of what is said to be wrong, which is shown; nil: nothing is.
	Secrets *secrets.Reviewer
}

// Reader reads configurations. Safe for concurrent use.
type Reader struct{ p Params }

// New returns a reader.
func New(p Params) *Reader { return &Reader{p: p} }

// Read reads the repository's configuration with read, which returns a file at the base. What is wrong in it comes back as
// sentences, at most twenty; then the settings are the defaults, but for a check that fails where it is not complete: what
// else is wrong must not let anybody past it. A repository without one has the defaults too. The error
// is read's, review.ErrNoFile and review.ErrTooLarge excepted.
func (r *Reader) Read(
	ctx context.Context, read func(ctx context.Context, path string) ([]byte, error),
) (review.Settings, []string, error) {
	content, err := read(ctx, File)
	switch {
	case errors.Is(err, review.ErrNoFile):
		return review.DefaultSettings(), nil, nil
	case errors.Is(err, review.ErrTooLarge):
		content = make([]byte, maxBytes+1)
	case err != nil:
		return review.Settings{}, nil, fmt.Errorf("read %s: %w", File, err)
	}
	set, problems := r.parse(ctx, content)
	return set, problems, nil
}

// Parse reads the content of a configuration.
func (r *Reader) Parse(content []byte) (review.Settings, []string) {
	return r.parse(context.Background(), content)
}

func (r *Reader) parse(ctx context.Context, content []byte) (review.Settings, []string) {
	sum := sha256.Sum256(content)
	set := review.DefaultSettings()
	set.Digest = hex.EncodeToString(sum[:16])
	d := &decoder{p: r.p, clean: func(text *string) {
		if r.p.Secrets != nil {
			r.p.Secrets.Clean(ctx, text)
		}
	}}
	root, ok := d.load(content)
	if ok {
		d.settings(root, &set)
	}
	if len(d.problems) == 0 {
		return set, nil
	}
	set = review.DefaultSettings()
	set.Digest, set.IncompleteFails = hex.EncodeToString(sum[:16]), incompleteFails.Match(content[:min(len(content), maxBytes)])
	return set, d.problems
}

// incompleteFails finds check.incomplete in a file that may be no YAML at all.
var incompleteFails = regexp.MustCompile(`(?m)^[^#\n]*\bincomplete["']?\s*:\s*["']?failure\b`)

// load parses the text and holds it to the bounds. It is not ok where there is nothing to decode.
func (d *decoder) load(content []byte) (*yaml.Node, bool) {
	if len(content) > maxBytes {
		d.add("", "is larger than 64 KiB")
		return nil, false
	}
	var document yaml.Node
	decode := yaml.NewDecoder(strings.NewReader(string(content)))
	if err := safely(func() error { return decode.Decode(&document) }); err != nil {
		if !isEmpty(err) {
			d.add("", "is no YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return nil, false
	}
	var second yaml.Node
	if err := safely(func() error { return decode.Decode(&second) }); !isEmpty(err) {
		d.add("", "holds more than one document")
		return nil, false
	}
	if len(document.Content) != 1 {
		return nil, false
	}
	root := document.Content[0]
	if n := 0; !d.bounded(root, 1, &n) {
		return nil, false
	}
	if root.Tag == "!!null" {
		return nil, false
	}
	return root, true
}

// bounded refuses what is too deep, too much, or refers to itself.
func (d *decoder) bounded(n *yaml.Node, depth int, nodes *int) bool {
	*nodes++
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.add("", "line %d: anchors and aliases are not taken", n.Line)
		return false
	case depth > maxDepth:
		d.add("", "line %d: is nested deeper than %d", n.Line, maxDepth)
		return false
	case *nodes > maxNodes:
		d.add("", "holds more than %d values", maxNodes)
		return false
	}
	for _, c := range n.Content {
		if !d.bounded(c, depth+1, nodes) {
			return false
		}
	}
	return true
}
