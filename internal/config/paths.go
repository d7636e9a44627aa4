package config

import (
	"path/filepath"
	"reflect"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
)

// Anchor makes the relative paths of a configuration as YAML spells it absolute: they are relative to the folder of the file
// that they stand in. What is no path, or no text, stays as it is.
func Anchor(settings map[string]any, folder string) {
	for key, value := range settings {
		switch v := value.(type) {
		case string:
			if isPath(key) && v != "" && !filepath.IsAbs(v) {
				settings[key] = filepath.Join(folder, v)
			}
		case map[string]any:
			Anchor(v, folder)
		case []any:
			if key != "councils" { // whose fields are those of another contract
				anchorEach(v, folder)
			}
		}
	}
}

func anchorEach(list []any, folder string) {
	for _, entry := range list {
		if below, ok := entry.(map[string]any); ok {
			Anchor(below, folder)
		}
	}
}

// isPath says whether the value of a key of this name is the path of a file or a folder.
func isPath(key string) bool {
	return strings.HasSuffix(key, "_file") || key == "data" || key == "cache" || key == "script"
}

// anchored parses YAML whose relative paths are relative to a folder.
type anchored struct {
	*yaml.YAML
	folder string
}

// Unmarshal implements koanf.Parser.
func (a anchored) Unmarshal(raw []byte) (map[string]any, error) {
	settings, err := a.YAML.Unmarshal(raw)
	Anchor(settings, a.folder)
	return settings, err
}

// absolute makes the paths absolute that came from variables and flags: they are relative to the working directory.
func absolute(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			if err := absolute(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := absoluteField(v.Type().Field(i), v.Field(i)); err != nil {
				return err
			}
		}
	default:
	}
	return nil
}

func absoluteField(f reflect.StructField, v reflect.Value) error {
	if !f.IsExported() {
		return nil
	}
	if v.Kind() != reflect.String {
		return absolute(v)
	}
	if v.String() == "" || !isPath(f.Tag.Get("koanf")) {
		return nil
	}
	path, err := filepath.Abs(v.String())
	if err == nil {
		v.SetString(path)
	}
	return err
}
