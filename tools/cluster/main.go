// Command cluster brings up a whole Witan cluster on this machine as plain processes, for machines without a container
// engine: each service alone, worker processes for each queue, a Postgres and a Redis of its own, and what stands in for
// Qdrant. It ends with Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"witan.dev/internal/testserver"
	"witan.dev/services/retrieval/qdrant/qdranttest"
	"witan.dev/test/cluster"
)

// simulated is the configuration without a file: a council whose answers come from no model.
const simulated = `models:
  - {name: ada, provider: simulated}
  - {name: ben, provider: simulated}
  - {name: cyd, provider: simulated}
councils:
  - {name: default, members: [ada, ben, cyd], chairman: {model: ada}}
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	binary := flags.String("binary", "bin/witan", "the program")
	workers := flags.Int("workers", 1, "worker processes of each queue")
	config := flags.String("config", "", "configuration with models and councils (default: simulated models)")
	http := flags.String("http", "", "address of REST, SSE and the page (default: a free port)")
	webhooks := flags.String("webhooks", "", "address of the port for webhooks alone (default: a free port)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *workers < 1 {
		return fmt.Errorf("-workers %d: nobody would run the jobs", *workers)
	}
	text, what, base := []byte(simulated), "simulated models: their answers come from no model; CONFIG=file names real ones", ""
	if *config != "" {
		what = *config
		if base, err = filepath.Abs(filepath.Dir(*config)); err != nil {
			return err
		}
		if text, err = os.ReadFile(*config); err != nil {
			return err
		}
	}
	postgres, redis, stop, err := servers(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	qdrant, stopQdrant, err := searchIndex(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopQdrant()) }()
	folder, err := os.MkdirTemp("", "witan-cluster-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	program, err := filepath.Abs(*binary)
	if err != nil {
		return err
	}
	lines := &shared{out: out}
	c, err := cluster.Start(ctx, cluster.Params{
		Binary: program, Folder: folder, Database: postgres, Redis: redis, Qdrant: qdrant, Config: string(text), Base: base, Workers: *workers, Output: lines,
		Ended: func(name, how string) {
			_, _ = fmt.Fprintf(lines, "%s ended: %s; it is not started again\n", name, how)
		},
		HTTP: *http, Webhooks: *webhooks,
	})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(lines, `
the cluster is up: %s (REST, SSE, page), %s a queue, %s
it takes webhooks at %[5]s/webhooks/github, signed with the secret in %[6]s
%[7]sits configuration is %[4]s; in another terminal:
  bin/witan doctor --config %[4]s
  bin/witan ask "Which is it?" --config %[4]s
  bin/witan work --config %[4]s --queues council
Ctrl-C ends it and removes everything it kept

`, c.HTTP(), counted(*workers, "worker"), what, c.Config(), c.Webhooks(), c.WebhookSecrets(), shown(c.Token()))
	<-ctx.Done()
	return c.Stop(context.WithoutCancel(ctx))
}

// shown says what callers show whom the configuration does not name. Commands with it find the token there.
func shown(token string) string {
	if token == "" {
		return ""
	}
	return "REST and the page ask for a token: " + token + "\n"
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// servers starts a Postgres and a Redis, or takes those that the environment names.
func servers(ctx context.Context) (postgres, redis string, stop func() error, err error) {
	postgres, redis = os.Getenv(testserver.PostgresVariable), os.Getenv(testserver.RedisVariable)
	var started []*testserver.Server
	stop = func() error {
		var errs []error
		for _, s := range started {
			errs = append(errs, s.Stop())
		}
		return errors.Join(errs...)
	}
	start := func(url *string, make func(context.Context, ...string) (*testserver.Server, error), settings ...string) {
		if *url != "" || err != nil {
			return
		}
		var s *testserver.Server
		if s, err = make(ctx, settings...); err == nil {
			started = append(started, s)
			*url, err = s.URL, s.Start(ctx)
		}
	}
	start(&postgres, testserver.NewPostgres, "fsync=on")
	start(&redis, testserver.NewRedis, "--appendonly", "yes")
	if err != nil {
		return "", "", nil, errors.Join(err, stop())
	}
	return postgres, redis, stop, nil
}

// searchIndex takes the Qdrant that the environment names, or serves what stands in for it: no package has a Qdrant.
func searchIndex(ctx context.Context) (url string, stop func() error, err error) {
	if url := os.Getenv(testserver.QdrantVariable); url != "" {
		return url, func() error { return nil }, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- qdranttest.New(nil).Serve(ctx, listener) }()
	return "http://" + listener.Addr().String(), func() error { cancel(); return <-ended }, nil
}

// shared lets several processes write whole lines.
type shared struct {
	mu  sync.Mutex
	out io.Writer
}

// Write implements io.Writer.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}
