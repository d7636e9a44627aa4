package simulated

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

const (
	maxDepth = 16
	maxNodes = 20_000
)

var errSchema = errors.New("the schema cannot be followed")

// generator makes a value that a schema allows: all required properties and no others, as few array items as it allows, one
// object a label where an array's objects have one, each label once in a ranking. Patterns and formats are not followed.
type generator struct {
	engine *Engine
	call   Call
	hash   string
	filler filler
	then   *Then
	root   map[string]any
	ranked []string // labels, best first
	appeal map[string]float64
	nodes  int
}

func (e *Engine) fromSchema(c Call, f filler, t *Then) (string, error) {
	g := &generator{engine: e, call: c, hash: c.Hash(), filler: f, then: t, appeal: map[string]float64{}}
	if err := json.Unmarshal(c.Schema, &g.root); err != nil {
		return "", fmt.Errorf("%w: %w", errSchema, err)
	}
	g.rank()
	tree, err := g.value(g.root, "$", 0)
	if err != nil {
		return "", err
	}
	return encode(tree)
}

// rank orders the labels: those that the script prefers first, the rest by appeal.
func (g *generator) rank() {
	wanted := map[string]int{}
	for i, s := range g.filler.labels {
		g.appeal[s.label] = g.engine.appeal(g.call.Model, g.hash, s, i, len(g.filler.labels))
		g.ranked = append(g.ranked, s.label)
		wanted[s.label] = slices.IndexFunc(g.then.prefer, func(re regex) bool { return re.MatchString(s.text) })
		if wanted[s.label] < 0 {
			wanted[s.label] = len(g.then.prefer)
		}
	}
	slices.SortStableFunc(g.ranked, func(a, b string) int {
		return cmp.Or(cmp.Compare(wanted[a], wanted[b]), cmp.Compare(g.appeal[b], g.appeal[a]))
	})
}

func (g *generator) value(node any, path string, depth int) (any, error) {
	schema, ok := node.(map[string]any)
	if g.nodes++; depth > maxDepth || g.nodes > maxNodes {
		return nil, fmt.Errorf("%w: too deep or too large at %s", errSchema, path)
	}
	if !ok {
		return nil, nil //nolint:nilnil // the schema "true" allows null
	}
	if v, ok := schema["const"]; ok {
		return v, nil
	}
	if ref, ok := schema["$ref"].(string); ok {
		target, err := g.resolve(ref)
		if err != nil {
			return nil, err
		}
		return g.value(target, path, depth+1)
	}
	if values, ok := schema["enum"].([]any); ok && len(values) > 0 {
		return g.choose(values, path), nil
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if list, ok := schema[key].([]any); ok && len(list) > 0 {
			return g.value(simplest(list), path, depth+1)
		}
	}
	switch typeOf(schema) {
	case "object":
		return g.object(schema, path, depth)
	case "array":
		return g.array(schema, path, depth)
	case "string":
		return g.string(schema, path), nil
	case "integer":
		return math.Ceil(g.number(schema, path)), nil
	case "number":
		return g.number(schema, path), nil
	case "boolean":
		return g.engine.draw(g.hash, g.call.Model, path) < 0.5, nil
	}
	return nil, nil //nolint:nilnil // null
}

func (g *generator) resolve(ref string) (any, error) {
	var node any = g.root
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil, fmt.Errorf("%w: %q is not a reference within it", errSchema, ref)
	}
	for name := range strings.SplitSeq(path, "/") {
		object, ok := node.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: %q leads nowhere", errSchema, ref)
		}
		node = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return node, nil
}

func (g *generator) object(schema map[string]any, path string, depth int) (any, error) {
	out := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, r := range required {
		name, ok := r.(string)
		if !ok {
			continue
		}
		v, err := g.value(properties[name], path+"."+name, depth+1)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

func (g *generator) array(schema map[string]any, path string, depth int) (any, error) {
	items, _ := schema["items"].(map[string]any)
	if properties, ok := items["properties"].(map[string]any); ok && properties["label"] != nil {
		return g.eachLabel(items, path, depth)
	}
	if strings.HasSuffix(path, ".ranking") || len(g.ranked) > 0 && slices.Equal(slices.Sorted(slices.Values(enumOf(items))), slices.Sorted(slices.Values(g.ranked))) {
		return g.ranking(), nil
	}
	out := []any{}
	for i := range min(int(limit(schema, "minItems", 0)), maxLabels) {
		v, err := g.value(items, fmt.Sprintf("%s[%d]", path, i), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (g *generator) ranking() []any {
	out := []any{}
	for _, label := range g.ranked {
		out = append(out, label)
	}
	return out
}

// eachLabel makes one object a label, in the order shown, and sets the fields that the script names.
func (g *generator) eachLabel(items map[string]any, path string, depth int) (any, error) {
	out := []any{}
	for _, s := range g.filler.labels {
		made, err := g.value(items, path+"["+s.label+"]", depth+1)
		if err != nil {
			return nil, err
		}
		object, ok := made.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: %s holds labels but no objects", errSchema, path)
		}
		object["label"] = s.label
		g.judge(items, object, s)
		if err := g.set(object, s); err != nil {
			return nil, err
		}
		out = append(out, object)
	}
	return out, nil
}

// judge gives a vote that goes with the text's appeal.
func (g *generator) judge(items, object map[string]any, s shown) {
	properties, _ := items["properties"].(map[string]any)
	if _, ok := object["vote"]; !ok {
		return
	}
	want := "uncertain"
	switch appeal := g.appeal[s.label]; {
	case appeal > 0.45:
		want = "confirm"
	case appeal < 0.35:
		want = "reject"
	}
	for _, v := range enumOf(properties["vote"]) {
		if strings.HasPrefix(strings.ToLower(v), want) {
			object["vote"] = v
		}
	}
}

func (g *generator) set(object map[string]any, s shown) error {
	i := slices.IndexFunc(g.then.Labels, func(l LabelRule) bool { return l.match.MatchString(s.text) })
	if i < 0 {
		return nil
	}
	for name, value := range g.then.Labels[i].Set {
		filled, err := g.filler.tree(value)
		if err != nil {
			return err
		}
		object[name] = filled
	}
	return nil
}

// choose takes one of the values; where leaving it empty is one, it is left empty.
func (g *generator) choose(values []any, path string) any {
	for _, none := range []any{"", nil} {
		if slices.Contains(values, none) {
			return none
		}
	}
	return values[int(g.engine.draw(g.hash, g.call.Model, path)*float64(len(values)))]
}

func (g *generator) string(schema map[string]any, path string) string {
	text := "[simulated] " + g.engine.pick(remarks, g.hash, g.call.Model, path)
	for float64(len([]rune(text))) < min(limit(schema, "minLength", 0), maxChunk) {
		text += " " + g.engine.pick(remarks, g.hash, path, text)
	}
	runes := []rune(text)
	return string(runes[:int(min(limit(schema, "maxLength", math.MaxInt32), float64(len(runes))))])
}

func (g *generator) number(schema map[string]any, path string) float64 {
	low := max(limit(schema, "minimum", math.Inf(-1)), limit(schema, "exclusiveMinimum", math.Inf(-1))+1)
	high := min(limit(schema, "maximum", math.Inf(1)), limit(schema, "exclusiveMaximum", math.Inf(1))-1)
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		low, high = 0, 1
	case math.IsInf(low, -1):
		low = high - 1
	case math.IsInf(high, 1):
		high = low + 1
	}
	if high < low {
		return low
	}
	return low + math.Floor(g.engine.draw(g.hash, g.call.Model, path)*100)/100*(high-low)
}

func limit(schema map[string]any, key string, otherwise float64) float64 {
	if v, ok := schema[key].(float64); ok {
		return v
	}
	return otherwise
}

// typeOf is a schema's type; of several null wins: what may be left out is left out.
func typeOf(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		if slices.Contains(t, any("null")) {
			return "null"
		}
		for _, v := range t {
			if name, ok := v.(string); ok {
				return name
			}
		}
	}
	if schema["properties"] != nil {
		return "object"
	}
	return "null"
}

func simplest(list []any) any {
	for _, s := range list {
		if object, ok := s.(map[string]any); ok && object["type"] == "null" {
			return s
		}
	}
	return list[0]
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
