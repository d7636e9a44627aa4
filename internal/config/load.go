package config

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"witan.dev/internal/secret"
)

const (
	prefix  = "WITAN_"
	maxFile = 1 << 20 // a configuration is read by people
	maxKey  = 64 << 10
)

// Source is where a configuration comes from.
type Source struct {
	// File is the path of the YAML file; empty: none is read.
	File string
	// Environ is the environment as os.Environ gives it.
	Environ []string
	// Flags are a command's flags; those that bear a key's name (with "-" for "_" and ".") and were set win over everything.
	Flags *pflag.FlagSet
	// NoGitHub is for a process that asks GitHub for nothing: the files of its key and its tokens need not be there.
	NoGitHub bool
}

// Load reads, checks and completes a configuration. Unknown keys and wrong values are reported together. Its paths are
// absolute: in the file they are relative to the folder of the file, elsewhere to the working directory.
func Load(s Source) (Config, error) {
	c := Default()
	keys := scalarKeys(reflect.TypeFor[Config](), "")
	k := koanf.New(".")
	var problems []error
	if s.File != "" {
		raw, err := readLimited(s.File, maxFile)
		if err != nil {
			return Config{}, fmt.Errorf("configuration: %w", err)
		}
		folder, err := filepath.Abs(filepath.Dir(s.File))
		if err != nil {
			return Config{}, fmt.Errorf("configuration: %w", err)
		}
		if err := k.Load(rawbytes.Provider(raw), anchored{yaml.Parser(), folder}); err != nil {
			return Config{}, fmt.Errorf("configuration %s: %w", s.File, err)
		}
		problems = append(problems, openSecrets(k))
	}
	if err := k.Load(environment(s.Environ, keys, &problems), nil); err != nil {
		return Config{}, fmt.Errorf("configuration from the environment: %w", err)
	}
	if s.Flags != nil {
		if err := k.Load(flags(s.Flags, k, keys), nil); err != nil {
			return Config{}, fmt.Errorf("configuration from flags: %w", err)
		}
	}
	var known mapstructure.Metadata
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{Tag: "koanf", DecoderConfig: &mapstructure.DecoderConfig{
		Result: &c, TagName: "koanf", Metadata: &known, WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(duration, hide),
	}})
	for _, key := range known.Unused {
		problems = append(problems, fmt.Errorf("%s: no such key", key))
	}
	if err := absolute(reflect.ValueOf(&c).Elem()); err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	problems = append(problems, err, c.readSecrets(s.NoGitHub), c.Validate(), c.readKeys(s.Environ))
	if err := errors.Join(problems...); err != nil {
		return Config{}, fmt.Errorf("configuration:\n%w", err)
	}
	return c, nil
}

// scalarKeys lists the keys that a single value can set. The environment cannot tell "_" in a name from "_" between
// names, so variables are looked up in this list and never taken apart.
func scalarKeys(t reflect.Type, at string) []string {
	var keys []string
	for f := range t.Fields() {
		name := f.Tag.Get("koanf")
		if name == "" || name == "-" {
			continue
		}
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[secret.Text]() {
			keys = append(keys, scalarKeys(f.Type, at+name+".")...)
			continue
		}
		if f.Type.Kind() != reflect.Slice && f.Type.Kind() != reflect.Map {
			keys = append(keys, at+name)
		}
	}
	return keys
}

// Variables lists the environment variables that set a key, in the order of the keys.
func Variables() []string {
	var names []string
	for _, key := range scalarKeys(reflect.TypeFor[Config](), "") {
		names = append(names, variable(key))
	}
	return names
}

func variable(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func environment(environ, keys []string, problems *[]error) *env.Env {
	byVariable := map[string]string{}
	for _, key := range keys {
		byVariable[variable(key)] = key
	}
	return env.Provider(".", env.Opt{
		Prefix:      prefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key, ok := byVariable[name]
			if !ok && !ours(name) {
				*problems = append(*problems, fmt.Errorf("%s: no such key", name))
			}
			return key, value // an empty key is left out
		},
	})
}

// ours tells variables that steer tests and long runs from misspelled keys.
func ours(name string) bool {
	return slices.ContainsFunc([]string{"WITAN_TEST_", "WITAN_BENCH_", "WITAN_CONFIG"}, func(p string) bool {
		return strings.HasPrefix(name, p)
	})
}

func flags(set *pflag.FlagSet, k *koanf.Koanf, keys []string) *posflag.Posflag {
	byFlag := map[string]string{}
	for _, key := range keys {
		byFlag[strings.NewReplacer(".", "-", "_", "-").Replace(key)] = key
	}
	return posflag.ProviderWithFlag(set, ".", k, func(f *pflag.Flag) (string, any) {
		key, ours := byFlag[f.Name]
		if !f.Changed || !ours {
			return "", nil
		}
		return key, f.Value.String()
	})
}

// duration reads a time with its unit. A bare number would count nanoseconds, which nobody means.
func duration(_, to reflect.Type, data any) (any, error) {
	if to != reflect.TypeFor[time.Duration]() {
		return data, nil
	}
	text := strings.TrimSpace(fmt.Sprint(data)) // the file may hold a number
	d, err := time.ParseDuration(text)
	switch {
	case err == nil:
		return d, nil
	case strings.Contains(err.Error(), "missing unit"):
		return nil, fmt.Errorf("%.80q needs a unit, such as %.40ss", text, text)
	}
	return nil, fmt.Errorf("%.80q is no duration, such as 20s", text)
}

// hide makes a secret of a text.
func hide(_, to reflect.Type, data any) (any, error) {
	text, ok := data.(string)
	if !ok || to != reflect.TypeFor[secret.Text]() {
		return data, nil
	}
	return secret.New(text), nil
}

// openSecrets refuses secrets in the YAML file, which is shown around more freely than files of secrets are.
func openSecrets(k *koanf.Koanf) error {
	var errs []error
	for _, key := range []string{"database", "redis"} {
		if u, err := url.Parse(k.String(key)); err == nil {
			_, found := u.User.Password()
			if query := u.Query(); found || query.Has("password") || query.Has("sslpassword") {
				errs = append(errs, fmt.Errorf("%s: holds a password: put the URL into a file and name it in %s_file, or set %s", key, key, variable(key)))
			}
		}
	}
	for _, key := range []string{"token", "qdrant_key", "github.private_key", "github.token", "github.write_token"} {
		if k.Exists(key) && k.String(key) != "" {
			errs = append(errs, fmt.Errorf("%s: put it into a file and name it in %s_file, or set %s", key, key, variable(key)))
		}
	}
	return errors.Join(errs...)
}

// readSecrets reads the token and the URLs that stand in files of their own.
func (c *Config) readSecrets(noGitHub bool) error {
	err := errors.Join(
		readSecret("database", &c.Database, c.DatabaseFile),
		readSecret("redis", &c.Redis, c.RedisFile),
		readSecret("token", &c.Token, c.TokenFile),
		readSecret("qdrant_key", &c.QdrantKey, c.QdrantKeyFile),
	)
	if noGitHub {
		return err
	}
	return errors.Join(err,
		readSecret("github.private_key", &c.GitHub.PrivateKey, c.GitHub.PrivateKeyFile),
		readSecret("github.token", &c.GitHub.Token, c.GitHub.TokenFile),
		readSecret("github.write_token", &c.GitHub.WriteToken, c.GitHub.WriteTokenFile),
	)
}

func readSecret(key string, into *secret.Text, path string) error {
	switch {
	case path == "":
		return nil
	case !into.IsZero():
		return fmt.Errorf("%s: excludes %s_file", key, key)
	}
	raw, err := readLimited(path, maxKey)
	if err != nil {
		return fmt.Errorf("%s_file: %w", key, err)
	}
	*into = secret.New(strings.TrimSpace(string(raw)))
	if into.IsZero() {
		return fmt.Errorf("%s_file: %s is empty", key, path)
	}
	return nil
}

// readKeys fills the models' keys from the files and variables that name them.
func (c *Config) readKeys(environ []string) error {
	var errs []error
	for i := range c.Models {
		m := &c.Models[i]
		var key string
		switch {
		case m.APIKeyFile != "":
			raw, err := readLimited(m.APIKeyFile, maxKey)
			if err != nil {
				errs = append(errs, fmt.Errorf("models[%d].api_key_file: %w", i, err))
			}
			key = strings.TrimSpace(string(raw))
		case m.APIKeyEnv != "":
			if key = Getenv(environ, m.APIKeyEnv); key == "" {
				errs = append(errs, fmt.Errorf("models[%d].api_key_env: the variable %s is not set", i, m.APIKeyEnv))
			}
		}
		m.APIKey = secret.New(key)
		if m.Model == "" {
			m.Model = m.Name
		}
	}
	return errors.Join(errs...)
}

// Getenv looks a variable up in an environment as os.Environ gives it; the last entry wins, as in a process.
func Getenv(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return raw, err
}
