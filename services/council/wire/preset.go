package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"

	"google.golang.org/protobuf/encoding/protojson"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/services/council"
)

var presetName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Presets reads the councils of a configuration: each has a name, perhaps a display_name, and the fields of CouncilSpec in
// either spelling; a member may be a model's name alone. Unknown fields are errors. All problems are reported together.
func Presets(configured []map[string]any) ([]council.Preset, error) {
	var presets []council.Preset
	var errs []error
	for i, raw := range configured {
		p, err := preset(raw)
		if err != nil {
			errs = append(errs, fmt.Errorf("councils[%d]: %w", i, err))
			continue
		}
		presets = append(presets, p)
	}
	return presets, errors.Join(errs...)
}

func preset(raw map[string]any) (council.Preset, error) {
	fields := maps.Clone(raw)
	name, ok := fields["name"].(string)
	if !ok || !presetName.MatchString(name) {
		return council.Preset{}, fmt.Errorf("name %v is not lower-case letters, digits, '-' and '_'", fields["name"])
	}
	display, ok := fields["display_name"].(string)
	if !ok && fields["display_name"] != nil {
		return council.Preset{}, errors.New("display_name is not a text")
	}
	delete(fields, "name")
	delete(fields, "display_name")
	if members, ok := fields["members"].([]any); ok {
		seats := make([]any, len(members))
		for i, m := range members {
			seats[i] = m
			if model, ok := m.(string); ok {
				seats[i] = map[string]any{"model": model}
			}
		}
		fields["members"] = seats
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return council.Preset{}, fmt.Errorf("read council %q: %w", name, err)
	}
	var spec councilv1.CouncilSpec
	if err := protojson.Unmarshal(text, &spec); err != nil {
		return council.Preset{}, fmt.Errorf("read council %q: %w", name, err)
	}
	return council.Preset{Name: name, DisplayName: display, Spec: SpecOf(&spec)}, nil
}
