// Package cluster brings up a Witan cluster on one machine as plain processes: each service in a process of its own, and
// worker processes for each queue. `make cluster`, the tests that kill processes and the benchmarks of scaling use it.
package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"witan.dev/internal/auth"
	"witan.dev/internal/config"
	"witan.dev/internal/freeport"
)

// The services in the order in which they start, and the queues.
var (
	services = []string{"parser", "retrieval", "council", "jobs", "review", "ingest", "gateway"} //nolint:gochecknoglobals // a list
	queues   = []string{"intake", "review", "council", "index"}                                  //nolint:gochecknoglobals // a list
)

// startTimeout bounds how long a process may take to say that it is at work.
const startTimeout = 60 * time.Second

// Params say what to bring up.
type Params struct {
	// Binary is the program.
	Binary string
	// Folder takes the configuration; it must exist.
	Folder string
	// Database and Redis are URLs. The schema of the database is brought up to date.
	Database, Redis string
	// Qdrant is the URL of a Qdrant; empty: searches are ranked by the database.
	Qdrant string
	// Config is YAML, such as models and councils. Where the state lies and who is where is added to it, a file of webhook
	// secrets and one of the secret that the processes show each other where it names none, and a token for people where it
	// names nobody.
	Config string
	// Base is the folder that relative paths in Config are relative to; empty: Folder.
	Base string
	// HTTP and Webhooks are the gateway's address and that of the port for webhooks alone; empty: those of Config, or free ones.
	HTTP, Webhooks string
	// Files are written into the folder, which is the working directory of the processes.
	Files map[string]string
	// Workers is the number of worker processes of each queue; Concurrency what each runs at once, 0 means what the
	// configuration says.
	Workers, Concurrency int
	// Queues are those that get workers; nil means all.
	Queues []string
	// Output takes what the processes write, each line with the process's name in front; nil: nobody does.
	Output io.Writer
	// Ended is told of a process that ended though nobody here asked it to: its name, and how; nil: nobody is. Several may call
	// it at once.
	Ended func(name, how string)
	// Environ is added to the processes' environment, from which all WITAN_ variables are taken out.
	Environ []string
	// Observed gives each process an address for operators, which Process.Operations names.
	Observed bool
}

// Cluster is a running one. Its methods are for one goroutine at a time; those of its processes for any.
type Cluster struct {
	p         Params
	config    string
	addresses map[string]string
	http      string
	webhooks  string
	secret    string
	secrets   string // the file
	token     string
	processes map[string]*Process
	order     []string
}

// Start brings the schema up to date and starts all processes. Nothing runs when it returns an error.
func Start(ctx context.Context, p Params) (*Cluster, error) {
	c := &Cluster{p: p, config: filepath.Join(p.Folder, "cluster.yaml"), addresses: map[string]string{}, processes: map[string]*Process{}}
	if err := c.configure(ctx); err != nil {
		return nil, err
	}
	if err := c.run(ctx, "migrate", "migrate", "--config", c.config); err != nil {
		return nil, err
	}
	for _, service := range services {
		args := []string{"serve", "--config", c.config, "--services", service, "--grpc-addr", c.addresses[service]}
		if service == "gateway" {
			args = append(args, "--http-addr", c.http)
		}
		if service == "ingest" {
			args = append(args, "--webhooks-addr", c.webhooks)
		}
		if err := c.Launch(ctx, service, args...); err != nil {
			return nil, errors.Join(err, c.Kill())
		}
	}
	if p.Queues == nil {
		p.Queues = queues
	}
	for _, queue := range p.Queues {
		for n := range p.Workers {
			if err := c.LaunchWorker(ctx, fmt.Sprintf("worker-%s-%d", queue, n+1), queue); err != nil {
				return nil, errors.Join(err, c.Kill())
			}
		}
	}
	return c, nil
}

// configure chooses addresses and writes the configuration that all processes share.
func (c *Cluster) configure(ctx context.Context) error {
	for name, text := range c.p.Files {
		if err := os.WriteFile(filepath.Join(c.p.Folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	settings := map[string]any{}
	if err := yaml.Unmarshal([]byte(c.p.Config), &settings); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	config.Anchor(settings, cmp.Or(c.p.Base, c.p.Folder))
	ports, err := freeport.Addresses(ctx, len(services)+2)
	if err != nil {
		return err
	}
	where := map[string]any{}
	for i, service := range services {
		c.addresses[service] = ports[i]
		if service != "gateway" { // nobody calls it but people
			where[service] = []string{ports[i]}
		}
	}
	if err := c.setWebhooks(settings, ports[len(services)+1]); err != nil {
		return err
	}
	if err := c.setCallers(settings); err != nil {
		return err
	}
	http, _ := settings["http_addr"].(string)
	c.http = cmp.Or(c.p.HTTP, http, ports[len(services)])
	databaseFile := filepath.Join(c.p.Folder, "database.url")
	if err := os.WriteFile(databaseFile, []byte(c.p.Database), 0o600); err != nil {
		return err
	}
	settings["database_file"], settings["redis"], settings["services"] = databaseFile, c.p.Redis, where
	if c.p.Qdrant != "" {
		settings["qdrant"] = c.p.Qdrant
	}
	raw, err := yaml.Marshal(settings)
	if err != nil {
		return err
	}
	return os.WriteFile(c.config, raw, 0o600)
}

// setCallers names the secret that the processes show each other, without which nobody would take what happened at a forge from
// another process. From then on people show a token, too: where the configuration knows of none it gets one, which commands
// with this configuration show.
func (c *Cluster) setCallers(settings map[string]any) error {
	callers, ok := settings["auth"].(map[string]any)
	if !ok && settings["auth"] != nil {
		return errors.New("auth in the configuration is no object")
	}
	if callers == nil {
		callers = map[string]any{}
	}
	settings["auth"] = callers
	keep := func(name, text string) (string, error) {
		path := filepath.Join(c.p.Folder, name)
		return path, os.WriteFile(path, []byte(text), 0o600)
	}
	var err error
	if callers["service_token_file"] == nil {
		if callers["service_token_file"], err = keep("service.token", rand.Text()+rand.Text()); err != nil {
			return err
		}
	}
	if callers["tokens_file"] != nil || callers["tokens"] != nil {
		return nil
	}
	c.token = rand.Text() + rand.Text()
	hash := sha256.Sum256([]byte(c.token))
	if callers["tokens_file"], err = keep("tokens", auth.LocalOwner+" "+hex.EncodeToString(hash[:])+"\n"); err != nil {
		return err
	}
	settings["token_file"], err = keep("local.token", c.token)
	return err
}

// setWebhooks takes the address and the secrets that the configuration names for webhooks, or makes what it lacks.
func (c *Cluster) setWebhooks(settings map[string]any, free string) error {
	at := settings
	for _, key := range []string{"webhooks", "github"} {
		below, ok := at[key].(map[string]any)
		if !ok && at[key] != nil {
			return fmt.Errorf("%s in the configuration is no object", key)
		}
		if below == nil {
			below = map[string]any{}
			at[key] = below
		}
		if key == "webhooks" {
			addr, _ := below["addr"].(string)
			c.webhooks = cmp.Or(c.p.Webhooks, addr, free)
		}
		at = below
	}
	if file, ok := at["secrets_file"].(string); ok && file != "" {
		raw, err := os.ReadFile(file) //nolint:gosec // whoever starts the cluster names it
		if err != nil {
			return fmt.Errorf("webhooks.github.secrets_file: %w", err)
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
		c.secret, c.secrets = strings.TrimSpace(first), file
		return nil
	}
	c.secret, c.secrets = rand.Text(), filepath.Join(c.p.Folder, "webhook.secrets")
	at["secrets_file"] = c.secrets
	return os.WriteFile(c.secrets, []byte(c.secret), 0o600)
}

// run runs a command of the program to its end.
func (c *Cluster) run(ctx context.Context, name string, args ...string) error {
	p := newProcess(name, &c.p, args)
	if err := p.Start(); err != nil {
		return err
	}
	code, err := p.Wait(ctx)
	if err != nil {
		return errors.Join(err, p.Kill())
	}
	if code != 0 {
		return fmt.Errorf("witan %s ended with %d:\n%s", name, code, p.Output())
	}
	return nil
}

// Launch starts a further process of the program under a name of its own and waits until it says that it is at work.
func (c *Cluster) Launch(ctx context.Context, name string, args ...string) error {
	if _, there := c.processes[name]; there {
		return fmt.Errorf("there is a process %s already", name)
	}
	p := newProcess(name, &c.p, args)
	p.ended = c.p.Ended
	if c.p.Observed {
		addresses, err := freeport.Addresses(ctx, 1)
		if err != nil {
			return err
		}
		p.observe(addresses[0])
	}
	c.processes[name] = p
	c.order = append(c.order, name)
	return p.launch(ctx)
}

// LaunchWorker starts a worker process on queues (a list with commas).
func (c *Cluster) LaunchWorker(ctx context.Context, name, queues string) error {
	args := []string{"work", "--config", c.config, "--queues", queues}
	if c.p.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(c.p.Concurrency))
	}
	return c.Launch(ctx, name, args...)
}

// HTTP is the gateway's base URL.
func (c *Cluster) HTTP() string { return "http://" + c.http }

// Webhooks is the base URL of the port that takes webhooks alone; the gateway takes them too.
func (c *Cluster) Webhooks() string { return "http://" + c.webhooks }

// WebhookSecrets is the path of the file of secrets that webhooks are signed with.
func (c *Cluster) WebhookSecrets() string { return c.secrets }

// WebhookSecret is the first of these secrets.
func (c *Cluster) WebhookSecret() string { return c.secret }

// Token is what people show: the owner "local" has it. Empty where Config names tokens of its own.
func (c *Cluster) Token() string { return c.token }

// Address is where a service answers gRPC.
func (c *Cluster) Address(service string) string { return c.addresses[service] }

// Config is the path of the configuration that all processes share.
func (c *Cluster) Config() string { return c.config }

// Process is one of the processes, nil for an unknown name: a service's name, or worker-<queue>-<n>.
func (c *Cluster) Process(name string) *Process { return c.processes[name] }

// Names are those of all processes, in the order in which they were started first.
func (c *Cluster) Names() []string { return slices.Clone(c.order) }

// Workers are the processes that run jobs of a queue, by name.
func (c *Cluster) Workers(queue string) []*Process {
	var workers []*Process
	for _, name := range slices.Sorted(maps.Keys(c.processes)) {
		if strings.HasPrefix(name, "worker-"+queue+"-") {
			workers = append(workers, c.processes[name])
		}
	}
	return workers
}

// Output is what all processes have written in their newest lives.
func (c *Cluster) Output() string {
	var text strings.Builder
	for _, name := range c.order {
		fmt.Fprintf(&text, "== %s\n%s\n", name, c.processes[name].Output())
	}
	return text.String()
}

// Stop ends all processes gracefully, workers first, and requires that each ends well.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	for _, name := range slices.Backward(c.order) {
		errs = append(errs, c.processes[name].Stop(ctx))
	}
	return errors.Join(errs...)
}

// Kill ends all processes as a crash would.
func (c *Cluster) Kill() error {
	var errs []error
	for _, p := range c.processes {
		errs = append(errs, p.Kill())
	}
	return errors.Join(errs...)
}

// Restart starts a process that has ended again, with the same arguments. Different ones may be restarted at once.
func (c *Cluster) Restart(ctx context.Context, name string) error {
	return c.processes[name].launch(ctx)
}
